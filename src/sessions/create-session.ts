import { AgentError } from '../errors.ts'
import type { Transaction } from './database.ts'
import { keys, placeOf, ranges } from './keys.ts'
import type { BlobRecord, MessageRecord, SummaryRecord } from './records.ts'
import type { NewSession } from './store.ts'

// A session that comes whole may be too large for one transaction, and whoever writes it may die on the way. So a mark goes
// first, then what nobody finds without the session's record, and that record last, in the transaction that takes the mark
// away. A mark whose writer doesn't hold the session's lock any more is swept with all that was written under it.

const recordsPerStep = 100
/** Bytes of blobs, but for a single larger one. */
const bytesPerStep = 8 * 1024 * 1024

type Write = (tx: Transaction) => void

/** What is written before the session's record, in steps of bounded size. */
export function* stepsOf({ session: { id }, messages, summaries, blobs }: NewSession): Generator<Write> {
  for (let at = 0; at < messages.length; at += recordsPerStep)
    yield (tx) =>
      putAll(tx, messages.slice(at, at + recordsPerStep), ({ index }: MessageRecord) => keys.message(id, index))
  for (let at = 0; at < summaries.length; at += recordsPerStep)
    yield (tx) => putAll(tx, summaries.slice(at, at + recordsPerStep), ({ n }: SummaryRecord) => keys.summary(id, n))
  for (let at = 0; at < blobs.length; ) {
    const from = at
    for (let size = blobs[at++]?.data.size ?? 0; at < blobs.length && at - from < recordsPerStep; at++) {
      size += blobs[at]?.data.size ?? 0
      if (size > bytesPerStep) break
    }
    const some = blobs.slice(from, at)
    yield (tx) => putAll(tx, some, ({ blobId }: BlobRecord) => keys.blob(id, blobId))
  }
}

function putAll<T>(tx: Transaction, records: readonly T[], keyOf: (record: T) => Parameters<Transaction['put']>[0]) {
  for (const record of records) tx.put(keyOf(record), record)
}

export async function beginSession(tx: Transaction, sessionId: string, token: string): Promise<void> {
  const [session, mark, deleted] = await Promise.all([
    tx.get(keys.session(sessionId)),
    tx.get(keys.making(sessionId)),
    tx.get(keys.deleted(sessionId)),
  ])
  // The same once more, after a connection was lost.
  if (mark?.token === token) return
  if (session || mark || deleted !== undefined) throw taken(sessionId)
  tx.put(keys.making(sessionId), { sessionId, token })
}

export async function addToSession(tx: Transaction, sessionId: string, token: string, write: Write): Promise<void> {
  if ((await tx.get(keys.making(sessionId)))?.token !== token) throw swept()
  write(tx)
}

export async function finishSession(tx: Transaction, made: NewSession, token: string): Promise<void> {
  const { session, settings, state } = made
  const { id } = session
  if ((await tx.get(keys.session(id)))?.commitId === token) return
  await addToSession(tx, id, token, () => {
    tx.delete(keys.making(id))
    tx.put(keys.session(id), { ...session, seq: 0, commitId: token })
    const { key, place } = placeOf(session)
    tx.put(key, place)
    if (settings) tx.put(keys.settings(id), settings)
    if (state) tx.put(keys.state(id), state)
  })
}

/** Gives up what was begun, by whomever or by this attempt: what is there of it is swept like a deleted session. */
export async function abandonSession(tx: Transaction, sessionId: string, token?: string): Promise<void> {
  const mark = await tx.get(keys.making(sessionId))
  if (!mark || mark.token !== (token ?? mark.token)) return
  tx.delete(keys.making(sessionId))
  tx.deleteRange(ranges.summaries(sessionId))
  tx.deleteRange(ranges.blobs(sessionId))
  tx.put(keys.deleted(sessionId), sessionId)
}

export const taken = (sessionId: string) =>
  new AgentError('invalid-argument', `There is a session ${JSON.stringify(sessionId)} already: use another id.`)

const swept = () => new AgentError('ownership-lost', 'Another runtime took what was written for abandoned: try again.')
