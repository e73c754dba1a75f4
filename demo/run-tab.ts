import type { AnyEvent, InvocationHandle, Session, SessionSnapshot } from 'turnloop'
import { byId, element } from './dom.ts'
import { asCost, asDuration, inFull, inShort } from './format.ts'
import { Gauge } from './gauge.ts'
import type { LimitsForm } from './limits-form.ts'
import { RunLog, type RunTotals } from './run-log.ts'
import { standing } from './standing.ts'
import { budget } from './tariff.ts'

const shownRuns = 20

/**
 * The panel's tab “Run”: what the run that is under way, or the last one, and the session have used, and of how much. It
 * listens only while it is open: what a view doesn't hold is in the session's log.
 */
export class RunTab {
  readonly #limits: LimitsForm
  readonly #context = new Gauge('Context')
  readonly #ofSession = new Gauge('Tokens of this session')
  #log = new RunLog()
  #listening: InvocationHandle | undefined
  #session: Session | undefined
  #open = false
  #frame = 0

  constructor(limits: LimitsForm) {
    this.#limits = limits
    byId('context-gauge').append(this.#context.element)
    byId('session-budget').append(this.#ofSession.element)
    byId('day-budget').textContent = `${inFull(budget.perDay.tokens)} at most, over all sessions`
  }

  open(session: Session): void {
    this.#session = session
    this.#listen()
  }

  show(open: boolean): void {
    this.#open = open
    this.#listen()
  }

  /** Draws it again, where it is open, at the next frame. */
  readonly changed = (): void => {
    if (this.#open) this.#frame ||= requestAnimationFrame(() => this.#render())
  }

  #listen(): void {
    this.#listening?.abort()
    this.#listening = undefined
    this.#log = new RunLog()
    if (!this.#open || !this.#session) return
    const add = (event: unknown) => {
      this.#log.add(event as AnyEvent)
      this.changed()
    }
    this.#listening = this.#session.on('any', add, { since: 0 })
    this.changed()
  }

  #render(): void {
    this.#frame = 0
    const snapshot = this.#session?.view.getSnapshot()
    if (!snapshot) return
    const run = this.#log.runs.at(-1)
    byId('run-now').textContent = standing(snapshot)
    byId('run-usage').replaceChildren(...usageRows(run, snapshot))
    const { tokens, window } = snapshot.context
    this.#context.render(tokens, window, inFull)
    this.#ofSession.render(tokensOf(snapshot.usage), budget.perSession.tokens, inFull)
    this.#limits.render(run)
    byId('runs').replaceChildren(...this.#log.runs.slice(-shownRuns).reverse().map(runRow))
  }
}

const tokensOf = ({ inputTokens, outputTokens }: RunTotals['usage']) => inputTokens + outputTokens

function usageRows(run: RunTotals | undefined, { usage, cost }: SessionSnapshot): HTMLElement[] {
  const row = (name: string, show: (of: Pick<SessionSnapshot, 'usage' | 'cost'>) => string) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, name),
      element('td', {}, run ? show(run as Pick<SessionSnapshot, 'usage' | 'cost'>) : '–'),
      element('td', {}, show({ usage, ...(cost !== undefined && { cost }) })),
    )
  return [
    row('Input', ({ usage }) => inFull(usage.inputTokens)),
    row('… of it cached', ({ usage }) => inFull(usage.cachedInputTokens)),
    row('Output', ({ usage }) => inFull(usage.outputTokens)),
    row('… of it reasoning', ({ usage }) => inFull(usage.reasoningTokens)),
    row('Cost', ({ usage, cost }) => (tokensOf(usage) === 0 ? '–' : asCost(cost))),
  ]
}

function runRow({ input, state, reason, turns, usage, cost, workedFor }: RunTotals): HTMLElement {
  const title = element('th', { scope: 'row', title: input }, input)
  const stand = element('small', {}, [state, reason, asDuration(workedFor)].filter(Boolean).join(', '))
  title.append(stand)
  const cells = [inFull(turns), inShort(tokensOf(usage)), asCost(cost)].map((text) => element('td', {}, text))
  return element('tr', {}, title, ...cells)
}
