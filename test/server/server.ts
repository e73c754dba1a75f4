import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkPrompt, type StoredItem, storedItems } from './check-prompt.ts'
import { answerControl } from './control.ts'
import { allowOrigin, answerPreflight } from './cors.ts'
import type { SeenRequest } from './log.ts'
import type { Script } from './script.ts'
import { serveTurn } from './serve-turn.ts'
import { payloads } from './stream-bytes.ts'
import type { Protocol, Turn } from './turns.ts'

export interface ServerOptions {
  /** 0, the default, takes a free one. */
  port?: number
  /** Milliseconds that a hang, a hold or an endless stream lasts at most. Default 30,000. */
  cap?: number
}

export interface TestServer {
  /** `http://127.0.0.1:port` */
  readonly origin: string
  /** Breaks all open connections. */
  close(): Promise<void>
}

/**
 * An OpenAI-compatible endpoint that answers what a test scripted: Responses and Chat Completions, streamed only.
 * Everything a test needs is reachable over HTTP (client.ts), because tests run in a browser.
 */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const { port = 0, cap = 30_000 } = options
  const scripts = new Map<string, Script>()
  const stored = new Map<string, StoredItem>()
  let served = 0

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      // A turn that cannot be served is the test's mistake: it must say so, not look like a fault of the network.
      if (response.headersSent) response.destroy()
      else sendError(response, 500, `Test server: ${error instanceof Error ? error.message : error}`)
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    const [, key, protocol] = /^\/s\/([^/]+)\/v1\/(responses|chat\/completions)$/.exec(pathname) ?? []
    const script = key === undefined ? undefined : scripts.get(decodeURIComponent(key))
    // A browser repeats by itself a request whose kept connection dies before headers: that would take two turns.
    response.shouldKeepAlive = false
    allowOrigin(response)
    if (request.method === 'OPTIONS') return answerPreflight(request, response, script)
    const body = await readBody(request)
    if (pathname.startsWith('/control/')) {
      return answerControl({
        scripts,
        origin: origin(),
        method: request.method,
        pathname,
        searchParams,
        body,
        response,
      })
    }
    if (!key || !protocol) return sendError(response, 404, `Unknown request URL: ${request.method} ${pathname}.`)
    if (!script) return sendError(response, 404, `Test server: no script has the key "${key}"; POST /control/script`)
    await answerModel(script, protocol === 'responses' ? 'responses' : 'chat', request, response, body)
  }

  async function answerModel(
    script: Script,
    protocol: Protocol,
    request: IncomingMessage,
    response: ServerResponse,
    text: string,
  ): Promise<void> {
    const gone = new AbortController()
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    const seen = script.see({ protocol, headers, body })
    response.on('close', () => {
      gone.abort()
      script.end(seen, response.writableFinished ? 'answered' : 'closed')
    })
    const refuse = (status: number, message: string) => {
      seen.refused = message
      script.end(seen, 'answered')
      sendError(response, status, message)
    }

    if ((body as { stream?: boolean } | undefined)?.stream !== true) {
      return refuse(400, 'Test server: only streams are scripted, use doStream or streamText')
    }
    const bad = script.options.checkPrompt === false ? undefined : checkPrompt(protocol, body, stored)
    if (bad) return refuse(bad.status, bad.message)
    const taken = script.take()
    if (!taken) {
      const { length } = script.turns
      return refuse(500, `Test server: the script "${script.key}" ran out, it has ${length} turns and this is one more`)
    }
    const { turn } = taken
    // Never used twice, also when a key is scripted anew: ids in one session must differ.
    const seed = `${script.key}:${served++}`
    seen.turn = taken.number
    response.setHeader('x-request-id', `req_${script.key}_${seen.index}`)
    await serveTurn(turn, {
      response,
      protocol,
      seed,
      cap,
      gone: gone.signal,
      authorization: request.headers.authorization,
      hold: (signal) => script.hold(signal),
      ended: (how) => {
        if (how === 'answered') store(turn, protocol, seed, seen)
        script.end(seen, how)
      },
    })
  }

  function store(turn: Turn, protocol: Protocol, seed: string, { body }: SeenRequest): void {
    const wanted = (body as { store?: boolean }).store !== false
    if (!wanted || protocol !== 'responses' || (turn.kind !== 'answer' && turn.kind !== 'raw')) return
    for (const [id, item] of storedItems([...payloads(turn, protocol, seed)].at(-1))) stored.set(id, item)
  }

  const origin = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    origin: origin(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function sendError(response: ServerResponse, status: number, message: string): void {
  const type = status >= 500 ? 'server_error' : 'invalid_request_error'
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error: { message, type, param: null, code: null } }))
}
