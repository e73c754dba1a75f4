import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** A session of WebDriver over HTTP (https://www.w3.org/TR/webdriver2/), as far as these tests need it. */
export class WebDriver {
  readonly #session: string
  readonly version: string

  private constructor(session: string, version: string) {
    this.#session = session
    this.version = version
  }

  static async connect(origin: string, capabilities: Record<string, unknown>): Promise<WebDriver> {
    await untilReady(origin)
    const wanted = { capabilities: { alwaysMatch: capabilities } }
    const { sessionId, capabilities: got } = await request<{
      sessionId: string
      capabilities: { browserName: string; browserVersion: string }
    }>('POST', `${origin}/session`, wanted)
    return new WebDriver(`${origin}/session/${sessionId}`, got.browserVersion)
  }

  async post<T = null>(command: string, body: unknown = {}): Promise<T> {
    return request<T>('POST', `${this.#session}/${command}`, body)
  }

  async get<T>(command: string): Promise<T> {
    return request<T>('GET', `${this.#session}/${command}`)
  }

  async find(xpath: string): Promise<string> {
    const found = await this.post<Record<string, string>>('element', { using: 'xpath', value: xpath })
    return Object.values(found)[0] as string
  }

  /** Ends the session, and the browser with it. */
  async close(): Promise<void> {
    await request('DELETE', this.#session)
  }
}

async function untilReady(origin: string): Promise<void> {
  // it has no other way to say that it listens
  for (let tries = 0; ; tries++) {
    try {
      const { ready } = await request<{ ready: boolean }>('GET', `${origin}/status`)
      if (ready) return
    } catch (error) {
      if (tries === 300) throw new Error('The driver does not answer', { cause: error })
    }
    await pause(50)
  }
}

async function request<T>(method: string, url: string, body?: unknown): Promise<T> {
  const command = `${method} ${new URL(url).pathname.replace(/\/session\/[^/]+/, '')}`
  const response = await fetch(url, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(40_000),
  })
  const { value } = (await response.json()) as { value: T & { error?: string; message?: string } }
  if (!response.ok) throw new Error(`${command}: ${value.error}: ${value.message}`)
  return value
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
