import type { StoredEvent } from '../events/stored.ts'
import type { Key, KeyElement, Range } from './database.ts'
import type {
  ApprovalRecord,
  AuditRecord,
  BlobRecord,
  CallRecord,
  ChildRecord,
  DraftRecord,
  GrantRecord,
  InboxItem,
  MessageRecord,
  RunRecord,
  SessionRecord,
  SettingsRecord,
  SpendRecord,
  StateRecord,
  SummaryRecord,
  TreeSpend,
} from './records.ts'

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

/** An inbox item's number, and an id of the attempt that wrote it. */
export interface SaidBy {
  readonly n: number
  readonly id: string
}

/** A session that is being written whole, and an id of the attempt that writes it. */
export interface Making {
  readonly sessionId: string
  readonly token: string
}

/** An approval that is open. */
export interface Question {
  readonly sessionId: string
  readonly approvalId: string
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
  /** The items that were written last, by whoever wrote them: who lost the answer finds out whether they were kept. */
  lastSaid: key<readonly SaidBy[]>('meta', 'said'),
  session: (sessionId: string) => key<SessionRecord>('session', sessionId),
  settings: (sessionId: string) => key<SettingsRecord>('settings', sessionId),
  recent: ({ sessionId, updatedAt }: Place) => key<Place>('recent', -updatedAt, sessionId),
  /** Sessions of delegated runs are listed under the session that they come from. */
  under: (parentId: string, { sessionId, updatedAt }: Place) => key<Place>('under', parentId, -updatedAt, sessionId),
  owner: (sessionId: string) => key<OwnerRecord>('owner', sessionId),
  message: (sessionId: string, index: number) => key<MessageRecord>('message', sessionId, index),
  events: (sessionId: string, seq: number) => key<EventsRecord>('event', sessionId, seq),
  run: (runId: string) => key<RunRecord>('run', runId),
  /** Holds the run's id, for as long as it has not ended. */
  active: (runId: string) => key<string>('active', runId),
  child: (parentRunId: string, runId: string) => key<ChildRecord>('child', parentRunId, runId),
  /** What the runs below a run have used. */
  tree: (runId: string) => key<TreeSpend>('tree', runId),
  call: (runId: string, toolCallId: string) => key<CallRecord>('call', runId, toolCallId),
  audit: (runId: string, n: number) => key<AuditRecord>('audit', runId, n),
  grant: (sessionId: string, actionKey: string) => key<GrantRecord>('grant', sessionId, actionKey),
  blob: (sessionId: string, blobId: string) => key<BlobRecord>('blob', sessionId, blobId),
  approval: (sessionId: string, approvalId: string) => key<ApprovalRecord>('approval', sessionId, approvalId),
  /** Holds the approval's place, for as long as it is open. */
  asked: ({ sessionId, approvalId }: Question) => key<Question>('asked', sessionId, approvalId),
  summary: (sessionId: string, n: number) => key<SummaryRecord>('summary', sessionId, n),
  state: (sessionId: string) => key<StateRecord>('state', sessionId),
  draft: (sessionId: string) => key<DraftRecord>('draft', sessionId),
  spend: (day: string) => key<SpendRecord>('spend', day),
  inbox: (sessionId: string, n: number) => key<InboxItem>('inbox', sessionId, n),
  /** Is there while a session is written whole, until its record is. */
  making: (sessionId: string) => key<Making>('making', sessionId),
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
  /** The inputs and whatever else was said, of all sessions. */
  said: (after?: InboxItem): Range<InboxItem> => {
    const all = under<InboxItem>('inbox')
    return after ? { ...all, from: past(keys.inbox(after.sessionId, after.n)) } : all
  },
  summaries: (sessionId: string) => under<SummaryRecord>('summary', sessionId),
  approvals: (sessionId: string) => under<ApprovalRecord>('approval', sessionId),
  asked: (sessionId: string) => under<Question>('asked', sessionId),
  allAsked: (after?: Question): Range<Question> => {
    const all = under<Question>('asked')
    return after ? { ...all, from: past(keys.asked(after)) } : all
  },
  calls: (runId: string, after?: CallRecord): Range<CallRecord> => {
    const all = under<CallRecord>('call', runId)
    return after ? { ...all, from: past(keys.call(runId, after.toolCallId)) } : all
  },
  audit: (runId: string, after?: AuditRecord): Range<AuditRecord> => {
    const all = under<AuditRecord>('audit', runId)
    return after ? { ...all, from: past(keys.audit(runId, after.n)) } : all
  },
  grants: (sessionId: string, after?: GrantRecord): Range<GrantRecord> => {
    const all = under<GrantRecord>('grant', sessionId)
    return after ? { ...all, from: past(keys.grant(sessionId, after.actionKey)) } : all
  },
  blobs: (sessionId: string, after?: BlobRecord): Range<BlobRecord> => {
    const all = under<BlobRecord>('blob', sessionId)
    return after ? { ...all, from: past(keys.blob(sessionId, after.blobId)) } : all
  },
  active: (after?: string): Range<string> => {
    const all = under<string>('active')
    return after === undefined ? all : { ...all, from: past(keys.active(after)) }
  },
  recent: (after?: Place): Range<Place> => {
    const all = under<Place>('recent')
    return after ? { ...all, from: past(keys.recent(after)) } : all
  },
  under: (parentId: string, after?: Place): Range<Place> => {
    const all = under<Place>('under', parentId)
    return after ? { ...all, from: past(keys.under(parentId, after)) } : all
  },
  children: (parentRunId: string, after?: ChildRecord): Range<ChildRecord> => {
    const all = under<ChildRecord>('child', parentRunId)
    return after ? { ...all, from: past(keys.child(parentRunId, after.runId)) } : all
  },
  deleted: under<string>('deleted'),
  making: under<Making>('making'),
}

/** Where a session stands in the lists: among the top ones, or under the one that it comes from. */
export function placeOf({
  id: sessionId,
  updatedAt,
  ancestors = [],
}: Pick<SessionRecord, 'id' | 'updatedAt' | 'ancestors'>) {
  const parent = ancestors.at(-1)
  const place = { sessionId, updatedAt }
  return { key: parent ? keys.under(parent.sessionId, place) : keys.recent(place), place }
}
