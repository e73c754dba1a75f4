import type { AnyEvent, EventKind } from '../events/kinds.ts'
import type { LiveSession } from './live-session.ts'

/** What is under way and not committed yet, told again from its beginning. */
export function openEvents({ run, mirror, seq }: LiveSession): AnyEvent[] {
  if (!run) return mirror.events.map((event) => ({ ...event, seq }))
  const events: AnyEvent[] = []
  if (run.signal.aborted) return events
  const { answer, retry } = run
  const tell = (kind: EventKind, payload: object) => void events.push(run.envelope(kind, payload))
  if (retry) {
    const { retryAt, ...failed } = retry
    tell('model-retried', { ...failed, delay: Math.max(0, retryAt - run.env.now()) })
  }
  if (!answer) return events
  tell('model-started', { provider: '', model: answer.model ?? '', attempt: 1, messageId: answer.messageId })
  answer.replay(tell)
  return events
}
