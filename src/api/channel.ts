import { AgentError, abortError, fromWire, toWire } from '../errors.ts'
import { KindFilter } from '../events/bus.ts'
import { type AnyEvent, isDurable, outlastsAbort } from '../events/kinds.ts'
import type { Interest, Joined, Link, Method, Methods, ToPage, ToRuntime } from '../protocol/messages.ts'

export type Received = Joined | AnyEvent

/** How a channel reaches its runtime. */
export interface Transport {
  /**
   * Opens a link, at the channel's first use and again after it was lost. `receive` takes what the runtime tells, in order;
   * `lost` says that nothing more will come.
   */
  open(receive: (item: ToPage) => void, lost: (error: AgentError) => void): Link
  /** Hears page tool calls. */
  onPageTool?(
    item: Extract<ToPage, { kind: '@page-tool' | '@page-tool-abort' }>,
    send: (message: ToRuntime) => void,
  ): void
  /** What a value is on the other side; throws for what can't get there. */
  copy?<T>(value: T): T
  /** Calls `tell` whenever the page gets the focus. */
  focused?(tell: () => void): void
  close(): Promise<void>
}

export type ChannelState = 'idle' | 'ready' | 'lost'

interface Call {
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
}

interface Listener {
  interest: Interest
  readonly filter: KindFilter
  readonly receive: (item: Received) => void
  /** Hears of runs whose live events are not told any more. */
  readonly muted: ((runId: string) => void) | undefined
  /** A listener that joins hears nothing before it has. */
  joined: boolean
}

/** Calls and listeners over one link, which is opened when it is needed and may be lost and replaced. */
export class Channel {
  state: ChannelState = 'idle'
  readonly #transport: Transport
  readonly #calls = new Map<number, Call>()
  readonly #listeners = new Map<number, Listener>()
  /** Runs that were aborted here: what of their stream is still on the way is dropped. */
  readonly #muted = new Set<string>()
  readonly #stateChanged = new Set<() => void>()
  #link: Link | undefined
  #credentials: { readonly value: unknown } | undefined
  #lastId = 0
  #closed = false

  constructor(transport: Transport) {
    this.#transport = transport
    transport.focused?.(() => this.#link?.send({ type: 'focus' }))
  }

  async call<M extends Method>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']> {
    const id = ++this.#lastId
    const answer = new Promise<Methods[M]['result']>((resolve, reject) =>
      this.#calls.set(id, { resolve: resolve as Call['resolve'], reject }),
    )
    try {
      this.#send({ type: 'call', id, method, params })
    } catch (error) {
      this.#calls.delete(id)
      throw error
    }
    return answer
  }

  /** Returns its undo. */
  listen(interest: Interest, receive: (item: Received) => void, muted?: (runId: string) => void): () => void {
    const id = ++this.#lastId
    const listener = { interest, filter: new KindFilter(interest.kinds), receive, muted, joined: !joins(interest) }
    this.#listeners.set(id, listener)
    // An open link that was replaced on this very call has been told already.
    const link = this.#link
    if (this.#open() === link) link?.send({ type: 'listen', id, interest })
    return () => {
      if (this.#listeners.delete(id)) this.#link?.send({ type: 'unlisten', id })
    }
  }

  /** Nothing live of the run is told from now on, whatever is on the way or waits for a slow handler. */
  mute(runId: string) {
    this.#muted.add(runId)
    for (const { muted } of this.#listeners.values()) muted?.(runId)
  }

  unmute(runId: string) {
    this.#muted.delete(runId)
  }

  setCredentials(credentials: unknown) {
    const value = refusing(() => this.#transport.copy?.(credentials) ?? credentials)
    this.#credentials = { value }
    this.#link?.send({ type: 'credentials', credentials: value })
  }

  onState(changed: () => void): () => void {
    this.#stateChanged.add(changed)
    return () => this.#stateChanged.delete(changed)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#link?.close()
    this.#fail(new AgentError('closed', 'The runtime was closed.'))
    await this.#transport.close()
  }

  #send(message: ToRuntime) {
    const link = this.#open()
    refusing(() => link.send(message))
  }

  #open(): Link {
    if (this.#closed) throw new AgentError('closed', 'The runtime was closed.')
    if (this.#link) return this.#link
    let lost = false
    const link = this.#transport.open(
      (item) => lost || this.#receive(item),
      (error) => {
        lost = true
        if (this.#link === link) this.#fail(error)
      },
    )
    this.#link = link
    this.#setState('ready')
    if (this.#credentials) link.send({ type: 'credentials', credentials: this.#credentials.value })
    for (const [id, { interest }] of this.#listeners) link.send({ type: 'listen', id, interest })
    return link
  }

  /** The other side is gone: nothing stays pending, and the next use opens a new link. */
  #fail(error: AgentError) {
    this.#link = undefined
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    this.#muted.clear()
    for (const { reject } of calls) reject(error)
    for (const [id, listener] of this.#listeners) {
      listener.joined = !joins(listener.interest)
      if (listener.interest.window !== undefined)
        listener.receive({ kind: '@joined', id, events: [], error: toWire(error) })
    }
    this.#setState('lost')
  }

  #setState(state: ChannelState) {
    this.state = state
    for (const changed of [...this.#stateChanged]) changed()
  }

  #receive(item: ToPage) {
    switch (item.kind) {
      case '@answer':
        this.#take(item.id)?.resolve(item.result as never)
        return
      case '@refusal':
        this.#take(item.id)?.reject(
          item.error.code === 'aborted' ? abortError(item.error.message) : fromWire(item.error),
        )
        return
      case '@joined':
        return this.#joined(item)
      case '@page-tool':
      case '@page-tool-abort':
        // The run was aborted here: its calls that are on the way are not begun any more.
        if (item.kind === '@page-tool' && this.#muted.has(item.runId)) return
        return this.#transport.onPageTool?.(item, (message) => this.#link?.send(message))
      default:
        return this.#dispatch(item)
    }
  }

  #take(id: number) {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    return call
  }

  #joined(item: Joined) {
    const listener = this.#listeners.get(item.id)
    if (!listener) return
    listener.joined = !item.more
    this.#advance(listener, item.events.at(-1)?.seq)
    listener.receive(
      this.#muted.size > 0 ? { ...item, events: item.events.filter((event) => !this.#isMuted(event)) } : item,
    )
  }

  #dispatch(event: AnyEvent) {
    if (this.#muted.size > 0 && this.#isMuted(event)) return
    const durable = isDurable(event.kind)
    // One that a handler adds just now hears the next event first.
    const newest = this.#lastId
    for (const [id, listener] of this.#listeners) {
      if (id > newest) break
      const { sessionId, runId } = listener.interest
      if (
        !listener.joined ||
        (sessionId !== undefined && sessionId !== event.sessionId) ||
        (runId !== undefined && runId !== event.runId)
      )
        continue
      if (!listener.filter.has(event.kind)) continue
      if (durable) this.#advance(listener, event.seq)
      listener.receive(event)
    }
  }

  #isMuted({ kind, runId }: AnyEvent) {
    return this.#muted.has(runId) && !outlastsAbort(kind)
  }

  /** After a lost link, a replay begins where this listener has come to. */
  #advance(listener: Listener, seq: number | undefined) {
    const { since } = listener.interest
    if (since !== undefined && seq !== undefined && seq > since)
      listener.interest = { ...listener.interest, since: seq }
  }
}

/** What can't be cloned is refused in our words. */
function refusing<T>(task: () => T): T {
  try {
    return task()
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'DataCloneError') throw error
    const problem = `The request holds something that can't be sent to a worker: ${error.message}`
    throw new AgentError('invalid-argument', problem)
  }
}

const joins = ({ since, window }: Interest) => since !== undefined || window !== undefined
