import type { IncomingMessage, ServerResponse } from 'node:http'

/** An approval as a page shows it. */
export interface OpenApproval {
  readonly id: string
  readonly sessionId: string
  readonly runId: string
  readonly reason: string
  readonly toolCallId?: string
  /** Of a delegated run: those above it. */
  readonly ancestors?: readonly { readonly sessionId: string }[]
  readonly input?: unknown
}

const patience = 15_000

/** One page that lives now, and takes commands over a stream of its own. */
export class PageLink {
  readonly id: string
  readonly #stream: ServerResponse
  readonly #asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  /** The open approvals that this page shows. */
  approvals: readonly OpenApproval[] = []
  gone = false
  #asks = 0

  constructor(id: string, stream: ServerResponse) {
    this.id = id
    this.#stream = stream
  }

  /** Has the page carry out a command. Rejects when the page dies before it answered. */
  ask<T = unknown>(command: string, parameters: object = {}): Promise<T> {
    const n = ++this.#asks
    return new Promise<T>((resolve, reject) => {
      if (this.gone) return reject(new PageGone(`The page ${this.id} is gone, it can't "${command}"`))
      const timer = setTimeout(() => {
        this.#asked.delete(n)
        reject(new Error(`The page ${this.id} did not answer "${command}" within ${patience} ms`))
      }, patience)
      this.#asked.set(n, {
        resolve: (value) => {
          clearTimeout(timer)
          resolve(value as T)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      })
      this.#stream.write(`data: ${JSON.stringify({ n, command, ...parameters })}\n\n`)
    })
  }

  answered({ n, value, error }: { n: number; value?: unknown; error?: string }) {
    const asked = this.#asked.get(n)
    this.#asked.delete(n)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(error))
  }

  end() {
    this.gone = true
    for (const { reject } of this.#asked.values()) reject(new PageGone(`The page ${this.id} died`))
    this.#asked.clear()
  }
}

export class PageGone extends Error {}

/** Opens the page's stream of commands. */
export function openStream(request: IncomingMessage, response: ServerResponse): void {
  request.socket.setNoDelay(true)
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.flushHeaders()
}
