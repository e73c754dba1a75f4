import type { AnyEvent } from '../events/kinds.ts'
import { partKey, type Skipped } from '../protocol/outbox.ts'
import { deliver } from '../sessions/deliver.ts'
import type { Engine } from './engine.ts'
import { openEvents } from './open-events.ts'

/**
 * Reads again what a slow page was not told of a session: durable events from the store, the rest of each text that broke
 * off, and what is under way. Calls `resume` at a moment at which nothing can fall between.
 */
export async function refill(
  engine: Engine,
  sessionId: string,
  skipped: Skipped,
  resume: (events: readonly AnyEvent[]) => void,
) {
  const live = engine.live(sessionId)
  await live.exclusive(async () => {
    const events: AnyEvent[] = []
    for (let end = false, since = skipped.since; !end; ) {
      const page = await engine.env.store.readEvents(sessionId, { since })
      for (const event of deliver(page, sessionId)) {
        since = event.seq
        if (event.kind === 'assistant-message-committed') events.push(...restOf(event, skipped))
        events.push(event)
      }
      end = page.end
    }
    // From here nothing is awaited.
    for (const event of openEvents(live)) {
      const rest = unsaid(event, skipped)
      if (rest) events.push(rest)
    }
    resume(events)
  })
}

/** The texts of a committed message from where their telling broke off, each as one delta. */
function restOf(event: Extract<AnyEvent, { kind: 'assistant-message-committed' }>, { parts }: Skipped): AnyEvent[] {
  const { message, kind: _, ...envelope } = event
  return message.parts.flatMap((part, index) => {
    const partId = String(index)
    const start = parts.get(partKey(message.id, partId))
    if (start === undefined || (part.type !== 'text' && part.type !== 'reasoning') || start >= part.text.length)
      return []
    const kind = `${part.type}-delta` as const
    return [
      {
        ...envelope,
        seq: envelope.seq - 1,
        kind,
        messageId: message.id,
        partId,
        start,
        delta: part.text.slice(start),
      } as AnyEvent,
    ]
  })
}

/** What of an open message's event the page was not told. */
function unsaid(event: AnyEvent, { parts }: Skipped): AnyEvent | undefined {
  if (!('partId' in event)) return event
  const start = parts.get(partKey(event.messageId, event.partId))
  if (start === undefined) return undefined
  return 'start' in event ? { ...event, start, delta: event.delta.slice(start) } : event
}
