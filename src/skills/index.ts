import type { ToolSet } from '@ai-sdk/provider-utils'
import { parseDocument } from 'yaml'
import { checkSkill } from '../agent/check-skill.ts'
import { AgentError, messageOf } from '../errors.ts'
import type { Skill } from '../runtime/index.ts'

export type { Skill } from '../runtime/index.ts'

/**
 * A skill: the model sees its name and description, and loads the rest with the tool `load_skill` when it needs it. Give it
 * to an agent's `skills`.
 *
 * Throws `invalid-argument` for one that can't be told to a model.
 */
export function defineSkill<Tools extends ToolSet = Record<never, never>>(skill: Skill<Tools>): Skill<Tools> {
  checkSkill(skill)
  return skill
}

export interface ParsedSkill<Tools extends ToolSet = ToolSet> extends Skill<Tools> {
  readonly license?: string
  /** What the skill needs of its surroundings, in its author's words. */
  readonly compatibility?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** `allowed-tools`: names of tools that its author means it to use. Nothing is allowed by it. */
  readonly allowedTools?: readonly string[]
}

/** Characters of a whole text, and of its front matter. */
const most = { text: 200_000, frontMatter: 20_000, compatibility: 500 }

/**
 * A skill from the text of a `SKILL.md` in the Agent Skills format: YAML front matter between two lines of `---`, with `name`
 * and `description`, and Markdown after it, which becomes the instructions. Fields that the format doesn't know are ignored.
 *
 * Throws `invalid-argument` where the front matter is missing, is no YAML, or is not of that format.
 */
export function parseSkill<Tools extends ToolSet = Record<never, never>>(
  text: string,
  { tools }: { readonly tools?: Tools } = {},
): ParsedSkill<Tools> {
  if (typeof text !== 'string' || text.length > most.text)
    throw refuse(`pass the text of a SKILL.md, of at most ${most.text} characters`)
  const [, frontMatter, body = ''] =
    /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n([\s\S]*))?$/.exec(text) ?? []
  if (frontMatter === undefined) throw refuse('the text must begin with front matter between two lines of ---')
  const fields = readYaml(frontMatter)
  const skill: ParsedSkill<Tools> = {
    name: fields.name as string,
    description: fields.description as string,
    instructions: body.trim(),
    ...(tools ? { tools } : undefined),
    ...optionalText(fields, 'license', most.frontMatter),
    ...optionalText(fields, 'compatibility', most.compatibility),
    ...metadataOf(fields),
    ...allowedToolsOf(fields),
  }
  checkSkill(skill)
  return skill
}

const refuse = (problem: string) => new AgentError('invalid-argument', `parseSkill: ${problem}.`)

type Fields = Readonly<Record<string, unknown>>

function readYaml(text: string): Fields {
  if (text.length > most.frontMatter) throw refuse(`its front matter has over ${most.frontMatter} characters`)
  let value: unknown
  try {
    // Texts, lists and maps only, and no alias that makes a small text a large value.
    const document = parseDocument(text, { schema: 'failsafe', stringKeys: true, prettyErrors: false })
    const [problem] = [...document.errors, ...document.warnings]
    if (problem) throw problem
    value = document.toJS({ maxAliasCount: 20 })
  } catch (error) {
    throw refuse(`its front matter is no YAML that can be read: ${messageOf(error)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse('its front matter must be fields: `name: …` and `description: …`')
  const known = value as Fields
  return Object.fromEntries(
    ['name', 'description', 'license', 'compatibility', 'metadata', 'allowed-tools']
      .filter((field) => Object.hasOwn(known, field) && known[field] !== '')
      .map((field) => [field, known[field]]),
  )
}

function optionalText<Name extends 'license' | 'compatibility'>(fields: Fields, name: Name, longest: number) {
  const text = fields[name]
  if (text === undefined) return undefined
  if (typeof text !== 'string' || text === '' || text.length > longest)
    throw refuse(`its ${name} must be a text of at most ${longest} characters`)
  return { [name]: text } as { [N in Name]: string }
}

function metadataOf({ metadata }: Fields) {
  if (metadata === undefined) return undefined
  const isMap = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
  const entries = isMap ? Object.entries(metadata) : []
  if (!isMap || entries.some(([key, value]) => typeof value !== 'string' || key === '__proto__'))
    throw refuse('its metadata must be names with texts')
  return { metadata: Object.fromEntries(entries) as Record<string, string> }
}

function allowedToolsOf({ 'allowed-tools': given }: Fields) {
  if (given === undefined) return undefined
  if (typeof given !== 'string') throw refuse('its allowed-tools must be names with blanks between them')
  return { allowedTools: given.split(/\s+/).filter(Boolean) }
}
