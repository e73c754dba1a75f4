import type { ToolSet } from '@ai-sdk/provider-utils'
import { delegateKind } from '../delegation/delegate-tools.ts'
import { AgentError, fromWire } from '../errors.ts'
import { redact } from '../model/redact.ts'
import type { CallRecord, InboxItem, ToolCallPart, ToolResultRecord, WaitingFor } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { finishStep, resolved } from './approvals.ts'
import { noteOf } from './audit.ts'
import { type Execution, execute } from './execute.ts'
import { limitOutput } from './limit-output.ts'
import { areHandedOut, isInDoubt, needsSomebody, pageFor, waitedFor } from './open-calls.ts'
import type { Page } from './pages.ts'
import { portInputOf } from './parse-call.ts'
import { failureOf, failureText, successOf } from './tool-output.ts'
import { type Decision, goingOn, policyOf, type ToolRun, toldToStop, toolOf } from './tool-run.ts'

type Tool = ToolSet[string]
interface Start extends Decision {
  readonly tool: Tool
  /** The page that carries it out; absent where the worker does. */
  readonly page?: Page
}

/**
 * Carries out the open calls of the last answer: in parallel, but for serial tools. Intents that start together are one
 * commit before any of them starts; each result is one, and the turn's last is made by `withLast`. Gives what the run waits
 * for where calls need somebody who is not there, and `held` where some may not start. Rejects when the run is to end, without waiting for tools that ignore
 * their signal.
 */
export async function runTools(run: ToolRun, withLast: (step: Step) => Step): Promise<WaitingFor | 'held' | undefined> {
  run.phase = 'tools'
  // Again, for what can be started only now: somebody answered, or a page came.
  for (let starts = startsOf(run); starts.length > 0; starts = startsOf(run)) {
    for (const batch of batches(run, starts)) {
      run.signal.throwIfAborted()
      const admitted = admit(run, batch)
      if (admitted.length > 0) await runBatches(run, admitted, withLast)
      if (admitted.length < batch.length) return 'held'
    }
  }
  run.signal.throwIfAborted()
  return isHeld(run) ? 'held' : waitedFor(run)
}

/** Whether a call that others carry out may not be answered any more: the run has as many as it may start. */
export const isHeld = (run: ToolRun) =>
  run.callsLeft === 0 && run.openCalls.some((call) => !run.calls.has(call.toolCallId) && needsSomebody(run, call))

/** Those that may start: the first ones, up to the limit. One that had started before counts no second time. */
function admit(run: ToolRun, batch: readonly Start[]): readonly Start[] {
  let left = run.callsLeft
  return left < 0 ? [] : batch.filter(({ call }) => run.calls.has(call.toolCallId) || left-- > 0)
}

const startsOf = (run: ToolRun) => run.openCalls.flatMap((call) => prepare(run, call) ?? [])

/** What is to start now: not what has its result, nor what can't be carried out, nor what waits for a page or an answer. */
function prepare(run: ToolRun, call: ToolCallPart): Start | undefined {
  const row = run.calls.get(call.toolCallId)
  if (row?.result || run.refused.has(call.toolCallId)) return undefined
  if (row && isInDoubt(run, row)) return undefined
  if (run.handedOn.has(call.toolCallId)) return undefined
  const tool = toolOf(run, call)
  if (call.invalid !== undefined || !tool) {
    const why = call.invalid ?? `There is no tool "${call.toolName}" any more.`
    run.refused.set(call.toolCallId, failureOf(call, why))
    if (call.invalid === undefined) run.note(call, 'failed', 'runtime', { detail: why })
    return undefined
  }
  if (areHandedOut(run)) return undefined
  const decided = row ? decidedBefore(call, row) : run.decisions.get(call.toolCallId)
  if (!decided || tool.execute || delegateKind(tool)) return decided && { ...decided, tool }
  const page = pageFor(run, call)
  return page && { ...decided, tool, page }
}

/** A call that had started keeps what it started with. */
const decidedBefore = (call: ToolCallPart, { edited, input }: CallRecord): Decision =>
  edited ? { call: { ...call, input }, edited } : { call }

/** Serial calls run alone, in their place. */
function batches(run: ToolRun, starts: readonly Start[]): Start[][] {
  const result: Start[][] = []
  let open: Start[] | undefined
  for (const start of starts) {
    const { serial } = policyOf(run, start.call)
    if (open && !serial) open.push(start)
    else {
      const batch = [start]
      result.push(batch)
      open = serial ? undefined : batch
    }
  }
  return result
}

/** Nobody need answer any more what is asked about these calls: they start, or have their results. */
function withdrawn(run: ToolRun, rows: readonly CallRecord[]) {
  const settled = [...run.approvals.values()]
    .filter((open) => 'toolCallId' in open && rows.some(({ toolCallId }) => toolCallId === open.toolCallId))
    .map((open) => resolved(run, open, { decision: 'withdrawn' }))
  return {
    approvals: settled.flatMap(({ approvals }) => approvals),
    events: settled.flatMap(({ events }) => events),
  }
}

/** Carries a batch out, and beside it what a person allows meanwhile; but nothing beside a serial call. */
async function runBatches(run: ToolRun, batch: readonly Start[], withLast: (step: Step) => Step): Promise<void> {
  const isSerial = ({ call }: Start) => policyOf(run, call).serial === true
  const known = new Set(run.decisions.keys())
  let allowed = run.decisions.next()
  let working: Promise<unknown> = runBatch(run, batch, withLast)
  if (batch.some(isSerial)) return void (await working)
  while (await Promise.race([allowed.then(() => true), working.then(() => false)])) {
    allowed = run.decisions.next()
    const late = startsOf(run).filter((start) => !known.has(start.call.toolCallId) && !isSerial(start))
    const admitted = admit(run, late)
    for (const { call } of admitted) known.add(call.toolCallId)
    if (admitted.length > 0) working = Promise.all([working, runBatch(run, admitted, withLast)])
  }
}

async function runBatch(run: ToolRun, batch: readonly Start[], withLast: (step: Step) => Step) {
  const startedAt = run.env.now()
  const rows = batch.map(
    ({ call, edited, page }): CallRecord => ({
      ...rowOf(run, call, startedAt),
      ...(edited ? { edited } : undefined),
      ...(page ? { pageId: page.pageId } : undefined),
    }),
  )
  const repeatable = batch.every(({ call }) => policyOf(run, call).idempotent)
  const settled = withdrawn(run, rows)
  await run.commit({
    calls: rows,
    approvals: settled.approvals,
    events: [
      ...settled.events,
      ...rows.map(({ toolCallId }) => ({ kind: 'tool-execution-started' as const, toolCallId })),
    ],
    audit: rows.map((row) => noteOf(row, run.calls.has(row.toolCallId) ? 'retried' : 'started', 'runtime')),
    durability: repeatable ? 'relaxed' : 'strict',
  })
  run.signal.throwIfAborted()
  await Promise.all(
    batch.map(async (start, index) => {
      const carried = await carryOut(run, start)
      run.signal.throwIfAborted()
      if (typeof carried === 'string') return
      const { result, stops } = carried
      const row = run.calls.get(start.call.toolCallId) ?? (rows[index] as CallRecord)
      const step = {
        ...finishStep(run, row, result),
        ...run.state.settle(start.call.toolCallId, result.outcome === 'success'),
        ...(stops ? { run: { toolErrors: toldToStop } } : undefined),
      }
      await run.commit(isLast(run, start.call) ? withLast(step) : step)
    }),
  )
}

interface Carried {
  readonly result: ToolResultRecord
  /** The run is to stop with it. */
  readonly stops?: boolean
}

/** Its page went away, or its result comes with the end of another run. */
type NoResult = 'gone' | 'waits'

/** The result of one call, whatever happens in it. Rejects only when the run is to end. */
async function carryOut(run: ToolRun, start: Start): Promise<Carried | NoResult> {
  const { call, page } = start
  for (let attempt = 1; ; attempt++) {
    const came = await attemptAt(run, start)
    if (typeof came === 'string') return came
    const { result, thrown } = came
    const failure = thrown ? await run.failed(call, thrown.error, attempt, page !== undefined) : {}
    run.signal.throwIfAborted()
    if (failure !== 'again') return { ...failure, result: await settled(run, call, failure.result ?? result) }
    run.state.settle(call.toolCallId, false)
  }
}

const attemptAt = (run: ToolRun, start: Start): Promise<Came | NoResult> =>
  toResult<NoResult>(run, start, (execution) => {
    const { call, tool, page } = start
    if (page) return onPage(run, start, page, execution)
    const kind = delegateKind(tool)
    if (kind) return run.delegate(kind, call)
    return execution.inWorker(tool).then((output) => successOf(call, tool, output))
  })

/** The result as it is stored. */
async function settled(run: ToolRun, call: ToolCallPart, result: ToolResultRecord): Promise<ToolResultRecord> {
  try {
    return limitOutput(await run.settle(call, result), run.caps.maxToolOutput)
  } catch (error) {
    run.keepLate(limitOutput(result, run.caps.maxToolOutput))
    throw error
  }
}

/** What an attempt at a call came to, and what it threw, if so. */
interface Came {
  readonly result: ToolResultRecord
  readonly thrown?: { readonly error: unknown }
}

/** What `task` comes to: what it throws and its time-out are failures; rejects only when the run is to end. */
async function toResult<T>(
  run: ToolRun,
  { call }: Start,
  task: (execution: Execution) => Promise<ToolResultRecord | T>,
): Promise<Came | T> {
  const execution = execute(run, call, policyOf(run, call).timeout ?? run.caps.toolTimeout)
  const working = task(execution)
  try {
    const result = await execution.race(working)
    return isResult(result) ? { result } : result
  } catch (thrown) {
    if (execution.signal.aborted) keepLate(run, call, execution.signal, working)
    run.signal.throwIfAborted()
    const error = execution.timedOut ?? thrown
    const why = wordsOf(run, error)
    if (execution.timedOut) run.note(call, 'timed-out', 'runtime', { detail: why })
    return { result: failureOf(call, why), thrown: { error } }
  } finally {
    execution.end()
  }
}

/** What a call failed with, without keys. */
const wordsOf = (run: ToolRun, error: unknown) => redact(failureText(error), run.secrets)

const isResult = (result: unknown): result is ToolResultRecord =>
  typeof result === 'object' && result !== null && 'outcome' in result

/** What a tool that ignored its signal came to after all. One that heeds it says only that. */
function keepLate(run: ToolRun, call: ToolCallPart, signal: AbortSignal, working: Promise<unknown>) {
  working
    .then((result) => isResult(result) && run.keepLate(limitOutput(result, run.caps.maxToolOutput)))
    .catch((error) => {
      const heeded = error === signal.reason || (error instanceof Error && error.name === 'AbortError')
      if (!heeded) run.keepLate(failureOf(call, wordsOf(run, error)))
    })
}

async function onPage(
  run: ToolRun,
  { call, tool }: Start,
  page: Page,
  execution: Execution,
): Promise<ToolResultRecord | 'gone'> {
  const { toolCallId, toolName } = call
  const { live, env, runId, record } = run
  const above = record.ancestors && { ancestors: record.ancestors }
  const pageCall = { sessionId: live.id, runId, toolCallId, toolName, input: portInputOf(call), ...above }
  const outcome = await env.pages.carryOut(page, pageCall, execution.signal, (late) =>
    keepLate(run, call, execution.signal, successOf(call, tool, late)),
  )
  if (outcome === 'gone') return outcome
  if ('error' in outcome) throw fromWire(outcome.error)
  return successOf(call, tool, outcome.output)
}

/** Somebody's answer to a call that no page carries out, with the inbox item it came in. */
export async function answerCall(run: ToolRun, call: ToolCallPart, item: Extract<InboxItem, { type: 'tool-output' }>) {
  const result = await resultOf(run, call, item)
  run.signal.throwIfAborted()
  const at = run.env.now()
  const row = rowOf(run, call, at)
  const settled = withdrawn(run, [row])
  const finished = finishStep(run, row, result, 'person')
  await run.commit({
    ...(isLast(run, call) ? goingOn(run) : undefined),
    ...finished,
    approvals: settled.approvals,
    events: [...settled.events, { kind: 'tool-execution-started', toolCallId: call.toolCallId }, ...finished.events],
    audit: [noteOf(row, 'started', 'person'), ...finished.audit],
    applied: [item.n],
  })
}

async function resultOf(
  run: ToolRun,
  call: ToolCallPart,
  { errorText, output }: { errorText?: string; output?: unknown },
) {
  const tool = toolOf(run, call)
  const result =
    errorText !== undefined || !tool
      ? failureOf(call, redact(errorText ?? `There is no tool "${call.toolName}" any more.`, run.secrets))
      : (await toResult<never>(run, { call, tool }, () => successOf(call, tool, output))).result
  return settled(run, call, result)
}

/** Whether all other calls of the turn have their results. */
const isLast = (run: ToolRun, { toolCallId }: ToolCallPart) =>
  run.openCalls.every(
    (call) =>
      call.toolCallId === toolCallId || run.calls.get(call.toolCallId)?.result || run.refused.has(call.toolCallId),
  )

export const rowOf = (
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

export const unknownCall = (toolCallId: string) =>
  new AgentError(
    'unknown-tool',
    `No call "${toolCallId}" waits for an answer in this session: it is unknown, has been answered, or is carried out already.`,
  )
