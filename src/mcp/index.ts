import type { JSONSchema7 } from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import { AgentError } from '../errors.ts'
import {
  fetchWithoutUserAgent,
  jsonSchema,
  type ToolContext,
  type ToolPolicy,
  type ToolSource,
  type ToolSourceContext,
} from '../runtime/index.ts'
import { type CallResult, Connection, type Definition, ExpiredError } from './connection.ts'

export type { ToolSource } from '../runtime/index.ts'

export interface McpOptions {
  /** The server's endpoint for streamable HTTP. */
  readonly url: string
  /** Unique among the agent's sources; part of notices and errors. The URL's host by default. */
  readonly name?: string
  /** Sent with every request; a function is asked each time, with the page's credentials. Kept in memory only. */
  readonly headers?: McpHeaders | ((context: { readonly credentials: unknown }) => McpHeaders | Promise<McpHeaders>)
  /** Put before each tool's name: for servers whose tools are named alike. None by default. */
  readonly prefix?: string
  /** Its output is no content from outside: no session is tainted by it. `false` by default. */
  readonly trusted?: boolean
  /** `fetchWithoutUserAgent` by default: a `user-agent` header is one that many servers don't allow to pages. */
  readonly fetch?: typeof globalThis.fetch
}

export type McpHeaders = Readonly<Record<string, string>>

/**
 * The tools of an MCP server, for an agent's `toolSources`. Connects when they are needed first, and anew once the connection or
 * the server's session is lost. They run where the runtime does, under the agent's policy, and count as `untrusted`.
 *
 * Needs the package `@ai-sdk/mcp`. Throws `invalid-argument` for a URL that is none.
 */
export function mcpTools(options: McpOptions): ToolSource {
  return new McpSource(options)
}

/** Tools, and pages of them, that a server may list; what comes after them is not asked for. */
const most = { tools: 500, pages: 20 }

class McpSource implements ToolSource {
  readonly name: string
  readonly #options: McpOptions
  readonly #url: string
  #credentials: unknown
  #connection: Promise<Connection> | undefined
  /** The tools that the connection's server has listed. */
  #listed: Promise<ToolSet> | undefined

  constructor(options: McpOptions) {
    const { url, name, prefix = '' } = options
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    if (!parsed || !/^https?:$/.test(parsed.protocol))
      throw new AgentError('invalid-argument', `mcpTools: \`url\` must be an address of http or https, in full.`)
    if (!/^[a-zA-Z0-9_-]{0,40}$/.test(prefix))
      throw new AgentError('invalid-argument', 'mcpTools: `prefix` must be up to 40 letters, digits, _ or -.')
    this.#options = options
    this.#url = parsed.href
    this.name = name ?? parsed.host
  }

  async tools({ credentials }: ToolSourceContext): Promise<ToolSet> {
    this.#credentials = credentials
    return this.#inSession((connection) => {
      this.#listed ??= this.#list(connection)
      return this.#listed
    })
  }

  async close(): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    this.#listed = undefined
    await connection?.then((left) => left.close()).catch(() => {})
  }

  #forget(connection: Promise<Connection> | undefined) {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#listed = undefined
    connection?.then((left) => left.retire()).catch(() => {})
  }

  #connected(): Promise<Connection> {
    const { fetch = fetchWithoutUserAgent, headers } = this.#options
    if (this.#connection) return this.#connection
    const connection: Promise<Connection> = Connection.open({
      url: this.#url,
      name: this.name,
      fetch,
      headers: async () =>
        (typeof headers === 'function' ? headers({ credentials: this.#credentials }) : headers) ?? {},
      lost: () => this.#forget(connection),
    })
    this.#connection = connection
    connection.catch(() => this.#forget(connection))
    return connection
  }

  async #list(connection: Connection): Promise<ToolSet> {
    const tools: ToolSet = {}
    let cursor: string | undefined
    for (let page = 0; page < most.pages; page++) {
      const { definitions, next } = await connection.list(cursor)
      for (const definition of definitions) {
        if (Object.keys(tools).length >= most.tools) return tools
        const name = (this.#options.prefix ?? '') + definition.name.replace(/[^a-zA-Z0-9_-]/g, '_')
        if (!Object.hasOwn(tools, name)) tools[name] = this.#tool(definition)
      }
      cursor = next
      if (cursor === undefined) break
    }
    return tools
  }

  #tool({ name, title, description, inputSchema }: Definition): ToolSet[string] {
    const policy: ToolPolicy = { untrusted: !this.#options.trusted }
    return {
      ...policy,
      ...(description === undefined ? undefined : { description }),
      ...(title === undefined ? undefined : { title }),
      inputSchema: jsonSchema(inputSchema as JSONSchema7),
      execute: (input: unknown, { abortSignal }: ToolContext) =>
        this.#inSession((connection) => connection.call(name, input, abortSignal)),
      toModelOutput: ({ output }: { readonly output: unknown }) => modelOutputOf(output as CallResult),
    } as unknown as ToolSet[string]
  }

  /** What a server refused, as it knows the session no more, has not begun: it is asked once more in a new one. */
  async #inSession<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await ask(await this.#connected())
    } catch (error) {
      if (!(error instanceof ExpiredError)) throw error
      return ask(await this.#connected())
    }
  }
}

/** Texts and images as such, all else as the JSON that it is. */
function modelOutputOf({ content, structuredContent }: CallResult) {
  if (!content?.length) return { type: 'json' as const, value: structuredContent ?? null }
  const value = content.map((part) => {
    if (part.type === 'text' && typeof part.text === 'string') return { type: 'text' as const, text: part.text }
    if (part.type === 'image' && typeof part.data === 'string' && typeof part.mimeType === 'string')
      return {
        type: 'file' as const,
        mediaType: part.mimeType,
        data: { type: 'data' as const, data: part.data },
      }
    return { type: 'text' as const, text: JSON.stringify(part) }
  })
  return { type: 'content' as const, value }
}
