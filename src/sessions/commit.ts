import { AgentError } from '../errors.ts'
import { blobIdOf } from './blob-url.ts'
import type { Transaction } from './database.ts'
import { blobsOf, filesOf, isSteering, tell } from './inbox.ts'
import { keys, placeOf, ranges } from './keys.ts'
import { maxRecords } from './read.ts'
import { addUsage, type InboxItem, type MessageRecord, type RunRecord } from './records.ts'
import type { Change, Committed } from './store.ts'
import { addTreeSpend } from './tree-spend.ts'

/**
 * The only door for a session's owner. It reads two records and scans nothing, so its cost does not depend on the
 * session's length.
 */
export async function commit(tx: Transaction, change: Change): Promise<Committed> {
  const { id, sessionId, epoch } = change
  const [owner, before] = await Promise.all([tx.get(keys.owner(sessionId)), tx.get(keys.session(sessionId))])
  // It is already kept: that is the answer, whoever owns the session by now.
  if (before?.commitId === id) return { seq: before.seq }
  if (owner?.epoch !== epoch) {
    throw new AgentError('ownership-lost', `Another owner took over the session, or it was deleted: claim it again`)
  }
  const heard = await Promise.all((change.applied ?? []).map((n) => tx.get(keys.inbox(sessionId, n))))
  if (change.events.some(({ kind }) => kind === 'run-started' || kind === 'input-delivered')) refuseWithdrawn(heard)
  if (change.run?.status === 'completed' && (await isSteered(tx, change.run, change.applied)))
    return { seq: before?.seq ?? 0, heldUp: true }
  if (await isAnswered(tx, change)) return { seq: before?.seq ?? 0, heldUp: true }

  const head = before?.seq ?? 0
  const seq = head + change.events.length
  if (change.events.length > 0) {
    tx.put(keys.events(sessionId, head + 1), { v: 1, seq: head + 1, events: change.events })
  }
  for (const message of change.messages ?? []) tx.put(keys.message(sessionId, message.index), message)
  if (change.summary) tx.put(keys.summary(sessionId, change.summary.n), change.summary)
  for (const call of change.calls ?? []) tx.put(keys.call(call.runId, call.toolCallId), call)
  for (const approval of change.approvals ?? []) {
    const { id: approvalId, resolved } = approval
    tx.put(keys.approval(sessionId, approvalId), approval)
    if (resolved) tx.delete(keys.asked({ sessionId, approvalId }))
    else tx.put(keys.asked({ sessionId, approvalId }), { sessionId, approvalId })
  }
  for (const grant of change.grants ?? []) tx.put(keys.grant(sessionId, grant.actionKey), grant)
  for (const record of change.audit ?? []) tx.put(keys.audit(record.runId, record.n), record)
  for (const blob of change.blobs ?? []) tx.put(keys.blob(sessionId, blob.blobId), blob)
  for (const child of change.children ?? []) tx.put(keys.child(child.parentRunId, child.runId), child)
  await tell(tx, change.tells ?? [], change.session.updatedAt)
  if (change.spend) await addSpend(tx, change.spend)
  if (change.upward) await addUpward(tx, change.upward)
  if (change.state) {
    const { value } = change.state
    if (value === undefined) tx.delete(keys.state(sessionId))
    else tx.put(keys.state(sessionId), { v: 1, value })
  }
  for (const n of change.applied ?? []) tx.delete(keys.inbox(sessionId, n))
  for (const blobId of unused(heard, change.messages)) tx.delete(keys.blob(sessionId, blobId))
  for (const key of ofRefused(heard, change.children)) tx.delete(key)
  if (change.run) {
    const { runId, status } = change.run
    tx.put(keys.run(runId), change.run)
    const known = before?.run?.runId === runId && before.run.status === status
    if (status !== 'running' && status !== 'waiting') tx.delete(keys.active(runId))
    else if (!known) tx.put(keys.active(runId), runId)
  }

  if (before?.updatedAt !== change.session.updatedAt) {
    if (before) tx.delete(placeOf(before).key)
    const { key, place } = placeOf(change.session)
    tx.put(key, place)
  }
  tx.put(keys.session(sessionId), { ...change.session, seq, commitId: id })
  return { seq }
}

/** Every session adds to the same record: writing transactions come one after the other. */
async function addSpend(tx: Transaction, { day, usage, cost }: NonNullable<Change['spend']>): Promise<void> {
  const before = await tx.get(keys.spend(day))
  tx.put(keys.spend(day), {
    v: 1,
    day,
    usage: before ? addUsage(before.usage, usage) : usage,
    cost: (before?.cost ?? 0) + cost,
  })
}

/** What runs used counts for every run above them, too. */
async function addUpward(tx: Transaction, { runIds, ...spend }: NonNullable<Change['upward']>): Promise<void> {
  for (const runId of runIds) tx.put(keys.tree(runId), addTreeSpend(await tx.get(keys.tree(runId)), spend))
}

/** An input is either withdrawn or heard, never both. Other items' owner alone deletes them. */
function refuseWithdrawn(heard: readonly (InboxItem | undefined)[]) {
  if (heard.includes(undefined)) throw new AgentError('aborted', 'The input was withdrawn before it was heard')
}

/** The files of runs that were asked for, and are not started. */
const ofRefused = (heard: readonly (InboxItem | undefined)[], children: Change['children'] = []) =>
  heard.flatMap((item) =>
    item?.type === 'delegate' && !children.some(({ runId }) => runId === item.childRunId)
      ? blobsOf(item).map((blobId) => keys.blob(filesOf(item), blobId))
      : [],
  )

/** The files of inputs that became no message. */
function unused(heard: readonly (InboxItem | undefined)[], messages: readonly MessageRecord[] = []): string[] {
  const blobIds = heard.flatMap((item) => (item ? blobsOf(item) : []))
  if (blobIds.length === 0) return []
  const parts = messages.flatMap((message) => (message.role === 'user' ? message.parts : []))
  const used = new Set(parts.map((part) => (part.type === 'file' ? blobIdOf(part.url) : undefined)))
  return blobIds.filter((blobId) => !used.has(blobId))
}

/** Whether somebody has answered a question in the last moment that silence is to answer. */
async function isAnswered(tx: Transaction, { sessionId, approvals = [] }: Change): Promise<boolean> {
  const expired = new Set(approvals.filter(({ resolved }) => resolved?.by === 'expiry').map(({ id }) => id))
  if (expired.size === 0) return false
  const items = await tx.getAll(ranges.inbox(sessionId), maxRecords)
  return items.some((item) => item.type === 'answer' && expired.has(item.approvalId))
}

/** Whether something was said to the run that it is to hear before it may be complete. */
async function isSteered(tx: Transaction, { sessionId, runId }: RunRecord, applied: readonly number[] = []) {
  const items = await tx.getAll(ranges.inbox(sessionId), maxRecords)
  return items.some((item) => isSteering(item, runId) && !applied.includes(item.n))
}
