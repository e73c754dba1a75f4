import type { ToolResultRecord } from './records.ts'

// The tool ledger: what became of each call.

/** `['call', runId, toolCallId]`: a row of the tool ledger. */
export interface CallRecord {
  readonly v: 1
  readonly runId: string
  readonly toolCallId: string
  readonly toolName: string
  readonly dynamic?: boolean
  readonly input: unknown
  readonly state: 'started' | 'finished'
  /** The page that carries it out; absent where the worker does. */
  readonly pageId?: string
  /** The delegated run whose end it waits for. */
  readonly childRunId?: string
  readonly startedAt: number
  readonly finishedAt?: number
  readonly result?: ToolResultRecord
  /** What a call came to after all that the run had stopped waiting for: it ignored its signal. Nobody is told. */
  readonly late?: ToolResultRecord
  /** Who gave the call this input in place of the model's. */
  readonly edited?: Editor
  /** The leg for which a person allowed a call in doubt to start again. A yes that was not used in it is void. */
  readonly retryIn?: number
}

/** Who may give a call another input than the model did. */
export type Editor = 'person' | 'middleware'

/** Who made a call what it is: the model, a middleware or a tool by its name, the agent's policy, an agent above it by its name, a grant, a person, time, or the runtime itself. */
export type Actor =
  | 'model'
  | `middleware:${string}`
  | 'tool'
  | 'policy'
  | `parent:${string}`
  | 'taint'
  | 'grant'
  | 'person'
  | 'expiry'
  | 'runtime'

/**
 * `asked`: the model wrote the call. `valid`, `invalid`: what became of its input. `changed`: a middleware or a person gave it
 * another input. `allowed`, `denied`: the decision. `approval-requested`: somebody is asked. `started`, `finished`, `failed`,
 * `timed-out`: what the tool did. `cached`: its result was taken from the ledger. `in-doubt`: nobody knows whether it took
 * effect; `settled` is what a person made of that. `cut`: the run ended before it was through.
 */
export type Transition =
  | 'asked'
  | 'valid'
  | 'invalid'
  | 'changed'
  | 'allowed'
  | 'denied'
  | 'approval-requested'
  | 'started'
  | 'finished'
  | 'failed'
  | 'timed-out'
  | 'retried'
  | 'cached'
  | 'in-doubt'
  | 'settled'
  | 'cut'

export interface AuditEntry {
  /** Unix time in milliseconds. */
  readonly at: number
  readonly toolCallId: string
  readonly toolName: string
  readonly turn: number
  readonly transition: Transition
  readonly by: Actor
  /** In words: why it was denied, what was wrong with its input, how a doubt was settled. */
  readonly detail?: string
  readonly approvalId?: string
}

/** `['audit', runId, n]`: what one commit did with calls, numbered from 1. Never changed. */
export interface AuditRecord {
  readonly v: 1
  readonly runId: string
  readonly n: number
  readonly entries: readonly AuditEntry[]
}
