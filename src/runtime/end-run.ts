import { type AgentError, toWire } from '../errors.ts'
import type { EventPayloads } from '../events/kinds.ts'
import type { Totals } from '../events/stored.ts'
import { redactError } from '../model/redact.ts'
import type {
  ApprovalRecord,
  AssistantMessageRecord,
  CallRecord,
  RunRecord,
  RunStatus,
  ToolCallPart,
  ToolMessageRecord,
  ToolResultRecord,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { tellParent } from '../sessions/tell-parent.ts'
import { resolved } from '../tools/approvals.ts'
import { noteOf } from '../tools/audit.ts'
import { failureOf } from '../tools/tool-output.ts'
import { withEndOfChildren } from './end-children.ts'
import { tellCancelled, tellEnd } from './end-hooks.ts'
import { type End, lastAnswer, type Run } from './run.ts'
import { answerRecord, messageBase } from './turn.ts'
import { answerStep, bookingOfDraft, knownCost, usageStep } from './usage.ts'

/**
 * Ends a leg: commits what there is of the answer, results for the calls that are open, and the one end event. Whatever
 * was going on, the history is a valid prompt afterwards; only a stop leaves the calls that never started to the resume.
 */
export async function endRun(run: Run, end: End): Promise<void> {
  await run.written()
  const { answer } = run
  const step = answer ? cutStep(answerRecord(run, answer, 'partial'), answerStep(run, answer)) : draftStep(run)
  const told = await tellEnd(run, end, { ...run.record, ...step.run })
  const last = await withEndOfChildren(run, told, step)
  await run.commit(endStep(run, told, answer ? noResults : closingOpenCalls(run, told), last))
  tellCancelled(run, told)
}

/** What there is of an answer, and what it used. */
function cutStep(message: AssistantMessageRecord, used: Step): Step {
  if (message.parts.length === 0) return used
  const told = { kind: 'assistant-message-committed' as const, index: message.index }
  return { ...used, messages: [message], events: [told, ...(used.events ?? [])] }
}

/** What an owner that died had written of its answer. */
function draftStep(run: Run): Step {
  const { draft } = run
  if (!draft) return {}
  // Its turn counts: the next one must not take its number.
  if (draft.message.parts.length > 0) run.turn = draft.message.turn
  const booking = bookingOfDraft(draft)
  return cutStep(draft.message, booking ? usageStep(run, booking) : {})
}

export const releaseReason = ({ code }: AgentError): EventPayloads['run-released']['reason'] =>
  code === 'ownership-lost' || code === 'storage-full' || code === 'storage-lost' ? code : 'storage-unavailable'

/** The owner can't write any more: it says so, and stops whatever still runs. */
export function releaseRun(run: Run, error: AgentError): void {
  const { env, live } = run
  env.bus.publish(run.envelope('run-released', { reason: releaseReason(error), error }))
  run.released = error
  run.end({ kind: 'run-failed', error })
  live.run = undefined
}

export const unknownOutcome = 'The run ended while this call was carried out: its outcome is unknown.'

/** Results for calls that were open. */
export interface Closing {
  readonly results: readonly ToolResultRecord[]
  readonly calls: readonly CallRecord[]
  readonly audit: NonNullable<Step['audit']>
}
export const noResults: Closing = { results: [], calls: [], audit: [] }

/** `step`, and what closes the calls that it leaves. */
export function closeStep(run: Run, { results, calls, audit }: Closing, step: Step = {}): Step {
  const messages = step.messages ?? []
  const toolMessage: ToolMessageRecord | undefined =
    results.length > 0 ? { ...messageBase(run, messages.length), role: 'tool', results } : undefined
  const first = messages.find(({ role }) => role === 'assistant')?.index ?? lastAnswer(run.history)?.index ?? 0
  return {
    ...step,
    messages: toolMessage ? [...messages, toolMessage] : messages,
    calls,
    audit: [...(step.audit ?? []), ...audit],
    events: [
      ...(step.events ?? []),
      ...calls.map(finished),
      ...(toolMessage ? [{ kind: 'tool-message-committed' as const, first, index: toolMessage.index }] : []),
    ],
  }
}

/** A stop leaves the questions about the calls that it leaves: they can be answered for the resume. */
const isLeft = (run: Run, end: End, { results }: Closing, approval: ApprovalRecord) =>
  end.kind === 'run-stopped' &&
  'toolCallId' in approval &&
  run.openCalls.some(({ toolCallId }) => toolCallId === approval.toolCallId) &&
  !results.some(({ toolCallId }) => toolCallId === approval.toolCallId)

/** `step`, and the end in the same commit. Nobody answers the run's questions any more. */
export function endStep(run: Run, given: End, closing: Closing, step: Step = {}): Step {
  const end = withoutKeys(run, given)
  const { events = [], ...closed } = closeStep(run, closing, step)
  const record = { ...run.record, ...step.run }
  const totals = { turns: record.turns, usage: record.usage, ...knownCost(record) }
  const withdrawn = [...run.approvals.values()]
    .filter((approval) => !isLeft(run, end, closing, approval))
    .map((approval) => resolved(run, approval, { decision: 'withdrawn' }))
  return {
    ...closed,
    tells: [...(step.tells ?? []), ...tellParent(record)],
    approvals: withdrawn.flatMap(({ approvals }) => approvals),
    events: [
      ...events,
      ...withdrawn.flatMap(({ events }) => events),
      ...(end.kind === 'run-completed' && run.record.idle === undefined
        ? [{ kind: 'turn-completed' as const, finishReason: end.finishReason }]
        : []),
      endEvent(end, totals),
    ],
    run: {
      ...step.run,
      ...endFields(end),
      waitingFor: undefined,
      wakeAt: undefined,
      interruptedAt: undefined,
      lingers: undefined,
    } as Partial<RunRecord>,
  }
}

const withoutKeys = (run: Run, end: End): End =>
  'error' in end && end.error ? { ...end, error: redactError(end.error, run.secrets) } : end

function endEvent(end: End, totals: Totals) {
  if (end.kind === 'run-failed') return { kind: end.kind, error: toWire(end.error), ...totals }
  if (end.kind !== 'run-stopped') return { ...end, ...totals }
  const { error, ...stopped } = end
  return { ...stopped, ...(error ? { error: toWire(error) } : undefined), ...totals }
}

function endFields(end: End): Partial<RunRecord> {
  const status = end.kind.slice('run-'.length) as RunStatus
  switch (end.kind) {
    case 'run-completed':
      return { status, finishReason: end.finishReason }
    case 'run-failed':
      return { status, error: toWire(end.error) }
    case 'run-stopped':
      return { status, reason: end.reason, ...(end.error ? { error: toWire(end.error) } : undefined) }
    default:
      return { status, reason: end.reason }
  }
}

function closingOpenCalls(run: Run, end: End): Closing {
  const resumable = end.kind === 'run-stopped'
  // One that cuts nothing leaves the calls in doubt, too, with their questions, where they were asked.
  const asked = new Set([...run.approvals.values()].map((approval) => 'toolCallId' in approval && approval.toolCallId))
  const isSettled = ({ toolCallId }: ToolCallPart) => {
    const row = run.calls.get(toolCallId)
    return run.refused.has(toolCallId) || (row && (row.result || run.signal.aborted || !asked.has(toolCallId)))
  }
  const open = run.openCalls.filter((call) => !resumable || isSettled(call))
  return closingResults(
    run,
    open.map((call) => ({ call, why: 'Not started: the run ended before.' })),
  )
}

const finished = ({ toolCallId, startedAt, finishedAt = startedAt }: CallRecord) => ({
  kind: 'tool-execution-finished' as const,
  toolCallId,
  duration: finishedAt - startedAt,
  cached: false,
})

const cut = (row: CallRecord, finishedAt: number, call: ToolCallPart | CallRecord = row) => ({
  ...row,
  state: 'finished' as const,
  finishedAt,
  result: failureOf(call, unknownOutcome),
})

/**
 * What a stopped run left open won't be resumed once a new run begins: its calls get their results, and those that had
 * started end, whether or not their message is still to be seen. `rows` are its ledger's.
 */
export function closingLeftCalls(run: Run, rows: readonly CallRecord[]) {
  const open = new Map(run.openCalls.map((call) => [call.toolCallId, call]))
  const calls = rows.filter(({ result }) => !result).map((row) => cut(row, run.env.now(), open.get(row.toolCallId)))
  const ended = new Map(calls.map(({ toolCallId, result }) => [toolCallId, result]))
  const results = run.openCalls.map(
    (call) => ended.get(call.toolCallId) ?? failureOf(call, call.invalid ?? 'Not started: the run was stopped.'),
  )
  const audit = [
    ...calls.map((row) => noteOf(row, 'cut', 'runtime', { detail: unknownOutcome })),
    ...results
      .filter(({ toolCallId }) => !ended.has(toolCallId))
      .map((result) => noteOf(result, 'cut', 'runtime', { detail: result.errorText ?? '' })),
  ]
  const ends = calls.map((row) => ({ ...finished(row), ofRun: row.runId }))
  if (results.length === 0) return { messages: [], events: ends, calls, audit }
  const message: ToolMessageRecord = { ...messageBase(run), role: 'tool', results }
  const first = lastAnswer(run.history)?.index ?? message.index
  const told = { kind: 'tool-message-committed' as const, first, index: message.index }
  return { messages: [message], events: [...ends, told], calls, audit }
}

/** A result for each call: its own where it has one, `why` where it never started, else that nobody knows. */
export function closingResults(
  run: Run,
  open: readonly { readonly call: ToolCallPart; readonly why: string }[],
): Closing {
  const calls: CallRecord[] = []
  const audit: NonNullable<Step['audit']>[number][] = []
  const results = open.map(({ call, why }) => {
    const row = run.calls.get(call.toolCallId)
    const known = row?.result ?? run.refused.get(call.toolCallId)
    if (known) {
      // It waited for a run that has ended with this one.
      if (row && !row.result) calls.push({ ...row, state: 'finished', finishedAt: run.env.now(), result: known })
      return known
    }
    if (call.invalid !== undefined) return failureOf(call, call.invalid)
    audit.push(noteOf(call, 'cut', 'runtime', { detail: row ? unknownOutcome : why }))
    if (!row) return failureOf(call, why)
    const closed = cut(row, run.env.now(), call)
    calls.push(closed)
    return closed.result
  })
  return { results, calls, audit }
}
