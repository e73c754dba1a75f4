import type { AnyEvent, Usage } from 'turnloop'

/** What one run has used, and how it stands. */
export interface RunTotals {
  readonly runId: string
  readonly input: string
  readonly state: 'working' | 'waiting' | 'completed' | 'stopped' | 'failed' | 'cancelled'
  /** Why it stopped. */
  readonly reason?: string
  readonly turns: number
  readonly toolCalls: number
  readonly usage: Usage
  /** Absent where the model has no price, and before the first call. */
  readonly cost?: number | undefined
  /** Milliseconds of work up to the last event; what it waited for people, pages and the network is not counted. */
  readonly workedFor: number
  readonly lastAt: number
  readonly lastTurn: number
}

const nothing: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 }

/** The runs of a session, in their order, as its events tell of them. */
export class RunLog {
  readonly #runs = new Map<string, RunTotals>()

  get runs(): readonly RunTotals[] {
    return [...this.#runs.values()]
  }

  add(event: AnyEvent): void {
    const { runId } = event
    if (!runId) return
    const known = this.#runs.get(runId)
    if (event.kind === 'run-started') this.#runs.set(runId, started(known, event))
    else if (known) this.#runs.set(runId, after(known, event))
  }
}

/** A further leg: nobody worked since the last one ended. */
const started = (
  known: RunTotals | undefined,
  { runId, input, at, turn }: Extract<AnyEvent, { kind: 'run-started' }>,
) =>
  known
    ? { ...withoutReason(known), state: 'working' as const, lastAt: at }
    : {
        runId,
        input,
        state: 'working' as const,
        turns: 0,
        toolCalls: 0,
        usage: nothing,
        workedFor: 0,
        lastAt: at,
        lastTurn: turn,
      }

const withoutReason = ({ reason: _, ...run }: RunTotals): RunTotals => run

function after(run: RunTotals, event: AnyEvent): RunTotals {
  const worked = run.state === 'working' ? Math.max(0, event.at - run.lastAt) : 0
  const next: RunTotals = { ...run, state: 'working', workedFor: run.workedFor + worked, lastAt: event.at }
  switch (event.kind) {
    case 'turn-started':
    case 'turn-completed':
      // told twice, live and as stored: counted by its number
      return event.turn > run.lastTurn ? { ...next, turns: run.turns + 1, lastTurn: event.turn } : next
    case 'tool-execution-started':
      return { ...next, toolCalls: run.toolCalls + 1 }
    case 'usage-recorded':
      return { ...next, usage: event.run, cost: event.runCost }
    case 'run-waiting':
      return { ...next, state: 'waiting' }
    case 'run-completed':
    case 'run-failed':
      return ended(next, event, {})
    case 'run-stopped':
    case 'run-cancelled':
      return ended(next, event, { reason: event.reason })
    default:
      return isOver(run) ? run : next
  }
}

type End = Extract<AnyEvent, { kind: 'run-completed' | 'run-failed' | 'run-stopped' | 'run-cancelled' }>

const ended = (run: RunTotals, { kind, usage, cost, turns }: End, why: { readonly reason?: string }): RunTotals => ({
  ...run,
  ...why,
  state: kind.slice('run-'.length) as RunTotals['state'],
  usage,
  cost,
  turns,
})

export const isOver = ({ state }: RunTotals) => state !== 'working' && state !== 'waiting'
