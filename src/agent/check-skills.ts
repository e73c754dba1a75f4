import { AgentError } from '../errors.ts'
import { checkSkill } from './check-skill.ts'
import type { AgentDefinition } from './define-agent.ts'
import { loadSkillName } from './load-skill.ts'

const mostSkills = 100

/** Refuses skills that can't be told, or told apart. The names of their tools are checked with the agent's own. */
export function checkSkills({ name, skills = [] }: Pick<AgentDefinition, 'name' | 'skills'>, tools: object): void {
  const refuse = (problem: string) => new AgentError('invalid-argument', `Agent "${name}": ${problem}.`)
  if (!Array.isArray(skills)) throw refuse('skills must be a list')
  if (skills.length > mostSkills) throw refuse(`it has over ${mostSkills} skills`)
  const names = new Set<string>()
  for (const skill of skills) {
    checkSkill(skill)
    if (names.has(skill.name)) throw refuse(`two of its skills are named "${skill.name}": rename one of them`)
    names.add(skill.name)
  }
  const sets = [tools, ...skills.map((skill) => skill.tools ?? {})]
  if (skills.length > 0 && sets.some((set) => Object.hasOwn(set, loadSkillName)))
    throw refuse(`its tool "${loadSkillName}" has the name of the one that loads its skills: rename it`)
}
