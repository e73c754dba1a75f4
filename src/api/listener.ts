import '../disposable.ts'
import { AgentError, fromWire, report } from '../errors.ts'
import { type AnyEvent, outlastsAbort } from '../events/kinds.ts'
import { mergeDeltas } from '../events/merge-deltas.ts'
import { longestDelay } from '../events/sleep.ts'
import type { Received } from './channel.ts'
import type { Control, InvocationHandle, ListenOptions, SessionContext } from './types.ts'

export type Handler = (event: AnyEvent, context: SessionContext, control: Control) => void | Promise<void>

/** One `on(kind, handler)`: isolates the handler, and enforces its time-out and concurrency. */
export class EventListener implements InvocationHandle {
  finished = false
  timeout: number | undefined
  concurrency: number

  readonly #handler: Handler
  readonly #contextOf: (event: AnyEvent) => SessionContext
  readonly #ended: () => void
  #unhook = () => {}
  readonly #invocations = new Set<Invocation>()
  #waiting: AnyEvent[] = []
  #running = 0
  #closed = false

  constructor(
    handler: Handler,
    options: ListenOptions,
    contextOf: (event: AnyEvent) => SessionContext,
    ended: () => void,
  ) {
    this.#handler = handler
    this.#contextOf = contextOf
    this.#ended = ended
    this.timeout = options.timeout
    this.concurrency = options.concurrency ?? Number.POSITIVE_INFINITY
    if (!(this.concurrency >= 1))
      throw new AgentError('invalid-argument', 'on: `concurrency` must be a number of 1 or more.')
    const { signal } = options
    if (!signal) return
    if (signal.aborted) queueMicrotask(() => this.abort(signal.reason))
    const abort = () => this.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#unhook = () => signal.removeEventListener('abort', abort)
  }

  receive(item: Received) {
    if (item.kind !== '@joined') return this.#take(item)
    for (const event of item.events) this.#take(event)
    if (item.error) report(fromWire(item.error))
  }

  /** Forgets what waits of a run that was aborted, and of those below it, but for what lasts. */
  mute(runId: string) {
    this.#waiting = this.#waiting.filter(
      (event) => outlastsAbort(event.kind) || (event.runId !== runId && !isBelow(event, runId)),
    )
  }

  abort(reason?: unknown) {
    if (this.finished) return
    this.finished = true
    this.#waiting = []
    for (const invocation of this.#invocations) invocation.abort(reason)
    this.#unhook()
    this.#ended()
  }

  /** No further events come; what waits is still handled. */
  close() {
    this.#closed = true
    this.#ended()
    this.#finishIfDone()
  }

  [Symbol.dispose]() {
    this.abort()
  }

  #take(event: AnyEvent) {
    if (this.finished || this.#closed) return
    if (this.#running < this.concurrency) return this.#invoke(event)
    this.#waiting.push(event)
    // A slow handler sees fewer, longer deltas.
    if (this.#waiting.length % 512 === 0) this.#waiting = mergeDeltas(this.#waiting)
  }

  #invoke(event: AnyEvent) {
    const invocation = new Invocation(this)
    try {
      const pending = this.#handler(event, this.#contextOf(event), invocation)
      if (typeof pending?.then === 'function') this.#await(pending, invocation, event)
    } catch (error) {
      report(error)
    }
  }

  #await(pending: Promise<void>, invocation: Invocation, { kind }: AnyEvent) {
    const { timeout } = this
    this.#running++
    this.#invocations.add(invocation)
    const done = () => {
      clearTimeout(timer)
      if (!this.#invocations.delete(invocation)) return
      this.#running--
      this.#next()
    }
    const timer =
      timeout === undefined || timeout > longestDelay
        ? undefined
        : setTimeout(() => {
            const error = new AgentError('timeout', `A handler of "${kind}" did not finish within ${timeout} ms.`)
            invocation.abort(error)
            report(error)
            done()
          }, timeout)
    Promise.resolve(pending).catch(report).finally(done)
  }

  #next() {
    while (!this.finished && this.#waiting.length > 0 && this.#running < this.concurrency) {
      if (this.#waiting.length > 1) this.#waiting = mergeDeltas(this.#waiting)
      const event = this.#waiting.shift()
      if (event) this.#invoke(event)
    }
    this.#finishIfDone()
  }

  #finishIfDone() {
    if (!this.#closed || this.#running > 0 || this.#waiting.length > 0) return
    this.finished = true
    this.#unhook()
  }
}

/** What one call of a handler gets as its `control`. */
class Invocation implements Control {
  readonly #listener: EventListener
  #controller: AbortController | undefined
  #reason: { readonly reason: unknown } | undefined

  constructor(listener: EventListener) {
    this.#listener = listener
  }

  get cancelled() {
    return this.#listener.finished
  }

  // Made on demand: most handlers never look at it, and one is called for each delta.
  get signal() {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason.reason)
    return this.#controller.signal
  }

  get timeout() {
    return this.#listener.timeout
  }
  set timeout(timeout: number | undefined) {
    this.#listener.timeout = timeout
  }

  get concurrency() {
    return this.#listener.concurrency
  }
  set concurrency(concurrency: number) {
    this.#listener.concurrency = concurrency
  }

  // Bound: handlers take it apart, `(event, context, { cancel }) => …`.
  readonly cancel = () => {
    this.#listener.abort()
    this.abort()
  }

  abort(reason?: unknown) {
    this.#reason ??= { reason }
    this.#controller?.abort(reason)
  }
}

const isBelow = ({ ancestors = [] }: AnyEvent, runId: string) => ancestors.some((above) => above.runId === runId)
