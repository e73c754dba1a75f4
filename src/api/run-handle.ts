import '../disposable.ts'
import { abortError } from '../errors.ts'
import type { App, OutputOf } from './app.ts'
import type { Channel } from './channel.ts'
import { portInput } from './port-input.ts'
import type { Input, InputReceipt, Listen, OpenRun, RunOutput } from './types.ts'

interface HandleOptions<A extends App> {
  readonly channel: Channel
  readonly runId: string
  readonly sessionId: string
  /** Only the handle that started a run aborts it on disposal. */
  readonly owned: boolean
  /**
   * Settles at the run's end. Calls `asked` when the runtime is asked for it: until then there is no run to be told anything.
   * `steers`: another run may hear its input; then the handle stands for that one.
   */
  readonly output: (signal: AbortSignal, asked: (steers?: boolean) => void) => Promise<RunOutput>
  readonly on: Listen<A>
  /** Called when the run has ended, and all that was told of it has been received. */
  readonly ended: () => void
  readonly signal?: AbortSignal | undefined
  readonly newId: () => string
  /** Names this handle, where its request may be a repeat of another one's: the runtime knows which of them owns the run. */
  readonly sentBy?: string | undefined
}

/** A run as its user holds it. */
export class Handle<A extends App> implements OpenRun<A> {
  runId: string
  /** Empty for a looked-up run until its result settled. */
  sessionId: string
  readonly result: Promise<RunOutput<OutputOf<A>>>
  readonly on: Listen<A>
  finished = false

  readonly #channel: Channel
  readonly #controller = new AbortController()
  #owned: boolean
  readonly #newId: () => string
  readonly #sentBy: string | undefined
  #asked = false
  /** What was said last to a run that may turn out to be another one. */
  #said: { readonly method: 'stop' | 'abort'; readonly params: object } | undefined

  constructor({ channel, runId, sessionId, owned, output, on, ended, signal, newId, sentBy }: HandleOptions<A>) {
    this.#newId = newId
    this.#sentBy = sentBy
    this.runId = runId
    this.sessionId = sessionId
    this.#channel = channel
    this.#owned = owned
    this.on = on
    let unfollow = () => {}
    const outer = () => void this.#abort('aborted', this.#sentBy)
    if (signal?.aborted) this.#controller.abort()
    signal?.addEventListener('abort', outer, { once: true })
    this.result = output(this.#controller.signal, (steers) => {
      this.#asked = true
      if (steers) unfollow = this.#followWhoHears(runId)
    })
      .then((ended) => {
        this.sessionId = ended.sessionId
        this.runId = ended.runId
        return ended as RunOutput<OutputOf<A>>
      })
      .finally(() => {
        this.finished = true
        channel.unmute(runId)
        channel.unmute(this.runId)
        unfollow()
        ended()
        signal?.removeEventListener('abort', outer)
      })
    // One that nobody awaits is no unhandled rejection.
    this.result.catch(() => {})
  }

  async stop({ after = 'now' as 'now' | 'turn' } = {}): Promise<RunOutput<OutputOf<A>>> {
    if (!this.#asked) this.#controller.abort(abortError())
    else if (!this.finished) await this.#say('stop', { after })
    return this.result
  }

  async close(): Promise<RunOutput<OutputOf<A>>> {
    if (!this.#asked) this.#controller.abort(abortError())
    else if (!this.finished) {
      const { sessionId, runId } = this
      await this.#channel.call('close', { sessionId, runId }).catch((error) => {
        // A run that was refused is none that can be closed: its own error says more.
        if (!this.finished) throw error
      })
    }
    return this.result
  }

  async steer(input: Input): Promise<InputReceipt> {
    const inputId = this.#newId()
    const { sessionId, runId } = this
    await this.#channel.call('steer', { sessionId, runId, inputId, ...portInput(input) })
    const delivered = this.#channel.call('delivered', { sessionId, runId, inputId })
    delivered.catch(() => {})
    return { inputId, delivered }
  }

  abort(): void {
    void this.#abort('aborted')
  }

  detach(): this {
    this.#owned = false
    return this
  }

  [Symbol.dispose]() {
    if (this.#owned) void this.#abort('disposed', this.#sentBy)
  }

  async [Symbol.asyncDispose]() {
    if (this.#owned && (await this.#abort('disposed', this.#sentBy))) await this.result.catch(() => {})
  }

  /** False where the run is another handle's, and goes on. */
  async #abort(cause: 'aborted' | 'disposed', sentBy?: string): Promise<boolean> {
    if (this.finished || this.#controller.signal.aborted) return true
    if (!sentBy || !this.#asked) this.#controller.abort(abortError())
    if (!this.#asked) return true
    if (!sentBy) this.#channel.mute(this.runId)
    return this.#say('abort', { cause, ...(sentBy ? { sentBy } : undefined) }).then(
      (mine) => mine !== false,
      () => true,
    )
  }

  #say(method: 'stop' | 'abort', params: object): Promise<unknown> {
    this.#said = { method, params }
    return this.#channel.call(method, { sessionId: this.sessionId, runId: this.runId, ...params } as never)
  }

  /** Stands for the run that hears the input, from then on and detached. Returns its undo. */
  #followWhoHears(inputId: string) {
    const { sessionId } = this
    return this.#channel.listen({ sessionId, kinds: ['input-delivered'] }, (item) => {
      const heard = item.kind === '@joined' ? item.events : [item]
      for (const event of heard) {
        if (event.kind !== 'input-delivered' || event.inputId !== inputId || event.runId === inputId) continue
        this.runId = event.runId
        const said = this.#said
        // What was said while nobody knew is said again; the end of a block has not meant that run.
        const wasMeant = said && !('cause' in said.params && said.params.cause === 'disposed')
        this.#said = undefined
        this.detach()
        if (wasMeant && said.method === 'abort') this.#channel.mute(this.runId)
        if (wasMeant) this.#say(said.method, said.params).catch(() => {})
      }
    })
  }
}
