import { AgentError } from '../errors.ts'
import type { Key, Range, Transaction } from './database.ts'

// How the records of an older version become those of this one. A step knows the records as they were in its time, by
// keys and types of its own: it stays as it is when later versions change them.

/** `['meta', 'schema']`. `id` is random: after the origin was cleared, another tab may have made the database anew. */
export interface Schema {
  readonly version: number
  readonly id: string
}

export const schemaKey: Key<Schema> = ['meta', 'schema']

/** Takes the records of one version to the next. It awaits nothing but the transaction's own reads, each of them bounded. */
type Migration = (tx: Transaction) => Promise<void>

/**
 * The first one takes version 1 to version 2. Version 3 added records and fields, and changed none: older code would ask a
 * model with messages that are hidden, and end what waits for an input.
 */
const migrations: readonly Migration[] = [addCheckpoints, async () => {}]

/** Raised with every change of the records that older code would misread, together with a migration. */
export const schemaVersion = migrations.length + 1

/** Brings a database that has the records of version `from` to this version, within the one transaction. */
export async function migrate(tx: Transaction, from: number): Promise<void> {
  const schema = await tx.get(schemaKey)
  // A page that died before it wrote its first record left none.
  if (schema !== undefined && schema?.version !== from) {
    throw new AgentError('storage-outdated', `The records of the database are not of version ${from}: reload the page`)
  }
  for (const migration of migrations.slice(from - 1)) await migration(tx)
  if (schema) tx.put(schemaKey, { ...schema, version: schemaVersion })
}

const runsPerRead = 200
/** Tool messages after an answer: one for each time that its run was stopped, and one. */
const maxToolMessages = 20

interface Run1 {
  readonly runId: string
  readonly sessionId: string
  readonly status: 'running' | 'waiting' | 'completed' | 'stopped' | 'failed' | 'cancelled'
  readonly startedAt: number
  readonly endedAt?: number
  readonly firstIndex: number
}
interface Session1 {
  readonly messageCount: number
  readonly turn: number
  readonly run?: { readonly runId: string }
}
type Message1 = { readonly at: number } & (
  | { readonly role: 'user' }
  | {
      readonly role: 'assistant'
      readonly parts: readonly {
        readonly type: string
        readonly toolCallId?: string
        readonly providerExecuted?: boolean
      }[]
    }
  | { readonly role: 'tool'; readonly results: readonly { readonly toolCallId: string }[] }
)

/** Every run gets a leg and a checkpoint; that of a run which may go on says where it stands. */
async function addCheckpoints(tx: Transaction): Promise<void> {
  for (let after: Key = ['run']; ; ) {
    const range: Range<Run1> = { from: after, before: ['run', []] }
    const runs = await tx.getAll(range, runsPerRead)
    for (const run of runs) {
      tx.put(['run', run.runId], { ...run, leg: 1, resumes: 0, checkpoint: await checkpointOf(tx, run) })
    }
    const last = runs.at(-1)
    if (!last || runs.length < runsPerRead) return
    after = ['run', last.runId, 0]
  }
}

async function checkpointOf(tx: Transaction, run: Run1) {
  const mayGoOn = run.status === 'running' || run.status === 'waiting' || run.status === 'stopped'
  const session = mayGoOn ? await tx.get<Session1>(['session', run.sessionId]) : undefined
  if (session?.run?.runId !== run.runId) {
    // Nobody will ask where an ended run stood.
    return { step: 'after-tool-calls', turn: 0, messageCount: run.firstIndex + 1, at: run.endedAt ?? run.startedAt }
  }
  const { messageCount, turn } = session
  const last = await tx.get<Message1>(['message', run.sessionId, messageCount - 1])
  return { step: await stepOf(tx, run.sessionId, messageCount), turn, messageCount, at: last?.at ?? run.startedAt }
}

async function stepOf(tx: Transaction, sessionId: string, messageCount: number) {
  const settled = new Set<string>()
  for (let index = messageCount - 1; index >= messageCount - 1 - maxToolMessages; index--) {
    const message = await tx.get<Message1>(['message', sessionId, index])
    if (message?.role === 'tool') {
      for (const { toolCallId } of message.results) settled.add(toolCallId)
      continue
    }
    if (message?.role !== 'assistant') return 'user-input'
    const calls = message.parts.filter(({ type, providerExecuted }) => type === 'tool-call' && !providerExecuted)
    if (calls.some(({ toolCallId = '' }) => !settled.has(toolCallId))) return 'before-tool-calls'
    return settled.size > 0 ? 'after-tool-calls' : 'before-model'
  }
  return 'after-tool-calls'
}
