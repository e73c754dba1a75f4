import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { ModelTimeout } from '../agent/define-agent.ts'
import { AgentError, messageOf } from '../errors.ts'
import { macrotask } from '../events/macrotask.ts'
import { longestDelay } from '../events/sleep.ts'
import type { Answer } from './answer.ts'
import { toModelError } from './model-error.ts'

/** Milliseconds that a stream without pause may keep the thread: an abort, or the page's word, waits no longer. */
const slice = 8

export interface ModelCall {
  /** Opens the stream; its time counts as the model's. */
  readonly open: (signal: AbortSignal) => Promise<ReadableStream<LanguageModelV4StreamPart>>
  readonly answer: Answer
  readonly timeout: ModelTimeout | undefined
  /** Ends the call at once; it then rejects with the signal's reason. */
  readonly signal: AbortSignal
  /** What must not show in an error. */
  readonly credentials?: unknown
  /** Unix time in milliseconds. */
  readonly now: () => number
  /** Hears every part before the answer does. */
  readonly onPart?: (part: LanguageModelV4StreamPart) => void
}

/**
 * Streams one answer of a model into `answer`. Resolves once it is whole; rejects with an `AgentError` for whatever the
 * model or its connection does, or with the signal's reason. `answer` holds what came until then.
 */
export async function callModel(call: ModelCall): Promise<void> {
  const { open, answer, timeout, signal } = call
  const watch = new Watch(timeout, signal)
  try {
    const opening = open(watch.signal)
    // One that comes too late is nobody's.
    opening.then((stream) => (watch.signal.aborted ? stream.cancel() : undefined)).catch(() => {})
    const stream = await watch.during(opening)
    if (typeof stream?.getReader !== 'function')
      throw new AgentError('model-failed', 'The model gave no stream: doStream must give { stream }.')
    await readAll(stream, call, watch)
    checkFinish(answer)
  } catch (error) {
    signal.throwIfAborted()
    throw watch.expired ?? toModelError(error, call.credentials, call.now())
  } finally {
    watch.end()
  }
}

async function readAll(stream: ReadableStream<LanguageModelV4StreamPart>, { answer, onPart }: ModelCall, watch: Watch) {
  // A reader, since WebKit's streams can't be iterated.
  const reader = stream.getReader()
  // Cancelling ends a pending read at once, also of a stream that ignores the signal. What it gives back is not awaited:
  // it may never settle.
  const cancel = () => void reader.cancel().catch(() => {})
  watch.signal.addEventListener('abort', cancel, { once: true })
  try {
    watch.signal.throwIfAborted()
    let sliceEnd = performance.now() + slice
    for (;;) {
      const { done, value } = await reader.read()
      watch.signal.throwIfAborted()
      if (done) return
      const now = performance.now()
      if (value.type !== 'ping' && value.type !== 'raw') watch.partCame(now)
      onPart?.(value)
      if (value.type === 'error') throw value.error
      const pending = take(answer, value)
      if (pending) await watch.during(pending)
      if (now >= sliceEnd) {
        await macrotask()
        watch.signal.throwIfAborted()
        sliceEnd = performance.now() + slice
      }
    }
  } finally {
    watch.signal.removeEventListener('abort', cancel)
    cancel()
  }
}

/** A part that can't be read is the model's fault, not the connection's. */
function take(answer: Answer, part: LanguageModelV4StreamPart): Promise<void> | undefined {
  const refuse = (error: unknown) => {
    throw error instanceof AgentError
      ? error
      : new AgentError('model-failed', `The model's answer can't be read: ${messageOf(error)}`)
  }
  try {
    return answer.read(part)?.catch(refuse)
  } catch (error) {
    return refuse(error)
  }
}

/** A stream that ends without saying why was cut, whatever the browser makes of it. */
function checkFinish({ finishReason }: Answer) {
  if (finishReason === undefined || finishReason === 'interrupted') {
    throw new AgentError('model-interrupted', "The model's answer was cut off before its end.")
  }
  if (finishReason === 'error') throw new AgentError('model-failed', 'The model ended its answer with an error.')
}

/** Milliseconds that a model has by default. */
export const modelTimeouts = {
  firstPart: 60_000,
  betweenParts: 60_000,
  total: Number.POSITIVE_INFINITY,
} satisfies ModelTimeout

/** Aborts a call whose model is silent for too long, or that the run gave up; and stops waiting for what ignores the abort. */
class Watch {
  readonly signal: AbortSignal
  expired: AgentError | undefined

  readonly #limits: Required<ModelTimeout>
  readonly #controller = new AbortController()
  readonly #begun = performance.now()
  readonly #aborted: Promise<never>
  readonly #outer: AbortSignal
  readonly #onAbort: () => void
  #lastPart: number | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(timeout: ModelTimeout | undefined, outer: AbortSignal) {
    this.#limits = { ...modelTimeouts, ...timeout }
    this.signal = this.#controller.signal
    this.#outer = outer
    this.#onAbort = () => this.#controller.abort(outer.reason)
    this.#aborted = new Promise((_, reject) =>
      this.signal.addEventListener('abort', () => reject(this.signal.reason), { once: true }),
    )
    this.#aborted.catch(() => {})
    if (outer.aborted) this.#onAbort()
    else outer.addEventListener('abort', this.#onAbort, { once: true })
    this.#check()
  }

  during<T>(promise: PromiseLike<T>): Promise<T> {
    return Promise.race([promise, this.#aborted])
  }

  partCame(now: number) {
    const first = this.#lastPart === undefined
    this.#lastPart = now
    if (!first) return
    clearTimeout(this.#timer)
    this.#check()
  }

  end() {
    clearTimeout(this.#timer)
    this.#outer.removeEventListener('abort', this.#onAbort)
  }

  /** One timer that looks again, instead of one per part. */
  #check = () => {
    const now = performance.now()
    const silence =
      this.#lastPart === undefined
        ? { since: this.#begun, limit: this.#limits.firstPart, what: 'did not begin to answer' }
        : { since: this.#lastPart, limit: this.#limits.betweenParts, what: 'fell silent in mid-answer' }
    const whole = { since: this.#begun, limit: this.#limits.total, what: 'did not finish its answer' }
    const [next] = [silence, whole].sort((a, b) => a.since + a.limit - (b.since + b.limit))
    if (!next) return
    const left = next.since + next.limit - now
    if (left > 0) {
      if (left < Number.POSITIVE_INFINITY)
        this.#timer = setTimeout(this.#check, Math.min(Math.ceil(left), longestDelay))
      return
    }
    this.expired = new AgentError('model-timeout', `The model ${next.what} within ${next.limit} ms (modelTimeout).`)
    this.#controller.abort(this.expired)
  }
}
