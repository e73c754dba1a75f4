import { toWire } from '../errors.ts'
import type { Sink } from '../events/bus.ts'
import type { AnyEvent, EventKind } from '../events/kinds.ts'
import { mergeDeltas } from '../events/merge-deltas.ts'
import type { RuntimeWord, Store } from '../sessions/store.ts'
import type { Engine } from './engine.ts'
import { heardLive, isTold } from './heard-live.ts'
import type { LiveSession } from './live-session.ts'
import { openEvents } from './open-events.ts'

/** Milliseconds between two batches of live events. */
const batchInterval = 16
/** Milliseconds between two looks at whether an owner still answers. */
const pulse = 1000
/** Looks without a sign of life after which an owner counts as not responding. */
const patience = 4

/** The run of a session that another runtime advances, and looks since that was last heard of. */
interface Watched {
  missed: number
}

type Live = Extract<RuntimeWord, { type: 'live' }>

/**
 * The other runtimes on the same store: tells them the live events of what happens here, for as long as somebody looks at
 * the session there, and tells the listeners here what they say. What is durable everybody reads from the store.
 */
export class Neighbours implements Sink {
  readonly #engine: Engine
  readonly #store: Store
  readonly #id: string
  /** Runtimes in which somebody looks at a session. */
  readonly #lookers = new Map<string, Set<string>>()
  /** Live events to be told, by session. */
  readonly #waiting = new Map<string, AnyEvent[]>()
  readonly #watched = new Map<LiveSession, Watched>()
  #batch: ReturnType<typeof setTimeout> | undefined
  #pulse: ReturnType<typeof setInterval> | undefined
  /** What is being published was told by a neighbour. */
  #repeating = false

  constructor(engine: Engine, id: string) {
    this.#engine = engine
    this.#store = engine.env.store
    this.#id = id
    engine.env.bus.connect(this)
  }

  wants(kind: EventKind, sessionId: string) {
    return !this.#repeating && isTold(kind) && this.#lookers.has(sessionId)
  }

  receive(event: AnyEvent) {
    const { sessionId } = event
    const events = this.#waiting.get(sessionId)
    if (events) events.push(event)
    else this.#waiting.set(sessionId, [event])
    this.#batch ??= setTimeout(() => this.#flushAll(), batchInterval)
  }

  /** Somebody here looks at the session from now on. */
  look({ id }: LiveSession) {
    this.#say({ type: 'listening', sessionId: id })
  }

  leave(live: LiveSession) {
    this.#say({ type: 'left', sessionId: live.id })
    this.#watched.delete(live)
    live.mirror.clear()
  }

  /** The session is advanced here from now on. */
  claimed(live: LiveSession, epoch: number) {
    this.#watched.delete(live)
    live.mirror.clear()
    live.epoch = epoch
    this.#say({ type: 'claimed', sessionId: live.id, epoch })
  }

  stranded(live: LiveSession) {
    this.#say({ type: 'stranded', sessionId: live.id })
  }

  /** Tells what waits of a session: before what is committed next. */
  flush(sessionId: string) {
    const events = this.#waiting.get(sessionId)
    if (!events) return
    this.#waiting.delete(sessionId)
    this.#tell(sessionId, mergeDeltas(events))
  }

  /** The owner of a session that is advanced elsewhere gave a sign of life; `going` says whether its run goes on. */
  heardOf(live: LiveSession, going: boolean) {
    const watched = this.#watched.get(live)
    if (!going || live.listeners === 0 || live.owned) {
      this.#watched.delete(live)
      return
    }
    if (watched && watched.missed >= patience) this.#publishOwner(live, 'elsewhere')
    this.#watched.set(live, { missed: 0 })
    if (this.#pulse) return
    this.#pulse = setInterval(() => this.#look(), pulse)
    // In Node a timer keeps the process alive.
    ;(this.#pulse as { unref?: () => void }).unref?.()
  }

  /** The session's run is advanced by somebody, and not here. */
  watch(live: LiveSession) {
    if (!this.#watched.has(live)) this.heardOf(live, true)
  }

  /** As a view shows it. */
  ownerOf(live: LiveSession): 'here' | 'elsewhere' | 'not-responding' {
    const watched = this.#watched.get(live)
    return !watched ? 'here' : watched.missed >= patience ? 'not-responding' : 'elsewhere'
  }

  hear(word: RuntimeWord) {
    const { sessionId, from } = word
    if (from === this.#id) return
    const live = this.#engine.known(sessionId)
    const lookers = this.#lookers.get(sessionId)
    switch (word.type) {
      case 'listening': {
        const isNew = !lookers?.has(from)
        if (lookers) lookers.add(from)
        else this.#lookers.set(sessionId, new Set([from]))
        if (live?.owned) this.#tell(sessionId, isNew ? openEvents(live) : [], isNew)
        else if (isNew && live && live.listeners > 0) this.look(live)
        return
      }
      case 'left':
        lookers?.delete(from)
        if (lookers?.size === 0) this.#lookers.delete(sessionId)
        return
      case 'claimed':
        if (!live || word.epoch <= live.epoch) return
        live.epoch = word.epoch
        live.mirror.clear()
        if (live.listeners === 0) return
        this.look(live)
        return this.heardOf(live, true)
      case 'live':
        if (live && live.listeners > 0) this.#hearLive(live, word)
    }
  }

  close() {
    clearTimeout(this.#batch)
    clearInterval(this.#pulse)
  }

  #hearLive(live: LiveSession, { epoch, events, opening }: Live) {
    if (epoch !== undefined) {
      if (live.owned) return
      // Whoever says this lost the session meanwhile.
      if (epoch < live.epoch) return
      live.epoch = epoch
      this.heardOf(live, true)
    }
    const publish = async () => {
      if (opening) live.mirror.clear()
      for (const said of events) {
        const event = heardLive(said, live.id)
        const isOfInput = event?.kind === 'input-queued' || event?.kind === 'input-withdrawn'
        // Of its run the owner knows more than anybody says.
        if (!event || (live.owned && !isOfInput)) continue
        if (event.seq > live.seq) await this.#engine.follow(live)
        // What is said to a session is told nowhere else.
        if (isOfInput) {
          this.#publish({ ...event, seq: live.seq })
          continue
        }
        // Told too late: what has been committed since says more.
        if (event.seq < live.seq) continue
        live.mirror.take(event)
        this.#publish(event)
      }
    }
    live.exclusive(publish).catch(() => {})
  }

  #publish(event: AnyEvent) {
    this.#repeating = true
    try {
      this.#engine.env.bus.publish(event)
    } finally {
      this.#repeating = false
    }
  }

  #publishOwner(live: LiveSession, owner: 'elsewhere' | 'not-responding') {
    this.#engine.publishOwner(live, owner).catch(() => {})
  }

  #look() {
    for (const [live, watched] of this.#watched) {
      watched.missed++
      if (watched.missed === patience) this.#publishOwner(live, 'not-responding')
      this.look(live)
    }
    if (this.#watched.size > 0) return
    clearInterval(this.#pulse)
    this.#pulse = undefined
  }

  #flushAll() {
    this.#batch = undefined
    for (const sessionId of [...this.#waiting.keys()]) this.flush(sessionId)
  }

  #tell(sessionId: string, events: readonly AnyEvent[], opening = false) {
    const owned = this.#engine.known(sessionId)
    const epoch = owned?.owned ? { epoch: owned.epoch } : undefined
    this.#say({ type: 'live', sessionId, events: events.map(toData), ...epoch, ...(opening ? { opening } : undefined) })
  }

  #say(word: Unsigned) {
    try {
      this.#store.announce({ ...word, from: this.#id } as RuntimeWord)
    } catch {
      // What can't be cloned is not told; a closed store tells nobody.
    }
  }
}

type Unsigned = RuntimeWord extends infer W ? (W extends unknown ? Omit<W, 'from'> : never) : never

const toData = (event: AnyEvent) => ('error' in event ? { ...event, error: toWire(event.error) } : event)
