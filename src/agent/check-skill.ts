import { AgentError } from '../errors.ts'
import type { Skill } from './skill.ts'

const names = /^[a-z0-9]+(-[a-z0-9]+)*$/
const most = { name: 64, description: 1024, instructions: 50_000 }

/** Throws `invalid-argument` for a skill that can't be told to a model. */
export function checkSkill(skill: unknown): Skill {
  const { name, description, instructions, tools = {} } = (skill ?? {}) as Partial<Skill>
  if (typeof name !== 'string' || name.length > most.name || !names.test(name))
    throw new AgentError(
      'invalid-argument',
      `A skill's name has up to ${most.name} lower-case letters, digits and hyphens between them; this one is ${JSON.stringify(name)?.slice(0, 100)}.`,
    )
  const refuse = (problem: string) => new AgentError('invalid-argument', `Skill "${name}": ${problem}.`)
  const isText = (text: unknown, longest: number) =>
    typeof text === 'string' && text.trim() !== '' && text.length <= longest
  if (!isText(description, most.description))
    throw refuse(`its description must be a text of at most ${most.description} characters`)
  if (!isText(instructions, most.instructions))
    throw refuse(`its instructions must be a text of at most ${most.instructions} characters`)
  if (typeof tools !== 'object' || tools === null || Array.isArray(tools))
    throw refuse('its tools must be a set of tools')
  return skill as Skill
}
