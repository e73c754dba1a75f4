import { AgentError } from '../errors.ts'
import type { AgentDefinition } from './define-agent.ts'
import type { PolicyContext } from './policy.ts'

/** A call whose tool failed. */
export interface FailedCall {
  readonly toolCallId: string
  readonly toolName: string
  readonly input: unknown
  readonly idempotent: boolean
}

export interface ToolErrorContext extends Omit<PolicyContext, 'tainted'> {
  /** Of this call, from 1. */
  readonly attempt: number
}

/**
 * `continue`: the model gets the error as the call's result. `retry`: the tool runs again after a pause, with the same
 * `idempotencyKey`, up to three times in all; as `continue` where it is not `idempotent`, or a page carries it out. `stop`: the
 * run stops with `tool-errors` once the calls that have started are through, this one with its error. `{ result }`: stands in
 * for the tool's output.
 */
export type ToolErrorDecision = 'continue' | 'retry' | 'stop' | { readonly result: unknown }

/** Asked about each attempt at a call that failed or timed out. Where it throws, the run fails (`tool-failed`). */
export type OnToolError = (
  error: unknown,
  call: FailedCall,
  context: ToolErrorContext,
) => ToolErrorDecision | undefined | Promise<ToolErrorDecision | undefined>

/** Refuses what an agent can't do when its tools fail. */
export function checkToolErrors({
  name,
  onToolError,
  maxConsecutiveToolErrors = 1,
}: Pick<AgentDefinition, 'name' | 'onToolError' | 'maxConsecutiveToolErrors'>) {
  const refuse = (problem: string) => new AgentError('invalid-argument', `Agent "${name}": ${problem}.`)
  if (onToolError !== undefined && typeof onToolError !== 'function') throw refuse('onToolError must be a function')
  if (!(typeof maxConsecutiveToolErrors === 'number' && maxConsecutiveToolErrors >= 1))
    throw refuse('maxConsecutiveToolErrors must be 1 or more')
}
