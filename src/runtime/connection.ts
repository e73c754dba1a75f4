import { AgentError, toAgentError, toWire } from '../errors.ts'
import { KindFilter, type Sink } from '../events/bus.ts'
import { type AnyEvent, type EventKind, eventKinds } from '../events/kinds.ts'
import { redactError } from '../model/redact.ts'
import { isInScope, type Scope } from '../protocol/in-scope.ts'
import type { Interest, PageHello, ToPage, ToRuntime } from '../protocol/messages.ts'
import type { Refill, Skipped } from '../protocol/outbox.ts'
import { deliver } from '../sessions/deliver.ts'
import type { Ancestor } from '../sessions/records.ts'
import type { Engine } from './engine.ts'
import { type LiveSession, namingOf } from './live-session.ts'
import { methods } from './methods.ts'
import { openEvents } from './open-events.ts'
import { refill } from './refill.ts'
import { snapshotOf } from './snapshot.ts'

export interface ConnectionOptions {
  /** Takes what is told, in order. It must not throw. */
  readonly post: (item: ToPage) => unknown
  /** Where the page is told too late of a session: resolves when it has been told. Else `undefined`. */
  readonly caughtUp?: (sessionId: string) => Promise<void> | undefined
  readonly page?: PageHello
  readonly setCredentials: (credentials: unknown) => void
}

interface Listener {
  readonly filter: KindFilter
  readonly scope: Scope
  readonly live: LiveSession | undefined
  /** Leaves the runs below, where it listens to these. */
  readonly leave?: () => void
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
  /** Listeners that are joining. */
  readonly #entering = new Set<Promise<void>>()
  #greeted = false

  constructor(engine: Engine, options: ConnectionOptions) {
    this.#engine = engine
    this.#options = options
    this.#disconnect = engine.env.bus.connect(this)
    const { page, post } = options
    this.pageId = page?.pageId
    if (!page) return
    if (typeof page.online === 'boolean') engine.online(page.online)
    engine.env.pages.add({ pageId: page.pageId, tools: new Set(page.tools), post })
  }

  /** All that the page said with its hello has been heard: once its listeners are in, the runtime goes on with its work. */
  async greeted(): Promise<void> {
    if (this.#greeted) return
    this.#greeted = true
    await Promise.allSettled(this.#entering)
    await this.#engine.greeted({ tools: (this.#options.page?.tools.length ?? 0) > 0 })
  }

  /** Takes a message of the page. It comes from another realm: nothing in it is taken for granted. */
  hear(message: ToRuntime): void {
    switch (message.type) {
      case 'call':
        void this.#call(message)
        return
      case 'listen': {
        const { id, interest } = message
        const entering = this.#listen(id, interest).catch((error) => {
          this.#options.post({ kind: '@joined', id, events: [], error: toWire(error) })
        })
        this.#entering.add(entering)
        void entering.finally(() => this.#entering.delete(entering))
        return
      }
      case 'unlisten':
        return this.#unlisten(message.id)
      case 'credentials':
        return this.#options.setCredentials(message.credentials)
      case 'focus':
        if (this.pageId !== undefined) this.#engine.env.pages.focus(this.pageId)
        return
      case 'online':
        return this.#engine.online(message.online === true)
      case 'page-tool-done':
        if (this.pageId !== undefined) this.#engine.env.pages.done(this.pageId, message, message.result)
    }
  }

  wants(kind: EventKind, sessionId: string, runId: string, ancestors?: readonly Ancestor[]): boolean {
    for (const { filter, scope } of this.#listeners.values())
      if (filter.has(kind) && isInScope(scope, { sessionId, runId, ...(ancestors && { ancestors }) })) return true
    return false
  }

  receive(event: AnyEvent): void {
    this.#options.post(event)
  }

  /** Tells again what a slow page was not told of a session. */
  refill(sessionId: string, skipped: Skipped, resume: Parameters<Refill>[2]): void {
    const wants = ({ kind, runId, ancestors }: AnyEvent) => this.wants(kind, sessionId, runId, ancestors)
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

  async #call({ id, method, params, again }: Extract<ToRuntime, { type: 'call' }>) {
    const { post } = this.#options
    try {
      // After a lost worker listeners hear what they missed before anything goes on.
      if (again) await Promise.allSettled(this.#entering)
      // A closed table: the name comes from the other side.
      const known = Object.hasOwn(methods, method) ? methods[method] : undefined
      if (!known) throw new AgentError('unknown-method', `There is no method "${String(method)}".`)
      const result = await known(this.#engine, params as never, this, again === true)
      post({ kind: '@answer', id, result })
    } catch (error) {
      // The worker that was lost had heard it.
      if (again && settledBefore.has(toWire(error).code)) return void post({ kind: '@answer', id, result: undefined })
      const refusal = redactError(toAgentError(error), this.#engine.env.credentials())
      post({ kind: '@refusal', id, error: toWire(refusal) })
    }
  }

  async #listen(id: number, interest: Interest) {
    const { sessionId, runId, kinds, since, window } = interest
    checkKinds(kinds)
    const descendants = interest.descendants === true
    if (descendants) checkDescendants(interest)
    const live = sessionId === undefined ? undefined : this.#engine.hold(sessionId)
    const scope = { ...defined({ sessionId, runId }), descendants }
    const leave = descendants ? { leave: this.#engine.descendants.watch(scope) } : undefined
    const listener: Listener = { filter: new KindFilter(kinds), scope, live, ...leave }
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
    const interrupted = first ? await this.#engine.isInterrupted(first) : false
    const enter = async () => {
      let state = window > 0 ? await env.store.readSession(live.id, { messages: window }) : undefined
      await this.#engine.follow(live)
      // Another runtime may have committed in between; its pace is that of turns, so that this ends.
      for (let tries = 0; window > 0 && (state?.session.seq ?? 0) !== live.seq && tries < 20; tries++) {
        state = await env.store.readSession(live.id, { messages: window })
        await this.#engine.follow(live)
      }
      const inbox = window > 0 ? (state?.inbox ?? (await env.store.readInbox(live.id))) : []
      const settings = state || window === 0 ? state?.settings : await env.store.readSettings(live.id)
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
      // Its owner may be somewhere else; if it is nowhere, it is gone on with here.
      if (state?.session.run?.status === 'running' && !live.driving && !interrupted) {
        live.runElsewhere = namingOf(state)
        this.#engine.neighbours.watch(live)
        this.#engine.attendance.attend(live.id)
      }
      const owner = this.#engine.neighbours.ownerOf(live)
      const standing = { interrupted, owner, settings }
      const snapshot = window > 0 ? snapshotOf(live.id, state, inbox, live, standing) : undefined
      post({ kind: '@joined', id, seq: live.seq, events, ...(snapshot ? { snapshot } : undefined) })
      // Whoever said it may be gone; whoever gets the lock works through the inbox.
      const left = inbox.some(({ type }) => type === 'input') && (!state?.run || state.run.endedAt !== undefined)
      // Who has just been told may have left at once, and the session with it.
      if (left && !live.driving) this.#engine.conductor.nudge(this.#engine.live(live.id))
    }
    let behind: Promise<void> | undefined
    do {
      await behind
      await live.exclusive(enter)
    } while (behind)
  }

  #hears({ filter, scope }: Listener, event: AnyEvent) {
    return filter.has(event.kind) && isInScope(scope, event)
  }

  #unlisten(id: number) {
    const listener = this.#listeners.get(id)
    const live = listener?.live ?? this.#joining.get(id)
    listener?.leave?.()
    this.#listeners.delete(id)
    this.#joining.delete(id)
    if (live) this.#engine.release(live)
  }
}

/** Errors that say that what is asked for again has been done. */
const settledBefore: ReadonlySet<string> = new Set(['unknown-tool', 'unknown-approval', 'duplicate-tool-output'])

function defined({ sessionId, runId }: Scope): Scope {
  return { ...(sessionId === undefined ? undefined : { sessionId }), ...(runId === undefined ? undefined : { runId }) }
}

function checkDescendants({ sessionId, runId, since, window }: Interest) {
  if (since !== undefined || window !== undefined)
    throw new AgentError(
      'invalid-argument',
      'on: `since` is of one session, and goes without `descendants`: listen twice.',
    )
  if (typeof (runId ?? sessionId) !== 'string')
    throw new AgentError('invalid-argument', 'on: `descendants` are those of a session or of a run.')
}

function checkKinds(kinds: unknown): asserts kinds is Interest['kinds'] {
  const unknown = Array.isArray(kinds) ? kinds.find((kind) => kind !== 'any' && !eventKinds.has(kind)) : kinds
  if (!Array.isArray(kinds) || unknown !== undefined)
    throw new AgentError('invalid-argument', `There is no event kind "${String(unknown)}".`)
}
