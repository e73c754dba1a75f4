import type { AgentRuntime, AnyEvent, AuditEntry, InvocationHandle, Session } from 'turnloop'
import { actor, callNames, transitions } from './audit-words.ts'
import { byId, element } from './dom.ts'

/** With these a commit may have done something with calls. */
const kinds = [
  'run-started',
  'assistant-message-committed',
  'approval-requested',
  'approval-resolved',
  'tool-execution-started',
  'tool-execution-finished',
  'tool-message-committed',
  'run-completed',
  'run-stopped',
  'run-failed',
  'run-cancelled',
] as const

/** What became of a run's calls, and who decided it: of the latest run, or of the one that is chosen. */
export class AuditTrail {
  readonly #audit: AgentRuntime['runs']['audit']
  readonly #select = byId<HTMLSelectElement>('audit-run')
  readonly #rows = byId('audit-rows')
  #listening: InvocationHandle | undefined
  #reading = false
  #again = false

  constructor(audit: AgentRuntime['runs']['audit']) {
    this.#audit = audit
    this.#select.addEventListener('change', () => this.#read())
  }

  /** Nothing where nobody sees it. */
  follow(session: Session | undefined): void {
    this.#listening?.abort()
    this.#select.replaceChildren()
    this.#render([])
    this.#listening = session?.on(kinds, (event) => this.#hear(event as AnyEvent), { since: 0 })
  }

  #hear(event: AnyEvent): void {
    if (event.kind === 'run-started' && !event.resumed) {
      const followed = this.#select.selectedIndex <= 0
      this.#select.prepend(element('option', { value: event.runId }, event.input.slice(0, 60) || 'Files'))
      if (followed) this.#select.selectedIndex = 0
    }
    if (event.runId === this.#select.value) this.#read()
  }

  /** One read at a time: what comes meanwhile is in the next one. */
  async #read(): Promise<void> {
    this.#again = this.#reading
    if (this.#reading) return
    this.#reading = true
    const runId = this.#select.value
    const entries = runId ? await this.#audit(runId).catch(() => []) : []
    this.#reading = false
    if (this.#again || runId !== this.#select.value) return this.#read()
    this.#render(entries)
  }

  #render(entries: readonly AuditEntry[]): void {
    const names = callNames(entries)
    byId('audit').hidden = entries.length === 0
    byId('no-audit').hidden = entries.length > 0
    byId('audit-choice').hidden = this.#select.options.length === 0
    this.#rows.replaceChildren(
      ...entries.flatMap((entry) => rowsOf(entry, names.get(entry.toolCallId) ?? entry.toolName)),
    )
  }
}

function rowsOf({ at, transition, by, detail }: AuditEntry, name: string): HTMLElement[] {
  const time = element('time', { dateTime: new Date(at).toISOString() }, new Date(at).toLocaleTimeString('en-GB'))
  const row = element(
    'tr',
    {},
    element('td', {}, time),
    element('th', { scope: 'row' }, element('code', {}, name)),
    element('td', {}, element('span', { className: 'transition' }, transitions[transition])),
    element('td', {}, actor(by)),
  )
  row.dataset.transition = transition
  if (!detail) return [row]
  return [row, element('tr', { className: 'detail' }, element('td'), element('td', { colSpan: 3 }, detail))]
}
