import { AgentError, toAgentError } from '../errors.ts'
import type { StepParams, StepSummary } from '../protocol/messages.ts'
import { textOf } from '../sessions/continued.ts'
import { noUsage, type RunRecord } from '../sessions/records.ts'
import type { Store } from '../sessions/store.ts'
import type { Connection } from './connection.ts'
import type { Engine } from './engine.ts'
import type { Table } from './methods.ts'
import { openCallsOf } from './run.ts'
import { until } from './until.ts'
import { knownCost } from './usage.ts'

/** Messages among which a run's last answer and its calls are. */
const lastMessages = 50

/** One turn of a stepped run: says the step, and waits until the store says that it is over. */
export async function step(
  engine: Engine,
  params: StepParams,
  connection: Connection,
  again: boolean,
  run: Table['run'],
): Promise<StepSummary> {
  const { store } = engine.env
  const { sessionId, stepId, input, ...request } = params
  const tools = params.tools === 'external' ? ('external' as const) : ('inline' as const)
  const left = new AbortController()
  let { runId } = params
  let settled: Promise<unknown>
  if (input === undefined) {
    runId = await engine.inOrder(sessionId, () => askToGoOn(engine, { ...params, tools }, connection, again))
    settled = engine.settlements.wait(sessionId, runId, { signal: left.signal })
    engine.conductor.nudge(engine.live(sessionId))
  } else {
    const first = { ...request, sessionId, input, whenBusy: 'reject' as const, step: { id: stepId, tools } }
    settled = run(engine, first, connection, again)
    // Once it is written.
    await engine.inOrder(sessionId, async () => {})
  }
  const look = async () => {
    // In this order: who takes the step out of the inbox changes the record with it.
    const asked = (await store.readInbox(sessionId)).some((item) => item.type === 'step' && item.stepId === stepId)
    const record = asked ? undefined : await store.readRun(runId)
    return record && (record.endedAt !== undefined || (record.status === 'waiting' && record.step?.over))
      ? summaryOf(store, record)
      : undefined
  }
  /** The run ended, or it could not be written; what the store says of it comes first. */
  const unsettled = settled.then(
    () => new Promise<never>(() => {}),
    async (thrown) => {
      const found = await look().catch(() => undefined)
      if (found) return found
      const error = toAgentError(thrown)
      if (error.code === 'aborted') return withdrawnSummary(runId)
      throw error
    },
  )
  try {
    return await Promise.race([until(engine, sessionId, look, left.signal), unsettled])
  } finally {
    left.abort()
  }
}

/** Says the step to the session's stepped run; gives the run's id. */
async function askToGoOn(
  { env: { store } }: Engine,
  { sessionId, stepId, tools }: StepParams,
  { pageId }: Connection,
  again: boolean,
): Promise<string> {
  const state = await store.readSession(sessionId, { messages: lastMessages })
  const { run, inbox = [], messages = [] } = state ?? {}
  if (!run?.step || (run.endedAt !== undefined && run.status !== 'stopped'))
    throw new AgentError('not-resumable', 'There is no stepped run to go on with in this session: pass an input.')
  const { runId } = run
  const isKnown = run.step.id === stepId || inbox.some((item) => item.type === 'step' && item.stepId === stepId)
  if (again && isKnown) return runId
  if (run.endedAt === undefined && run.step.tools === 'external') {
    const given = new Set(inbox.flatMap((item) => (item.type === 'tool-output' ? [item.toolCallId] : [])))
    const missing = (await pendingCalls(store, runId, messages)).filter(({ toolCallId }) => !given.has(toolCallId))
    if (missing.length > 0) throw missingOutputs(missing)
  }
  const page = pageId === undefined ? undefined : { pageId }
  const resumes = run.status === 'stopped' ? { resumes: true as const } : undefined
  await store.say(sessionId, runId, { type: 'step', stepId, tools, ...resumes, ...page })
  return runId
}

function missingOutputs(calls: readonly { readonly toolName: string; readonly toolCallId: string }[]) {
  const named = calls.slice(0, 10).map(({ toolName, toolCallId }) => `"${toolCallId}" (${toolName})`)
  return new AgentError(
    'missing-tool-output',
    `Give the outputs of these calls with session.addToolOutput before the next step: ${named.join(', ')}.`,
  )
}

/** Calls of the last answer that can be carried out, and have no result. */
async function pendingCalls(store: Store, runId: string, messages: Parameters<typeof openCallsOf>[0]) {
  const open = openCallsOf(messages).filter(({ invalid }) => invalid === undefined)
  if (open.length === 0) return []
  const rows = await store.readCalls(runId)
  return open.filter(({ toolCallId }) => !rows.some((row) => row.toolCallId === toolCallId && row.result))
}

async function summaryOf(store: Store, record: RunRecord): Promise<StepSummary> {
  const { runId, sessionId, firstIndex, usage, checkpoint, reason, error } = record
  const messages = await store.readMessages(sessionId, { from: firstIndex, limit: lastMessages })
  const answer = messages.findLast((message) => message.role === 'assistant' && message.runId === runId)
  const final = record.status === 'completed' || record.status === 'failed' || record.status === 'cancelled'
  const pending = final ? [] : await pendingCalls(store, runId, messages)
  return {
    status: statusOf(record),
    runId,
    turn: answer?.turn ?? checkpoint.turn,
    text: textOf(answer),
    toolCalls: pending.map(({ toolCallId, toolName, input, dynamic }) => ({
      toolCallId,
      toolName,
      input,
      ...(dynamic ? { dynamic } : undefined),
    })) as StepSummary['toolCalls'],
    usage,
    ...knownCost(record),
    ...(reason === undefined ? undefined : { reason }),
    ...(error ? { error } : undefined),
  }
}

function statusOf({ status, waitingFor }: RunRecord): StepSummary['status'] {
  if (status === 'completed') return 'done'
  if (status === 'stopped' || status === 'cancelled' || status === 'failed') return status
  if (waitingFor === 'approval') return 'awaiting-approval'
  return waitingFor === 'tool-results' || waitingFor === 'page' ? 'pending-tool-calls' : 'needs-more-turns'
}

/** Its input was taken back: there never was a run. */
const withdrawnSummary = (runId: string): StepSummary => ({
  status: 'cancelled',
  runId,
  turn: 0,
  text: '',
  toolCalls: [],
  usage: noUsage,
  reason: 'aborted',
})
