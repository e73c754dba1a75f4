import type { ToolSet } from '@ai-sdk/provider-utils'
import { AgentError, fromWire } from '../errors.ts'
import type { CallRecord, InboxItem, ToolCallPart, ToolResultRecord, WaitingFor } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { type Execution, execute } from './execute.ts'
import type { Page } from './pages.ts'
import { portInputOf } from './parse-call.ts'
import { failureOf, failureText, successOf } from './tool-output.ts'
import type { ToolRun } from './tool-run.ts'

type Tool = ToolSet[string]
interface Start {
  readonly call: ToolCallPart
  readonly tool: Tool
  /** The page that carries it out; absent where the worker does. */
  readonly page?: Page
}

/**
 * Carries out the open calls of the last answer: in parallel, but for serial tools. Intents that start together are one
 * commit before any of them starts; each result is one, and the turn's last is made by `withLast`. Gives what the run waits for where calls need somebody who is not
 * there. Rejects when the run is to end, without waiting for tools that ignore their signal.
 */
export async function runTools(run: ToolRun, withLast: (step: Step) => Step): Promise<WaitingFor | undefined> {
  run.phase = 'tools'
  for (const batch of batches(
    run,
    run.openCalls.flatMap((call) => prepare(run, call) ?? []),
  )) {
    run.signal.throwIfAborted()
    await runBatch(run, batch, withLast)
  }
  run.signal.throwIfAborted()
  const left = run.openCalls.filter((call) => needsSomebody(run, call))
  if (left.length === 0) return undefined
  return left.some(({ toolName }) => run.env.pages.everOffered(toolName)) ? 'page' : 'tool-results'
}

/** Whether a call waits for a page or an answer: a tool without `execute` that no page offers, not begun yet. */
export function needsSomebody(run: ToolRun, call: ToolCallPart): boolean {
  if (run.calls.has(call.toolCallId) || run.refused.has(call.toolCallId) || call.invalid !== undefined) return false
  const tool = toolOf(run, call)
  return tool !== undefined && !tool.execute && !run.env.pages.offering(call.toolName, run.record.pageId)
}

function toolOf({ agent: { tools = {} } }: ToolRun, { toolName }: ToolCallPart): Tool | undefined {
  return Object.hasOwn(tools, toolName) ? tools[toolName] : undefined
}

/** What is to start now: not what has its result, nor what can't be carried out, nor what waits for a page or an answer. */
function prepare(run: ToolRun, call: ToolCallPart): Start | undefined {
  const row = run.calls.get(call.toolCallId)
  if (row?.result || run.refused.has(call.toolCallId)) return undefined
  if (row) {
    run.refused.set(
      call.toolCallId,
      failureOf(call, 'This call had started when its worker or page went away: its outcome is unknown.'),
    )
    return undefined
  }
  const tool = toolOf(run, call)
  if (call.invalid !== undefined || !tool) {
    run.refused.set(call.toolCallId, failureOf(call, call.invalid ?? `There is no tool "${call.toolName}" any more.`))
    return undefined
  }
  if (tool.execute) return { call, tool }
  const page = run.env.pages.offering(call.toolName, run.record.pageId)
  return page && { call, tool, page }
}

/** Serial calls run alone, in their place. */
function batches(run: ToolRun, starts: readonly Start[]): Start[][] {
  const result: Start[][] = []
  let open: Start[] | undefined
  for (const start of starts) {
    const serial = policyOf(run, start).serial
    if (open && !serial) open.push(start)
    else {
      const batch = [start]
      result.push(batch)
      open = serial ? undefined : batch
    }
  }
  return result
}

async function runBatch(run: ToolRun, batch: readonly Start[], withLast: (step: Step) => Step) {
  const startedAt = run.env.now()
  const rows = batch.map(
    ({ call, page }): CallRecord => ({
      ...rowOf(run, call, startedAt),
      ...(page ? { pageId: page.pageId } : undefined),
    }),
  )
  const repeatable = batch.every((start) => policyOf(run, start).idempotent)
  await run.commit({
    calls: rows,
    events: rows.map(({ toolCallId }) => ({ kind: 'tool-execution-started', toolCallId })),
    durability: repeatable ? 'relaxed' : 'strict',
  })
  run.signal.throwIfAborted()
  await Promise.all(
    batch.map(async (start, index) => {
      const result = await carryOut(run, start)
      run.signal.throwIfAborted()
      const step = finishStep(run, rows[index] as CallRecord, result)
      await run.commit(isLast(run, start.call) ? withLast(step) : step)
    }),
  )
}

/** The result of one call, whatever happens in it; rejects only when the run is to end. */
const carryOut = (run: ToolRun, start: Start): Promise<ToolResultRecord> =>
  toResult(run, start, (execution) => {
    const { call, tool, page } = start
    if (page) return onPage(run, start, page, execution)
    return execution.inWorker(tool).then((output) => successOf(call, tool, output))
  })

/** What `task` comes to: what it throws and its time-out are failures; rejects only when the run is to end. */
async function toResult(
  run: ToolRun,
  start: Start,
  task: (execution: Execution) => Promise<ToolResultRecord>,
): Promise<ToolResultRecord> {
  const { call } = start
  const execution = execute(run, call, policyOf(run, start).timeout)
  try {
    return await execution.race(task(execution))
  } catch (error) {
    run.signal.throwIfAborted()
    return failureOf(call, failureText(execution.timedOut ?? error))
  } finally {
    execution.end()
  }
}

async function onPage(
  run: ToolRun,
  { call, tool }: Start,
  page: Page,
  execution: Execution,
): Promise<ToolResultRecord> {
  const { toolCallId, toolName } = call
  const { live, env, runId } = run
  const pageCall = { sessionId: live.id, runId, toolCallId, toolName, input: portInputOf(call) }
  const outcome = await env.pages.carryOut(page, pageCall, execution.signal)
  if (outcome === 'gone')
    return failureOf(call, 'The page went away while it carried this call out: its outcome is unknown.')
  if ('error' in outcome) return failureOf(call, fromWire(outcome.error).message)
  return successOf(call, tool, outcome.output)
}

/** Somebody's answer to a call that no page carries out, with the inbox item it came in. */
export async function answerCall(run: ToolRun, call: ToolCallPart, item: Extract<InboxItem, { type: 'tool-output' }>) {
  const result = await resultOf(run, call, item)
  run.signal.throwIfAborted()
  const at = run.env.now()
  const row = rowOf(run, call, at)
  await run.commit({
    calls: [{ ...row, state: 'finished', finishedAt: at, result }],
    events: [
      { kind: 'tool-execution-started', toolCallId: call.toolCallId },
      { kind: 'tool-execution-finished', toolCallId: call.toolCallId, duration: 0, cached: false },
    ],
    applied: [item.n],
  })
}

async function resultOf(
  run: ToolRun,
  call: ToolCallPart,
  { errorText, output }: { errorText?: string; output?: unknown },
) {
  const tool = toolOf(run, call)
  if (errorText !== undefined || !tool)
    return failureOf(call, errorText ?? `There is no tool "${call.toolName}" any more.`)
  return toResult(run, { call, tool }, () => successOf(call, tool, output))
}

function finishStep(run: ToolRun, row: CallRecord, result: ToolResultRecord): Step {
  const finishedAt = run.env.now()
  const { toolCallId, startedAt } = row
  return {
    calls: [{ ...row, state: 'finished', finishedAt, result }],
    events: [{ kind: 'tool-execution-finished', toolCallId, duration: finishedAt - startedAt, cached: false }],
  }
}

/** Whether all other calls of the turn have their results. */
const isLast = (run: ToolRun, { toolCallId }: ToolCallPart) =>
  run.openCalls.every(
    (call) =>
      call.toolCallId === toolCallId || run.calls.get(call.toolCallId)?.result || run.refused.has(call.toolCallId),
  )

const rowOf = (
  run: ToolRun,
  { toolCallId, toolName, dynamic, input }: ToolCallPart,
  startedAt: number,
): CallRecord => ({
  v: 1,
  runId: run.runId,
  toolCallId,
  toolName,
  ...(dynamic ? { dynamic } : undefined),
  input,
  state: 'started',
  startedAt,
})

/** The agent's word on a tool wins over the tool's own. */
function policyOf({ agent }: ToolRun, { call, tool }: Start) {
  const { toolPolicy = {} } = agent
  return {
    ...(tool as object),
    ...(Object.hasOwn(toolPolicy, call.toolName) ? toolPolicy[call.toolName] : undefined),
  } as {
    serial?: boolean
    idempotent?: boolean
    timeout?: number
  }
}

export const unknownCall = (toolCallId: string) =>
  new AgentError(
    'unknown-tool',
    `No call "${toolCallId}" waits for an answer in this session: it is unknown, has been answered, or is carried out already.`,
  )
