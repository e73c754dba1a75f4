import { AgentError, toWire } from '../errors.ts'
import { KindFilter, type Sink } from '../events/bus.ts'
import { type AnyEvent, type EventKind, eventKinds } from '../events/kinds.ts'
import type { Interest, Method, ToPage, ToRuntime } from '../protocol/messages.ts'
import type { Refill, Skipped } from '../protocol/outbox.ts'
import { deliver } from '../sessions/deliver.ts'
import type { Engine } from './engine.ts'
import type { LiveSession } from './live-session.ts'
import { methods } from './methods.ts'
import { openEvents } from './open-events.ts'
import { refill } from './refill.ts'
import { snapshotOf } from './snapshot.ts'

export interface ConnectionOptions {
  /** Takes what is told, in order. It must not throw. */
  readonly post: (item: ToPage) => unknown
  /** Where the page is told too late of a session: resolves when it has been told. Else `undefined`. */
  readonly caughtUp?: (sessionId: string) => Promise<void> | undefined
  readonly page?: { readonly pageId: string; readonly tools: readonly string[] }
  readonly setCredentials: (credentials: unknown) => void
}

interface Listener {
  readonly filter: KindFilter
  readonly sessionId: string | undefined
  readonly runId: string | undefined
  readonly live: LiveSession | undefined
}

/** One page's end in the runtime, or the runtime's own: its calls, its listeners, its page tools. */
export class Connection implements Sink {
  readonly pageId: string | undefined
  readonly #engine: Engine
  readonly #options: ConnectionOptions
  readonly #listeners = new Map<number, Listener>()
  /** Listeners that are joining; one that leaves meanwhile is taken out. */
  readonly #joining = new Map<number, LiveSession>()
  readonly #disconnect: () => void

  constructor(engine: Engine, options: ConnectionOptions) {
    this.#engine = engine
    this.#options = options
    this.#disconnect = engine.env.bus.connect(this)
    const { page, post } = options
    this.pageId = page?.pageId
    if (!page) return
    engine.env.pages.add({ pageId: page.pageId, tools: new Set(page.tools), post })
    if (page.tools.length > 0) engine.takeUpWaiting().catch(() => {})
  }

  /** Takes a message of the page. It comes from another realm: nothing in it is taken for granted. */
  hear(message: ToRuntime): void {
    switch (message.type) {
      case 'call':
        void this.#call(message.id, message.method, message.params)
        return
      case 'listen': {
        const { id, interest } = message
        this.#listen(id, interest).catch((error) =>
          this.#options.post({ kind: '@joined', id, events: [], error: toWire(error) }),
        )
        return
      }
      case 'unlisten':
        return this.#unlisten(message.id)
      case 'credentials':
        return this.#options.setCredentials(message.credentials)
      case 'focus':
        if (this.pageId !== undefined) this.#engine.env.pages.focus(this.pageId)
        return
      case 'page-tool-done':
        if (this.pageId !== undefined) this.#engine.env.pages.done(this.pageId, message, message.result)
    }
  }

  wants(kind: EventKind, sessionId: string, runId: string): boolean {
    for (const listener of this.#listeners.values()) {
      if (
        (listener.sessionId === undefined || listener.sessionId === sessionId) &&
        (listener.runId === undefined || listener.runId === runId) &&
        listener.filter.has(kind)
      )
        return true
    }
    return false
  }

  receive(event: AnyEvent): void {
    this.#options.post(event)
  }

  /** Tells again what a slow page was not told of a session. */
  refill(sessionId: string, skipped: Skipped, resume: Parameters<Refill>[2]): void {
    const wants = ({ kind, runId }: AnyEvent) => this.wants(kind, sessionId, runId)
    refill(this.#engine, sessionId, skipped, wants, resume).catch(
      // What can't be read can't be told; the session's owner says so with its own next commit.
      () => resume([]),
    )
  }

  close(): void {
    this.#disconnect()
    for (const id of [...this.#listeners.keys(), ...this.#joining.keys()]) this.#unlisten(id)
    if (this.pageId !== undefined) this.#engine.env.pages.remove(this.pageId)
    this.#engine.disconnected(this)
  }

  async #call(id: number, method: Method, params: unknown) {
    const { post } = this.#options
    try {
      // A closed table: the name comes from the other side.
      const known = Object.hasOwn(methods, method) ? methods[method] : undefined
      if (!known) throw new AgentError('unknown-method', `There is no method "${String(method)}".`)
      const result = await known(this.#engine, params as never, this)
      post({ kind: '@answer', id, result })
    } catch (error) {
      post({ kind: '@refusal', id, error: toWire(error) })
    }
  }

  async #listen(id: number, interest: Interest) {
    const { sessionId, runId, kinds, since, window } = interest
    checkKinds(kinds)
    const live = sessionId === undefined ? undefined : this.#engine.live(sessionId)
    if (live) live.listeners++
    const listener: Listener = { filter: new KindFilter(kinds), sessionId, runId, live }
    if (!live || (since === undefined && window === undefined)) {
      this.#listeners.set(id, listener)
      // From now on what other runtimes commit is told, too.
      if (live && !live.known) live.exclusive(() => this.#engine.follow(live)).catch(() => {})
      return
    }
    this.#joining.set(id, live)
    try {
      await this.#join(id, listener, live, interest)
    } catch (error) {
      if (!this.#joining.delete(id)) return
      this.#engine.release(live)
      throw error
    }
  }

  /** Brings a listener up to the present, and lets it in at a moment at which nothing can fall between. */
  async #join(id: number, listener: Listener, live: LiveSession, { since, window = 0 }: Interest) {
    const { env } = this.#engine
    const { post } = this.#options
    let cursor = since ?? Number.POSITIVE_INFINITY
    const replay = async (whole: boolean) => {
      const events: AnyEvent[] = []
      for (let end = false; !end && cursor < Number.POSITIVE_INFINITY; ) {
        const page = await env.store.readEvents(live.id, { since: cursor })
        for (const event of deliver(page, live.id)) {
          // What another runtime commits meanwhile is told when it is followed.
          if (whole && event.seq > live.seq) return events
          cursor = event.seq
          if (this.#hears(listener, event)) events.push(event)
        }
        end = page.end
        if (!whole && !end) post({ kind: '@joined', id, events: events.splice(0), more: true })
      }
      return events
    }
    const early = await replay(false)
    if (early.length > 0) post({ kind: '@joined', id, events: early, more: true })
    const first = window > 0 ? await env.store.readSession(live.id, { messages: 0 }) : undefined
    const abandoned = first ? await this.#engine.isAbandoned(first) : false
    const enter = async () => {
      let state = window > 0 ? await env.store.readSession(live.id, { messages: window }) : undefined
      await this.#engine.follow(live)
      // Another runtime may have committed in between; its pace is that of turns, so that this ends.
      for (let tries = 0; window > 0 && state && state.session.seq !== live.seq && tries < 20; tries++) {
        state = await env.store.readSession(live.id, { messages: window })
        await this.#engine.follow(live)
      }
      const inbox = window > 0 ? (state?.inbox ?? (await env.store.readInbox(live.id))) : []
      const events = await replay(true)
      // From here to the end nothing is awaited.
      if (!this.#joining.has(id)) return
      // Other listeners are still to be told what this one begins with.
      behind = this.#options.caughtUp?.(live.id)
      if (behind) return post({ kind: '@joined', id, events, more: true })
      this.#joining.delete(id)
      this.#listeners.set(id, listener)
      events.push(...openEvents(live).filter((event) => this.#hears(listener, event)))
      if (window > 0) live.remember(state?.messages)
      const snapshot = window > 0 ? snapshotOf(live.id, state, inbox, live, abandoned) : undefined
      post({ kind: '@joined', id, events, ...(snapshot ? { snapshot } : undefined) })
      // Whoever said it may be gone; whoever gets the lock works through the inbox.
      const left = inbox.some(({ type }) => type === 'input') && (!state?.run || state.run.endedAt !== undefined)
      if (left && !live.driving) this.#engine.conductor.nudge(live)
    }
    let behind: Promise<void> | undefined
    do {
      await behind
      await live.exclusive(enter)
    } while (behind)
  }

  #hears({ filter, runId }: Listener, event: AnyEvent) {
    return filter.has(event.kind) && (runId === undefined || runId === event.runId)
  }

  #unlisten(id: number) {
    const live = this.#listeners.get(id)?.live ?? this.#joining.get(id)
    this.#listeners.delete(id)
    this.#joining.delete(id)
    if (live) this.#engine.release(live)
  }
}

function checkKinds(kinds: unknown): asserts kinds is Interest['kinds'] {
  const unknown = Array.isArray(kinds) ? kinds.find((kind) => kind !== 'any' && !eventKinds.has(kind)) : kinds
  if (!Array.isArray(kinds) || unknown !== undefined)
    throw new AgentError('invalid-argument', `There is no event kind "${String(unknown)}".`)
}
