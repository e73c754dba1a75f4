import { AgentError, report, toAgentError } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import { isEnd } from '../events/kinds.ts'
import { deliver } from '../sessions/deliver.ts'
import type { SessionRecord } from '../sessions/records.ts'
import type { SessionState, StoreChange } from '../sessions/store.ts'
import { Conductor } from './conductor.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import type { Environment } from './environment.ts'
import { LiveSession } from './live-session.ts'
import { Settlements } from './settlements.ts'

/** The runtime behind its connections: the sessions in use, who advances them, and what other runtimes write to the store. */
export class Engine {
  readonly env: Environment
  readonly settlements = new Settlements()
  readonly conductor: Conductor
  /** Callers wait for this, where there is something to close. */
  closed = false

  /** Runs whose input is being written; true once somebody gave them up. */
  readonly starting = new Map<string, boolean>()

  readonly #writing = new Map<string, Promise<unknown>>()
  readonly #sessions = new Map<string, LiveSession>()
  readonly #connections = new Set<Connection>()
  readonly #probes = new Map<string, Promise<boolean>>()
  #unwatch: (() => void) | undefined

  constructor(env: Environment) {
    this.env = env
    this.conductor = new Conductor(env, this.settlements, {
      onIdle: () => this.#prune(),
      follow: (live) => this.follow(live),
      isStarting: (runId) => this.starting.has(runId),
    })
  }

  connect(options: ConnectionOptions): Connection {
    const connection = new Connection(this, options)
    this.#connections.add(connection)
    return connection
  }

  disconnected(connection: Connection) {
    this.#connections.delete(connection)
  }

  /** Resolves once no session is advanced here, and no input is being written. */
  async whenIdle(): Promise<void> {
    do {
      await Promise.all(this.#writing.values())
      await this.conductor.whenIdle()
    } while (this.#writing.size > 0)
  }

  /** Runs one at a time, in order, what writes to a session's inbox. */
  inOrder<T>(sessionId: string, task: () => Promise<T>): Promise<T> {
    const result = (this.#writing.get(sessionId) ?? Promise.resolve()).then(task)
    const tail = result
      .catch(() => {})
      .then(() => {
        if (this.#writing.get(sessionId) === tail) this.#writing.delete(sessionId)
      })
    this.#writing.set(sessionId, tail)
    return result
  }

  /** The session as one in use. It is forgotten once it is neither driven nor listened to: don't keep it over an `await`. */
  live(id: string): LiveSession {
    // Nothing is opened before the first use.
    this.#unwatch ??= this.env.store.watch((change) => this.#changed(change))
    const known = this.#sessions.get(id)
    if (known) return known
    const live = new LiveSession(id)
    this.#sessions.set(id, live)
    return live
  }

  /** Forgets sessions that nobody uses. */
  #prune() {
    for (const [id, live] of this.#sessions) if (!live.driving && live.listeners === 0) this.#sessions.delete(id)
  }

  /** A listener has left the session. */
  release(live: LiveSession) {
    live.listeners--
    this.#prune()
  }

  /** Nudges the waiting runs: a page has come that may carry out what they wait for. */
  async takeUpWaiting(): Promise<void> {
    for (const run of await this.env.store.readActiveRuns()) {
      if (run.status === 'waiting') this.conductor.nudge(this.live(run.sessionId))
    }
  }

  /**
   * Tells listeners what another runtime committed. Within `live.exclusive` only. Resolves with the session's record, in
   * step with `live.seq`.
   */
  async follow(live: LiveSession): Promise<void> {
    const { store, bus } = this.env
    if (!live.known) {
      live.seq = (await store.readSession(live.id, { messages: 0 }))?.session.seq ?? 0
      live.known = true
      return
    }
    for (;;) {
      const page = await store.readEvents(live.id, { since: live.seq })
      for (const event of deliver(page, live.id)) {
        live.seq = event.seq
        bus.publish(event)
        if (isEnd(event.kind) && this.settlements.has(event.runId)) void this.#settle(live.id, event.runId)
      }
      if (page.end) return
    }
  }

  async #settle(sessionId: string, runId: string) {
    try {
      const record = await this.env.store.readRun(runId)
      if (!record) return
      this.settlements.settle(record, await this.env.store.readMessages(sessionId, { from: record.firstIndex }))
    } catch (error) {
      this.settlements.reject(runId, toAgentError(error))
    }
  }

  /** Whether a session's active run has lost its owner. Asks for the lock: what browsers say of locks can't be trusted. */
  async isAbandoned({ session }: SessionState): Promise<boolean> {
    if (session.run?.status !== 'running' || this.#sessions.get(session.id)?.driving) return false
    // Two that ask at once would take each other for the owner.
    const asked = this.#probes.get(session.id) ?? this.#probe(session.id)
    this.#probes.set(session.id, asked)
    return asked
  }

  async #probe(sessionId: string): Promise<boolean> {
    try {
      const claim = await this.env.store.claim(sessionId, { ifAvailable: true })
      claim?.release()
      return claim !== undefined
    } finally {
      this.#probes.delete(sessionId)
    }
  }

  #changed(change: StoreChange) {
    const live = this.#sessions.get(change.sessionId)
    switch (change.type) {
      case 'committed':
        if (live?.owned) return
        if (live) live.exclusive(() => this.follow(live)).catch(report)
        return this.#tellSession(change.sessionId, 'session-updated')
      case 'said':
        if (live?.run) this.conductor.nudge(live)
        return
      case 'settings':
        return this.#tellSession(change.sessionId, 'session-updated')
      case 'deleted':
        live?.run?.end({ kind: 'run-cancelled', reason: 'aborted' })
        if (live) {
          // From here on every event is new.
          live.known = true
          live.seq = 0
        }
        this.settlements.refuse(
          change.sessionId,
          new AgentError('unknown-session', `The session "${change.sessionId}" was deleted.`),
        )
        return this.#tellSession(change.sessionId, 'session-deleted')
    }
  }

  #tellSession(sessionId: string, kind: 'session-updated' | 'session-deleted') {
    if (kind === 'session-deleted') return this.env.bus.publish(sessionEvent(kind, sessionId, this.env.now()))
    this.env.store
      .readSession(sessionId, { messages: 0 })
      .then((state) => {
        if (!state) return
        const title = state.settings?.title ?? state.session.title
        this.env.bus.publish(sessionEvent(kind, sessionId, this.env.now(), state.session, { title }))
      })
      .catch(report)
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.#unwatch?.()
    await this.conductor.close()
    for (const connection of [...this.#connections]) connection.close()
    if (this.env.ownsStore) await this.env.store.close()
  }
}

const sessionEvent = (
  kind: AnyEvent['kind'],
  sessionId: string,
  at: number,
  session?: SessionRecord,
  payload?: object,
) =>
  ({
    kind,
    seq: session?.seq ?? 0,
    at,
    sessionId,
    runId: '',
    agent: session?.agent ?? '',
    turn: session?.turn ?? 0,
    ...payload,
  }) as AnyEvent
