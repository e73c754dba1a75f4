import type { Transaction } from './database.ts'
import { keys, ranges } from './keys.ts'
import { maxRecords } from './read.ts'
import type { InboxItem, Said } from './records.ts'

/** Appends an item. `earlier` is the number that a transaction of unknown outcome gave it. */
export async function say(
  tx: Transaction,
  {
    sessionId,
    runId,
    at,
    said,
    earlier,
  }: {
    readonly sessionId: string
    readonly runId: string
    readonly at: number
    readonly said: Said
    readonly earlier?: number | undefined
  },
): Promise<InboxItem> {
  const [count = 0, written, run] = await Promise.all([
    tx.get(keys.inboxCount),
    earlier === undefined ? undefined : tx.get(keys.inbox(sessionId, earlier)),
    earlier === undefined ? undefined : tx.get(keys.run(runId)),
  ])
  if (written?.runId === runId && written.type === said.type) return written
  const n = count + 1
  const item: InboxItem = { ...said, v: 1, n, at, sessionId, runId }
  // The earlier write was kept and has been applied since: a run starts from its input only.
  if (earlier !== undefined && run && said.type === 'input') return { ...item, n: earlier }
  tx.put(keys.inboxCount, n)
  tx.put(keys.inbox(sessionId, n), item)
  return item
}

/** Removes a run's input, and what else was said to that run: it will never be. False where the input isn't there. */
export async function withdraw(tx: Transaction, sessionId: string, runId: string): Promise<boolean> {
  const items: InboxItem[] = []
  for (let from = 0, more = true; more; ) {
    const page = await tx.getAll(ranges.inbox(sessionId, from), maxRecords)
    items.push(...page.filter((item) => item.runId === runId))
    from = (page.at(-1)?.n ?? from) + 1
    more = page.length === maxRecords
  }
  if (!items.some((item) => item.type === 'input')) return false
  for (const { n } of items) tx.delete(keys.inbox(sessionId, n))
  return true
}
