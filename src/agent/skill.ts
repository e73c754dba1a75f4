import type { ToolSet } from '@ai-sdk/provider-utils'

/** Know-how that the model loads when it needs it. `defineSkill` and `parseSkill` of `turnloop/skills` make it. */
export interface Skill<Tools extends ToolSet = ToolSet> {
  /** Lower case letters, digits and single hyphens between them; at most 64 characters. */
  readonly name: string
  /** What it is for, in at most 1024 characters: all that the model sees before it loads it. */
  readonly description: string
  /** At most 50,000 characters. */
  readonly instructions: string
  /** The model is told of them once the skill is loaded. */
  readonly tools?: Tools
}
