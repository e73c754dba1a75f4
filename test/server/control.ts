import type { ServerResponse } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import type { ScriptOptions } from './log.ts'
import { Script } from './script.ts'
import type { Turn } from './turns.ts'

interface ControlRequest {
  scripts: Map<string, Script>
  origin: string
  method: string | undefined
  pathname: string
  searchParams: URLSearchParams
  body: string
  response: ServerResponse
}

/** What `POST /control/script` takes. */
export interface NewScript extends ScriptOptions {
  key: string
  turns: Turn[]
}

const longestWait = 10_000

/**
 * The tests' side door: `script` registers turns under a key, `turns/KEY` adds some, `log/KEY`, `wait/KEY?until=`,
 * `release/KEY`, `count/KEY?name=` (POST counts, GET reads), `refused` names an origin where nobody listens.
 */
export async function answerControl(request: ControlRequest): Promise<void> {
  const { scripts, origin, method, pathname, searchParams, body, response } = request
  const send = (status: number, value: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(JSON.stringify(value))
  }
  const [, , verb = '', encodedKey = ''] = pathname.split('/')
  if (verb === 'refused') return send(200, { origin: await refusedOrigin() })
  if (verb === 'script') {
    const { key, turns, ...options } = JSON.parse(body) as NewScript
    scripts.set(key, new Script(key, turns, options))
    return send(200, { baseURL: `${origin}/s/${encodeURIComponent(key)}/v1` })
  }

  const key = decodeURIComponent(encodedKey)
  const script = scripts.get(key)
  if (!script) return send(404, { error: `No script has the key "${key}"; POST /control/script` })
  switch (`${method} ${verb}`) {
    case 'POST turns':
      script.turns.push(...(JSON.parse(body) as Turn[]))
      return send(200, {})
    case 'GET log':
      return send(200, script.log())
    case 'GET wait': {
      const timeout = Math.min(Number(searchParams.get('timeout') ?? longestWait), longestWait)
      const reached = await script.wait(searchParams.get('until') ?? '', timeout)
      return send(200, { reached, log: script.log() })
    }
    case 'POST release':
      script.release()
      return send(200, {})
    case 'POST count':
      script.count(searchParams.get('name') ?? '')
      return send(200, script.log().counts)
    case 'GET count':
      return send(200, script.log().counts)
  }
  send(404, { error: `No ${method} ${pathname}` })
}

/** An origin whose port was free a moment ago: connections to it are refused. */
async function refusedOrigin(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}
