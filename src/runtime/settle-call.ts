import { messageOf } from '../errors.ts'
import type { ApprovalRecord, CallRecord, GrantRecord, InboxItem, ToolCallPart } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { actionKeyOf } from '../tools/action-key.ts'
import { resolved } from '../tools/approvals.ts'
import { noteOf } from '../tools/audit.ts'
import { canonicalJson } from '../tools/canonical-json.ts'
import { withInput } from '../tools/parse-call.ts'
import { rowOf } from '../tools/run-tools.ts'
import { failureOf } from '../tools/tool-output.ts'
import { type Decision, goingOn } from '../tools/tool-run.ts'
import type { Run } from './run.ts'
import { untilAborted } from './until-aborted.ts'
import { isDue } from './waiting.ts'

type Question = Extract<ApprovalRecord, { reason: 'policy' }>
type Answer = Extract<InboxItem, { type: 'answer' }>

/** What the answer to a call comes to that somebody was asked about: it may start, or it never will. */
export async function settleCall(run: Run, question: Question, { answer, n }: Answer): Promise<unknown> {
  const step: Step = { ...resolved(run, question, answer), applied: [n] }
  if (answer.decision === 'abort') {
    run.alongside(step)
    run.approvals.delete(question.id)
    return run.end({ kind: 'run-cancelled', reason: 'aborted' })
  }
  const goesOn: Step = { ...step, ...goingOn(run) }
  const call = openCall(run, question)
  if (!call) return run.commit(goesOn)
  if (answer.decision === 'deny') return deny(run, question, call, goesOn, refusal(answer.reason))
  if (answer.decision !== 'allow-once' && answer.decision !== 'allow-always') return run.commit(goesOn)
  const deciding = untilAborted(() => decisionOn(run, question, call, editOf(answer)), run.signal)
  const decision = await deciding.catch((error) => messageOf(error))
  run.signal.throwIfAborted()
  if (typeof decision === 'string') return deny(run, question, call, goesOn, decision)
  const { id: approvalId } = question
  if (decision.edited === 'person') run.note(call, 'changed', 'person', { approvalId })
  run.note(call, 'allowed', 'person', { approvalId, detail: answer.decision })
  await run.commit({
    ...goesOn,
    run: { ...goesOn.run, allowed: [...(run.record.allowed ?? []), allowedRecord(run, question, decision)] },
    ...(answer.decision === 'allow-always' && { grants: grantsOf(run, question, decision, answer.expiresAt) }),
  })
  run.decisions.set(call.toolCallId, decision)
}

const openCall = (run: Run, { toolCallId }: Question) =>
  run.calls.has(toolCallId) ? undefined : run.openCalls.find((call) => call.toolCallId === toolCallId)

const refusal = (reason: string | undefined) => `The user refused this call${reason ? `: ${reason}` : '.'}`

function deny(run: Run, { id: approvalId }: Question, call: ToolCallPart, step: Step, why: string, by?: 'expiry') {
  const audit = [noteOf(call, 'denied', by ?? 'person', { approvalId, detail: why })]
  const { calls, events } = deniedStep(run, call, why)
  return run.commit({ ...step, calls, audit, events: [...(step.events ?? []), ...events] })
}

/** A no: the call has its result, which tells the model why, and never starts. */
export function deniedStep(run: Run, call: ToolCallPart, why: string) {
  const at = run.env.now()
  const result = failureOf(call, run.onText?.(why) ?? why, 'denied')
  const row: CallRecord = {
    ...rowOf(run, call, at),
    state: 'finished',
    finishedAt: at,
    result,
  }
  const { toolCallId } = call
  return {
    calls: [row],
    events: [{ kind: 'tool-execution-finished' as const, toolCallId, duration: 0, cached: false }],
  } satisfies Step
}

const editOf = (answer: Answer['answer']) => ('input' in answer ? answer.input : undefined)

/** The call as a yes lets it start: with the arguments that were asked about, or with what a person made of them. */
async function decisionOn(run: Run, question: Question, call: ToolCallPart, edit: unknown): Promise<Decision> {
  if (edit !== undefined && canonicalJson(edit) !== question.arguments)
    return { call: await withInput(call, edit, run.tools), edited: 'person' }
  if (canonicalJson(call.input) === question.arguments) return { call }
  return { call: await asAsked(run, question, call), edited: 'middleware' }
}

/**
 * The call with the input that was asked about: as validation has it, unless that makes another input of what it has made
 * before.
 */
async function asAsked(run: Run, { input, arguments: asked }: Question, call: ToolCallPart): Promise<ToolCallPart> {
  const again = await withInput(call, input, run.tools).catch(() => undefined)
  return again && canonicalJson(again.input) === asked ? again : { ...call, input }
}

const allowedRecord = (run: Run, { id: approvalId }: Question, { call, edited }: Decision) => ({
  toolCallId: call.toolCallId,
  leg: run.record.leg,
  by: 'person' as const,
  approvalId,
  ...(edited && { edited: { input: call.input, by: edited } }),
})

/** What somebody saw is remembered, whatever the tool makes of it by now; what was edited as it was allowed. */
function grantsOf(
  run: Run,
  { id: approvalId, toolName, actionKey: seen }: Question,
  { call, edited }: Decision,
  expiresAt: number | undefined,
): GrantRecord[] {
  const actionKey = edited === 'person' ? actionKeyOf(run, call) : seen
  if (actionKey === undefined) return []
  const grantedAt = run.env.now()
  const grant = { v: 1 as const, sessionId: run.live.id, actionKey, toolName, grantedAt, approvalId }
  return [expiresAt === undefined ? grant : { ...grant, expiresAt }]
}

/** Silence is a no, once it has lasted for so long. An answer that was stored before the no is applied in its place. */
export async function expireQuestions(run: Run): Promise<void> {
  const now = run.env.now()
  for (const question of [...run.approvals.values()]) {
    if (question.reason !== 'policy' || !isDue(question.expiresAt, now)) continue
    const reason = 'Nobody allowed this call in time.'
    const step = { ...resolved(run, question, { decision: 'deny', reason }, 'expiry'), ...goingOn(run) }
    const call = openCall(run, question)
    const isSilence = await (call ? deny(run, question, call, step, reason, 'expiry') : run.commit(step))
    if (!isSilence) run.env.others.nudge(run.live.id)
  }
}

/**
 * What was allowed while the run waited, and has not started: whoever goes on with it in the same leg lets it start. A yes of
 * a leg that died is void.
 */
export function recallAllowed(run: Run): void {
  const { allowed = [], leg, status } = run.record
  if (status !== 'waiting') return
  for (const yes of allowed) {
    const call = yes.leg === leg && run.openCalls.find(({ toolCallId }) => toolCallId === yes.toolCallId)
    if (!call) continue
    const { edited } = yes
    run.decisions.set(
      call.toolCallId,
      edited ? { call: { ...call, input: edited.input }, edited: edited.by } : { call },
    )
  }
}
