import type { Transaction } from './database.ts'
import { itemsOf, tell } from './inbox.ts'
import { keys, placeOf, ranges } from './keys.ts'
import { tellParent, tellRefused } from './tell-parent.ts'

// A session may be too large for one transaction, and whoever deletes it may die on the way. So the first transaction
// makes it invisible, fences its owner and leaves a mark; the rest is swept in bounded steps by whoever finds the mark:
// the deleter, the next claim of the same id before it may write, or any later owner. No step removes anything of a
// session without its mark, so a slow deleter can't touch a session that was made anew.

const eventsPerStep = 100
const messagesPerStep = 500

/** Gives the sessions that are told of it. */
export async function markDeleted(tx: Transaction, sessionId: string, now: number): Promise<readonly string[]> {
  const tells = (await itemsOf(tx, sessionId)).flatMap(tellRefused)
  const session = await tx.get(keys.session(sessionId))
  tx.delete(keys.owner(sessionId))
  tx.delete(keys.session(sessionId))
  tx.delete(keys.settings(sessionId))
  tx.delete(keys.draft(sessionId))
  tx.delete(keys.state(sessionId))
  tx.deleteRange(ranges.inbox(sessionId))
  tx.deleteRange(ranges.asked(sessionId))
  tx.deleteRange(ranges.approvals(sessionId))
  tx.deleteRange(ranges.grants(sessionId))
  tx.deleteRange(ranges.blobs(sessionId))
  tx.deleteRange(ranges.summaries(sessionId))
  if (session?.run) {
    const run = await tx.get(keys.run(session.run.runId))
    if (run && run.endedAt === undefined) tells.push(...tellParent(run))
    deleteRun(tx, session.run.runId)
  }
  if (session) {
    tx.delete(placeOf(session).key)
    tx.put(keys.deleted(sessionId), sessionId)
  }
  // Whoever started it waits for its end.
  return tell(tx, tells, now)
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
  tx.deleteRange(ranges.audit(runId))
  tx.deleteRange(ranges.children(runId))
  tx.delete(keys.tree(runId))
}
