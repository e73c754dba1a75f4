import type { AnyEvent } from '../events/kinds.ts'
import { sizeOf } from '../events/merge-deltas.ts'
import { partKey, type Refill, type Skipped } from '../protocol/outbox.ts'
import { deliver } from '../sessions/deliver.ts'
import type { Engine } from './engine.ts'
import { openEvents } from './open-events.ts'
import { type BrokenOff, restOf } from './rest-of-message.ts'

/** Bytes that are told again at once; the rest follows when the page has taken them. */
const atOnce = 512 * 1024

/**
 * Reads again what a slow page was not told of a session: durable events from the store, the rest of each text that broke
 * off, and what is under way. Calls `resume` at a moment at which nothing can fall between.
 */
export async function refill(
  engine: Engine,
  sessionId: string,
  skipped: Skipped,
  wants: (event: AnyEvent) => boolean,
  resume: Parameters<Refill>[2],
) {
  const live = engine.hold(sessionId)
  const events: AnyEvent[] = []
  let size = 0
  const tell = (event: AnyEvent | undefined) => {
    if (!event || !wants(event)) return
    events.push(event)
    size += sizeOf(event)
  }
  let { since } = skipped
  const told = new Set<string>()
  /** Where the telling of a part broke off; more may break off while this is being read. */
  const brokenOff = (key: string) => (told.has(key) ? undefined : skipped.parts.get(key))
  const readOn = async () => {
    // What another runtime has committed is told here, and not again when it is followed.
    await engine.follow(live)
    while (since < live.seq) {
      if (size > atOnce) return resume(events, { since, parts: without(skipped.parts, told) })
      const page = await engine.env.store.readEvents(sessionId, { since })
      for (const event of deliver(page, sessionId)) {
        if (event.seq > live.seq || size > atOnce) break
        since = event.seq
        if (event.kind === 'assistant-message-committed') {
          for (const { key, delta } of restOf(event, brokenOff)) {
            told.add(key)
            tell(delta)
          }
        }
        tell(event)
      }
      if (page.events.length === 0) break
    }
    // From here nothing is awaited.
    for (const event of openEvents(live)) tell(unsaid(event, brokenOff))
    resume(events)
  }
  await live.exclusive(readOn).finally(() => engine.release(live))
}

/** What of an open message's event the page was not told. */
function unsaid(event: AnyEvent, brokenOff: BrokenOff): AnyEvent | undefined {
  if (!('partId' in event)) return event
  const start = brokenOff(partKey(event.messageId, event.partId))
  if (start === undefined) return undefined
  return 'start' in event ? { ...event, start, delta: event.delta.slice(start) } : event
}

const without = (parts: Skipped['parts'], told: ReadonlySet<string>) =>
  new Map([...parts].filter(([key]) => !told.has(key)))
