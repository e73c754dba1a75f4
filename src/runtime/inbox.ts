import { AgentError } from '../errors.ts'
import { isSteering } from '../sessions/inbox.ts'
import type { FileRecord, InboxItem } from '../sessions/records.ts'
import { resolved, settleDoubt } from '../tools/approvals.ts'
import { answerCall } from '../tools/run-tools.ts'
import { goingOn, toolOf } from '../tools/tool-run.ts'
import { hearChild, hearResumed } from './child-ended.ts'
import { settleLoop } from './doom-loop.ts'
import { inputParts } from './input-files.ts'
import { settleLimit } from './limits.ts'
import { titleOf } from './load-run.ts'
import { answeredByInput, inputFields } from './open-run.ts'
import type { Run } from './run.ts'
import { expireQuestions, settleCall } from './settle-call.ts'
import { endRequested, startChild } from './start-child.ts'
import { beginStep } from './stepped-run.ts'
import { forgiven } from './tool-failures.ts'
import { gatherTools } from './tool-sources.ts'
import { messageBase } from './turn.ts'
import { untilAborted } from './until-aborted.ts'

/** Step 1 of a turn, and again when something is said in mid-turn: applies what was said to the run, each item once. */
export function applyInbox(run: Run): Promise<void> {
  run.nudges++
  return undisturbed(run, () => applyItems(run))
}

/** Carries out a task while nothing that was said is being applied. */
export function undisturbed(run: Run, task: () => Promise<void>): Promise<void> {
  run.hearing++
  const result = run.applying.then(task).finally(() => run.hearing--)
  run.applying = result.catch(() => {})
  return result
}

/** Whether somebody ends the run at once: heard although something else is still being applied, which may take for ever. */
export async function hearEnd(run: Run): Promise<void> {
  for (const item of await run.env.store.readInbox(run.live.id)) {
    if (item.runId !== run.runId) continue
    if (item.type === 'abort') return run.end({ kind: 'run-cancelled', reason: item.cause })
    if (item.type === 'stop' && item.after === 'now') return run.end({ kind: 'run-stopped', reason: 'requested' })
  }
}

async function applyItems(run: Run) {
  const { live, env } = run
  if (run.over) return
  if (live.inboxChanged) {
    live.inboxChanged = false
    for (const item of await env.store.readInbox(live.id)) {
      if (item.runId === run.runId || isSteering(item, run.runId) || isOfChild(run, item)) await applyItem(run, item)
    }
  }
  await expireQuestions(run)
}

/** It may have been started by an earlier run of the session. */
const isOfChild = (run: Run, item: InboxItem) =>
  (item.type === 'child-ended' || item.type === 'child-resumed') && run.children.has(item.childRunId)

async function applyItem(run: Run, item: InboxItem): Promise<unknown> {
  switch (item.type) {
    case 'input':
      return (
        isSteering(item, run.runId) &&
        steer(run, { ...item, inputId: item.runId, input: item.request.input, files: item.request.files })
      )
    case 'stop':
      // Stays in the inbox until the run has ended: the turn may last longer than this owner.
      if (item.after === 'turn') run.stopAfter()
      else {
        run.alongside({ applied: [item.n] })
        run.end({ kind: 'run-stopped', reason: 'requested' })
      }
      return
    case 'abort':
      run.alongside({ applied: [item.n] })
      return run.end({ kind: 'run-cancelled', reason: item.cause })
    case 'steer':
      return steer(run, item)
    case 'close':
      // Stays in the inbox until the run has ended.
      run.closing = true
      return
    case 'step':
      return applyStep(run, item)
    case 'resume':
      return applyResume(run, item.n, item.resumeId)
    case 'child-ended':
      await knowTools(run)
      return hearChild(run, item)
    case 'child-resumed':
      return hearResumed(run, item)
    case 'delegate':
      return startChild(run, item)
    case 'end-child':
      await knowTools(run)
      return endRequested(run, item)
    case 'answer':
      await knowTools(run)
      return applyAnswer(run, item)
    case 'tool-output': {
      await knowTools(run)
      const call = run.openCalls.find(({ toolCallId }) => toolCallId === item.toolCallId)
      if (!call || run.calls.has(item.toolCallId)) return run.commit({ applied: [item.n] })
      // Stays in the inbox until somebody raises the limit, or resumes the run.
      if (run.callsLeft === 0) return
      return answerCall(run, call, item)
    }
  }
}

/** What is said of a call is checked, and marked, as its tool wants it: one of a source may not be known yet. */
async function knowTools(run: Run): Promise<void> {
  if (run.openCalls.some((call) => call.invalid === undefined && !toolOf(run, call))) await gatherTools(run)
}

interface Steering {
  readonly n: number
  readonly inputId: string
  readonly input: string
  readonly files?: readonly FileRecord[] | undefined
}

/** Delivered between turns: a prompt has no place for it before the results of the calls. */
async function steer(run: Run, item: Steering) {
  // What is being written, the run's own input first, has its place in the history before it.
  await run.written()
  // One that has not begun may still be withdrawn.
  if (run.begun && run.openCalls.length === 0 && !run.answer && !run.draft && !run.ending) return deliver(run, item)
  run.steered = true
}

async function deliver(run: Run, { inputId, input, files, n }: Steering) {
  // Said once more for a worker that was lost.
  if (run.ownMessages.some(({ id }) => id === inputId)) return run.commit({ applied: [n] })
  const message = {
    ...messageBase(run),
    id: inputId,
    role: 'user' as const,
    parts: inputParts(input, files),
  }
  const fields = inputFields(run, titleOf(input, files))
  const moot = answeredByInput(run).map((question) => resolved(run, question, { decision: 'withdrawn' }))
  try {
    await run.commit({
      ...fields,
      run: {
        ...((moot.length > 0 || run.record.lingers) && { ...goingOn(run)?.run, lingers: undefined }),
        ...fields.run,
        ...forgiven(run.record),
      },
      messages: [message],
      approvals: moot.flatMap(({ approvals }) => approvals),
      events: [
        ...moot.flatMap(({ events }) => events),
        { kind: 'input-delivered', inputId, input, ...(files && { files }), mode: 'steer' },
        { kind: 'user-message-committed', index: message.index },
      ],
      applied: [n],
      checkpoint: 'before-model',
    })
  } catch (error) {
    // It was withdrawn in the last moment.
    if (error instanceof AgentError && error.code === 'aborted') return
    throw error
  }
  const title = fields.session?.title
  if (title !== undefined) run.env.bus.publish(run.envelope('session-updated', { runId: '', title }))
}

/** One that is said while another is carried out, or before the leg that follows a death, stays until the run waits for it. */
async function applyStep(run: Run, { n, stepId, tools, pageId }: Extract<InboxItem, { type: 'step' }>) {
  if (!run.record.step?.over) {
    run.resumeAsked ||= run.stepFrom === undefined
    return
  }
  const granted = beginStep(run, { id: stepId, tools })
  const page = pageId === undefined ? undefined : { pageId }
  await run.commit({
    applied: [n],
    run: { ...granted, ...page, status: 'running', waitingFor: undefined, wakeAt: undefined },
  })
}

/** The leg that it asks for is opened by whoever advances the session; where one is under way there is nothing to do. */
function applyResume(run: Run, n: number, resumeId?: string) {
  const question = [...run.approvals.values()].find(({ reason }) => reason === 'interrupted')
  run.resumeAsked = true
  run.resumeId = resumeId
  if (question) run.approvals.delete(question.id)
  run.alongside({ applied: [n], ...(question ? resolved(run, question, { decision: 'resume' }) : undefined) })
}

async function applyAnswer(run: Run, item: Extract<InboxItem, { type: 'answer' }>) {
  const { n, answer } = item
  const approval = run.approvals.get(item.approvalId)
  if (!approval) return run.commit({ applied: [n] })
  if (approval.reason === 'policy') return settleCall(run, approval, item)
  if (approval.reason === 'in-doubt')
    return run.commit(await untilAborted(() => settleDoubt(run, approval, item), run.signal))
  if (approval.reason === 'budget' && (answer.decision === 'extend' || answer.decision === 'stop'))
    return settleLimit(run, approval, answer, n)
  if (approval.reason === 'doom-loop') return settleLoop(run, approval, item)
  if (answer.decision === 'resume') return applyResume(run, n)
  run.alongside({ applied: [n], ...resolved(run, approval, answer) })
  run.approvals.delete(approval.id)
  run.end({ kind: 'run-cancelled', reason: 'aborted' })
}
