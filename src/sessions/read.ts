import type { Transaction } from './database.ts'
import { keys, type Place, ranges } from './keys.ts'
import type { CallRecord, MessageRecord, RunRecord } from './records.ts'
import { callKey, type EventPage, type SessionState } from './store.ts'

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
  const [settings, records, run, calls, inbox] = await Promise.all([
    tx.get(keys.settings(sessionId)),
    count > 0 ? tx.getAll(ranges.messages(sessionId, session.messageCount - count), count) : [],
    runId === undefined ? undefined : tx.get(keys.run(runId)),
    runId === undefined ? [] : tx.getAll(ranges.calls(runId), maxRecords),
    tx.getAll(ranges.inbox(sessionId), maxRecords),
  ])
  return {
    session,
    messages: records,
    calls,
    inbox,
    ...(settings && { settings }),
    ...(run && { run }),
  }
}

/** Sessions that a list's transaction reads, and items of each one's inbox: together no more than `maxRecords`. */
export const listedPerRead = 25
const listedInbox = 18

/** What a list shows of these sessions; one that was deleted meanwhile is left out. */
export async function readListed(tx: Transaction, places: readonly Place[]): Promise<SessionState[]> {
  const states = await Promise.all(
    places.map(async ({ sessionId }): Promise<SessionState[]> => {
      const [session, settings, inbox] = await Promise.all([
        tx.get(keys.session(sessionId)),
        tx.get(keys.settings(sessionId)),
        tx.getAll(ranges.inbox(sessionId), listedInbox),
      ])
      return session ? [{ session, messages: [], calls: [], inbox, ...(settings && { settings }) }] : []
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
  if (!session || since >= session.seq) return { events: [], messages: new Map(), calls: new Map(), end: true }

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
  const ids = new Map(
    events.flatMap((event) =>
      'toolCallId' in event ? [[callKey(event.runId, event.toolCallId), [event.runId, event.toolCallId] as const]] : [],
    ),
  )
  await Promise.all(
    [...ids].map(async ([id, [runId, toolCallId]]) => {
      const call = await tx.get(keys.call(runId, toolCallId))
      if (call) calls.set(id, call)
    }),
  )
  return calls
}
