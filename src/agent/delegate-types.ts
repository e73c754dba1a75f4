import type { ChildStatus } from '../sessions/records.ts'

/** What `agent_run` takes: an agent and what it is asked, or the id of a run that stopped, with what it is to hear first. */
export interface AgentRunInput {
  readonly agent?: string
  readonly prompt?: string
  readonly run_id?: string
  readonly fork_context?: boolean
  readonly background?: boolean
}
export interface AgentStopInput {
  readonly run_id: string
}
export interface AgentOutputInput {
  readonly run_id: string
  readonly wait?: boolean
}

/** What all three tools give. */
export interface DelegationResult {
  readonly run_id: string
  readonly agent: string
  readonly status: ChildStatus | 'waiting'
  /** Its last answer, as far as it is stored. */
  readonly text: string
  /** Why it failed, stopped or was cancelled. */
  readonly error?: string
}
