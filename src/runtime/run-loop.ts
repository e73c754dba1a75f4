import { AgentError, storeCodes, toAgentError } from '../errors.ts'
import { Answer } from '../model/answer.ts'
import type { Step } from '../sessions/step.ts'
import { questionsInDoubt } from '../tools/approvals.ts'
import { callsInDoubt } from '../tools/open-calls.ts'
import { runTools } from '../tools/run-tools.ts'
import { askModel } from './ask-model.ts'
import { compactWhereFull, makeRoom } from './compaction.ts'
import { decideCalls } from './decide-calls.ts'
import { checkLoop } from './doom-loop.ts'
import { endRun, releaseRun } from './end-run.ts'
import { applyInbox } from './inbox.ts'
import { beforeTurn, countWork, inMidTurn } from './limits.ts'
import { isToRepair } from './output.ts'
import type { End, Run } from './run.ts'
import { gatherTools } from './tool-sources.ts'
import { commitAnswer, toolMessageStep } from './turn.ts'
import { droppedStep } from './usage.ts'
import { leaveWait, park, pauseOf, type Wait } from './waiting.ts'

/**
 * Advances a run until it ends, or until it waits for something from outside: then it is parked in the store, and this
 * function is called anew when it goes on. Never rejects: whatever happens ends the run, or releases it where the store
 * can't say so any more.
 */
export async function runLoop(run: Run): Promise<void> {
  const rest = countWork(run)
  try {
    await leaveWait(run)
    if (run.openCalls.length > 0) await gatherTools(run)
    for (;;) {
      if (run.openCalls.length === 0) await hearSteering(run)
      const pause = pauseOf(run)
      if (pause) return await leave(run, pause)
      if (run.openCalls.length === 0) {
        const barred = await beforeTurn(run)
        if (barred) return await leave(run, barred)
        const { usage } = run.record
        if (await compactWhereFull(run)) continue
        // A summary that failed has used tokens, too.
        const spent = run.record.usage === usage ? undefined : await beforeTurn(run)
        if (spent) return await leave(run, spent)

        const answer = await askModel(run).catch((error) => giveBack(run, error))
        if (!answer) continue
        if (!(answer instanceof Answer)) return await leave(run, answer)
        if (await isToRepair(run, answer)) continue
        const completed = await commitAnswer(run, answer)
        if (completed) {
          // An open run idles now: what was said while it answered is heard next.
          run.live.inboxChanged ||= run.record.idle !== undefined
          return
        }
      }
      const barred = await carryOutCalls(run)
      if (barred) return await leave(run, barred)
      if (run.openCalls.length > 0) await run.commit(toolMessageStep(run))
    }
  } catch (error) {
    await endByError(run, error)
  } finally {
    rest()
  }
}

/** The run goes no further here: it ends, or waits. What was said in the last moment is looked at before it is over. */
function leave(run: Run, barred: End | Wait) {
  run.steered ||= run.record.idle !== undefined
  return 'kind' in barred ? endRun(run, barred) : park(run, barred)
}

/** Step 1. What was said in mid-turn and waits for its end is looked at again. */
function hearSteering(run: Run) {
  run.live.inboxChanged ||= run.steered
  run.steered = false
  return applyInbox(run)
}

/** A turn that was too large for its model is asked again with less, where there is less. */
async function giveBack(run: Run, error: unknown): Promise<undefined> {
  const { answer, context } = run
  if (run.ending || !(error instanceof AgentError) || error.code !== 'context-overflow') throw error
  run.answer = undefined
  const hasRoom = await makeRoom(run, answer?.messageId).catch((thrown) => {
    run.answer = answer
    throw thrown
  })
  if (!hasRoom) {
    run.answer = answer
    throw error
  }
  if (answer) {
    run.emit('message-voided', { messageId: answer.messageId })
    await run.commit(droppedStep(run, answer))
  }
  context.givenBack = true
}

/** Step 5. What was said in the meantime may be the answer that it would wait for. */
async function carryOutCalls(run: Run): Promise<End | Wait | undefined> {
  const held = (await checkLoop(run)) ?? (await decideCalls(run))
  if (held) return held
  const withLast = (step: Step) => toolMessageStep(run, step)
  if (!(await runTools(run, withLast))) return undefined
  await applyInbox(run)
  const waitingFor = await runTools(run, withLast)
  if (!waitingFor) return undefined
  const barred = inMidTurn(run, waitingFor === 'held')
  if (barred) return barred
  // Somebody has raised the limit just now.
  if (waitingFor === 'held') return carryOutCalls(run)
  return { waitingFor, approvals: questionsInDoubt(run, callsInDoubt(run)) }
}

/** Somebody ended the run, the model failed, or the store did. Only the last can't be written down. */
async function endByError(run: Run, error: unknown) {
  if (!run.ending && isOfStore(error)) return releaseRun(run, error)
  const end = run.ending ?? endOf(toAgentError(error))
  try {
    await endRun(run, end).catch((unwritten) => {
      if (isOfStore(unwritten) || !run.answer) throw unwritten
      // The model gave what can't be stored: the run ends without it.
      run.answer = undefined
      return endRun(run, end)
    })
  } catch (unwritten) {
    releaseRun(run, toAgentError(unwritten, 'storage-unavailable'))
  }
}

/** Keys and tokens can be put right: then the run goes on. Whatever else the model's endpoint refuses, it refuses again. */
const endOf = (error: AgentError): End =>
  error.code === 'unauthorized' ? { kind: 'run-stopped', reason: 'credentials', error } : { kind: 'run-failed', error }

const isOfStore = (error: unknown): error is AgentError => error instanceof AgentError && storeCodes.has(error.code)
