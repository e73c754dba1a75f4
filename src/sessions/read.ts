import type { Transaction } from './database.ts'
import { type Span, visible } from './hidden.ts'
import { keys, type Place, type Question, ranges } from './keys.ts'
import type { ApprovalRecord, CallRecord, DraftRecord, MessageRecord, RunRecord, SessionRecord } from './records.ts'
import { callKeyOf, type EventPage, runOf, type SessionState } from './store.ts'

// One object store: a long read holds every session's commits up. No range that is read here is longer than this.
export const maxRecords = 500

const eventsPerPage = 100
const eventRecordsPerRead = 20

export async function readSession(
  tx: Transaction,
  sessionId: string,
  messages: number,
): Promise<SessionState | undefined> {
  const session = await tx.get(keys.session(sessionId))
  if (!session) return undefined
  const runId = session.run?.runId
  const count = Math.min(messages, maxRecords)
  const [settings, records, run, calls, inbox, approvals, draft, state] = await Promise.all([
    tx.get(keys.settings(sessionId)),
    readSpans(tx, sessionId, visible(session.hidden, 0, session.messageCount, count)),
    runId === undefined ? undefined : tx.get(keys.run(runId)),
    runId === undefined ? [] : tx.getAll(ranges.calls(runId), maxRecords),
    tx.getAll(ranges.inbox(sessionId), maxRecords),
    tx.getAll(ranges.asked(sessionId), maxRecords).then((asked) => readApprovals(tx, asked)),
    tx.get(keys.draft(sessionId)),
    tx.get(keys.state(sessionId)),
  ])
  return {
    session,
    messages: records,
    calls,
    inbox,
    approvals,
    ...(draft && run && isCurrent(draft, run, session) && { draft }),
    ...(state && { state }),
    ...(settings && { settings }),
    ...(run && { run }),
  }
}

/** Messages in these spans, which together have no more than `maxRecords`. */
export async function readSpans(tx: Transaction, sessionId: string, spans: readonly Span[]): Promise<MessageRecord[]> {
  const found = spans.map(([from, before]) => tx.getAll(ranges.messages(sessionId, from, before), maxRecords))
  return (await Promise.all(found)).flat()
}

/** Drafts are not deleted: one counts while its leg goes on and nothing was committed after it was begun. */
const isCurrent = (draft: DraftRecord, run: RunRecord, session: SessionRecord) =>
  run.endedAt === undefined &&
  draft.runId === run.runId &&
  draft.leg === run.leg &&
  draft.message.id !== run.booked &&
  draft.message.index === session.messageCount

/** The approvals that stand at these places. */
export async function readApprovals(tx: Transaction, asked: readonly Question[]): Promise<ApprovalRecord[]> {
  const approvals = await Promise.all(
    asked.map(({ sessionId, approvalId }) => tx.get(keys.approval(sessionId, approvalId))),
  )
  return approvals.filter((approval) => approval !== undefined)
}

/** Sessions that a list's transaction reads, and items of each one's inbox: together no more than `maxRecords`. */
export const listedPerRead = 25
const listedInbox = 9
const listedApprovals = 8

/** What a list shows of these sessions; one that was deleted meanwhile is left out. */
export async function readListed(tx: Transaction, places: readonly Place[]): Promise<SessionState[]> {
  const states = await Promise.all(
    places.map(async ({ sessionId }): Promise<SessionState[]> => {
      const [session, settings, inbox, approvals] = await Promise.all([
        tx.get(keys.session(sessionId)),
        tx.get(keys.settings(sessionId)),
        tx.getAll(ranges.inbox(sessionId), listedInbox),
        tx.getAll(ranges.asked(sessionId), listedApprovals).then((asked) => readApprovals(tx, asked)),
      ])
      return session ? [{ session, messages: [], calls: [], inbox, approvals, ...(settings && { settings }) }] : []
    }),
  )
  return states.flat()
}

export async function readRun(tx: Transaction, runId: string): Promise<RunRecord | undefined> {
  return (await isOrphan(tx, runId)) ? undefined : tx.get(keys.run(runId))
}

/** Its session was deleted, and the run has not been swept yet. */
export async function isOrphan(tx: Transaction, runId: string): Promise<boolean> {
  const run = await tx.get(keys.run(runId))
  return run !== undefined && (await tx.get(keys.session(run.sessionId))) === undefined
}

export async function readEvents(
  tx: Transaction,
  sessionId: string,
  { since, limit = eventsPerPage }: { readonly since: number; readonly limit?: number },
): Promise<EventPage> {
  const session = await tx.get(keys.session(sessionId))
  if (!session || since >= session.seq)
    return { events: [], messages: new Map(), calls: new Map(), approvals: new Map(), end: true }

  const wanted = Math.min(Math.max(limit, 1), eventsPerPage)
  const events: EventPage['events'][number][] = []
  // The event after `since` may stand within a commit's.
  let from = (await tx.getLast(ranges.events(sessionId, 0, since + 2)))?.seq ?? 0
  for (let more = true; more && events.length < wanted; ) {
    const records = await tx.getAll(ranges.events(sessionId, from), eventRecordsPerRead)
    for (const record of records) {
      if (events.length >= wanted) break
      record.events.forEach((event, i) => {
        if (record.seq + i > since) events.push({ ...event, seq: record.seq + i })
      })
      from = record.seq + 1
    }
    more = records.length === eventRecordsPerRead
  }
  return {
    events,
    messages: await readMessagesOf(tx, sessionId, events),
    calls: await readCallsOf(tx, events),
    approvals: await readApprovalsOf(tx, sessionId, events),
    ...(session.ancestors && { ancestors: session.ancestors }),
    end: (events.at(-1)?.seq ?? since) >= session.seq,
  }
}

async function readMessagesOf(tx: Transaction, sessionId: string, events: EventPage['events']) {
  const indexes = new Set<number>()
  for (const event of events) {
    if (!('index' in event)) continue
    const first = 'first' in event ? event.first : event.index
    for (let index = first; index <= event.index; index++) indexes.add(index)
  }
  const messages = new Map<number, MessageRecord>()
  await Promise.all(
    [...indexes].map(async (index) => {
      const message = await tx.get(keys.message(sessionId, index))
      if (message) messages.set(index, message)
    }),
  )
  return messages
}

async function readCallsOf(tx: Transaction, events: EventPage['events']) {
  const calls = new Map<string, CallRecord>()
  const told = new Map(events.flatMap((event) => ('toolCallId' in event ? [[callKeyOf(event), event] as const] : [])))
  await Promise.all(
    [...told].map(async ([id, event]) => {
      const call = await tx.get(keys.call(runOf(event), event.toolCallId))
      if (call) calls.set(id, call)
    }),
  )
  return calls
}

async function readApprovalsOf(tx: Transaction, sessionId: string, events: EventPage['events']) {
  const asked = events.flatMap((event) =>
    event.kind === 'approval-requested' ? [{ sessionId, approvalId: event.approvalId }] : [],
  )
  return new Map((await readApprovals(tx, asked)).map((approval) => [approval.id, approval]))
}
