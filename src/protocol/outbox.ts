import type { AnyEvent } from '../events/kinds.ts'
import { isDurable } from '../events/kinds.ts'
import { mergeDeltas, sizeOf } from '../events/merge-deltas.ts'
import type { PortMessage, ToPage } from './messages.ts'
import { toWireItem } from './wire-items.ts'

const batchLength = 512
const unacknowledged = 2
/** Bytes of events that may wait for a page. */
const most = 1024 * 1024

/** What of a session's events was dropped, so that just this can be told later. */
export interface Skipped {
  /** The last durable event that was told. */
  since: number
  /** Where the telling of each part broke off, by `partKey`: a UTF-16 position. */
  readonly parts: Map<string, number>
}

export const partKey = (messageId: string, partId: string) => `${messageId} ${partId}`

export interface OutboxOptions {
  readonly post: (message: PortMessage) => void
  /** Schedules a macrotask. */
  readonly later: (task: () => void) => void
  /** Tells what was skipped of a session: `resume` is called with it, at a moment after which nothing is missed. */
  readonly refill: (sessionId: string, skipped: Skipped, resume: (events: readonly AnyEvent[]) => void) => void
}

/**
 * One ordered queue towards a page. A batch goes with the next macrotask, or at 512 items. While two batches are
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
  #sent = 0
  #acknowledged = 0
  readonly #skipped = new Map<string, Skipped>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  push(item: ToPage): void {
    if (isEvent(item) && this.#skip(item)) return
    this.#queue.push(item)
    if (isEvent(item)) this.#size += sizeOf(item)
    if (this.#queue.length >= batchLength) this.#flush()
    else this.#schedule()
  }

  acknowledge(n: number): void {
    if (n > this.#acknowledged && n <= this.#sent) this.#acknowledged = n
    for (const [sessionId, skipped] of this.#skipped) {
      this.#options.refill(sessionId, skipped, (events) => {
        if (this.#skipped.get(sessionId) !== skipped) return
        this.#skipped.delete(sessionId)
        for (const event of events) this.push(event)
      })
    }
    this.#flush()
  }

  #schedule() {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#options.later(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush() {
    if (this.#queue.length === 0) return
    if (this.#sent - this.#acknowledged >= unacknowledged) return this.#hold()
    const items = this.#queue.map(toWireItem)
    this.#queue = []
    this.#size = 0
    this.#merged = 0
    this.#options.post({ type: 'batch', n: ++this.#sent, items })
  }

  /** The page is slow: merges whenever the queue has doubled, so that each event is looked at a bounded number of times. */
  #hold() {
    if (this.#queue.length < Math.max(2 * this.#merged, batchLength)) {
      if (this.#size > most) this.#drop()
      return
    }
    this.#queue = mergeDeltas(this.#queue)
    this.#merged = this.#queue.length
    this.#size = this.#queue.reduce((size, item) => size + (isEvent(item) ? sizeOf(item) : 0), 0)
    if (this.#size > most) this.#drop()
  }

  #drop() {
    const queue = this.#queue
    this.#queue = []
    this.#size = 0
    this.#merged = 0
    for (const item of queue) {
      if (isEvent(item) && item.sessionId && item.kind !== 'run-released') this.#note(item)
      else this.#queue.push(item)
    }
  }

  /** While a session's events are being dropped, new ones join what was skipped. */
  #skip(event: AnyEvent): boolean {
    if (!this.#skipped.has(event.sessionId) || event.kind === 'run-released') return false
    this.#note(event)
    return true
  }

  #note(event: AnyEvent) {
    const since = isDurable(event.kind) ? event.seq - 1 : event.seq
    const skipped = this.#skipped.get(event.sessionId) ?? { since, parts: new Map<string, number>() }
    this.#skipped.set(event.sessionId, skipped)
    skipped.since = Math.min(skipped.since, since)
    if (!('partId' in event)) return
    const key = partKey(event.messageId, event.partId)
    const start = 'start' in event ? event.start : 0
    skipped.parts.set(key, Math.min(skipped.parts.get(key) ?? start, start))
  }
}

const isEvent = (item: ToPage): item is AnyEvent => !item.kind.startsWith('@')
