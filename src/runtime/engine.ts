import { AgentError, report, toAgentError } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import { isEnd } from '../events/kinds.ts'
import { deliver } from '../sessions/deliver.ts'
import type { Said, SessionRecord } from '../sessions/records.ts'
import type { SessionState, StoreChange } from '../sessions/store.ts'
import { Attendance } from './attendance.ts'
import { Conductor } from './conductor.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { Descendants } from './descendants.ts'
import type { Environment } from './environment.ts'
import { LiveSession, namingOf } from './live-session.ts'
import { agentOrStandIn } from './load-run.ts'
import { Neighbours } from './neighbours.ts'
import { RequestedChildren } from './requested-children.ts'
import { verdictOn } from './resume.ts'
import type { Run } from './run.ts'
import { messagesOf, Settlements } from './settlements.ts'

/** The runtime behind its connections: the sessions in use, who advances them, and what other runtimes write to the store. */
export class Engine {
  readonly env: Environment
  readonly settlements = new Settlements()
  readonly conductor: Conductor
  readonly attendance: Attendance
  readonly neighbours: Neighbours
  readonly descendants: Descendants
  readonly requested: RequestedChildren
  /** Callers wait for this, where there is something to close. */
  closed = false

  /** Runs whose input is being written, with the stop or abort that somebody said meanwhile. */
  readonly starting = new Map<string, Said | undefined>()

  /** Aborts the hooks that an input is given to before it is written. */
  readonly preparing = new Map<string, AbortController>()

  readonly #writing = new Map<string, Promise<unknown>>()
  readonly #sessions = new Map<string, LiveSession>()
  readonly #connections = new Set<Connection>()
  #unwatch: (() => void) | undefined
  #begun = false

  constructor(env: Environment) {
    this.env = env
    this.conductor = new Conductor(env, this.settlements, {
      onIdle: () => this.#prune(),
      follow: (live) => this.follow(live),
      isStarting: (runId) => this.starting.has(runId),
      isRequested: (runId) => this.requested.has(runId),
      claimed: (live, { epoch }) => this.neighbours.claimed(live, epoch),
      stranded: {
        has: ({ id }) => this.attendance.isStranded(id),
        add: (live) => this.#strand(live),
        delete: ({ id }) => this.attendance.unstrand(id),
      },
    })
    this.attendance = new Attendance(this, this.conductor.closing)
    this.neighbours = new Neighbours(this, env.newId())
    this.descendants = new Descendants(this)
    this.requested = new RequestedChildren(this)
    env.bus.connect({
      wants: (kind) => kind === 'input-delivered',
      receive: (event) => event.kind === 'input-delivered' && this.settlements.move(event.inputId, event.runId),
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
    const live = new LiveSession(id, () => this.neighbours.flush(id))
    this.#sessions.set(id, live)
    return live
  }

  /** The session, where it is in use. */
  known(id: string): LiveSession | undefined {
    return this.#sessions.get(id)
  }

  /** The runs below a run that are advanced here now. */
  runsBelow(runId: string): readonly Run[] {
    return [...this.#sessions.values()].flatMap(({ run }) =>
      run?.record.ancestors?.some((above) => above.runId === runId) ? run : [],
    )
  }

  /** Forgets sessions that nobody uses. */
  #prune() {
    for (const [id, live] of this.#sessions)
      if (!live.driving && live.listeners === 0 && this.settlements.runsOf(id).length === 0) this.#sessions.delete(id)
  }

  /** Somebody here listens to the session, or waits for its run. */
  hold(id: string): LiveSession {
    const live = this.live(id)
    if (live.listeners++ === 0) this.neighbours.look(live)
    return live
  }

  /** A listener has left the session. */
  release(live: LiveSession) {
    live.listeners--
    if (live.listeners === 0) this.neighbours.leave(live)
    this.#prune()
  }

  /**
   * A page is there, with its credentials, tools and listeners, and has said what it had to say. What was left by those who
   * are gone is taken up with the first one; with each one that has tools, what may have waited for them.
   */
  async greeted({ tools }: { readonly tools: boolean }): Promise<void> {
    if (this.closed) return
    // From here on what others do is heard.
    this.#unwatch ??= this.env.store.watch((change) => this.#changed(change))
    if (!this.#begun) {
      this.#begun = true
      await this.attendance.begin()
    }
    if (!tools) return
    for (const run of await this.env.store.readActiveRuns()) {
      if (run.status === 'waiting') this.conductor.nudge(this.live(run.sessionId))
    }
  }

  /** A page says whether the browser has a network: what waits for one goes on at once. */
  online(online: boolean): void {
    this.env.network.hear(online)
    // What others wait for is theirs to go on with where nobody is here yet.
    if (!online || !this.#begun) return
    const goOn = async () => {
      for (const run of await this.env.store.readActiveRuns())
        if (run.waitingFor === 'offline') this.conductor.nudge(this.live(run.sessionId))
    }
    goOn().catch(reportUnlessClosed)
  }

  #strand(live: LiveSession) {
    this.attendance.strand(live.id)
    this.neighbours.stranded(live)
  }

  /** Whoever commits events of a run advances it; one that waits is nobody's. */
  #noteOwner(live: LiveSession, event: AnyEvent) {
    if (live.owned || !event.runId) return
    const { runId, agent, turn } = event
    live.runElsewhere = isEnd(event.kind) ? undefined : { runId, agent, turn }
    if (isEnd(event.kind)) return
    if (event.kind === 'run-waiting') live.owner = 'here'
    else if (event.kind === 'run-started' || live.owner === 'here') {
      live.owner = 'elsewhere'
      this.env.bus.publish(elsewhere(event))
    }
  }

  /** Tells listeners who advances the session's run. */
  async publishOwner(live: LiveSession, owner: 'elsewhere' | 'not-responding'): Promise<void> {
    const naming = live.runElsewhere ?? namingOf(await this.env.store.readSession(live.id, { messages: 0 }))
    if (!naming) return
    live.owner = owner
    const event = sessionEvent('owner-changed', live.id, this.env.now())
    this.env.bus.publish({ ...event, ...naming, seq: live.seq, owner } as AnyEvent)
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
        for (const rest of live.mirror.rest(event)) bus.publish(rest)
        if (event.kind !== 'tool-execution-started') live.mirror.clear()
        bus.publish(event)
        this.#noteOwner(live, event)
        if (isEnd(event.kind) && this.settlements.has(event.runId)) void this.#settle(event.runId)
      }
      if (page.end) return
    }
  }

  async #settle(runId: string) {
    try {
      const record = await this.env.store.readRun(runId)
      // It may have been resumed since.
      if (record?.endedAt === undefined) return
      this.settlements.settle(record, await messagesOf(this.env.store, record))
    } catch (error) {
      this.settlements.reject(runId, toAgentError(error))
    }
  }

  /** Whether a session's active run has lost its owner, and does not go on by itself. */
  async isInterrupted({ session, run, draft }: SessionState): Promise<boolean> {
    const { id } = session
    if (session.run?.interruptedAt !== undefined) return true
    if (session.run?.status !== 'running') return false
    if (this.attendance.isStranded(id)) return true
    if (this.#sessions.get(id)?.driving || !(await this.env.store.isFree(id))) return false
    if (!run) return true
    return verdictOn(agentOrStandIn(this.env, run.agent), run, draft, this.env.now()) !== 'resume'
  }

  #changed(change: StoreChange) {
    const live = this.#sessions.get(change.sessionId)
    switch (change.type) {
      case 'committed':
        this.attendance.wakeAt(change.sessionId, change.wakeAt)
        if (live?.owned) return
        this.attendance.unstrand(change.sessionId)
        if (live) {
          live.exclusive(() => this.follow(live)).catch(reportUnlessClosed)
          this.neighbours.heardOf(live, change.status === 'running')
        }
        if (change.status === 'running') this.attendance.attend(change.sessionId)
        return this.#tellSession(change.sessionId, 'session-updated')
      case 'said':
        if (live?.run) this.conductor.nudge(live)
        else this.attendance.attend(change.sessionId)
        return
      case 'stranded':
        this.attendance.strand(change.sessionId)
        return
      case 'claimed':
      case 'listening':
      case 'left':
      case 'live':
        return this.neighbours.hear(change)
      case 'settings':
        live?.settings.changed()
        return this.#tellSession(change.sessionId, 'session-updated')
      case 'grants':
        return this.#tellSession(change.sessionId, 'session-updated')
      case 'deleted':
        this.attendance.wakeAt(change.sessionId, undefined)
        this.attendance.unstrand(change.sessionId)
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
      .then(async (state) => {
        const settings = state ? state.settings : await this.env.store.readSettings(sessionId)
        if (!state && !settings) return
        const { title = state?.session.title, model } = settings ?? {}
        const payload = { ...(title !== undefined && { title }), ...(model !== undefined && { model }) }
        this.env.bus.publish(sessionEvent(kind, sessionId, this.env.now(), state?.session, payload))
      })
      .catch(reportUnlessClosed)
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.#unwatch?.()
    this.neighbours.close()
    await this.conductor.close()
    for (const connection of [...this.#connections]) connection.close()
    await this.env.sources.close()
    if (this.env.ownsStore) await this.env.store.close()
  }
}

/** What comes after the closing of the store is nobody's. */
const reportUnlessClosed = (error: unknown) => {
  if (toAgentError(error).code !== 'closed') report(error)
}

/** Told right after a run that another runtime began. */
const elsewhere = ({ kind: _, ...event }: AnyEvent) =>
  ({ ...event, kind: 'owner-changed', owner: 'elsewhere' }) as AnyEvent

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
