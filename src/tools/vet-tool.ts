import type { ToolSet } from '@ai-sdk/provider-utils'
import { isToolName } from '../agent/tool-names.ts'
import { AgentError, messageOf } from '../errors.ts'
import type { Budget } from './backtracking.ts'
import { toJsonSchema } from './schema.ts'

type Tool = ToolSet[string]

/** Characters of the description that a tool from elsewhere may have. */
const longestDescription = 10_000
const longestTitle = 200

/**
 * A tool that somebody else named and described, as one that the types don't know. Throws `unsupported-tool` where it can't
 * be told to a model.
 */
export async function vetTool(name: string, tool: Tool, budget: Budget): Promise<Tool> {
  const refuse = (why: string) => new AgentError('unsupported-tool', `The tool "${name.slice(0, 100)}" ${why}.`)
  if (!isToolName(name)) throw refuse('has a name that providers refuse')
  if (!tool || typeof tool !== 'object' || tool.type === 'provider' || !tool.inputSchema) throw refuse('is no tool')
  const { description = '', title = '' } = tool
  if (typeof description !== 'string' || description.length > longestDescription)
    throw refuse(`has no description of at most ${longestDescription} characters`)
  // Who is asked about a call reads it.
  if (typeof title !== 'string' || title.length > longestTitle)
    throw refuse(`has no title of at most ${longestTitle} characters`)
  try {
    await toJsonSchema(tool.inputSchema, name, budget)
  } catch (error) {
    throw error instanceof AgentError ? error : refuse(`has a schema that can't be read: ${messageOf(error)}`)
  }
  return { ...tool, type: 'dynamic' } as Tool
}
