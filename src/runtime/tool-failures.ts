import type { ToolErrorDecision } from '../agent/tool-errors.ts'
import { AgentError, messageOf, toAgentError } from '../errors.ts'
import type { RunRecord, ToolCallPart, ToolResultRecord } from '../sessions/records.ts'
import { inputOf } from '../tools/parse-call.ts'
import { failureText, successOf } from '../tools/tool-output.ts'
import { type Failure, policyOf, toldToStop, toolOf } from '../tools/tool-run.ts'
import { tellError } from './end-hooks.ts'
import { placeOf } from './hooks.ts'
import type { Run } from './run.ts'
import { untilAborted } from './until-aborted.ts'

/** Attempts at one call, the first included. */
const mostAttempts = 3
/** Milliseconds before the first repeat, doubled with each further one. */
const baseDelay = 500
const defaultMostErrors = 5

interface Attempt {
  readonly attempt: number
  /** A page carries out an id once, and says again what came of it. */
  readonly onPage: boolean
}

/** What becomes of a call that failed: the agent's `onToolError` has its say. Rejects where that fails, or the run ends. */
export async function onToolFailure(
  run: Run,
  call: ToolCallPart,
  error: unknown,
  { attempt, onPage }: Attempt,
): Promise<Failure> {
  await tellError(run, toolError(call, error))
  const idempotent = policyOf(run, call).idempotent === true
  const decision = await decide(run, call, error, { attempt, idempotent })
  if (decision === 'stop') return { stops: true }
  if (typeof decision === 'object') return { result: await standIn(run, call, decision.result) }
  if (decision !== 'retry' || !idempotent || onPage || attempt >= mostAttempts) return {}
  run.note(call, 'retried', 'policy', { detail: failureText(error) })
  await run.env.sleep(baseDelay * 2 ** (attempt - 1), run.signal)
  return 'again'
}

const toolError = ({ toolName }: ToolCallPart, error: unknown) =>
  error instanceof AgentError
    ? error
    : new AgentError('tool-failed', `The tool "${toolName}" failed: ${failureText(error)}`, { cause: error })

async function decide(
  run: Run,
  call: ToolCallPart,
  error: unknown,
  { attempt, idempotent }: { readonly attempt: number; readonly idempotent: boolean },
): Promise<ToolErrorDecision> {
  const { onToolError } = run.agent
  if (!onToolError) return 'continue'
  const { toolCallId, toolName } = call
  const { custom: _, ...place } = placeOf(run).context
  const context = { ...place, state: run.state.get(), attempt, signal: run.signal }
  const given = { toolCallId, toolName, input: inputOf(call), idempotent }
  try {
    const decision: unknown = await untilAborted(async () => onToolError(error, given, context), run.signal)
    if (isDecision(decision)) return decision ?? 'continue'
  } catch (thrown) {
    throw ended(run, 'tool-failed', `onToolError failed: ${messageOf(thrown)} (on: ${failureText(error)})`)
  }
  throw ended(run, 'invalid-argument', "onToolError must give 'continue', 'retry', 'stop', { result } or nothing.")
}

const isDecision = (decision: unknown): decision is ToolErrorDecision | undefined =>
  decision === undefined ||
  decision === 'continue' ||
  decision === 'retry' ||
  decision === 'stop' ||
  (typeof decision === 'object' && decision !== null && Object.hasOwn(decision, 'result'))

const standIn = (run: Run, call: ToolCallPart, output: unknown): Promise<ToolResultRecord> =>
  untilAborted(() => successOf(call, toolOf(run, call), output), run.signal).catch((thrown) => {
    throw ended(run, toAgentError(thrown, 'tool-failed').code, `onToolError gave no result: ${messageOf(thrown)}`)
  })

/** The run fails at once: other tools of the turn are aborted, too. */
function ended(run: Run, code: AgentError['code'], message: string): unknown {
  run.signal.throwIfAborted()
  const error = new AgentError(code, message)
  run.end({ kind: 'run-failed', error })
  return error
}

/** Whether so many calls in a row have failed that the model is not asked again, or somebody said that the run is to stop. */
export const givesUp = ({ agent, record: { toolErrors = 0 } }: Run): boolean =>
  toolErrors === toldToStop || toolErrors >= (agent.maxConsecutiveToolErrors ?? defaultMostErrors)

/**
 * What the results of a turn, in the order of its calls, make of the count of failures in a row. The calls of one answer that
 * could not be carried out count as one: the model hears of all of them at once.
 */
export function countFailures(run: Run, told: Partial<RunRecord> | undefined, results: readonly ToolResultRecord[]) {
  const before = run.record.toolErrors ?? 0
  if ((told?.toolErrors ?? before) === toldToStop) return undefined
  let toolErrors = before
  let refused = 0
  for (const { outcome, toolCallId } of results) {
    if (outcome === 'success') toolErrors = 0
    if (outcome === 'failure' && !(run.refused.has(toolCallId) && refused++ > 0)) toolErrors++
  }
  return toolErrors === before ? undefined : { toolErrors }
}

/** A new input, or a person who resumes the run, lets it try again. */
export const forgiven = ({ toolErrors = 0 }: RunRecord) => (toolErrors > 0 ? { toolErrors: 0 } : undefined)
