import type { LanguageModelV4FunctionTool, LanguageModelV4ProviderTool } from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import { toJsonSchema } from './schema.ts'

export type ToolDescription = LanguageModelV4FunctionTool | LanguageModelV4ProviderTool

const described = new WeakMap<ToolSet, Promise<ToolDescription[]>>()

/** The tools as a provider is told of them. Made once per tool set, but for descriptions that are functions. */
export async function describeTools(tools: ToolSet): Promise<ToolDescription[]> {
  let descriptions = described.get(tools)
  if (!descriptions) {
    descriptions = Promise.all(Object.entries(tools).map(([name, tool]) => describe(name, tool)))
    described.set(tools, descriptions)
  }
  return (await descriptions).map((described) => {
    const description = tools[described.name]?.description
    return typeof description === 'function'
      ? { ...described, description: description({ context: undefined as never }) }
      : described
  })
}

async function describe(name: string, tool: ToolSet[string]): Promise<ToolDescription> {
  if (tool.type === 'provider') return { type: 'provider', name, id: tool.id, args: tool.args }
  const { description, inputExamples, providerOptions, strict } = tool
  return {
    type: 'function',
    name,
    inputSchema: await toJsonSchema(tool.inputSchema, name),
    ...(typeof description === 'string' ? { description } : undefined),
    ...(inputExamples ? { inputExamples } : undefined),
    ...(providerOptions ? { providerOptions } : undefined),
    ...(strict === undefined ? undefined : { strict }),
  }
}
