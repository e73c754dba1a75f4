import type { ToolSet } from '@ai-sdk/provider-utils'
import type { Skill } from './skill.ts'
import { jsonSchema, type ToolPolicy, tool } from './tool.ts'

/** The name of the tool by which a model loads a skill. */
export const loadSkillName = 'load_skill'

/** What a call of it comes to, for the UI and for later turns. */
export interface LoadedSkill {
  readonly name: string
}

/** The tool by which a model loads one of these skills. Its result is the skill's instructions. */
export function loadSkillTool(skills: readonly Skill[]): ToolSet[string] {
  const byName = new Map(skills.map((skill) => [skill.name, skill]))
  const names = [...byName.keys()]
  const inputSchema = jsonSchema<LoadedSkill>(
    {
      type: 'object',
      properties: { name: { type: 'string', enum: names } },
      required: ['name'],
      additionalProperties: false,
    },
    {
      validate: (value) => {
        const { name } = (value ?? {}) as Partial<LoadedSkill>
        if (typeof name === 'string' && byName.has(name)) return { success: true, value: { name } }
        return { success: false, error: new Error(`There is no such skill. The skills are: ${names.join(', ')}.`) }
      },
    },
  )
  const policy: ToolPolicy = { risk: 'safe', idempotent: true }
  return {
    ...tool<LoadedSkill, LoadedSkill>({
      description: 'Loads a skill: gives its instructions, and makes its tools known.',
      inputSchema,
      execute: ({ name }) => ({ name }),
      toModelOutput: ({ output }) => ({ type: 'text', value: byName.get(output.name)?.instructions ?? '' }),
    }),
    ...policy,
    // The app's types don't know it.
    type: 'dynamic',
  } as ToolSet[string]
}
