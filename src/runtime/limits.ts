import type { AgentDefinition, Limits } from '../agent/define-agent.ts'
import { AgentError } from '../errors.ts'
import type { RunRequestRecord } from '../sessions/records.ts'
import type { End, Run } from './run.ts'

const defaults = { maxTurns: 50, maxInput: 200_000 } satisfies Limits

/** The agent's limits; a run may narrow them, never widen them. */
function limitsOf(agent: AgentDefinition, request: Pick<RunRequestRecord, 'limits'>): Required<Limits> {
  const own = { ...defaults, ...agent.limits }
  return { ...own, maxTurns: Math.min(own.maxTurns, request.limits?.maxTurns ?? own.maxTurns) }
}

/** Step 1 of a turn: whether there is to be none. */
export function endBeforeTurn(run: Run): End | undefined {
  if (run.ending) return run.ending
  if (run.stopAfterTurn) return { kind: 'run-stopped', reason: 'requested' }
  if (run.record.turns >= limitsOf(run.agent, run.record.request).maxTurns)
    return { kind: 'run-stopped', reason: 'max-turns' }
  return undefined
}

/** Refuses an input that no model should get. */
export function checkInput(input: unknown, agent: AgentDefinition): asserts input is string {
  if (typeof input !== 'string') throw new AgentError('invalid-input', 'The input must be a string.')
  if (input.trim() === '') throw new AgentError('invalid-input', 'The input is empty: send some text.')
  const { maxInput } = limitsOf(agent, {})
  if (input.length > maxInput) {
    throw new AgentError(
      'invalid-input',
      `The input has ${input.length} characters; the limit is ${maxInput}. Shorten it, or raise limits.maxInput of the agent.`,
    )
  }
}
