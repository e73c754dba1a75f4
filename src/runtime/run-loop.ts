import { AgentError, storeCodes, toAgentError } from '../errors.ts'
import type { Step } from '../sessions/step.ts'
import { runTools } from '../tools/run-tools.ts'
import { endRun, releaseRun } from './end-run.ts'
import { applyInbox } from './inbox.ts'
import { endBeforeTurn } from './limits.ts'
import type { Run } from './run.ts'
import { askModel, commitAnswer, toolMessageStep } from './turn.ts'

/**
 * Advances a run until it ends, or until it waits for something from outside: then it is parked in the store, and this
 * function is called anew when it goes on. Never rejects: whatever happens ends the run, or releases it where the store
 * can't say so any more.
 */
export async function runLoop(run: Run): Promise<void> {
  try {
    for (;;) {
      if (run.openCalls.length === 0) {
        await applyInbox(run)
        const end = endBeforeTurn(run)
        if (end) return await endRun(run, end)

        const answer = await askModel(run)
        const completed = await commitAnswer(run, answer)
        if (completed) return
      }
      const waitingFor = await carryOutCalls(run)
      if (waitingFor) return await park(run, waitingFor)
      if (run.openCalls.length > 0) await run.commit(toolMessageStep(run))
    }
  } catch (error) {
    await endByError(run, error)
  }
}

/** Step 5. What was said in the meantime may be the answer that it would wait for. */
async function carryOutCalls(run: Run) {
  const withLast = (step: Step) => toolMessageStep(run, step)
  const waitingFor = await runTools(run, withLast)
  if (!waitingFor) return undefined
  await applyInbox(run)
  return runTools(run, withLast)
}

/** A run that waits is a record in the store; no memory, lock or promise stands for it. */
export async function park(run: Run, waitingFor: NonNullable<Run['record']['waitingFor']>) {
  await run.commit({ run: { status: 'waiting', waitingFor }, events: [{ kind: 'run-waiting', waitingFor }] })
}

/** Somebody ended the run, the model failed, or the store did. Only the last can't be written down. */
async function endByError(run: Run, error: unknown) {
  if (!run.ending && isOfStore(error)) return releaseRun(run, error)
  const end = run.ending ?? { kind: 'run-failed' as const, error: toAgentError(error) }
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

const isOfStore = (error: unknown): error is AgentError => error instanceof AgentError && storeCodes.has(error.code)
