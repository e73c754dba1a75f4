import type {
  Actor,
  ApprovalActor,
  ApprovalRecord,
  CallRecord,
  InboxItem,
  ToolCallPart,
  ToolResultRecord,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { noteOf, resultNote } from './audit.ts'
import { limitOutput } from './limit-output.ts'
import { withEdit } from './tell-edit.ts'
import { failureOf, failureText, successOf } from './tool-output.ts'
import { goingOn, policyOf, type ToolRun, toolOf } from './tool-run.ts'

type WithoutEnvelope<T> = T extends unknown
  ? Omit<T, 'v' | 'id' | 'sessionId' | 'runId' | 'path' | 'ancestors' | 'askedAt'>
  : never

/** A question of this run, to be committed. */
export const ask = ({ env, live, runId, record }: ToolRun, question: WithoutEnvelope<ApprovalRecord>) =>
  ({
    v: 1,
    id: env.newId(),
    sessionId: live.id,
    runId,
    ...(record.ancestors && { ancestors: record.ancestors }),
    path: [...(record.ancestors ?? []).map(({ agent }) => agent), record.agent],
    askedAt: env.now(),
    ...question,
  }) as ApprovalRecord

/** The questions about calls that had started when their worker or page went away, as far as they are not asked yet. */
export function questionsInDoubt(run: ToolRun, rows: readonly CallRecord[]): ApprovalRecord[] {
  const asked = new Set([...run.approvals.values()].map((open) => 'toolCallId' in open && open.toolCallId))
  return rows
    .filter(({ toolCallId }) => !asked.has(toolCallId))
    .map(({ toolCallId, toolName, dynamic, input, startedAt }) =>
      ask(run, {
        reason: 'in-doubt',
        title: `“${toolName}” had started and was cut off. Did it take effect?`,
        toolCallId,
        toolName,
        ...(dynamic ? { dynamic } : undefined),
        input,
        startedAt,
      }),
    )
}

/** The approval with its answer, and the event that tells of it. */
export function resolved(
  run: ToolRun,
  approval: ApprovalRecord,
  answer: NonNullable<ApprovalRecord['resolved']>['answer'],
  by: ApprovalActor = answer.decision === 'withdrawn' ? 'runtime' : 'person',
) {
  return {
    approvals: [{ ...approval, resolved: { at: run.env.now(), answer, by } }],
    events: [{ kind: 'approval-resolved' as const, approvalId: approval.id, answer, by }],
  } satisfies Step
}

/** What the answer to a call in doubt comes to. A yes holds for this leg: after another death it is asked anew. */
export async function settleDoubt(
  run: ToolRun,
  approval: Extract<ApprovalRecord, { reason: 'in-doubt' }>,
  { answer, n }: Extract<InboxItem, { type: 'answer' }>,
): Promise<Step> {
  const settled = noteOf(approval, 'settled', 'person', { detail: answer.decision, approvalId: approval.id })
  const step = { ...resolved(run, approval, answer), ...goingOn(run), applied: [n], audit: [settled] }
  const row = run.calls.get(approval.toolCallId)
  const call = run.openCalls.find(({ toolCallId }) => toolCallId === approval.toolCallId)
  if (!row || row.result || !call) return step
  if (answer.decision === 'retry') return { ...step, calls: [{ ...row, retryIn: run.record.leg }] }
  const result =
    answer.decision === 'supply-result'
      ? await suppliedResult(run, call, answer.output)
      : failureOf(
          call,
          'This call had started when its worker or page went away: its outcome is unknown. It may have taken effect. Do not repeat it without asking the user.',
        )
  const finished = finishStep(run, row, result)
  return { ...step, ...finished, audit: step.audit, events: [...step.events, ...finished.events] }
}

/** The ledger's row with its result, and the event that tells of it. What comes from outside taints the session. */
export function finishStep(run: ToolRun, row: CallRecord, result: ToolResultRecord, by: Actor = 'tool') {
  const finishedAt = run.env.now()
  const { toolCallId, toolName, startedAt } = row
  const untrusted = policyOf(run, row).untrusted === true || result.untrusted === true
  const told = withEdit(row, result)
  const finished: CallRecord = {
    ...row,
    state: 'finished',
    finishedAt,
    result: untrusted ? { ...told, untrusted } : told,
  }
  return {
    calls: [finished],
    events: [{ kind: 'tool-execution-finished' as const, toolCallId, duration: finishedAt - startedAt, cached: false }],
    audit: [resultNote(row, result, by)],
    ...(untrusted ? { session: { tainted: { at: finishedAt, toolName } } } : undefined),
  } satisfies Step
}

const suppliedResult = (run: ToolRun, call: ToolCallPart, output: unknown): Promise<ToolResultRecord> =>
  successOf(call, toolOf(run, call), output)
    .catch((error) => failureOf(call, failureText(error)))
    .then((result) => run.settle(call, result))
    .then((result) => limitOutput(result, run.caps.maxToolOutput))
