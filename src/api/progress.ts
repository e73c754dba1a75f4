import { type AnyEvent, isDurable } from '../events/kinds.ts'
import type { Interest } from '../protocol/messages.ts'

/** Sessions whose progress is remembered, and of those that are caught up with after a loss. */
const mostSessions = 1000
const mostCaughtUp = 32

/** How far this side has come in each session's log: from there it goes on with another runtime. */
export class Progress {
  /** Last heard of last. */
  readonly #seqs = new Map<string, number>()
  readonly #sessions = new Map<string, string>()

  note(event: AnyEvent) {
    const { sessionId, runId } = event
    if (event.kind === 'session-deleted') return void this.#seqs.delete(sessionId)
    if (event.kind === 'run-started') remember(this.#sessions, runId, sessionId)
    if (isDurable(event.kind)) this.reach(sessionId, event.seq)
  }

  /** Whether anything of the session's was heard. */
  has(sessionId: string) {
    return this.#seqs.has(sessionId)
  }

  reach(sessionId: string, seq: number) {
    remember(this.#seqs, sessionId, Math.max(seq, this.#seqs.get(sessionId) ?? 0))
  }

  /** The interest of one that has heard everything so far. A run's listener has heard it from its beginning. */
  goOn(interest: Interest): Interest {
    if (joins(interest) || catchesUp(interest)) return interest
    const { runId } = interest
    const sessionId = interest.sessionId ?? (runId === undefined ? undefined : this.#sessions.get(runId))
    const since =
      sessionId === undefined ? undefined : (this.#seqs.get(sessionId) ?? (runId === undefined ? undefined : 0))
    return sessionId === undefined || since === undefined ? interest : { ...interest, sessionId, since }
  }

  latest(): readonly (readonly [string, number])[] {
    return [...this.#seqs].slice(-mostCaughtUp)
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T) {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > mostSessions && oldest !== undefined) map.delete(oldest)
}

/** Listens to more than one session, from now on. */
export const catchesUp = (interest: Interest) =>
  !joins(interest) &&
  (interest.descendants === true || (interest.sessionId === undefined && interest.runId === undefined))

/** Begins with what was before. */
export const joins = ({ since, window }: Interest) => since !== undefined || window !== undefined
