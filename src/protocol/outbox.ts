import type { AnyEvent } from '../events/kinds.ts'
import { isDurable } from '../events/kinds.ts'
import { mergeDeltas, sizeOf } from '../events/merge-deltas.ts'
import type { PortMessage, ToPage } from './messages.ts'
import { cloneable, toWireItem } from './wire-items.ts'

const batchLength = 512
const unacknowledged = 2
/** Milliseconds between batches that hold nothing but deltas. */
const deltaInterval = 16
/** Bytes of events that may wait for a page. */
const most = 1024 * 1024

/** What of a session's events was dropped, so that just this can be told later. */
export interface Skipped {
  /** The last durable event that was told. */
  readonly since: number
  /** Where the telling of each part broke off, by `partKey`: a UTF-16 position. */
  readonly parts: ReadonlyMap<string, number>
}

export const partKey = (messageId: string, partId: string) => `${messageId} ${partId}`

/**
 * Tells what was skipped of a session: `resume` is called with it, at a moment after which nothing is missed; with `rest`
 * where there is more.
 */
export type Refill = (
  sessionId: string,
  skipped: Skipped,
  resume: (events: readonly AnyEvent[], rest?: Skipped) => void,
) => void

export interface OutboxOptions {
  readonly post: (message: PortMessage) => void
  /** Schedules a macrotask, `delay` milliseconds from now. */
  readonly later: (task: () => void, delay: number) => void
  readonly refill: Refill
}

interface Dropped {
  since: number
  readonly parts: Map<string, number>
}

/**
 * One ordered queue towards a page. A batch goes with the next macrotask, or at 512 items; deltas alone wait until the last
 * one is 16 ms old: a page draws no faster, and each message costs it a task. While two batches are
 * unacknowledged nothing goes: deltas merge, and over 1 MiB events are dropped and told again from the store. So a slow
 * page sees fewer, longer deltas, memory stays bounded, and nothing is missed but what is live only and no part of a message.
 */
export class Outbox {
  readonly #options: OutboxOptions
  #queue: ToPage[] = []
  /** Bytes of the events in the queue, about. */
  #size = 0
  /** The queue's length after it was last merged. */
  #merged = 0
  #scheduled = false
  #deltasScheduled = false
  /** When the last batch went, in milliseconds of `performance.now()`. */
  #sentAt = Number.NEGATIVE_INFINITY
  #sent = 0
  #acknowledged = 0
  readonly #skipped = new Map<string, Dropped>()
  readonly #refilling = new Set<string>()
  /** What must not overtake the events that are to be told again. */
  #afterwards: ToPage[] = []
  readonly #caughtUp = new Map<string, (() => void)[]>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  push(item: ToPage): void {
    if (this.#waitsForRefill(item)) return void this.#afterwards.push(item)
    if (canBeReadAgain(item)) {
      if (this.#skipped.has(item.sessionId)) return this.#note(item)
      this.#size += sizeOf(item)
    }
    this.#queue.push(item)
    if (this.#queue.length >= batchLength) this.#flush()
    else this.#schedule(item)
  }

  acknowledge(n: number): void {
    const held = this.#isHeld
    if (n > this.#acknowledged && n <= this.#sent) this.#acknowledged = n
    for (const [sessionId, dropped] of this.#skipped) {
      if (this.#refilling.has(sessionId)) continue
      this.#refilling.add(sessionId)
      this.#options.refill(sessionId, dropped, (events, rest) => this.#resume(sessionId, events, rest))
    }
    if (held) this.#flush()
  }

  /** Where events of the session are being left out: resolves when they have been told. Else `undefined`. */
  caughtUp(sessionId: string): Promise<void> | undefined {
    if (!this.#skipped.has(sessionId)) return undefined
    return new Promise((resolve) => {
      const waiting = this.#caughtUp.get(sessionId) ?? []
      this.#caughtUp.set(sessionId, [...waiting, resolve])
    })
  }

  #resume(sessionId: string, events: readonly AnyEvent[], rest: Skipped | undefined) {
    this.#refilling.delete(sessionId)
    this.#skipped.delete(sessionId)
    for (const event of events) this.push(event)
    if (rest) this.#noteRest(sessionId, rest)
    if (this.#skipped.has(sessionId)) return
    for (const resolve of this.#caughtUp.get(sessionId) ?? []) resolve()
    this.#caughtUp.delete(sessionId)
    for (const item of this.#afterwards.splice(0)) this.push(item)
  }

  get #isHeld() {
    return this.#sent - this.#acknowledged >= unacknowledged
  }

  #schedule(item: ToPage) {
    if (this.#scheduled || ('delta' in item && this.#deltasScheduled)) return
    const delay = 'delta' in item ? this.#sentAt + deltaInterval - performance.now() : 0
    if (delay > 0) {
      this.#deltasScheduled = true
      this.#options.later(() => {
        this.#deltasScheduled = false
        this.#flush()
      }, delay)
      return
    }
    this.#scheduled = true
    this.#options.later(() => {
      this.#scheduled = false
      this.#flush()
    }, 0)
  }

  #flush() {
    if (this.#queue.length === 0) return
    if (this.#isHeld) return this.#hold()
    const items = this.#queue.map(toWireItem)
    this.#queue = []
    this.#size = 0
    this.#merged = 0
    this.#sentAt = performance.now()
    const n = ++this.#sent
    try {
      this.#options.post({ type: 'batch', n, items })
    } catch {
      this.#options.post({ type: 'batch', n, items: cloneable(items) })
    }
  }

  /** The page is slow: merges whenever the queue has doubled, so that each event is looked at a bounded number of times. */
  #hold() {
    if (this.#queue.length < Math.max(2 * this.#merged, batchLength)) {
      if (this.#size > most) this.#drop()
      return
    }
    this.#queue = mergeDeltas(this.#queue)
    this.#merged = this.#queue.length
    this.#size = sizeOfEvents(this.#queue)
    if (this.#size > most) this.#drop()
  }

  /** Drops events, but for those before a `@joined`: what it says follows on from them. */
  #drop() {
    const dropped = this.#queue.splice(this.#queue.findLastIndex(({ kind }) => kind === '@joined') + 1)
    this.#size = sizeOfEvents(this.#queue)
    this.#merged = this.#queue.length
    const kept = dropped.filter((item) => {
      if (!canBeReadAgain(item)) return true
      this.#note(item)
      return false
    })
    // Other sessions' events may go on; what stands for itself must not overtake those that were dropped.
    for (const item of kept) (this.#waitsForRefill(item) ? this.#afterwards : this.#queue).push(item)
  }

  #waitsForRefill(item: ToPage): boolean {
    if (this.#skipped.size === 0 || item.kind === '@joined') return false
    return isEvent(item) ? this.#skipped.has(item.sessionId) && !canBeReadAgain(item) : true
  }

  #note(event: AnyEvent) {
    const since = isDurable(event.kind) ? event.seq - 1 : event.seq
    const dropped = this.#skipped.get(event.sessionId) ?? { since, parts: new Map<string, number>() }
    this.#skipped.set(event.sessionId, dropped)
    dropped.since = Math.min(dropped.since, since)
    if (!('partId' in event)) return
    const key = partKey(event.messageId, event.partId)
    const start = 'start' in event ? event.start : 0
    dropped.parts.set(key, Math.min(dropped.parts.get(key) ?? start, start))
  }

  /** What was dropped of this refill comes first; where parts broke off is known better from it. */
  #noteRest(sessionId: string, { since, parts }: Skipped) {
    const again = this.#skipped.get(sessionId)
    this.#skipped.set(sessionId, {
      since: Math.min(again?.since ?? since, since),
      parts: new Map([...parts, ...(again?.parts ?? [])]),
    })
  }
}

const isEvent = (item: ToPage): item is AnyEvent => !item.kind.startsWith('@')

/** Live events that say of a session what no other event repeats. They are few. */
const kept: ReadonlySet<string> = new Set([
  'run-released',
  'owner-changed',
  'input-queued',
  'input-withdrawn',
  'session-created',
  'session-updated',
  'session-deleted',
])

const canBeReadAgain = (item: ToPage): item is AnyEvent => isEvent(item) && !kept.has(item.kind)

const sizeOfEvents = (items: readonly ToPage[]) =>
  items.reduce((size, item) => size + (canBeReadAgain(item) ? sizeOf(item) : 0), 0)
