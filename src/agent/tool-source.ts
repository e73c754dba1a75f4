import type { ToolSet } from '@ai-sdk/provider-utils'

export interface ToolSourceContext {
  /** The page's credentials. */
  readonly credentials: unknown
  /** Aborts with the run that needs the tools, and when the runtime is closed. */
  readonly signal: AbortSignal
}

/**
 * Tools that are known only once somebody has been asked, those of an MCP server for example. Asked before each turn: an
 * implementation keeps its answer. Where it rejects, the run goes on without these tools (`notice`).
 */
export interface ToolSource {
  /** Unique per agent. */
  readonly name: string
  tools(context: ToolSourceContext): ToolSet | Promise<ToolSet>
  close?(): void | Promise<void>
}
