import type { AnyEvent } from '../events/kinds.ts'
import { mergeDeltas } from '../events/merge-deltas.ts'
import { partKey } from '../protocol/outbox.ts'
import { restOf } from './rest-of-message.ts'

/** Events after which they are merged: a long answer is kept as one delta per part. */
const mergedAt = 256

/** An answer that another runtime writes, or waits to ask for again: what it told of it so far, for those who join here. */
export class Mirror {
  #events: AnyEvent[] = []
  #messageId: string | undefined
  /** How far each part was told, by `partKey`: UTF-16 positions. */
  readonly #told = new Map<string, number>()

  /** What is under way, from its beginning. */
  get events(): readonly AnyEvent[] {
    return this.#events
  }

  take(event: AnyEvent) {
    if (event.kind === 'model-started') this.clear(event.messageId)
    if (event.kind === 'message-voided') return this.clear()
    if (event.kind === 'model-retried') {
      this.clear()
      this.#events.push(event)
      return
    }
    if (!('messageId' in event) || event.messageId !== this.#messageId) return
    this.#events.push(event)
    if (this.#events.length % mergedAt === 0) this.#events = mergeDeltas(this.#events)
    if ('start' in event) this.#told.set(partKey(event.messageId, event.partId), event.start + event.delta.length)
  }

  /** The rest of the texts of a message that was committed before all of it had been told. */
  rest(event: AnyEvent): readonly AnyEvent[] {
    if (event.kind !== 'assistant-message-committed' || event.message.id !== this.#messageId) return []
    return restOf(event, (key) => this.#told.get(key) ?? 0).map(({ delta }) => delta)
  }

  clear(messageId?: string) {
    this.#events = []
    this.#told.clear()
    this.#messageId = messageId
  }
}
