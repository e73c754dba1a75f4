import type { AgentDefinition } from '../agent/define-agent.ts'
import { AgentError } from '../errors.ts'

/** An agent by name, the first one without; `unknown-agent` lists the names there are. */
export function agentNamed(agents: ReadonlyMap<string, AgentDefinition>, name: string | undefined): AgentDefinition {
  const agent = name === undefined ? agents.values().next().value : agents.get(name)
  if (agent) return agent
  throw new AgentError(
    'unknown-agent',
    `There is no agent "${name}". The agents are: ${[...agents.keys()].join(', ')}.`,
  )
}
