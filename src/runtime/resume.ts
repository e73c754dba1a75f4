import type { AgentDefinition } from '../agent/define-agent.ts'
import type { DraftRecord, InboxItem, RunRecord } from '../sessions/records.ts'
import { tellResumed } from '../sessions/tell-parent.ts'
import { ask } from '../tools/approvals.ts'
import { cachedNotes } from '../tools/audit.ts'
import { chosenName } from './candidates.ts'
import { resumesBelow } from './children.ts'
import { allowNextRound } from './doom-loop.ts'
import type { End, Run } from './run.ts'
import { stepOfLeg } from './stepped-run.ts'
import { warnUnheard } from './unheard.ts'
import { bookingOfDraft, knownUsage, usageStep } from './usage.ts'

/** Legs in a row that may come to nothing; then a person decides. */
const mostResumes = 3
const defaultResumeWithin = 10 * 60_000

/** What becomes of a run whose owner died: it goes on, somebody is asked, or it ends. */
export type Verdict = 'resume' | 'ask' | Extract<End, { kind: 'run-stopped' }>

export function verdictOn(
  { resume = 'auto', resumeWithin = defaultResumeWithin }: AgentDefinition,
  { resumes, checkpoint, step, wentOnAt = 0 }: RunRecord,
  draft: DraftRecord | undefined,
  now: number,
): Verdict {
  // It only comes to stand between two steps.
  if (step) return 'resume'
  if (resume === 'never') return { kind: 'run-stopped', reason: 'orphaned' }
  if (resumes >= mostResumes) return { kind: 'run-stopped', reason: 'crash-loop' }
  const seenAlive = Math.max(checkpoint.at, wentOnAt, draft?.at ?? 0)
  return resume === 'ask' || now - seenAlive > resumeWithin ? 'ask' : 'resume'
}

/**
 * Opens the next leg, under the run's own id: from here on the loop goes on at the checkpoint. Whoever wrote the draft is
 * gone, and so is the draft. `asked`: a person wants it, so that earlier attempts don't count.
 */
export async function openLeg(
  run: Run,
  asked: boolean,
  item?: Extract<InboxItem, { type: 'resume' | 'step' }>,
): Promise<void> {
  const { record, draft } = run
  const { input, metadata } = record.request
  const model = await chosenName(run)
  const resumeId = item?.type === 'resume' ? item.resumeId : run.resumeId
  const step = stepOfLeg(run, item)
  const cut = draft && !run.ending ? bookingOfDraft(draft) : undefined
  const used = cut && usageStep(run, cut)
  const { delegation, steer } = item?.type === 'resume' ? item : {}
  // Said with the commit that opens the leg: from then on it can't be complete without having heard it.
  if (steer) run.live.inboxChanged = true
  await run.commit({
    ...used,
    tells: [
      ...(steer ? [{ sessionId: run.live.id, runId: run.runId, said: { type: 'steer' as const, ...steer } }] : []),
      ...(asked ? await resumesBelow(run) : []),
      ...(record.endedAt !== undefined && !delegation ? tellResumed(record) : []),
    ],
    ...(delegation && {
      session: {
        ...used?.session,
        ancestors: delegation.ancestors,
        ...(delegation.tainted && { tainted: delegation.tainted }),
      },
    }),
    opensLeg: true,
    audit: cachedNotes(run.openCalls, run.calls),
    run: {
      ...used?.run,
      status: 'running',
      waitingFor: undefined,
      wakeAt: undefined,
      ...allowNextRound(record),
      ...(record.reason === 'tool-errors' ? { toolErrors: 0 } : undefined),
      interruptedAt: undefined,
      endedAt: undefined,
      reason: undefined,
      error: undefined,
      leg: record.leg + 1,
      resumes: asked ? 0 : record.resumes + 1,
      wentOnAt: run.env.now(),
      ...(item?.pageId === undefined ? undefined : { pageId: item.pageId }),
      ...(resumeId === undefined ? undefined : { resumeId }),
      ...step,
      ...(delegation && { ancestors: delegation.ancestors, request: { ...record.request, delegation } }),
      ...(record.idle === undefined ? undefined : { idle: run.env.now() }),
    } as Partial<RunRecord>,
    events: [
      {
        kind: 'run-started',
        input,
        resumed: true,
        ...(model === undefined ? undefined : { model }),
        ...(metadata === undefined ? undefined : { metadata }),
        ...knownUsage(record),
      },
      ...(used?.events ?? []),
    ],
    // Where tools are open, the checkpoint before them still holds.
    ...(run.openCalls.length === 0 ? { checkpoint: 'before-model' as const } : undefined),
  })
  run.resumeAsked = false
  // Where it is to end at once, what was written belongs to that end.
  if (run.ending) return
  run.draft = undefined
  if (draft) run.emit('message-voided', { messageId: draft.message.id })
}

/** Leaves it to a person whether the run goes on; the question outlasts every reload. */
export async function askToResume(run: Run): Promise<void> {
  const { checkpoint, wentOnAt = 0 } = run.record
  const interruptedAt = Math.max(checkpoint.at, wentOnAt, run.draft?.at ?? 0)
  const question = ask(run, { reason: 'interrupted', title: 'Go on with the interrupted answer?', interruptedAt })
  // It waits in the leg that died, whose yeses are void but for those that were heard just now.
  const allowed = run.record.allowed?.filter(({ toolCallId }) => run.decisions.has(toolCallId))
  await run.commit({
    run: { status: 'waiting', waitingFor: 'approval', interruptedAt, ...(allowed && { allowed }) },
    approvals: [question],
    events: [
      { kind: 'approval-requested', approvalId: question.id },
      { kind: 'run-waiting', waitingFor: 'approval' },
    ],
  })
  warnUnheard(run)
}

/** Whether somebody wants the session's latest run to go on, which was stopped. A step that came before the stop is over. */
export const isResumeOf = (item: InboxItem, latest: RunRecord | undefined) =>
  latest?.status === 'stopped' &&
  item.runId === latest.runId &&
  (item.type === 'resume' || (item.type === 'step' && item.resumes === true))
