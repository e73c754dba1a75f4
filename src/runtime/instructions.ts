import { AgentError, messageOf } from '../errors.ts'
import type { Run } from './run.ts'

/** The system prompt of this turn. What a function throws ends the run; one that never answers ends with the model's time. */
export async function instructionsOf(run: Run): Promise<string | undefined> {
  const { agent, live, record, signal, state } = run
  const { instructions } = agent
  if (typeof instructions !== 'function') return instructions
  const { runId, request } = record
  const { metadata } = request
  const context = { state: state.get(), sessionId: live.id, runId, agent: agent.name, signal }
  try {
    const text: unknown = await instructions({ ...context, ...(metadata === undefined ? undefined : { metadata }) })
    if (typeof text === 'string') return text
    throw new TypeError(`it gave ${text === null ? 'null' : typeof text}, and must give a string`)
  } catch (error) {
    signal.throwIfAborted()
    throw new AgentError(
      'invalid-argument',
      `The instructions function of the agent "${agent.name}" failed: ${messageOf(error)}`,
      { cause: error },
    )
  }
}
