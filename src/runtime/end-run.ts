import { type AgentError, toWire } from '../errors.ts'
import type { EventPayloads } from '../events/kinds.ts'
import type {
  CallRecord,
  RunRecord,
  RunStatus,
  ToolCallPart,
  ToolMessageRecord,
  ToolResultRecord,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { failureOf } from '../tools/tool-output.ts'
import { type End, lastAnswer, type Run } from './run.ts'
import { answerRecord, messageBase, usageEvent, usageFields } from './turn.ts'

/**
 * Ends a leg: commits what there is of the answer, results for the calls that are open, and the one end event. Whatever
 * was going on, the history is a valid prompt afterwards; only a stop leaves the calls that never started to the resume.
 */
export async function endRun(run: Run, end: End): Promise<void> {
  await run.written()
  const { answer } = run
  if (!answer) return run.commit(endStep(run, end, closingOpenCalls(run, end)))
  const message = answerRecord(run, answer, 'partial')
  const kept = message.parts.length > 0
  await run.commit(
    endStep(run, end, noResults, {
      messages: kept ? [message] : [],
      events: [
        ...(kept ? [{ kind: 'assistant-message-committed' as const, index: message.index }] : []),
        usageEvent(run, answer),
      ],
      ...usageFields(run, answer),
    }),
  )
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

interface Closing {
  readonly results: readonly ToolResultRecord[]
  readonly calls: readonly CallRecord[]
}
const noResults: Closing = { results: [], calls: [] }

/** `step`, and the end in the same commit. */
export function endStep(run: Run, end: End, { results, calls }: Closing, step: Step = {}): Step {
  const messages = step.messages ?? []
  const toolMessage: ToolMessageRecord | undefined =
    results.length > 0 ? { ...messageBase(run, messages.length), role: 'tool', results } : undefined
  const first = messages.find(({ role }) => role === 'assistant')?.index ?? lastAnswer(run.history)?.index ?? 0
  const record = { ...run.record, ...step.run }
  const totals = { turns: record.turns, usage: record.usage }
  return {
    ...step,
    messages: toolMessage ? [...messages, toolMessage] : messages,
    calls,
    events: [
      ...(step.events ?? []),
      ...calls.map(({ toolCallId, startedAt, finishedAt = startedAt }) => ({
        kind: 'tool-execution-finished' as const,
        toolCallId,
        duration: finishedAt - startedAt,
        cached: false,
      })),
      ...(toolMessage ? [{ kind: 'tool-message-committed' as const, first, index: toolMessage.index }] : []),
      ...(end.kind === 'run-completed' ? [{ kind: 'turn-completed' as const, finishReason: end.finishReason }] : []),
      endEvent(end, totals),
    ],
    run: { ...step.run, ...endFields(end), endedAt: run.env.now(), waitingFor: undefined } as Partial<RunRecord>,
  }
}

function endEvent(end: End, totals: Pick<RunRecord, 'turns' | 'usage'>) {
  return end.kind === 'run-failed' ? { kind: end.kind, error: toWire(end.error), ...totals } : { ...end, ...totals }
}

function endFields(end: End): Partial<RunRecord> {
  const status = end.kind.slice('run-'.length) as RunStatus
  switch (end.kind) {
    case 'run-completed':
      return { status, finishReason: end.finishReason }
    case 'run-failed':
      return { status, error: toWire(end.error) }
    default:
      return { status, reason: end.reason }
  }
}

function closingOpenCalls(run: Run, end: End): Closing {
  const resumable = end.kind === 'run-stopped'
  const open = run.openCalls.filter(
    ({ toolCallId }) => !resumable || run.calls.has(toolCallId) || run.refused.has(toolCallId),
  )
  return closingResults(
    run,
    open.map((call) => ({ call, why: 'Not started: the run ended before.' })),
  )
}

/** What a stopped run left open won't be resumed once a new run begins: its calls get their results. */
export function closingLeftCalls(run: Run) {
  const { results } = closingResults(
    run,
    run.openCalls.map((call) => ({ call, why: 'Not started: the run was stopped.' })),
  )
  if (results.length === 0) return { messages: [], events: [] }
  const message: ToolMessageRecord = { ...messageBase(run), role: 'tool', results }
  const first = lastAnswer(run.history)?.index ?? message.index
  return { messages: [message], events: [{ kind: 'tool-message-committed' as const, first, index: message.index }] }
}

/** A result for each call: its own where it has one, `why` where it never started, else that nobody knows. */
export function closingResults(
  run: Run,
  open: readonly { readonly call: ToolCallPart; readonly why: string }[],
): Closing {
  const calls: CallRecord[] = []
  const results = open.map(({ call, why }) => {
    const row = run.calls.get(call.toolCallId)
    const known = row?.result ?? run.refused.get(call.toolCallId)
    if (known) return known
    if (!row) return failureOf(call, call.invalid ?? why)
    const result = failureOf(call, 'The run ended while this call was carried out: its outcome is unknown.')
    calls.push({ ...row, state: 'finished', finishedAt: run.env.now(), result })
    return result
  })
  return { results, calls }
}
