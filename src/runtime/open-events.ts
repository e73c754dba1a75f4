import type { AnyEvent, EventKind } from '../events/kinds.ts'
import type { LiveSession } from './live-session.ts'

/** What is under way and not committed yet, told again from its beginning. */
export function openEvents({ run }: LiveSession): AnyEvent[] {
  const events: AnyEvent[] = []
  if (!run?.answer || run.signal.aborted) return events
  const { answer } = run
  const tell = (kind: EventKind, payload: object) => void events.push(run.envelope(kind, payload))
  tell('model-started', { provider: '', model: answer.model ?? '', attempt: 1, messageId: answer.messageId })
  answer.replay(tell)
  return events
}
