import type { ToolSet } from '@ai-sdk/provider-utils'
import { delegateTools } from '../delegation/delegate-tools.ts'
import type { AgentDefinition } from './define-agent.ts'
import { loadSkillName, loadSkillTool } from './load-skill.ts'

type Definition = Pick<AgentDefinition, 'tools' | 'skills' | 'delegates' | 'delegation'>

const known = new WeakMap<Definition, ToolSet>()

/**
 * All tools that a definition names, whether or not the model is told of them yet: its own, its skills' with the one that loads
 * these, and those by which it starts other agents.
 */
export function toolsOf(agent: Definition): ToolSet {
  const { tools = {}, skills = [], delegates = [] } = agent
  if (skills.length === 0 && delegates.length === 0) return tools
  let all = known.get(agent)
  if (!all) {
    all = Object.assign(
      skills.length > 0 ? { [loadSkillName]: loadSkillTool(skills) } : {},
      delegates.length > 0 ? delegateTools(agent) : {},
      tools,
      ...skills.map((skill) => skill.tools),
    )
    known.set(agent, all as ToolSet)
  }
  return all as ToolSet
}
