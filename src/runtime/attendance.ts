import { macrotask } from '../events/macrotask.ts'
import { isSteering } from '../sessions/inbox.ts'
import type { InboxItem } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import { Alarms } from './alarms.ts'
import type { Engine } from './engine.ts'
import { isDue } from './waiting.ts'

/** Inputs older than this wait until somebody looks at their session. Milliseconds. */
const freshInput = 10 * 60_000
/** Attempts at finding out what there is to do. */
const mostFailures = 10
/** Milliseconds that whoever said something has to begin with it himself, as every runtime that is alive does. */
const grace = 1000

/**
 * Looks after sessions that nobody advances: what was interrupted goes on by its agent's rule, and what was said is heard,
 * in whichever open tab is the first to see that the owner has gone.
 */
export class Attendance {
  readonly #engine: Engine
  readonly #closing: AbortSignal
  /** Sessions whose owner's end is waited for. */
  readonly #watched = new Map<string, Promise<void>>()
  /** Sessions that their owner gave up since they can't be written: only a person goes on with them. */
  readonly #stranded = new Set<string>()
  readonly #alarms: Alarms
  #begun = false

  constructor(engine: Engine, closing: AbortSignal) {
    this.#engine = engine
    this.#closing = closing
    const { now, sleep } = engine.env
    this.#alarms = new Alarms({ now, sleep, closing, ring: (sessionId) => void this.#ring(sessionId) })
  }

  /** What the session's run waits for ends by itself at that time, if at all. */
  wakeAt(sessionId: string, time: number | undefined) {
    if (this.#begun) this.#alarms.set(sessionId, time)
  }

  /** A page is there: what it brings is in place, and what it was going to stop is stopped. */
  async begin(): Promise<void> {
    this.#begun = true
    for (let failures = 0; !this.#closing.aborted && failures < mostFailures; failures++) {
      try {
        return await this.#attendAll()
      } catch {
        // The store may be there again soon; whoever uses it is told that it is not.
        await this.#later()
      }
    }
  }

  async #attendAll() {
    const { store } = this.#engine.env
    const [runs, said] = await Promise.all([store.readActiveRuns(), store.readSaid()])
    for (const { sessionId, wakeAt } of runs) this.wakeAt(sessionId, wakeAt)
    for (const { sessionId } of [...runs, ...said]) this.attend(sessionId)
  }

  /** Waits until nobody owns the session, and goes on with it where there is something to do. */
  attend(sessionId: string): void {
    if (this.#watched.has(sessionId) || this.#closing.aborted) return
    const attended = this.#attend(sessionId)
      .catch(() => {})
      .finally(() => this.#watched.delete(sessionId))
    this.#watched.set(sessionId, attended)
  }

  /** Whoever is about to let go of the session may have looked at the time before: then it is looked at again. */
  async #ring(sessionId: string) {
    await this.#engine.known(sessionId)?.driving
    await this.#watched.get(sessionId)
    this.attend(sessionId)
  }

  strand(sessionId: string) {
    this.#stranded.add(sessionId)
  }

  unstrand(sessionId: string) {
    this.#stranded.delete(sessionId)
  }

  isStranded(sessionId: string) {
    return this.#stranded.has(sessionId)
  }

  async #attend(sessionId: string) {
    const { store } = this.#engine.env
    // Whoever said something begins with it himself.
    for (let waited = false; ; waited = true) {
      await (waited ? this.#later() : macrotask())
      if (this.#closing.aborted || this.#engine.known(sessionId)?.driving) return
      await store.whenFree(sessionId, { signal: this.#closing })
      const state = await store.readSession(sessionId, { messages: 0 })
      if (this.#closing.aborted || this.#engine.known(sessionId)?.driving || this.isStranded(sessionId)) return
      const { run } = state ?? {}
      const isInterrupted = run?.endedAt === undefined && run?.status === 'running'
      const { network, now } = this.#engine.env
      const isOnline = run?.waitingFor === 'offline' && !network.isOffline
      const isOver = run?.status === 'waiting' && (isOnline || isDue(run.wakeAt, now()))
      const isLeft = !isInterrupted && !isOver && (await this.#isLeft(sessionId, state))
      if (isInterrupted || isOver || (isLeft && waited))
        return this.#engine.conductor.nudge(this.#engine.live(sessionId))
      if (!isLeft) return
    }
  }

  /** Whether something was said that nobody has heard. */
  async #isLeft(sessionId: string, state: SessionState | undefined): Promise<boolean> {
    const { env } = this.#engine
    const inbox = state?.inbox ?? (await env.store.readInbox(sessionId))
    const { run } = state ?? {}
    if (run?.status === 'waiting')
      return inbox.some((item) => item.runId === run.runId || 'supersedes' in item || isSteering(item, run.runId))
    // Whoever started a run waits for it, however long that takes.
    const isFresh = (item: InboxItem) =>
      item.type === 'input' && (item.request.delegation !== undefined || env.now() - item.at < freshInput)
    return inbox.some((item) => item.type === 'resume' || isFresh(item))
  }

  #later() {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, grace)
      // In Node a timer keeps the process alive.
      ;(timer as { unref?: () => void }).unref?.()
    })
  }
}
