import type { ApprovalRecord, InboxItem, RunRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { ask, resolved } from '../tools/approvals.ts'
import { noteOf } from '../tools/audit.ts'
import { type Deed, deedsOf, describeLoop, type Loop, loopAt } from '../tools/doom-loop.ts'
import { failureOf } from '../tools/tool-output.ts'
import { goingOn, policyOf } from '../tools/tool-run.ts'
import type { End, Run } from './run.ts'
import type { Wait } from './waiting.ts'

type Question = Extract<ApprovalRecord, { reason: 'doom-loop' }>

/**
 * Step 5 of a turn, before any of its calls starts: whether the model goes round in circles, and then what the agent's
 * `onDoomLoop` says. Gives what the run waits for, where somebody is asked, or its end.
 */
export async function checkLoop(run: Run): Promise<End | Wait | undefined> {
  run.signal.throwIfAborted()
  // No call starts any more: it is looked for when they are resumed.
  if (run.stopAfterTurn) return undefined
  refuseDenied(run)
  if (isQuestioned(run)) return { waitingFor: 'approval' }
  const found = newLoops(run)
  const [first] = found
  if (!first) return undefined
  const { onDoomLoop = 'ask' } = run.agent
  const step = detected(run, first)
  // Nobody can allow or refuse a call that isn't there: an answer that says nothing has no way on but a person's.
  if (onDoomLoop === 'stop' || !first.deed.call) {
    await run.commit(step)
    return { kind: 'run-stopped', reason: 'doom-loop' }
  }
  if (onDoomLoop === 'ask') return { ...step, waitingFor: 'approval', approvals: [questionAbout(run, first)] }
  await run.commit(step)
  for (const { deed, loop } of found) {
    refuse(run, deed, `${describeLoop(loop)} ${notAgain}`)
    if (deed.call) run.note(deed.call, 'denied', 'runtime', { detail: describeLoop(loop) })
  }
  return undefined
}

const notAgain =
  'This call was not carried out, and will not be while you repeat it. Use the results that you have, try something else, or say what is in the way.'

interface Found {
  readonly deed: Deed
  readonly loop: Loop
}

/** The calls of this turn that go on with a loop, as far as nothing is decided about them; or its silence. */
function newLoops(run: Run): readonly Found[] {
  const { doomLoop = {} } = run.agent
  if (doomLoop === false) return []
  const { repetitions = 3, longestCycle = 4 } = doomLoop
  const isRepeatable = (call: NonNullable<Deed['call']>) => policyOf(run, call).repeatable === true
  const deeds = deedsOf(run.history, isRepeatable, allowedIn(run))
  const open = new Set(run.openCalls.map(({ toolCallId }) => toolCallId))
  return deeds.flatMap((deed, at) => {
    const decided = deed.call
      ? !open.has(deed.id) || run.calls.has(deed.id) || run.refused.has(deed.id)
      : // Whoever steers it says something new.
        at < deeds.length - 1 || run.steered
    const loop = decided ? undefined : loopAt(deeds.slice(0, at + 1), { repetitions, longestCycle })
    return loop ? [{ deed, loop }] : []
  })
}

/** What came up to this deed counts no more: a person let it start. A yes that was not used in its leg is void. */
function allowedIn({ record: { doomLoop, leg }, calls }: Run): string | undefined {
  const allowed = doomLoop?.allowed
  return allowed && (allowed.leg === leg || calls.has(allowed.id)) ? allowed.id : undefined
}

/** Told once per loop, also where it is looked for again after a death. */
function detected({ record: { doomLoop } }: Run, { deed, loop }: Found): Pick<Step, 'events' | 'run'> {
  if (doomLoop?.at === deed.id) return {}
  const { repetitions } = loop
  const told = { repetitions, description: describeLoop(loop) }
  return {
    events: [{ kind: 'doom-loop-detected', ...(deed.call && { toolName: deed.call.toolName }), ...told }],
    run: { doomLoop: { ...doomLoop, at: deed.id } },
  }
}

function questionAbout(run: Run, { deed, loop }: Found): ApprovalRecord {
  const { toolCallId, toolName, dynamic, input } = deed.call as NonNullable<Deed['call']>
  const description = describeLoop(loop)
  return ask(run, {
    reason: 'doom-loop',
    title: `${description} Is it to go on?`,
    toolCallId,
    toolName,
    ...(dynamic ? { dynamic } : undefined),
    input,
    repetitions: loop.repetitions,
    description,
  })
}

/** Whether somebody is still to say what becomes of a loop: until then no call of the turn starts. */
export const isQuestioned = (run: Run): boolean =>
  [...run.approvals.values()].some(({ reason }) => reason === 'doom-loop')

/** What the answer to a loop comes to. A no holds for all calls of the turn that would go on with it. */
export async function settleLoop(
  run: Run,
  question: Question,
  { answer, n }: Extract<InboxItem, { type: 'answer' }>,
): Promise<void> {
  const { id: approvalId } = question
  const settled = noteOf(question, answer.decision === 'allow-once' ? 'allowed' : 'denied', 'person', { approvalId })
  const step = { ...resolved(run, question, answer), applied: [n], audit: [settled] }
  if (answer.decision === 'abort') {
    run.alongside(step)
    run.approvals.delete(question.id)
    return run.end({ kind: 'run-cancelled', reason: 'aborted' })
  }
  const { toolCallId: at } = question
  const reason = answer.decision === 'deny' ? answer.reason : undefined
  const doomLoop =
    answer.decision === 'allow-once'
      ? { at, allowed: { id: at, leg: run.record.leg } }
      : {
          ...run.record.doomLoop,
          at,
          denied: { ids: newLoops(run).map(({ deed }) => deed.id), ...(reason === undefined ? undefined : { reason }) },
        }
  await run.commit({ ...step, run: { ...goingOn(run)?.run, doomLoop } })
  refuseDenied(run)
}

/** The results of what a person refused: derived, as of any call that isn't carried out. */
export function refuseDenied(run: Run): void {
  const { ids = [], reason } = run.record.doomLoop?.denied ?? {}
  for (const call of run.openCalls) {
    if (ids.includes(call.toolCallId))
      refuse(run, { id: call.toolCallId, call }, `The user refused this repeated call${reason ? `: ${reason}` : '.'}`)
  }
}

function refuse({ refused }: Run, { id, call }: Deed, why: string) {
  if (call && !refused.has(id))
    refused.set(id, failureOf(call, call.invalid ? `${why} ${call.invalid}` : why, 'denied'))
}

/** A person who resumes a run that stopped at a loop lets its next round start. */
export const allowNextRound = ({ reason, doomLoop, leg }: RunRecord): Partial<RunRecord> =>
  reason === 'doom-loop' && doomLoop ? { doomLoop: { ...doomLoop, allowed: { id: doomLoop.at, leg: leg + 1 } } } : {}
