import { AgentError } from '../errors.ts'
import type { Transaction } from './database.ts'
import { keys } from './keys.ts'
import type { Change, Committed } from './store.ts'

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
  if (change.events.some(({ kind }) => kind === 'run-started')) await refuseWithdrawn(tx, change)

  const head = before?.seq ?? 0
  const seq = head + change.events.length
  if (change.events.length > 0) {
    tx.put(keys.events(sessionId, head + 1), { v: 1, seq: head + 1, events: change.events })
  }
  for (const message of change.messages ?? []) tx.put(keys.message(sessionId, message.index), message)
  for (const call of change.calls ?? []) tx.put(keys.call(call.runId, call.toolCallId), call)
  for (const n of change.applied ?? []) tx.delete(keys.inbox(sessionId, n))
  if (change.run) {
    const { runId, status } = change.run
    tx.put(keys.run(runId), change.run)
    const known = before?.run?.runId === runId && before.run.status === status
    if (status !== 'running' && status !== 'waiting') tx.delete(keys.active(runId))
    else if (!known) tx.put(keys.active(runId), runId)
  }

  const { updatedAt } = change.session
  if (before?.updatedAt !== updatedAt) {
    if (before) tx.delete(keys.recent({ sessionId, updatedAt: before.updatedAt }))
    tx.put(keys.recent({ sessionId, updatedAt }), { sessionId, updatedAt })
  }
  tx.put(keys.session(sessionId), { ...change.session, seq, commitId: id })
  return { seq }
}

/** An input is either withdrawn or starts its run, never both. Other items' owner alone deletes them. */
async function refuseWithdrawn(tx: Transaction, { sessionId, applied = [] }: Change): Promise<void> {
  const items = await Promise.all(applied.map((n) => tx.get(keys.inbox(sessionId, n))))
  if (items.includes(undefined)) throw new AgentError('aborted', 'The input was withdrawn before its run began')
}
