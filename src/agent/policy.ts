import type { Risk } from '../sessions/approval-records.ts'

/** `allow`: it starts. `ask`: a person is asked. `{ deny }`: the model gets an error result with the reason, and the run goes on. */
export type PolicyDecision = 'allow' | 'ask' | { readonly ask: string } | 'deny' | { readonly deny: string }

/** A call before it starts, its input validated. */
export interface PolicyCall {
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
  readonly risk: Risk
  /** What an "always allow" is remembered for. */
  readonly actionKey: string
  readonly egress: boolean
}

export interface PolicyContext {
  readonly sessionId: string
  readonly runId: string
  readonly agent: string
  readonly turn: number
  readonly metadata?: unknown
  /** What tools have set with `setState`. A copy. */
  readonly state: unknown
  /** Content from outside is in the session. */
  readonly tainted: boolean
  /** Aborts with the run. */
  readonly signal: AbortSignal
}

/** An agent's own word on every call. Nothing: the tool's own fields decide. */
export type Policy = (
  call: PolicyCall,
  context: PolicyContext,
) => PolicyDecision | undefined | Promise<PolicyDecision | undefined>
