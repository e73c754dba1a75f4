import type { LanguageModelV4 } from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import type { AgentTypes } from '../api/app.ts'
import { AgentError } from '../errors.ts'
import type { CallSettings } from '../sessions/records.ts'
import type { ToolPolicy } from './tool.ts'

/** Makes a model when a turn needs it, so that a provider can be a chunk of its own and keys stay out of the bundle. */
export type ModelFunction = (context: { readonly credentials: unknown }) => LanguageModelV4 | Promise<LanguageModelV4>
export type Model = LanguageModelV4 | ModelFunction

export interface Limits {
  /** Turns of one run; then it stops with `max-turns`. 50 by default. */
  readonly maxTurns?: number
  /** Characters of one input. 200,000 by default. */
  readonly maxInput?: number
}

/** Milliseconds; `Infinity` for none. What exceeds them ends the run with `model-timeout`. */
export interface ModelTimeout {
  /** From the call to the first part of the answer. 60,000 by default. */
  readonly firstPart?: number
  /** From one part to the next. 60,000 by default. */
  readonly betweenParts?: number
  /** The whole answer. None by default. */
  readonly total?: number
}

export interface AgentDefinition<Name extends string = string, Tools extends ToolSet = ToolSet>
  extends AgentTypes<Name, Tools> {
  readonly name: Name
  readonly description?: string
  /** A model, a function that makes one, or a name from `createRuntime`'s `models`. */
  readonly model: Model | string
  /** The system prompt. */
  readonly instructions?: string
  readonly tools?: Tools
  readonly toolPolicy?: Readonly<Record<string, ToolPolicy>>
  readonly limits?: Limits
  readonly modelTimeout?: ModelTimeout
  readonly settings?: CallSettings
}

// biome-ignore lint/suspicious/noExplicitAny: folds a union of tool sets into one
type Merged<T> = T extends readonly any[]
  ? (T[number] extends infer U ? (U extends unknown ? (u: U) => void : never) : never) extends (i: infer I) => void
    ? I
    : never
  : T

/** The one tool set of a definition; an intersection with `ToolSet` would make every string a tool's name. */
type ToolSetOf<T> = Merged<T> extends infer M extends ToolSet ? M : never

const toolNames = /^[a-zA-Z0-9_-]{1,64}$/

/**
 * Defines an agent. `tools` is a set of AI SDK tools by name, or several sets, in which no name may stand twice.
 *
 * Throws `invalid-argument` for a definition that can't work, `unsupported-tool` for a tool that can't be carried out.
 */
export function defineAgent<
  const Name extends string,
  // A tuple, so that sets written in place stay apart: in an array each would get the others' names as `undefined`.
  const T extends ToolSet | readonly ToolSet[] = Record<never, never>,
>(definition: Omit<AgentDefinition<Name>, 'tools'> & { readonly tools?: T }): AgentDefinition<Name, ToolSetOf<T>> {
  const { name, model, limits } = definition
  if (typeof name !== 'string' || !name)
    throw new AgentError('invalid-argument', 'defineAgent: give the agent a `name`.')
  if (!model)
    throw new AgentError('invalid-argument', `Agent "${name}": give it a \`model\`, for example openai('gpt-5-mini').`)
  for (const [limit, value] of Object.entries(limits ?? {})) {
    if (!(typeof value === 'number' && value >= 1)) {
      throw new AgentError('invalid-argument', `Agent "${name}": limits.${limit} must be a number of 1 or more.`)
    }
  }
  const tools = mergeTools(name, definition.tools)
  for (const policy of Object.keys(definition.toolPolicy ?? {})) {
    if (!Object.hasOwn(tools, policy)) {
      throw new AgentError(
        'invalid-argument',
        `Agent "${name}": toolPolicy names "${policy}", which is none of its tools.`,
      )
    }
  }
  return { ...definition, tools } as AgentDefinition<Name, ToolSetOf<T>>
}

function mergeTools(agent: string, tools: ToolSet | readonly ToolSet[] = {}): ToolSet {
  const merged: ToolSet = {}
  for (const set of Array.isArray(tools) ? tools : [tools]) {
    for (const [name, tool] of Object.entries(set as ToolSet)) {
      if (!toolNames.test(name) || name === '__proto__') {
        throw new AgentError(
          'invalid-argument',
          `Agent "${agent}": tool name "${name}" must match ${toolNames}, as providers demand.`,
        )
      }
      if (Object.hasOwn(merged, name)) {
        throw new AgentError('invalid-argument', `Agent "${agent}" has two tools named "${name}": rename one of them.`)
      }
      checkTool(agent, name, tool)
      merged[name] = tool
    }
  }
  return merged
}

function checkTool(agent: string, name: string, tool: ToolSet[string]) {
  const refuse = (why: string) => new AgentError('unsupported-tool', `Agent "${agent}", tool "${name}": ${why}`)
  if (!tool || typeof tool !== 'object') throw refuse('is no tool; make it with tool({ … }).')
  if ('needsApproval' in tool && tool.needsApproval) {
    throw refuse(
      '`needsApproval` is not supported yet, and running it without asking would be wrong. Ask inside `execute`, or leave it out.',
    )
  }
  if ('approval' in tool && tool.approval)
    throw refuse('`approval` is not supported yet, and running it without asking would be wrong.')
  if (tool.type === 'provider') return
  if (!tool.inputSchema) throw refuse('has no `inputSchema`.')
}
