import type { Transaction } from './database.ts'
import { keys, ranges } from './keys.ts'

// A session may be too large for one transaction, and whoever deletes it may die on the way. So the first transaction
// makes it invisible, fences its owner and leaves a mark; the rest is swept in bounded steps by whoever finds the mark:
// the deleter, the next claim of the same id before it may write, or any later owner. No step removes anything of a
// session without its mark, so a slow deleter can't touch a session that was made anew.

const eventsPerStep = 100
const messagesPerStep = 500

export async function markDeleted(tx: Transaction, sessionId: string): Promise<void> {
  const session = await tx.get(keys.session(sessionId))
  tx.delete(keys.owner(sessionId))
  tx.delete(keys.session(sessionId))
  tx.delete(keys.settings(sessionId))
  tx.deleteRange(ranges.inbox(sessionId))
  if (!session) return
  tx.delete(keys.recent({ sessionId, updatedAt: session.updatedAt }))
  if (session.run) deleteRun(tx, session.run.runId)
  tx.put(keys.deleted(sessionId), sessionId)
}

/** One step; false where nothing was left to sweep. */
export async function sweepDeleted(tx: Transaction, sessionId: string): Promise<boolean> {
  const [mark, events, messages] = await Promise.all([
    tx.get(keys.deleted(sessionId)),
    tx.getAll(ranges.events(sessionId), eventsPerStep),
    tx.getAll(ranges.messages(sessionId), 1),
  ])
  if (mark === undefined) return false

  // Runs are found by their events, so an event goes no sooner than the rest of its run.
  const runIds = new Set(events.flatMap((record) => record.events.map((event) => event.runId)))
  for (const runId of runIds) deleteRun(tx, runId)
  const last = events.at(-1)
  if (last) tx.deleteRange(ranges.events(sessionId, 0, last.seq + 1))
  const first = messages[0]
  if (first) tx.deleteRange(ranges.messages(sessionId, first.index, first.index + messagesPerStep))
  if (!last && !first) tx.delete(keys.deleted(sessionId))
  return true
}

function deleteRun(tx: Transaction, runId: string): void {
  tx.delete(keys.run(runId))
  tx.delete(keys.active(runId))
  tx.deleteRange(ranges.calls(runId))
}
