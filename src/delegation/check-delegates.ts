import type { AgentDefinition } from '../agent/define-agent.ts'
import { isToolName } from '../agent/tool-names.ts'
import { AgentError } from '../errors.ts'
import { delegateNames, delegationOf } from './options.ts'

/** Refuses delegates that can't be started or told apart, and limits that can't be meant. `tools` are the agent's others. */
export function checkDelegates(
  definition: Pick<AgentDefinition, 'name' | 'delegates' | 'delegation' | 'toolSources'>,
  tools: object,
): void {
  const { name, delegates = [] } = definition
  const refuse = (problem: string) => new AgentError('invalid-argument', `Agent "${name}": ${problem}.`)
  if (!Array.isArray(delegates)) throw refuse('delegates must be a list of agents, or of their names')
  const names = delegateNames(definition)
  if (names.some((delegate) => typeof delegate !== 'string' || delegate === ''))
    throw refuse('delegates must be agents, or their names')
  const twice = names.find((delegate, at) => names.indexOf(delegate) !== at)
  if (twice !== undefined) throw refuse(`delegates names "${twice}" twice`)
  const { maxDepth, maxConcurrent, maxChildren, onEnd, toolNames } = delegationOf(definition)
  for (const [limit, value] of Object.entries({ maxDepth, maxConcurrent, maxChildren })) {
    if (value === Number.POSITIVE_INFINITY && limit !== 'maxDepth') continue
    if (!(Number.isInteger(value) && value >= 1)) throw refuse(`delegation.${limit} must be an integer of 1 or more`)
  }
  if (!['wait', 'stop', 'detach'].includes(onEnd)) throw refuse("delegation.onEnd must be 'wait', 'stop' or 'detach'")
  const toolsOfIt = Object.values(toolNames)
  for (const tool of toolsOfIt) {
    if (typeof tool !== 'string' || !isToolName(tool))
      throw refuse('delegation.toolNames must be 1 to 64 letters, digits, _ or -')
    if (names.length > 0 && Object.hasOwn(tools, tool))
      throw refuse(
        `its tool "${tool}" has the name of one by which it starts agents: rename it, or set delegation.toolNames`,
      )
  }
  if (new Set(toolsOfIt).size < toolsOfIt.length) throw refuse('delegation.toolNames must differ')
}
