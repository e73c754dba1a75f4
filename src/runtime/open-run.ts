import { AgentError } from '../errors.ts'
import type { Baseline, OpenRequest, RunRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { goingOn } from '../tools/tool-run.ts'
import { type Closing, closeStep } from './end-run.ts'
import { startedCalls } from './limits.ts'
import { type End, lastAnswer, type Run } from './run.ts'
import { isDue, type Wait } from './waiting.ts'

// A run that idles between its inputs: `session.open()`. Where it stands is in its record alone: any tab goes on with it.

/** Whether the run waits for its next input once it has answered the last one. */
export const idlesAfterAnswer = ({ record, closing }: Run) => record.request.open !== undefined && !closing

/** The last answer to an input, and that nothing more is to be done before the next one: one commit. */
export function idleStep(run: Run, closing: Closing, step: Step): Step {
  const { events = [], ...closed } = closeStep(run, closing, step)
  const idle = run.env.now()
  const { waitingFor, wakeAt } = idleWait({ ...run.record, idle })
  const finishReason = run.answer?.finishReason ?? 'other'
  return {
    ...closed,
    run: { ...step.run, idle, status: 'waiting', waitingFor, wakeAt },
    events: [...events, { kind: 'turn-completed', finishReason }, { kind: 'run-waiting', waitingFor }],
    checkpoint: 'before-model',
  }
}

/** What becomes of an open run that has answered everything: it waits on, or it ends. */
export function idleOrEnd(run: Run): End | Wait | undefined {
  if (run.record.idle === undefined) return undefined
  if (run.closing) return { kind: 'run-completed', finishReason: lastFinishReason(run) }
  const wait = idleWait(run.record)
  return isDue(wait.wakeAt, run.env.now()) ? { kind: 'run-stopped', reason: 'idle' } : wait
}

/** Whether an open run still waits for its next input. */
export const isIdle = ({ record, closing, stopAfterTurn, env }: Run) =>
  record.idle !== undefined && !closing && !stopAfterTurn && !isDue(idleWait(record).wakeAt, env.now())

function idleWait({ idle = 0, request }: RunRecord) {
  const idleTimeout = request.open?.idleTimeout
  return { waitingFor: 'input' as const, wakeAt: idleTimeout === undefined ? undefined : idle + idleTimeout }
}

/** What an input changes beside its message: an open run works again, and what counts per input counts from here. */
export function inputFields(run: Run, title: string): Pick<Step, 'run' | 'session'> {
  const { record, session } = run
  return {
    ...(record.request.open
      ? {
          run: {
            ...(record.idle === undefined ? undefined : goingOn(run)?.run),
            idle: undefined,
            wakeAt: undefined,
            baseline: baselineOf(run),
            ...(record.extended && { extended: budgetsOf(record.extended) }),
          },
        }
      : undefined),
    // A run that was opened without an input has named nothing.
    ...(session.title === '' ? { session: { title } } : undefined),
  }
}

/** Questions about limits that an input of an open run resets: nobody need answer them any more. */
export const answeredByInput = ({ record, approvals }: Run) =>
  record.request.open
    ? [...approvals.values()].filter(
        (open) => open.reason === 'budget' && (open.limit === 'maxTurns' || open.limit === 'maxDuration'),
      )
    : []

const baselineOf = (run: Run): Baseline => ({
  turns: run.record.turns,
  toolCalls: startedCalls(run),
  ranFor: run.ranFor,
})

/** What was allowed beyond limits that count per input was allowed for the last one. */
const budgetsOf = ({ maxTurns, maxToolCalls, maxDuration, ...budgets }: NonNullable<RunRecord['extended']>) => budgets

const lastFinishReason = ({ history, runId }: Run) => {
  const answer = lastAnswer(history)
  return answer?.runId === runId ? (answer.finishReason ?? 'stop') : 'stop'
}

/** What a page asks of an open run; it comes from another realm. */
export function checkedOpen({ idleTimeout }: OpenRequest): OpenRequest {
  if (idleTimeout === undefined) return {}
  if (typeof idleTimeout === 'number' && idleTimeout > 0)
    return idleTimeout === Number.POSITIVE_INFINITY ? {} : { idleTimeout }
  throw new AgentError('invalid-argument', 'open: `idleTimeout` must be a number of milliseconds above 0.')
}
