import { createMCPClient, type MCPClient } from '@ai-sdk/mcp'
import { AgentError, messageOf } from '../errors.ts'
import { expired, watchedFetch } from './watched-fetch.ts'

/** A tool as its server lists it. */
export interface Definition {
  readonly name: string
  readonly title?: string | undefined
  readonly description?: string | undefined
  readonly inputSchema: unknown
}

/** What a call of a tool came to. */
export interface CallResult {
  readonly content?: readonly { readonly type: string; readonly [field: string]: unknown }[]
  readonly structuredContent?: unknown
}

interface ConnectionOptions {
  readonly url: string
  readonly name: string
  readonly fetch: typeof globalThis.fetch
  readonly headers: () => Promise<Readonly<Record<string, string>>>
  /** Called once it can't be used any more. */
  readonly lost: () => void
}

/** The server knows the session no more: what was asked was not carried out. */
export class ExpiredError extends AgentError {}

/** A session with a server, for as long as both know of it. */
export class Connection {
  #pending = 0
  #retired = false
  readonly #name: string
  readonly #client: MCPClient
  readonly #lost: () => void
  readonly #clean: (text: string) => string

  private constructor(name: string, client: MCPClient, lost: () => void, clean: (text: string) => string) {
    this.#name = name
    this.#client = client
    this.#lost = lost
    this.#clean = clean
  }

  static async open({ url, name, fetch, headers, lost }: ConnectionOptions): Promise<Connection> {
    const secrets = new Set<string>()
    const clean = (text: string) => [...secrets].reduce((left, secret) => left.replaceAll(secret, '…'), text)
    const watched = watchedFetch({
      fetch,
      headers: async () => {
        const given = await headers()
        for (const value of Object.values(given))
          for (const secret of [value, value.slice(value.lastIndexOf(' ') + 1)])
            if (secret.length >= 8) secrets.add(secret)
        return given
      },
      lost,
    })
    try {
      const client = await createMCPClient({
        transport: { type: 'http', url, fetch: watched },
        clientName: 'turnloop',
        initializationOptions: { timeout: 60_000 },
        // What concerns a request rejects it, too.
        onUncaughtError: () => {},
      })
      return new Connection(name, client, lost, clean)
    } catch (error) {
      throw failure(name, error, clean)
    }
  }

  async list(cursor: string | undefined): Promise<{ definitions: readonly Definition[]; next: string | undefined }> {
    const params = cursor === undefined ? {} : { params: { cursor } }
    const { tools, nextCursor } = await this.#tried(() =>
      this.#client.listTools({ ...params, options: { timeout: 60_000 } }),
    )
    return { definitions: tools, next: nextCursor }
  }

  async call(name: string, input: unknown, signal: AbortSignal): Promise<CallResult> {
    const given = input as Record<string, unknown>
    const result = await this.#tried(
      () => this.#client.callTool({ name, arguments: given, options: { signal } }),
      signal,
    )
    if (!result.isError) return result as CallResult
    const { content = [] } = result as CallResult
    const said = content.map(({ text }) => (typeof text === 'string' ? text : '')).join('\n')
    throw new AgentError('internal', messageOf(this.#clean(said) || 'The tool failed.'))
  }

  async close(): Promise<void> {
    await this.#client.close().catch(() => {})
  }

  /** Closes it as soon as nobody waits for an answer of it. */
  retire(): void {
    this.#retired = true
    if (this.#pending === 0) void this.close()
  }

  async #tried<T>(request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#pending++
    try {
      return await request()
    } catch (error) {
      signal?.throwIfAborted()
      const failed = failure(this.#name, error, this.#clean)
      // What is no answer of the server's: the next request begins anew.
      if (failed.code === 'unreachable' || failed instanceof ExpiredError) this.#lost()
      throw failed
    } finally {
      this.#pending--
      if (this.#retired) this.retire()
    }
  }
}

/** What went wrong, in words that tell nothing of what was sent. */
function failure(name: string, error: unknown, clean: (text: string) => string): AgentError {
  const { statusCode, code } = (error ?? {}) as { readonly statusCode?: unknown; readonly code?: unknown }
  const where = `The MCP server "${name}"`
  if (statusCode === 401 || statusCode === 403)
    return new AgentError('unauthorized', `${where} refuses the credentials (HTTP ${statusCode}): see \`headers\`.`)
  // Its body may repeat what it was sent.
  if (typeof statusCode === 'number') return new AgentError('unreachable', `${where} answered with HTTP ${statusCode}.`)
  const said = clean(messageOf(error))
  if (code === expired) return new ExpiredError('unreachable', `${where} could not be reached: ${said}`)
  if (typeof code === 'number') return new AgentError('internal', `${where} answered with an error: ${said}`)
  return new AgentError('unreachable', `${where} could not be reached: ${said}`)
}
