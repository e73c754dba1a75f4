import type { RuntimeInfo, Session, SessionSnapshot } from 'turnloop'

// #region status
/** What a chat says below its messages: what its run waits for, what waits behind it, and what it costs. */
export function statusLine({ run, queue, cost, context }: SessionSnapshot, { online }: RuntimeInfo): string {
  const { tokens, window } = context
  const words = [
    !online && 'You are offline.',
    run?.waitingFor === 'offline' && 'Waiting for the network …',
    run?.phase === 'retrying' && `Attempt ${run.attempt} failed, the next one comes soon …`,
    queue.length > 0 && `${queue.length} waiting`,
    cost !== undefined && `cost so far: ${cost.toFixed(2)}`,
    window && `context ${Math.round((100 * tokens) / window)} % full`,
  ]
  return words.filter(Boolean).join(' ')
}
// #endregion

// #region picker
/** A select of the session's model: what is chosen counts from the next turn on, and after a reload. */
export function modelPicker(session: Session, { models }: RuntimeInfo): HTMLSelectElement {
  const picker = document.createElement('select')
  picker.append(...models.map(({ name }) => new Option(name)))
  picker.onchange = () => session.setModel(picker.value)
  return picker
}
// #endregion
