import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Connect, Plugin } from 'vite'

// The key stays in this process: the page sends its requests here, and they leave with the key.

interface Endpoint {
  readonly apiKey: string
  readonly baseURL: string
  readonly model: string
  /** Many compatible endpoints speak Chat Completions only. */
  readonly api: 'responses' | 'chat'
}

/** What the environment says of a real endpoint: OPENAI_API_KEY, and if need be OPENAI_BASE_URL, OPENAI_MODEL, OPENAI_API. */
export function endpointFrom(env: NodeJS.ProcessEnv): Endpoint | undefined {
  const { OPENAI_API_KEY: apiKey, OPENAI_BASE_URL: baseURL, OPENAI_MODEL: model, OPENAI_API: api } = env
  if (!apiKey) return undefined
  return {
    apiKey,
    baseURL: (baseURL || 'https://api.openai.com/v1').replace(/\/+$/, ''),
    model: model || 'gpt-5-mini',
    api: api === 'chat' ? 'chat' : 'responses',
  }
}

const prefix = '/api/openai'
const paths = new Set(['/responses', '/chat/completions'])

/** `/api/models` says what the page may offer; `/api/openai` is the endpoint, where the environment has a key for it. */
export function openaiProxy(env: NodeJS.ProcessEnv = process.env): Plugin {
  const endpoint = endpointFrom(env)
  const use = ({ middlewares }: { middlewares: Connect.Server }) => {
    middlewares.use('/api/models', (_, response) =>
      json(response, 200, endpoint ? { proxied: { model: endpoint.model, api: endpoint.api } } : {}),
    )
    middlewares.use(prefix, (request, response) => {
      proxy(request, response, endpoint).catch(() => response.destroy())
    })
  }
  return { name: 'demo:openai-proxy', configureServer: use, configurePreviewServer: use }
}

async function proxy(
  request: IncomingMessage,
  response: ServerResponse,
  endpoint: Endpoint | undefined,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://proxy').pathname
  if (!endpoint) return refuse(response, 503, 'This server has no key. Start it with OPENAI_API_KEY=… npm run demo')
  if (!paths.has(path)) return refuse(response, 404, `This proxy passes on ${[...paths].join(' and ')} only`)
  if (request.method !== 'POST') return refuse(response, 405, 'This proxy passes on POST only')
  if (!fromThisPage(request)) return refuse(response, 403, 'This proxy serves its own page only')
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    return refuse(response, 415, 'Send application/json')

  const gone = new AbortController()
  response.on('close', () => gone.abort())
  let answer: Response
  try {
    answer = await fetch(endpoint.baseURL + path, {
      method: 'POST',
      // nothing else of the page's request goes out: no cookie, no origin, no address
      headers: {
        authorization: `Bearer ${endpoint.apiKey}`,
        'content-type': 'application/json',
        accept: request.headers.accept ?? '*/*',
      },
      body: Readable.toWeb(request) as ReadableStream,
      // a redirect would carry the key to another place
      redirect: 'error',
      signal: gone.signal,
      duplex: 'half',
    } as RequestInit)
  } catch {
    return refuse(
      response,
      502,
      'The endpoint does not answer. Check OPENAI_BASE_URL and the connection of this server',
    )
  }
  response.statusCode = answer.status
  for (const name of ['content-type', 'retry-after', 'retry-after-ms', 'x-request-id']) {
    const value = answer.headers.get(name)
    if (value) response.setHeader(name, value)
  }
  response.setHeader('cache-control', 'no-store')
  response.flushHeaders()
  // An answer that breaks off must break off here too: an orderly end would look complete. The caller destroys it.
  if (answer.body) {
    for await (const chunk of answer.body) {
      if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
    }
  }
  response.end()
}

/** Browsers tell where a request comes from: another site must not spend this key. */
function fromThisPage({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  return headers.origin === undefined || headers.origin === `http://${headers.host}`
}

/** An error in the words of the OpenAI API, so that the provider reads it. */
const refuse = (response: ServerResponse, status: number, message: string) =>
  json(response, status, { error: { message, type: 'proxy_error', code: null, param: null } })

function json(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  response.setHeader('cache-control', 'no-store')
  response.end(JSON.stringify(body))
}
