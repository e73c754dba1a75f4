import type { AgentRuntime, AppOf, Session } from 'turnloop'
import { isDurable } from '../../../src/events/kinds.ts'
import type { HeardEvent } from '../world/ledger.ts'
import type { runtime } from './crash.worker.ts'
import { problem, report } from './report.ts'

export type App = AppOf<typeof runtime>

export interface Watched {
  readonly session: Session<App>
  /** Inputs by their id, which is their run's: what this page sent, and what it was told is stored. */
  readonly inputs: Map<string, string>
  /** The last durable event that was told. */
  head: number
  leave(): void
}

const watched = new Map<string, Watched>()

/** Listens to everything of a session, from its first event on, keeps a view of it, and tells the world. */
export function watch(agent: AgentRuntime<App>, id: string, name?: App['agent']['name']): Watched {
  const known = watched.get(id)
  if (known) return known
  const session = agent.session(id, name === undefined ? {} : { agent: name })
  const leave = () => {
    watched.delete(id)
    listener.abort()
    unsubscribe()
  }
  const entry: Watched = { session, inputs: new Map(), head: 0, leave }
  watched.set(id, entry)
  const listener = session.on('any', (event) => take(entry, event as unknown as HeardEvent), { since: 0 })
  const unsubscribe = session.view.subscribe(() => {})
  return entry
}

export const leave = (id: string): void => watched.get(id)?.leave()

function take(entry: Watched, event: HeardEvent) {
  const { id } = entry.session
  const { kind, seq, runId } = event
  if (kind === 'run-failed' && seq === entry.head) {
    // Refused before there was a run: told live only.
    const { code } = event.error as { code: string }
    report({ fact: 'refused', session: id, input: entry.inputs.get(runId) ?? '', code })
  } else if (isDurable(kind)) {
    if (seq !== entry.head + 1) problem(`event ${seq} (${kind}) was told after event ${entry.head}`, id)
    entry.head = seq
    report({ fact: 'event', session: id, event })
  } else if (kind === 'input-queued') {
    const input = String(event.input)
    entry.inputs.set(String(event.inputId), input)
    report({ fact: 'queued', session: id, input })
  } else if (kind === 'input-withdrawn') {
    report({ fact: 'withdrawn', session: id, input: entry.inputs.get(String(event.inputId)) ?? '' })
  } else if (kind === 'run-released') {
    report({ fact: 'released', session: id, reason: String(event.reason) })
  }
}
