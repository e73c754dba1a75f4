import type { Answer } from '../model/answer.ts'
import { isContinued } from '../sessions/continued.ts'
import type { AssistantMessageRecord, ToolMessageRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { answerNotes } from '../tools/audit.ts'
import { toolOf } from '../tools/tool-run.ts'
import { settingsOf } from './build-context.ts'
import { withEndOfChildren } from './end-children.ts'
import { tellEnd } from './end-hooks.ts'
import { type Closing, closeStep, closingResults, endStep } from './end-run.ts'
import { idleStep, idlesAfterAnswer } from './open-run.ts'
import { outputFields } from './output.ts'
import { lastAnswer, type Run } from './run.ts'
import { partTexts } from './texts.ts'
import { countFailures } from './tool-failures.ts'
import { answerStep } from './usage.ts'
import { lingers } from './waiting.ts'

/** Step 4: the answer and its usage, in one commit. True where that was the end of the run, in the same commit. */
export async function commitAnswer(run: Run, answer: Answer): Promise<boolean> {
  const finishReason = answer.finishReason ?? 'other'
  const message = answerRecord(run, answer, 'done')
  // A middleware failed on its text.
  if (run.ending?.kind === 'run-failed') throw run.ending.error
  const refusal = refusalOf(answer)
  const goesOn = goesOnAfter(run, answer)
  const used = answerStep(run, answer)
  const step: Step = {
    ...used,
    run: { ...used.run, ...outputFields(run) },
    messages: [message],
    events: [{ kind: 'assistant-message-committed', index: message.index }, ...used.events],
    audit: answerNotes(message.parts),
  }
  const uncarried = answer.calls.map((call) => ({ call, why: `Not carried out: ${refusal}.` }))
  const closing = closingResults(run, uncarried)
  if (!goesOn && lingers(run)) {
    await run.commit({ ...turnStep(run, closing, step), run: { ...step.run, lingers: true } })
    run.answer = undefined
    return false
  }
  // What steers the run and came in the last moment is heard before it may be complete.
  run.steered ||= !goesOn
  const last = async () =>
    idlesAfterAnswer(run)
      ? idleStep(run, closing, step)
      : endStep(
          run,
          await tellEnd(run, { kind: 'run-completed', finishReason }, { ...run.record, ...used.run }),
          closing,
          await withEndOfChildren(run, { kind: 'run-completed', finishReason }, step),
        )
  const completed = !goesOn && (await run.commit(await last()))
  if (!completed) run.endsChildren = false
  if (!completed) await run.commit(goesOn && answer.calls.length > 0 ? beforeTools(step) : turnStep(run, closing, step))
  run.answer = undefined
  return completed
}

/** Whether the run has more to do after the answer: its calls, or the rest of it. */
export function goesOnAfter(run: Run, answer: Answer): boolean {
  const refusal = refusalOf(answer)
  return (!refusal && (answer.calls.length > 0 || isDeferred(run, answer))) || isCutShort(run, answer)
}

const beforeTools = (step: Step): Step => ({ ...step, checkpoint: 'before-tool-calls' })

/** The turn ends here, and the run does not: the provider still owes a result, or somebody has steered the run. */
function turnStep(run: Run, closing: Closing, step: Step): Step {
  const { events = [], ...closed } = closeStep(run, closing, step)
  const finishReason = run.answer?.finishReason ?? 'other'
  return { ...closed, events: [...events, { kind: 'turn-completed', finishReason }], checkpoint: 'before-model' }
}

/** Why the calls of an answer are not to be carried out, if so. */
function refusalOf({ callsNothing, finishReason = 'other' }: Answer): string | undefined {
  if (callsNothing) return 'the tool choice is "none"'
  // Only these two say that the calls are whole.
  if (finishReason === 'stop' || finishReason === 'tool-calls') return undefined
  return `the answer ended early (${finishReason})`
}

/** Whether the provider still owes a result of a tool that it carries out itself, and gives it with a later answer. */
function isDeferred({ tools, ownMessages, runId }: Run, { parts }: Answer): boolean {
  const ofRun = ownMessages.flatMap((message) =>
    message.role === 'assistant' && message.runId === runId ? message.parts : [],
  )
  const all = [...ofRun, ...parts]
  const given = new Set(all.flatMap((part) => (part.type === 'tool-result' ? [part.toolCallId] : [])))
  return all.some((part) => {
    if (part.type !== 'tool-call' || !part.providerExecuted || given.has(part.toolCallId)) return false
    const tool = toolOf({ tools }, part)
    return tool?.type === 'provider' && tool.supportsDeferredResults === true
  })
}

/** Times in a row that an answer which was as long as the model's answers may be is continued. */
const mostContinued = 3

/** Whether the answer is longer than the model's answers may be, and is to be continued. Who sets a length himself wants no more. */
function isCutShort(run: Run, { calls, finishReason, parts }: Answer): boolean {
  if (finishReason !== 'length' || calls.length > 0 || settingsOf(run).maxOutputTokens !== undefined) return false
  // JSON is begun anew each time.
  if (run.agent.output) return false
  const last = run.ownMessages.findLastIndex((message) => !isContinued(message))
  const continued = run.ownMessages.length - 1 - last
  return continued < mostContinued && parts.some((part) => part.type === 'text' && part.text !== '')
}

/** Step 6: the results of the turn's calls, in the order of the calls. Comes in one commit with `step`, the last result. */
export function toolMessageStep(run: Run, step: Step = {}): Step {
  const answer = lastAnswer(run.history)
  const rows = new Map([...run.calls, ...(step.calls ?? []).map((row) => [row.toolCallId, row] as const)])
  const results = run.openCalls.flatMap(
    ({ toolCallId }) => rows.get(toolCallId)?.result ?? run.refused.get(toolCallId) ?? [],
  )
  const message: ToolMessageRecord = { ...messageBase(run), role: 'tool', results }
  return {
    ...step,
    run: {
      ...step.run,
      ...countFailures(run, step.run, results),
      // What was allowed has started, or never will.
      ...(run.record.allowed && ({ allowed: undefined } as Step['run'])),
    },
    messages: [message],
    events: [
      ...(step.events ?? []),
      { kind: 'tool-message-committed', first: answer?.index ?? message.index, index: message.index },
      { kind: 'turn-completed', finishReason: answer?.finishReason ?? 'other' },
    ],
    checkpoint: 'after-tool-calls',
  }
}

export function answerRecord(
  run: Run,
  answer: Answer,
  status: 'done' | 'partial',
  parts = status === 'done' ? answer.parts : answer.partialParts,
): AssistantMessageRecord {
  const { onText } = run
  const model = answer.responseModel ?? answer.model
  return {
    ...messageBase(run),
    id: answer.messageId,
    role: 'assistant',
    parts: onText ? parts.map((part) => partTexts(part, onText)) : parts,
    status,
    ...(model === undefined ? undefined : { model }),
    ...(answer.usage ? { usage: answer.usage } : undefined),
    ...(answer.finishReason ? { finishReason: answer.finishReason } : undefined),
  }
}

export const messageBase = ({ env, session, record, turn }: Run, offset = 0) => ({
  v: 1 as const,
  id: env.newId(),
  index: session.messageCount + offset,
  runId: record.runId,
  turn,
  agent: record.agent,
  at: env.now(),
})
