import type { OwnSpend, TreeNode } from '../api/run-tree.ts'
import type { ChildRecord, InboxItem, RunRecord } from '../sessions/records.ts'
import { noUsage } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import { sinceTreeSpend } from '../sessions/tree-spend.ts'
import { agentNamed } from './agents.ts'
import type { Engine } from './engine.ts'
import { inBatches } from './in-batches.ts'
import { findChild } from './requested-children.ts'

/**
 * A run with all below it as they are stored, and how those stand that are advanced here; nothing where it is not known yet.
 * Those who listen are told what changes after that.
 */
export async function treeOf(engine: Engine, runId: string): Promise<TreeNode | undefined> {
  const { store } = engine.env
  await engine.descendants.followed(runId)
  const record = await store.readRun(runId)
  if (record) return nodeOf(engine, record)
  const child = await findChild(engine, runId)
  return child ? queuedChild(child) : queuedRoot(engine, runId)
}

/** A run whose input waits. */
async function queuedRoot(engine: Engine, runId: string): Promise<TreeNode | undefined> {
  const { env, settlements } = engine
  const { store } = env
  const isIt = (said: InboxItem) => said.type === 'input' && said.runId === runId
  const sessionId = settlements.sessionOf(runId) ?? (await store.readSaid()).find(isIt)?.sessionId
  if (sessionId === undefined) return undefined
  const state = await store.readSession(sessionId, { messages: 0 })
  // It waits still: none of the session's events so far is its own.
  const item = (await store.readInbox(sessionId)).find(isIt)
  if (item?.type !== 'input') {
    const begun = await store.readRun(runId)
    return begun && nodeOf(engine, begun)
  }
  const agent = item.request.agent ?? state?.session.agent ?? agentNamed(env.agents, undefined).name
  return {
    runId,
    sessionId,
    agent,
    status: 'queued',
    phase: 'queued',
    own: nothing,
    seq: state?.session.seq ?? 0,
    children: [],
  }
}

async function nodeOf(engine: Engine, found: RunRecord, child?: ChildRecord): Promise<TreeNode> {
  const { store } = engine.env
  const { runId, sessionId } = found
  const state = await store.readSession(sessionId, { messages: 0 })
  // As of the same moment as the number of the last event.
  const record = state?.run?.runId === runId ? state.run : found
  const { agent, startedAt, endedAt, reason, error } = record
  const children = [...(await store.readChildren(runId))].sort(inOrder)
  return {
    runId,
    sessionId,
    agent,
    ...(await standing(engine, record, state, child)),
    ...(child?.background && { background: child.background }),
    own: ownSpend(record),
    seq: state?.session.seq ?? 0,
    startedAt,
    ...(endedAt !== undefined && { endedAt, ...(reason && { reason }), ...(error && { error }) }),
    children: await inBatches(children, (one) => childNode(engine, runId, one)),
  }
}

async function childNode(engine: Engine, parentRunId: string, child: ChildRecord): Promise<TreeNode> {
  const record = await engine.env.store.readRun(child.runId)
  if (!record) return queuedChild(child)
  // A later run of the session has it go on: here it stands as this one knew it.
  if (record.ancestors?.at(-1)?.runId === parentRunId) return nodeOf(engine, record, child)
  const { runId, sessionId, agent, status } = child
  return { runId, sessionId, agent, status, own: ownSpend(record), seq: 0, startedAt: record.startedAt, children: [] }
}

/** One that has not begun, or that was deleted. */
function queuedChild({ runId, sessionId, agent, status, background }: ChildRecord): TreeNode {
  const waits = status === 'queued' || status === 'running'
  return {
    runId,
    sessionId,
    agent,
    ...(waits ? { status: 'queued', phase: 'queued' } : { status: 'cancelled' }),
    ...(background && { background }),
    own: nothing,
    seq: 0,
    children: [],
  }
}

const nothing: OwnSpend = { usage: noUsage }

function ownSpend({ usage, cost, unpriced, counted }: RunRecord): OwnSpend {
  const own = sinceTreeSpend({ usage, ...(cost !== undefined && { cost }) }, counted)
  return { usage: own.usage, ...(own.cost !== undefined && { cost: own.cost }), ...(unpriced && { unpriced: true }) }
}

type Standing = Pick<TreeNode, 'status' | 'phase' | 'waitingFor'>

async function standing(
  engine: Engine,
  { runId, sessionId, endedAt, status, waitingFor }: RunRecord,
  state: SessionState | undefined,
  child: ChildRecord | undefined,
): Promise<Standing> {
  if (endedAt !== undefined) {
    // It is to go on as soon as it has its turn.
    return child?.status === 'queued' && child.queued ? { status: 'queued', phase: 'queued' } : { status }
  }
  const run = engine.known(sessionId)?.run
  if (status === 'running' && run?.runId === runId) {
    const phase = run.signal.aborted ? 'stopping' : run.retry ? 'retrying' : run.phase
    return { status, phase }
  }
  if (state && (await engine.isInterrupted(state))) return { status: 'interrupted', phase: 'interrupted' }
  if (status === 'waiting') return { status, phase: 'waiting', ...(waitingFor && { waitingFor }) }
  return { status, phase: 'model' }
}

/** As they were asked for. */
const inOrder = (a: ChildRecord, b: ChildRecord) =>
  (a.n ?? Number.MAX_SAFE_INTEGER) - (b.n ?? Number.MAX_SAFE_INTEGER) || a.createdAt - b.createdAt
