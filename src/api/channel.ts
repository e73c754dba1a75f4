import { AgentError, abortError, fromWire, toWire } from '../errors.ts'
import { KindFilter } from '../events/bus.ts'
import { type AnyEvent, isDurable, outlastsAbort } from '../events/kinds.ts'
import { isInScope } from '../protocol/in-scope.ts'
import type { Interest, Joined, Link, Method, Methods, ToPage, ToRuntime } from '../protocol/messages.ts'
import { catchesUp, joins, Progress } from './progress.ts'

export type Received = Joined | AnyEvent

/** How a channel reaches its runtime. */
export interface Transport {
  /**
   * Opens a link, at the channel's first use and again after it was lost. `receive` takes what the runtime tells, in order;
   * `lost` says that nothing more will come, and whether it is worth a new link: the runtime was there, and another one can
   * take its place.
   */
  open(receive: (item: ToPage) => void, lost: (error: AgentError, replaceable?: boolean) => void): Link
  /** Hears page tool calls. */
  onPageTool?(
    item: Extract<ToPage, { kind: '@page-tool' | '@page-tool-abort' }>,
    send: (message: ToRuntime) => void,
  ): void
  /** What a value is on the other side; throws for what can't get there. */
  copy?<T>(value: T): T
  /** Calls `tell` whenever the page gets the focus. */
  focused?(tell: () => void): void
  /** Calls `tell` whenever the browser loses the network, or has it again. */
  network?(tell: (online: boolean) => void): void
  close(): Promise<void>
}

/** `starting`: a runtime that was lost is being replaced. */
export type ChannelState = 'idle' | 'starting' | 'ready' | 'lost'

/** A runtime that is lost so often within so many milliseconds is not replaced any more. */
const mostLosses = 5
const lossWindow = 10_000

interface Call {
  readonly method: Method
  readonly params: unknown
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
  readonly #progress = new Progress()
  /** Sessions of which listeners of everything are being told what they missed. */
  readonly #catchingUp = new Map<string, number>()
  /** When runtimes were lost lately, in milliseconds of `performance.now()`. */
  #losses: readonly number[] = []
  #link: Link | undefined
  #credentials: { readonly value: unknown } | undefined
  #lastId = 0
  #closed = false

  constructor(transport: Transport) {
    this.#transport = transport
    transport.focused?.(() => this.#link?.send({ type: 'focus' }))
    transport.network?.((online) => this.#link?.send({ type: 'online', online }))
  }

  async call<M extends Method>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']> {
    const id = ++this.#lastId
    const answer = new Promise<Methods[M]['result']>((resolve, reject) =>
      this.#calls.set(id, { method, params, resolve: resolve as Call['resolve'], reject }),
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

  /** Tells when the runtime is there, and when it is lost: not while it is being replaced. */
  onSettled(changed: () => void): () => void {
    return this.onState(() => this.state === 'starting' || changed())
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
      (error, replaceable = false) => {
        lost = true
        if (this.#link !== link) return
        if (replaceable && this.#isWorthReplacing()) this.#replace()
        else this.#fail(error)
      },
    )
    this.#link = link
    this.#setState('ready')
    if (this.#credentials) link.send({ type: 'credentials', credentials: this.#credentials.value })
    for (const [id, { interest }] of this.#listeners) link.send({ type: 'listen', id, interest })
    return link
  }

  /** Whether somebody waits for the runtime, and it isn't lost over and over. */
  #isWorthReplacing() {
    const now = performance.now()
    this.#losses = [...this.#losses.filter((at) => now - at < lossWindow), now]
    return this.#losses.length < mostLosses && this.#calls.size + this.#listeners.size > 0
  }

  /**
   * Another runtime takes the place of the one that was lost. Listeners go on where they are; what was asked is asked again,
   * and settles as if nothing had happened.
   */
  #replace() {
    this.#link = undefined
    const calls = [...this.#calls]
    for (const listener of this.#listeners.values()) {
      listener.interest = this.#progress.goOn(listener.interest)
      listener.joined = !joins(listener.interest)
    }
    this.#catchUp()
    this.#setState('starting')
    try {
      const link = this.#open()
      for (const [id, { method, params }] of calls) link.send({ type: 'call', id, method, params, again: true })
    } catch (error) {
      this.#fail(error as AgentError)
    }
  }

  /** Listeners of all sessions, or of runs below others, hear what they missed of those that were lately heard of. */
  #catchUp() {
    // Those that were catching up already go on where they have come to.
    const begun = this.#stopCatchingUp()
    if (![...this.#listeners.values()].some(({ interest }) => catchesUp(interest))) return
    for (const [sessionId, since] of new Map([...this.#progress.latest(), ...begun]))
      this.#catchUpWith(sessionId, since)
  }

  #catchUpWith(sessionId: string, since: number) {
    if (this.#catchingUp.has(sessionId)) return
    const id = ++this.#lastId
    const behind = [...this.#listeners].filter(([, { interest }]) => catchesUp(interest))
    const interest: Interest = { sessionId, since, kinds: ['any'] }
    const receive = (item: Received) => {
      if (item.kind !== '@joined') return
      for (const event of item.events) {
        if (!isDurable(event.kind)) continue
        for (const [behindId, listener] of behind)
          if (this.#listeners.has(behindId) && listener.filter.has(event.kind) && isInScope(listener.interest, event))
            listener.receive(event)
        if (event.kind === 'delegation-started' && !this.#progress.has(event.childSessionId))
          this.#catchUpWith(event.childSessionId, 0)
      }
      if (item.more || !this.#listeners.delete(id)) return
      this.#catchingUp.delete(sessionId)
      this.#link?.send({ type: 'unlisten', id })
    }
    this.#catchingUp.set(sessionId, id)
    const filter = new KindFilter(interest.kinds)
    this.#listeners.set(id, { interest, filter, receive, muted: undefined, joined: false })
    // One that is found while the runtime is there already is listened to at once.
    this.#link?.send({ type: 'listen', id, interest })
  }

  #stopCatchingUp() {
    const begun = [...this.#catchingUp].flatMap(([sessionId, id]) => {
      const since = this.#listeners.get(id)?.interest.since
      this.#listeners.delete(id)
      return since === undefined ? [] : [[sessionId, since] as const]
    })
    this.#catchingUp.clear()
    return begun
  }

  /** The other side is gone: nothing stays pending, and the next use opens a new link. */
  #fail(error: AgentError) {
    this.#link = undefined
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    this.#muted.clear()
    this.#stopCatchingUp()
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
        if (item.kind === '@page-tool' && this.#isOfMuted(item)) return
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
    const { sessionId } = listener.interest
    if (sessionId !== undefined && item.seq !== undefined) this.#progress.reach(sessionId, item.seq)
    for (const event of item.events) this.#progress.note(event)
    this.#advance(listener, item.events.at(-1)?.seq)
    listener.receive(
      this.#muted.size > 0 ? { ...item, events: item.events.filter((event) => !this.#isMuted(event)) } : item,
    )
  }

  #dispatch(event: AnyEvent) {
    if (this.#muted.size > 0 && this.#isMuted(event)) return
    const durable = isDurable(event.kind)
    const isBehind = durable && this.#isCaughtUpWith(event)
    this.#progress.note(event)
    // One that a handler adds just now hears the next event first.
    const newest = this.#lastId
    for (const [id, listener] of this.#listeners) {
      if (id > newest) break
      if (!listener.joined || !listener.filter.has(event.kind) || !isInScope(listener.interest, event)) continue
      // It is told in its place.
      if (isBehind && catchesUp(listener.interest)) continue
      if (durable) this.#advance(listener, event.seq)
      listener.receive(event)
    }
  }

  /** Whether it is told, or will be, with what was missed of its session while the runtime was being replaced. */
  #isCaughtUpWith({ sessionId, seq }: AnyEvent): boolean {
    if (this.#catchingUp.has(sessionId)) return true
    // A run that was started meanwhile: its beginning comes first.
    if (this.#catchingUp.size === 0 || seq === 1 || this.#progress.has(sessionId)) return false
    this.#catchUpWith(sessionId, 0)
    return true
  }

  #isMuted(event: AnyEvent) {
    return !outlastsAbort(event.kind) && this.#isOfMuted(event)
  }

  #isOfMuted({ runId, ancestors = [] }: Pick<AnyEvent, 'runId' | 'ancestors'>) {
    return this.#muted.has(runId) || ancestors.some((above) => this.#muted.has(above.runId))
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
