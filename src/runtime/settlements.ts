import type { RunOutput } from '../api/types.ts'
import { AgentError, fromWire } from '../errors.ts'
import type { MessageRecord, RunRecord } from '../sessions/records.ts'

interface Waiter {
  readonly sessionId: string
  readonly resolve: (output: RunOutput) => void
  readonly reject: (error: AgentError) => void
}

/** Those who wait for a run's end. */
export class Settlements {
  readonly #waiting = new Map<string, Waiter[]>()

  wait(sessionId: string, runId: string): Promise<RunOutput> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(runId) ?? []
      waiters.push({ sessionId, resolve, reject })
      this.#waiting.set(runId, waiters)
    })
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

/** What `result` gives: the output, or a throw for a run that failed or was cancelled. */
export function outputOf(record: RunRecord, messages: readonly MessageRecord[]): RunOutput {
  const { runId, sessionId, status, usage, turns, reason, finishReason } = record
  if (status === 'failed') throw record.error ? fromWire(record.error) : new AgentError('internal', 'The run failed.')
  if (status === 'cancelled') throw new AgentError('aborted', `The run was cancelled (${reason ?? 'aborted'}).`)
  const answer = messages.findLast((message) => message.role === 'assistant' && message.runId === runId)
  return {
    runId,
    sessionId,
    status: status === 'stopped' ? 'stopped' : 'completed',
    ...(status === 'stopped' ? { reason: reason as NonNullable<RunOutput['reason']> } : undefined),
    ...(finishReason === undefined ? undefined : { finishReason }),
    text:
      answer?.role === 'assistant' ? answer.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') : '',
    usage,
    turns,
  }
}
