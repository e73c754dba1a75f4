import type { StoredEvent } from '../events/stored.ts'
import type { Key, KeyElement, Range } from './database.ts'
import type { CallRecord, InboxItem, MessageRecord, RunRecord, SessionRecord, SettingsRecord } from './records.ts'

// Every key of the database, with the type of what is stored there. What is read together is a range.

/** The durable events of one commit; the first has number `seq`. */
export interface EventsRecord {
  readonly v: 1
  readonly seq: number
  readonly events: readonly StoredEvent[]
}

export interface OwnerRecord {
  readonly v: 1
  readonly epoch: number
}

/** A session's place in the list of sessions, newest first. */
export interface Place {
  readonly sessionId: string
  readonly updatedAt: number
}

const key = <T>(...elements: readonly KeyElement[]): Key<T> => elements
const under = <T>(...prefix: readonly KeyElement[]): Range<T> => ({ from: prefix, before: [...prefix, []] })

/** The first key past `at`, as a range's `from`. */
const past = (at: Key): Key => [...at, 0]

export const keys = {
  /** The last epoch of any session: epochs are never used twice. */
  epoch: key<number>('meta', 'epoch'),
  /** The last inbox item's number in any session: one that was applied or withdrawn must not name another item. */
  inboxCount: key<number>('meta', 'inbox'),
  session: (sessionId: string) => key<SessionRecord>('session', sessionId),
  settings: (sessionId: string) => key<SettingsRecord>('settings', sessionId),
  recent: ({ sessionId, updatedAt }: Place) => key<Place>('recent', -updatedAt, sessionId),
  owner: (sessionId: string) => key<OwnerRecord>('owner', sessionId),
  message: (sessionId: string, index: number) => key<MessageRecord>('message', sessionId, index),
  events: (sessionId: string, seq: number) => key<EventsRecord>('event', sessionId, seq),
  run: (runId: string) => key<RunRecord>('run', runId),
  /** Holds the run's id, for as long as it has not ended. */
  active: (runId: string) => key<string>('active', runId),
  call: (runId: string, toolCallId: string) => key<CallRecord>('call', runId, toolCallId),
  inbox: (sessionId: string, n: number) => key<InboxItem>('inbox', sessionId, n),
  /** Holds the session's id while something of the deleted session may still be there. */
  deleted: (sessionId: string) => key<string>('deleted', sessionId),
}

export const ranges = {
  messages: (sessionId: string, from = 0, before = Number.POSITIVE_INFINITY): Range<MessageRecord> => ({
    from: keys.message(sessionId, from),
    before: keys.message(sessionId, before),
  }),
  events: (sessionId: string, from = 0, before = Number.POSITIVE_INFINITY): Range<EventsRecord> => ({
    from: keys.events(sessionId, from),
    before: keys.events(sessionId, before),
  }),
  inbox: (sessionId: string, from = 0): Range<InboxItem> => ({
    from: keys.inbox(sessionId, from),
    before: keys.inbox(sessionId, Number.POSITIVE_INFINITY),
  }),
  calls: (runId: string, after?: CallRecord): Range<CallRecord> => {
    const all = under<CallRecord>('call', runId)
    return after ? { ...all, from: past(keys.call(runId, after.toolCallId)) } : all
  },
  active: (after?: string): Range<string> => {
    const all = under<string>('active')
    return after === undefined ? all : { ...all, from: past(keys.active(after)) }
  },
  recent: (after?: Place): Range<Place> => {
    const all = under<Place>('recent')
    return after ? { ...all, from: past(keys.recent(after)) } : all
  },
  deleted: under<string>('deleted'),
}
