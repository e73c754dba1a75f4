import '../disposable.ts'
import { abortError } from '../errors.ts'
import type { App } from './app.ts'
import type { Channel } from './channel.ts'
import type { Listen, RunHandle, RunOutput } from './types.ts'

interface HandleOptions<A extends App> {
  readonly channel: Channel
  readonly runId: string
  readonly sessionId: string
  /** Only the handle that started a run aborts it on disposal. */
  readonly owned: boolean
  /** Settles at the run's end. Calls `asked` when the runtime is asked for it: until then there is no run to be told anything. */
  readonly output: (signal: AbortSignal, asked: () => void) => Promise<RunOutput>
  readonly on: Listen<A>
  /** Called when the run has ended, and all that was told of it has been received. */
  readonly ended: () => void
  readonly signal?: AbortSignal | undefined
}

/** A run as its user holds it. */
export class Handle<A extends App> implements RunHandle<A> {
  readonly runId: string
  /** Empty for a looked-up run until its result settled. */
  sessionId: string
  readonly result: Promise<RunOutput>
  readonly on: Listen<A>
  finished = false

  readonly #channel: Channel
  readonly #controller = new AbortController()
  #owned: boolean
  #asked = false

  constructor({ channel, runId, sessionId, owned, output, on, ended, signal }: HandleOptions<A>) {
    this.runId = runId
    this.sessionId = sessionId
    this.#channel = channel
    this.#owned = owned
    this.on = on
    const outer = () => this.abort()
    if (signal?.aborted) this.#controller.abort()
    signal?.addEventListener('abort', outer, { once: true })
    this.result = output(this.#controller.signal, () => {
      this.#asked = true
    })
      .then((ended) => {
        this.sessionId = ended.sessionId
        return ended
      })
      .finally(() => {
        this.finished = true
        channel.unmute(runId)
        ended()
        signal?.removeEventListener('abort', outer)
      })
    // One that nobody awaits is no unhandled rejection.
    this.result.catch(() => {})
  }

  async stop({ after = 'now' as 'now' | 'turn' } = {}): Promise<RunOutput> {
    if (!this.#asked) this.#controller.abort(abortError())
    else if (!this.finished) await this.#channel.call('stop', { sessionId: this.sessionId, runId: this.runId, after })
    return this.result
  }

  abort(): void {
    this.#abort('aborted')
  }

  detach(): this {
    this.#owned = false
    return this
  }

  [Symbol.dispose]() {
    if (this.#owned) this.#abort('disposed')
  }

  async [Symbol.asyncDispose]() {
    this[Symbol.dispose]()
    if (this.#owned) await this.result.catch(() => {})
  }

  #abort(cause: 'aborted' | 'disposed') {
    if (this.finished || this.#controller.signal.aborted) return
    this.#controller.abort(abortError())
    if (!this.#asked) return
    this.#channel.mute(this.runId)
    this.#channel.call('abort', { sessionId: this.sessionId, runId: this.runId, cause }).catch(() => {})
  }
}
