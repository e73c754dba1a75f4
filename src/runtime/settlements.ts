import type { RunOutput } from '../api/types.ts'
import { AgentError, fromWire } from '../errors.ts'
import { lastText } from '../sessions/continued.ts'
import type { MessageRecord, RunRecord } from '../sessions/records.ts'
import type { Store } from '../sessions/store.ts'
import { knownCost } from './usage.ts'

interface Waiter {
  readonly sessionId: string
  /** Its input may be heard by a run that is under way. */
  readonly steers: boolean
  readonly resolve: (output: RunOutput) => void
  readonly reject: (error: AgentError) => void
}

interface WaitOptions {
  readonly steers?: boolean
  readonly signal?: AbortSignal
}

/** Those who wait for a run's end. */
export class Settlements {
  readonly #waiting = new Map<string, Waiter[]>()

  /** `steers`: the input may be heard by another run, whose end it is then. `signal`: it is waited for no more. */
  wait(sessionId: string, runId: string, { steers = false, signal }: WaitOptions = {}): Promise<RunOutput> {
    return new Promise((resolve, reject) => {
      const waiter = { sessionId, steers, resolve, reject }
      this.#waiting.set(runId, [...(this.#waiting.get(runId) ?? []), waiter])
      signal?.addEventListener('abort', () => this.#leave(waiter), { once: true })
    })
  }

  #leave(waiter: Waiter) {
    for (const [runId, waiters] of this.#waiting) {
      if (!waiters.includes(waiter)) continue
      const others = waiters.filter((other) => other !== waiter)
      if (others.length > 0) this.#waiting.set(runId, others)
      else this.#waiting.delete(runId)
    }
  }

  /** Whether the run's input may have been heard by another one. */
  steers(runId: string) {
    return this.#waiting.get(runId)?.some(({ steers }) => steers) === true
  }

  /** An input was heard by a run that was under way: whoever waits for a run of its own waits for that one's end. */
  move(inputId: string, runId: string) {
    if (inputId === runId || !this.#waiting.has(inputId)) return
    this.#waiting.set(runId, [...(this.#waiting.get(runId) ?? []), ...this.#take(inputId)])
  }

  has(runId: string) {
    return this.#waiting.has(runId)
  }

  /** The session of a run that somebody waits for. */
  sessionOf(runId: string): string | undefined {
    return this.#waiting.get(runId)?.[0]?.sessionId
  }

  /** Runs of a session that somebody waits for. */
  runsOf(sessionId: string): readonly string[] {
    return [...this.#waiting].flatMap(([runId, [waiter]]) => (waiter?.sessionId === sessionId ? [runId] : []))
  }

  /** The run has ended, as its record says. */
  settle(record: RunRecord, messages: readonly MessageRecord[]) {
    if (!this.#waiting.has(record.runId)) return
    try {
      const output = outputOf(record, messages)
      for (const { resolve } of this.#take(record.runId)) resolve(output)
    } catch (error) {
      this.reject(record.runId, error as AgentError)
    }
  }

  reject(runId: string, error: AgentError) {
    for (const { reject } of this.#take(runId)) reject(error)
  }

  /** Rejects all who wait for runs of a session. */
  refuse(sessionId: string, error: AgentError) {
    for (const [runId, waiters] of this.#waiting) if (waiters[0]?.sessionId === sessionId) this.reject(runId, error)
  }

  #take(runId: string): readonly Waiter[] {
    const waiters = this.#waiting.get(runId) ?? []
    this.#waiting.delete(runId)
    return waiters
  }
}

/** The messages of a run, and what came after: also once they are hidden. */
export const messagesOf = (store: Store, { sessionId, firstIndex }: RunRecord) =>
  store.readMessages(sessionId, { from: firstIndex, hidden: true })

/** What `result` gives: the output, or a throw for a run that failed or was cancelled. */
export function outputOf(record: RunRecord, messages: readonly MessageRecord[]): RunOutput {
  const { runId, sessionId, status, usage, turns, reason, finishReason, output } = record
  if (status === 'failed') throw record.error ? fromWire(record.error) : new AgentError('internal', 'The run failed.')
  if (status === 'cancelled') throw new AgentError('aborted', `The run was cancelled (${reason ?? 'aborted'}).`)
  return {
    runId,
    sessionId,
    status: status === 'stopped' ? 'stopped' : 'completed',
    ...(status === 'stopped' ? { reason: reason as NonNullable<RunOutput['reason']> } : undefined),
    ...(finishReason === undefined ? undefined : { finishReason }),
    text: lastText(messages, runId),
    ...(status === 'completed' && output !== undefined ? { output } : undefined),
    usage,
    ...knownCost(record),
    turns,
  }
}
