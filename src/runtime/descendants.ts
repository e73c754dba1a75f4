import type { Sink } from '../events/bus.ts'
import { type AnyEvent, type EventKind, isEnd } from '../events/kinds.ts'
import { isInScope, type Scope } from '../protocol/in-scope.ts'
import type { ChildRecord, RunRecord } from '../sessions/records.ts'
import type { Engine } from './engine.ts'
import { inBatches } from './in-batches.ts'
import type { LiveSession } from './live-session.ts'

/** Sessions under one that are looked at for runs that may go on. */
const mostUnder = 500

/** Those who listen to runs below others: their sessions are held for as long as they may go on. */
interface Watch {
  readonly scope: Scope
  readonly held: Map<string, LiveSession>
  /** Resolves once all is followed that was known so far. */
  following: Promise<unknown>
  /** Ends the waiting for a run that nobody knows yet. */
  unwait?: () => void
}

/** Has the events of delegated runs be told here for those who listen to the runs above, whichever runtime advances them. */
export class Descendants implements Sink {
  readonly #engine: Engine
  readonly #watches = new Set<Watch>()

  constructor(engine: Engine) {
    this.#engine = engine
    engine.env.bus.connect(this)
  }

  /** Returns its undo. */
  watch(scope: Scope): () => void {
    const watch: Watch = { scope, held: new Map(), following: Promise.resolve() }
    this.#watches.add(watch)
    this.#follow(watch, this.#begin(watch))
    return () => {
      this.#watches.delete(watch)
      watch.unwait?.()
      for (const live of watch.held.values()) this.#engine.release(live)
      watch.held.clear()
    }
  }

  /**
   * Resolves once those who listen below a run are told all that is committed from then on: whoever reads the store
   * afterwards has missed nothing.
   */
  async followed(runId: string): Promise<void> {
    const watches = [...this.#watches].filter(({ scope }) => scope.runId === runId)
    await Promise.all(watches.map(({ following }) => following))
  }

  wants(kind: EventKind) {
    return this.#watches.size > 0 && (kind === 'delegation-started' || isEnd(kind))
  }

  receive(event: AnyEvent) {
    for (const watch of this.#watches) {
      if (!isInScope(watch.scope, event)) continue
      if (event.kind === 'delegation-started')
        // Told from its beginning: its owner may have been faster.
        this.#follow(watch, this.#hold(watch, event.childSessionId, event.resumed ? undefined : 0))
      // One that stopped may go on.
      else if (event.kind !== 'run-stopped' && event.runId !== watch.scope.runId) this.#leave(watch, event.sessionId)
    }
  }

  /** What goes on already when somebody begins to listen. */
  async #begin(watch: Watch) {
    const { env } = this.#engine
    const { runId } = watch.scope
    const record = runId === undefined ? undefined : await env.store.readRun(runId)
    const sessionId = watch.scope.sessionId ?? record?.sessionId ?? this.#engine.settlements.sessionOf(runId ?? '')
    if (sessionId === undefined) return this.#await(watch, runId as string)
    // A run that is looked up is known by its id alone.
    if (watch.scope.sessionId === undefined) await this.#hold(watch, sessionId)
    const state = record ? undefined : await env.store.readSession(sessionId, { messages: 0 })
    await this.#holdBelow(watch, sessionId, record ?? state?.run)
  }

  /** A run that begins later, in another runtime. */
  #await(watch: Watch, runId: string) {
    if (!this.#watches.has(watch)) return
    const { store } = this.#engine.env
    const look = async () => {
      const record = await store.readRun(runId)
      if (!record || !watch.unwait) return
      watch.unwait()
      delete watch.unwait
      const state = await store.readSession(record.sessionId, { messages: 0 })
      // Its last event is told: whoever waits for the run learns that it is there.
      const hold = async () => {
        await this.#hold(watch, record.sessionId, Math.max(0, (state?.session.seq ?? 0) - 1))
        await this.#holdBelow(watch, record.sessionId, record)
      }
      this.#follow(watch, hold())
    }
    watch.unwait = store.watch(({ type }) => {
      if (type === 'committed') look().catch(() => {})
    })
    // It may have begun just now.
    look().catch(() => {})
  }

  #follow(watch: Watch, task: Promise<void>) {
    watch.following = Promise.all([watch.following, task.catch(() => {})])
  }

  /** Holds a session before it looks for what that has started: what begins in between is told. */
  async #holdBelow(watch: Watch, sessionId: string, run: RunRecord | undefined) {
    const { store } = this.#engine.env
    const children = run ? await store.readChildren(run.runId) : []
    await inBatches(children.filter(mayGoOn), (child) => this.#hold(watch, child.sessionId))
    const under = await store.listSessions({ parent: sessionId, limit: mostUnder })
    await inBatches(under, async ({ session: { id, ancestors, run: latest } }) => {
      if (!latest || !isInScope(watch.scope, { sessionId: id, runId: latest.runId, ...(ancestors && { ancestors }) }))
        return
      if (['running', 'waiting', 'stopped'].includes(latest.status)) await this.#hold(watch, id)
      await this.#holdBelow(watch, id, await store.readRun(latest.runId))
    })
  }

  /** `since`: where to begin with one of which nothing was told yet. */
  async #hold(watch: Watch, sessionId: string, since?: number): Promise<void> {
    const engine = this.#engine
    if (!this.#watches.has(watch) || watch.held.has(sessionId)) return
    const live = engine.hold(sessionId)
    watch.held.set(sessionId, live)
    if (live.known) return
    if (since !== undefined) {
      live.known = true
      live.seq = since
    }
    await live.exclusive(() => engine.follow(live))
  }

  #leave(watch: Watch, sessionId: string) {
    const live = watch.held.get(sessionId)
    if (!live) return
    watch.held.delete(sessionId)
    // What is told of its end reaches all who listen first.
    queueMicrotask(() => this.#engine.release(live))
  }
}

const mayGoOn = ({ status }: ChildRecord) => status === 'queued' || status === 'running' || status === 'stopped'
