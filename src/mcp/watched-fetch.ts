/** The code of a request that was not carried out, as its session is over. */
export const expired = -32_099

interface WatchedOptions {
  readonly fetch: typeof globalThis.fetch
  readonly headers: () => Promise<Readonly<Record<string, string>>>
  /** The server could not be reached, or went away in mid-answer. */
  readonly lost: () => void
}

/**
 * A `fetch` for an MCP client. The client waits for ever for an answer whose stream ends without it: the stream then gets an
 * error in the answer's place. So does a request that the server refuses since it knows the session no more.
 */
export function watchedFetch({ fetch, headers, lost }: WatchedOptions): typeof globalThis.fetch {
  return async (input, init = {}) => {
    const all = new Headers(init.headers)
    for (const [name, value] of Object.entries(await headers())) all.set(name, value)
    const isRequest = init.method === 'POST'
    let response: Response
    try {
      response = await fetch(input, { ...init, headers: all })
    } catch (error) {
      if (isRequest && !init.signal?.aborted) lost()
      throw error
    }
    const { body, ok, status, statusText } = response
    const id = isRequest ? idOf(init.body) : undefined
    if (id === undefined) return response
    // 404 by the book; some servers say 400.
    if ((status === 404 || status === 400) && all.has('mcp-session-id')) {
      const error = { code: expired, message: 'it knows this session no more' }
      return Response.json({ jsonrpc: '2.0', id, error })
    }
    if (!ok || !body || !response.headers.get('content-type')?.includes('event-stream')) return response
    const onLost = () => init.signal?.aborted || lost()
    return new Response(closing(body, id, onLost), { status, statusText, headers: response.headers })
  }
}

/** The id of the request that a body holds. */
function idOf(body: unknown): unknown {
  try {
    return (JSON.parse(String(body)) as { readonly id?: unknown }).id
  } catch {
    return undefined
  }
}

/** The stream, and at its end, whatever that is, an error as the answer to a request that has none yet. */
function closing(body: ReadableStream<Uint8Array>, id: unknown, lost: () => unknown): ReadableStream<Uint8Array> {
  const error = { code: -32000, message: 'the connection was lost: whether the call took effect is unknown' }
  // A client that has its answer leaves this one.
  const last = new TextEncoder().encode(`\n\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, error })}\n\n`)
  const reader = body.getReader()
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
      } catch {
        lost()
      }
      controller.enqueue(last)
      controller.close()
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
