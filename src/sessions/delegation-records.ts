import type { Said, Usage } from './records.ts'

// Runs that start runs: who belongs to whom, and what a tree has used.

/** A run above another one in its tree. */
export interface Ancestor {
  readonly runId: string
  readonly sessionId: string
  readonly agent: string
}

/** How a run comes to be another one's child. */
export interface Delegation {
  /** The runs above it, from the top; the last one is its parent. */
  readonly ancestors: readonly Ancestor[]
  /** The parent's call that started it, or had it go on; absent where code did. */
  readonly toolCallId?: string
  /** What a run above it may cost is limited. */
  readonly costLimited?: true
  /** Content from outside is in the session that it comes from. */
  readonly tainted?: { readonly at: number; readonly toolName: string }
  /** Its session begins with what was said in that one before this index. */
  readonly fork?: { readonly sessionId: string; readonly before: number }
}

export type ChildStatus = 'queued' | 'running' | 'completed' | 'stopped' | 'failed' | 'cancelled'

/** `['child', parentRunId, runId]`: a run as the one that started it knows it. */
export interface ChildRecord {
  readonly v: 1
  readonly parentRunId: string
  readonly runId: string
  readonly sessionId: string
  readonly agent: string
  /** The call that started it, or had it go on last; absent where code started it. */
  readonly toolCallId?: string
  /** No call waits for it. */
  readonly background?: true
  readonly status: ChildStatus
  readonly createdAt: number
  /** Its number among the runs that its parent started, from 1; absent for one that an earlier run of the session did. */
  readonly n?: number
  /** Its place among those that wait for their turn: the lowest has it first. */
  readonly place?: number
  /** What it is told once it has its turn. */
  readonly queued?: Said
  /** The leg whose end was heard last. */
  readonly leg?: number
  /** The model has been told how it ended. */
  readonly told?: true
}

/** `['tree', runId]`: what the runs below this one have used. */
export interface TreeSpend {
  readonly usage: Usage
  readonly cost?: number
  readonly unpriced?: boolean
}
