import { delegationOf } from '../delegation/options.ts'
import type { ApprovalRecord, RunRecord, WaitingFor } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { questionsInDoubt } from '../tools/approvals.ts'
import { noteOf } from '../tools/audit.ts'
import { callsInDoubt, needsSomebody, waitedFor } from '../tools/open-calls.ts'
import { isHeld } from '../tools/run-tools.ts'
import { goingOn } from '../tools/tool-run.ts'
import { openChildren } from './children.ts'
import { isQuestioned } from './doom-loop.ts'
import { idleOrEnd, isIdle } from './open-run.ts'
import type { End, Run } from './run.ts'
import { isBetweenSteps, overStep } from './stepped-run.ts'
import { warnUnheard } from './unheard.ts'

/** Why a run can't go on, and what the store is to keep of that. */
export interface Wait {
  readonly waitingFor: WaitingFor
  /** Questions that are asked with it. */
  readonly approvals?: readonly ApprovalRecord[]
  /** When it ends by itself. Unix time in milliseconds. */
  readonly wakeAt?: number | undefined
  readonly run?: Partial<RunRecord>
  /** Told before the questions. */
  readonly events?: Step['events']
}

/** A run that waits is a record in the store; no memory, lock or promise stands for it. With a wait a step is over. */
export async function park(run: Run, { waitingFor, approvals = [], wakeAt, run: changes, events = [] }: Wait) {
  const { step } = run.record
  // A step that was said meanwhile comes next.
  if (step) run.live.inboxChanged = true
  await run.commit({
    run: {
      ...changes,
      status: 'waiting',
      waitingFor,
      ...(step ? { step: overStep(step), wakeAt: undefined } : { wakeAt: expiryOf(run) ?? wakeAt }),
    },
    approvals,
    audit: approvals.flatMap(questionNote),
    events: [
      ...events,
      ...approvals.map(({ id: approvalId }) => ({ kind: 'approval-requested' as const, approvalId })),
      { kind: 'run-waiting', waitingFor },
    ],
  })
  if (waitingFor === 'approval') warnUnheard(run)
}

/** When the first of the questions that nobody answers becomes a no. */
const expiryOf = (run: Run) => {
  const times = [...run.approvals.values()].flatMap(({ expiresAt }) => expiresAt ?? [])
  return times.length > 0 ? Math.min(...times) : undefined
}

/** Questions of a policy are noted where they are asked. */
const questionNote = (question: ApprovalRecord) =>
  question.reason === 'in-doubt' || question.reason === 'doom-loop'
    ? [
        noteOf(question, question.reason === 'in-doubt' ? 'in-doubt' : 'approval-requested', 'runtime', {
          detail: question.title,
          approvalId: question.id,
        }),
      ]
    : []

/** It waits no longer, which is written down unless its end comes next: whoever dies from here on leaves it interrupted. */
export async function leaveWait(run: Run): Promise<void> {
  const ends = run.ending !== undefined || run.stopAfterTurn
  const step = goingOn(run)
  if (step && !ends) await run.commit(step)
  const lingers = isLingering(run) ? { lingers: true as const } : { lingers: undefined }
  run.record = { ...run.record, ...lingers, status: 'running', waitingFor: undefined, wakeAt: undefined }
}

/** What a run that waits still waits for, as far as the store knows; nothing where it can go on. */
export function waitsFor(run: Run): WaitingFor | undefined {
  const { step } = run.record
  // A step is carried out as far as it goes; without one nothing is.
  if (step && !step.over) return undefined
  return missing(run) ?? (step && !run.stopAfterTurn ? 'step' : undefined)
}

/** What is to come from outside before anything can be done. */
function missing(run: Run): WaitingFor | undefined {
  const { interruptedAt, waitingFor, wakeAt } = run.record
  if (interruptedAt !== undefined) return 'approval'
  if ([...run.approvals.values()].some(({ reason }) => reason === 'budget') || isQuestioned(run)) return 'approval'
  if (waitingFor === 'offline' && run.env.network.isOffline && !isDue(wakeAt, run.env.now())) return waitingFor
  if (isIdle(run)) return 'input'
  if (isLingering(run)) return 'child'
  return waitsForCalls(run)
}

/** Why a run makes no turn although nothing is open: it is between two inputs, or between two steps. */
export function pauseOf(run: Run): End | Wait | undefined {
  if (run.ending) return run.ending
  const paused = run.record.idle !== undefined || isBetweenSteps(run)
  if (paused && run.stopAfterTurn) return { kind: 'run-stopped', reason: 'requested' }
  if (isBetweenSteps(run))
    return { waitingFor: missing(run) ?? 'step', approvals: questionsInDoubt(run, callsInDoubt(run)) }
  if (isLingering(run)) return { waitingFor: 'child' }
  // It was closed while it idled, and those that code has started meanwhile go on.
  if (run.record.idle !== undefined && run.closing && lingers(run))
    return { waitingFor: 'child', run: { lingers: true, idle: undefined } }
  return idleOrEnd(run)
}

/** Whether the run waits for those that it started before it ends. */
export const lingers = (run: Run) => delegationOf(run.agent).onEnd === 'wait' && openChildren(run).length > 0

/** Whether the run has answered, and goes on once those that it started have ended. */
const isLingering = (run: Run) => run.record.lingers === true && !run.stopAfterTurn && openChildren(run).length > 0

/** Calls that need somebody, where no other call can be started, and none is held by a limit. */
function waitsForCalls(run: Run): WaitingFor | undefined {
  const waiting = run.openCalls.filter((call) => needsSomebody(run, call))
  const open = run.openCalls.filter(
    ({ toolCallId, invalid }) =>
      !run.calls.get(toolCallId)?.result && !run.refused.has(toolCallId) && invalid === undefined,
  )
  if (waiting.length === 0 || open.length > waiting.length || isHeld(run)) return undefined
  return callsInDoubt(run).length > 0 ? 'approval' : waitedFor(run)
}

/** Whether a wait that ends by time is over. */
export const isDue = (wakeAt: number | undefined, now: number) => wakeAt !== undefined && wakeAt <= now
