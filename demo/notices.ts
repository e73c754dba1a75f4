import type { AgentError, SessionSnapshot, StopReason } from 'turnloop'
import { advice } from './advice.ts'
import { countdown } from './countdown.ts'
import { element, icon } from './dom.ts'
import type { Stopped } from './stopped-run.ts'

/** What a person can do about a run that doesn't go on by itself. */
export interface Remedies {
  resume(runId: string): void
  takeOver(): void
}

interface Notice {
  readonly className: 'note' | 'notice' | 'problem' | 'remedy'
  readonly title?: string
  readonly text?: string
  readonly label?: string
  readonly act?: () => void
  /** Unix time in milliseconds: how long it takes until then is told beside the text. */
  readonly until?: number
}

/** How the last run of a session stands, below its messages: who writes it, why it doesn't go on, and what can be done. */
export class Notices {
  readonly #remedies: Remedies
  readonly #shown = new Map<string, HTMLElement>()

  constructor(remedies: Remedies) {
    this.#remedies = remedies
  }

  clear(): void {
    this.#shown.clear()
  }

  /** The same element for the same notice, so that it is announced once and keeps the focus. */
  elements(snapshot: SessionSnapshot, stopped: Stopped | undefined): HTMLElement[] {
    const notices = new Map(this.#of(snapshot, stopped).map((notice) => [keyOf(notice, snapshot.run?.runId), notice]))
    for (const key of this.#shown.keys()) if (!notices.has(key)) this.#shown.delete(key)
    for (const [key, notice] of notices) if (!this.#shown.has(key)) this.#shown.set(key, toElement(notice))
    return [...notices.keys()].flatMap((key) => this.#shown.get(key) ?? [])
  }

  #of({ run, error, approvals }: SessionSnapshot, stopped: Stopped | undefined): Notice[] {
    const notices: Notice[] = []
    const go = (runId: string) => ({ label: 'Continue', act: () => this.#remedies.resume(runId) })
    if (error) {
      const remedy = stopped?.reason === 'credentials' ? go(stopped.runId) : undefined
      notices.push({ className: 'problem', title: error.message, text: advice(error), ...remedy })
    }
    if (run?.phase === 'interrupted') {
      const asked = approvals.some(({ reason }) => reason === 'interrupted')
      if (!asked && !isGone(error))
        notices.push({ className: 'notice', text: 'This answer was interrupted.', ...go(run.runId) })
    } else if (run?.owner === 'not-responding') {
      const text = 'The tab that writes this answer does not respond.'
      notices.push({ className: 'notice', text, label: 'Take over here', act: () => this.#remedies.takeOver() })
    } else if (run?.phase === 'retrying') {
      const text = `Attempt ${run.attempt ?? 1} failed, and the model is asked again.`
      notices.push({ className: 'note', text, ...(run.retryAt !== undefined && { until: run.retryAt }) })
    } else if (run?.waitingFor === 'offline') {
      const text =
        'The model can’t be reached while you are offline. This answer goes on by itself once you are online.'
      notices.push({ className: 'notice', text })
    } else if (run?.owner === 'elsewhere' && run.phase !== 'waiting') {
      notices.push({ className: 'note', text: 'Another tab runs this answer.' })
    } else if (stopped && !error) {
      const text = whyStopped[stopped.reason ?? 'requested']
      notices.push({ className: text ? 'notice' : 'remedy', ...(text && { text }), ...go(stopped.runId) })
    }
    return notices
  }
}

/** A stop that somebody asked for needs no words. */
const whyStopped: { readonly [R in StopReason]?: string } = {
  'max-turns': 'This answer took as many turns as it may.',
  'tool-calls': 'This answer made as many tool calls as it may.',
  tokens: 'This answer used as many tokens as it may.',
  budget: 'This answer stopped at a limit of cost, or at the budget of the session or the day.',
  deadline: 'This answer worked as long as it may.',
  'doom-loop': 'This answer went round in circles.',
  'tool-errors': 'This answer stopped since its tools kept failing.',
  'crash-loop': 'This answer was interrupted three times without getting on.',
  orphaned: 'This answer was interrupted.',
}

/** The page has to reload, or a new worker has to come. */
const isGone = (error: AgentError | undefined) =>
  error !== undefined && ['worker-lost', 'storage-lost', 'storage-outdated', 'protocol-mismatch'].includes(error.code)

const keyOf = ({ className, title = '', text = '', label = '', until = 0 }: Notice, runId = '') =>
  [className, title, text, label, until, runId].join('\n')

function toElement({ className, title, text, label, act, until }: Notice): HTMLElement {
  const box = element('div', { className })
  if (className === 'problem') box.role = 'alert'
  if (title) box.append(element('strong', {}, title))
  if (text)
    box.append(element('p', {}, text, ...(until === undefined ? [] : [' ', countdown(until, (left) => `In ${left}.`)])))
  if (label && act) {
    const button = element('button', { className: 'outlined', type: 'button' }, icon('play'), label)
    button.addEventListener('click', () => {
      button.disabled = true
      act()
    })
    box.append(button)
  }
  return box
}
