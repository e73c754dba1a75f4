import type { ToolSet } from '@ai-sdk/provider-utils'

/** The tool of that name. A model writes names: what every object has, as `constructor`, is none. */
export const toolNamed = (tools: ToolSet, name: string): ToolSet[string] | undefined =>
  Object.hasOwn(tools, name) ? tools[name] : undefined
