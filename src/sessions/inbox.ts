import { AgentError } from '../errors.ts'
import { blobIdOf } from './blob-url.ts'
import type { Transaction } from './database.ts'
import { keys, ranges } from './keys.ts'
import { maxRecords, readRun } from './read.ts'
import type { BlobRecord, InboxItem, Said } from './records.ts'
import type { Tell } from './store.ts'
import { tellRefused } from './tell-parent.ts'

/** Items that are remembered by who wrote them: a connection is restored within a second, or not at all. */
const mostRemembered = 32

/** Whether the run is to hear it at its next turn. What supersedes a run is for another one. */
export const isSteering = (item: InboxItem, runId: string) =>
  item.type === 'steer'
    ? item.runId === runId
    : item.type === 'input' && item.steers === true && item.supersedes !== runId

interface NewItem {
  /** Unique per item. */
  readonly id: string
  readonly sessionId: string
  readonly runId: string
  readonly at: number
  readonly said: Said
  /** What its files refer to. */
  readonly blobs: readonly BlobRecord[]
}

/**
 * Appends an item. A repeat, after a transaction of unknown outcome, does nothing where the item was kept. Gives `undefined`
 * for a request that was made before: its run is there, or its input waits.
 */
export async function say(
  tx: Transaction,
  { id, sessionId, runId, at, said, blobs }: NewItem,
): Promise<InboxItem | undefined> {
  const [count = 0, last = []] = await Promise.all([tx.get(keys.inboxCount), tx.get(keys.lastSaid)])
  const earlier = last.find((written) => written.id === id)
  const n = earlier?.n ?? count + 1
  const item: InboxItem = { ...said, v: 1, n, at, sessionId, runId }
  if (earlier) return item
  if (said.type === 'input' && said.request.clientRequestId !== undefined && (await isSaid(tx, sessionId, runId)))
    return undefined
  if (said.type === 'answer') await refuseAnswered(tx, sessionId, said.approvalId)
  if (said.type === 'tool-output') await refuseSecondOutput(tx, sessionId, runId, said.toolCallId)
  tx.put(keys.inboxCount, n)
  tx.put(keys.lastSaid, [...last, { n, id }].slice(-mostRemembered))
  tx.put(keys.inbox(sessionId, n), item)
  for (const blob of blobs) tx.put(keys.blob(filesOf(item), blob.blobId), blob)
  return item
}

/**
 * Says these as part of a commit, whose own repeat is noticed by its id. What is said to a session that is gone is not: who
 * wants a run there to go on is told so. Gives the sessions that are told something.
 */
export async function tell(tx: Transaction, tells: readonly Tell[], at: number): Promise<readonly string[]> {
  if (tells.length === 0) return []
  let n = (await tx.get(keys.inboxCount)) ?? 0
  const told: string[] = []
  const left = [...tells]
  for (const { sessionId, runId, said } of left) {
    const isGone = said.type !== 'input' && !(await tx.get(keys.session(sessionId)))
    // Whoever says it waits for what comes of it.
    if (isGone) left.push(...tellRefused({ ...said, runId }))
    if (isGone || (said.type === 'input' && (await isSaid(tx, sessionId, runId)))) continue
    n++
    told.push(sessionId)
    tx.put(keys.inbox(sessionId, n), { ...said, v: 1, n, at, sessionId, runId })
  }
  tx.put(keys.inboxCount, n)
  return told
}

/** Of two answers to a question, whoever gives them, the second is refused. */
async function refuseAnswered(tx: Transaction, sessionId: string, approvalId: string) {
  const [approval, items] = await Promise.all([
    tx.get(keys.approval(sessionId, approvalId)),
    tx.getAll(ranges.inbox(sessionId), maxRecords),
  ])
  if (approval && !approval.resolved && !items.some((item) => item.type === 'answer' && item.approvalId === approvalId))
    return
  throw unknownApproval(approvalId)
}

/** A call takes one result, whoever gives it. */
async function refuseSecondOutput(tx: Transaction, sessionId: string, runId: string, toolCallId: string) {
  const [row, items] = await Promise.all([
    tx.get(keys.call(runId, toolCallId)),
    tx.getAll(ranges.inbox(sessionId), maxRecords),
  ])
  if (row?.result || items.some((item) => item.type === 'tool-output' && item.toolCallId === toolCallId))
    throw secondOutput(toolCallId)
}

export const secondOutput = (toolCallId: string) =>
  new AgentError('duplicate-tool-output', `The call "${toolCallId}" has its output already: the first one counts.`)

export const unknownApproval = (approvalId: string) =>
  new AgentError(
    'unknown-approval',
    `No approval "${approvalId}" is open in this session: it is unknown, or has been answered already.`,
  )

const isSaid = async (tx: Transaction, sessionId: string, runId: string) =>
  (await readRun(tx, runId)) !== undefined ||
  (await itemsOf(tx, sessionId, (item) => item.type === 'input' && item.runId === runId)).length > 0

export async function itemsOf(tx: Transaction, sessionId: string, isMeant: (item: InboxItem) => boolean = () => true) {
  const items: InboxItem[] = []
  for (let from = 0, more = true; more; ) {
    const page = await tx.getAll(ranges.inbox(sessionId, from), maxRecords)
    items.push(...page.filter(isMeant))
    from = (page.at(-1)?.n ?? from) + 1
    more = page.length === maxRecords
  }
  return items
}

/** The blobs that the files of an item refer to. */
export function blobsOf(item: InboxItem): readonly string[] {
  const { files = [] } = 'request' in item ? item.request : item.type === 'steer' ? item : {}
  return files.flatMap(({ url }) => blobIdOf(url) ?? [])
}

/** The session that the files of an item belong to: a run that is to be started has one of its own. */
export const filesOf = (item: InboxItem) => (item.type === 'delegate' ? item.childRunId : item.sessionId)

/** What can be taken back: a run's input, the requests to go on with it, an input that steers one, a run that is to be started. */
export type Withdrawable = 'input' | 'resume' | 'steer' | 'delegate'

/**
 * Removes a run's input, and what else was said to that run: it will never be. Or the requests to go on with it. Or the input
 * of that id that steers a run. Or the request to start that run. Gives the sessions that are told of it: the run that has
 * started one that will never be hears so. `undefined` where there is nothing.
 */
export async function withdraw(
  tx: Transaction,
  sessionId: string,
  id: string,
  type: Withdrawable,
): Promise<readonly string[] | undefined> {
  const isMeant = (item: InboxItem) => {
    if (type === 'steer') return item.type === 'steer' && item.inputId === id
    if (type === 'delegate') return item.type === 'delegate' && item.childRunId === id
    return item.runId === id && (type === 'input' || item.type === type)
  }
  const items = await itemsOf(tx, sessionId, isMeant)
  if (!items.some((item) => item.type === type)) return undefined
  for (const item of items) {
    tx.delete(keys.inbox(sessionId, item.n))
    for (const blobId of blobsOf(item)) tx.delete(keys.blob(filesOf(item), blobId))
  }
  const tells = items.flatMap(tellRefused)
  return tell(tx, tells, items[0]?.at ?? 0)
}

/** Messages among which an input is looked for that was delivered a moment ago. */
const latestMessages = 100

/** Whether an input that is gone from the inbox was heard: it started its run, or is a message of another. */
export async function wasHeard(tx: Transaction, sessionId: string, inputId: string): Promise<boolean> {
  if (await tx.get(keys.run(inputId))) return true
  const count = (await tx.get(keys.session(sessionId)))?.messageCount ?? 0
  const latest = await tx.getAll(ranges.messages(sessionId, Math.max(count - latestMessages, 0)), latestMessages)
  return latest.some(({ id }) => id === inputId)
}
