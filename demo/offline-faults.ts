import { APICallError } from '@ai-sdk/provider'

/** What can go wrong with a real model, at a word. */
export class OfflineFaults {
  readonly #failed = new Map<string, number>()

  /** Rejects as a model's endpoint would, where the message asks for that; says what it found out else. */
  async meet(message: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (asksServer(message)) return ping(signal)
    if (/\bfail(?:s|ing)? for good\b/i.test(message)) throw serverError()
    const wanted = /\bafter (one|two) failures?\b/i.exec(message)?.[1]?.toLowerCase()
    if (!wanted) return undefined
    const failures = wanted === 'one' ? 1 : 2
    const failed = this.#failed.get(message) ?? 0
    this.#failed.set(message, failed + 1)
    if (failed < failures) throw serverError()
    this.#failed.delete(message)
    return `There you are: this is attempt ${failures + 1}. The ones before ended with HTTP 500, and were made again by themselves.`
  }
}

/** Whether an answer needs the network. */
export const asksServer = (message: string) => /\bping\b.*\bserver\b/i.test(message)

/** With the pause that an endpoint may ask for, so that it can be watched. */
const serverError = () =>
  new APICallError({
    message: 'A pretended failure',
    url: 'offline:',
    requestBodyValues: {},
    statusCode: 500,
    responseHeaders: { 'retry-after-ms': '2500' },
  })

/** Needs the network, as a real model does. */
export async function ping(signal: AbortSignal | undefined): Promise<string> {
  const began = performance.now()
  const { status } = await fetch(new URL('/icon.svg', location.origin), {
    cache: 'no-store',
    ...(signal && { signal }),
  })
  return `The server answered with **${status}** after ${Math.round(performance.now() - began)} ms.`
}
