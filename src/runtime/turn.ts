import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { toAgentError } from '../errors.ts'
import { isChat } from '../events/kinds.ts'
import { Answer } from '../model/answer.ts'
import { callModel } from '../model/call-model.ts'
import { chatEvent } from '../model/chat-events.ts'
import { toPrompt } from '../model/prompt.ts'
import { resolveModel } from '../model/resolve-model.ts'
import { addUsage } from '../model/usage.ts'
import { type AssistantMessageRecord, type CallSettings, noUsage, type ToolMessageRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { describeTools } from '../tools/describe-tools.ts'
import { closingResults, endStep } from './end-run.ts'
import { lastAnswer, type Run } from './run.ts'

/** Steps 2 and 3 of a turn: builds the context and streams the model's answer. */
export async function askModel(run: Run): Promise<Answer> {
  const { agent, env, record } = run
  run.turn++
  run.phase = 'model'
  run.emit('turn-started', {})
  const answer = new Answer({
    messageId: env.newId(),
    tools: agent.tools ?? {},
    emit: run.emit,
    newId: env.newId,
    usedCallIds: run.usedCallIds,
  })
  run.answer = answer
  await callModel({
    open: async (signal) => {
      const model = await resolveModel(env.model ?? record.request.model ?? agent.model, env.models, env.credentials())
      const options = await callOptions(run).catch((error) => {
        throw toAgentError(error, 'model-failed')
      })
      signal.throwIfAborted()
      run.emit('model-started', {
        provider: model.provider,
        model: model.modelId,
        attempt: 1,
        messageId: answer.messageId,
      })
      run.emit('chat-started', { provider: model.provider, model: model.modelId })
      answer.model = model.modelId
      const { stream } = await model.doStream({ ...options, abortSignal: signal })
      return stream
    },
    answer,
    timeout: agent.modelTimeout,
    signal: run.signal,
    credentials: env.credentials(),
    ...(hearsChat(run) ? { onPart: (part: LanguageModelV4StreamPart) => tellChat(run, part) } : undefined),
  })
  return answer
}

/** The run's settings, field by field over the agent's. */
const settingsOf = ({ agent, record }: Run): CallSettings => ({ ...agent.settings, ...record.request.settings })

async function callOptions(run: Run): Promise<LanguageModelV4CallOptions> {
  const { agent, history } = run
  const { toolChoice, stopSequences, ...settings } = settingsOf(run)
  const tools = await describeTools(agent.tools ?? {})
  return {
    ...settings,
    ...(stopSequences ? { stopSequences: [...stopSequences] } : undefined),
    prompt: toPrompt(agent.instructions, history),
    ...(tools.length > 0 ? { tools } : undefined),
    toolChoice: typeof toolChoice === 'object' ? toolChoice : { type: toolChoice ?? 'auto' },
  }
}

/** Step 4: the answer and its usage, in one commit. True where that was the end of the run, in the same commit. */
export async function commitAnswer(run: Run, answer: Answer): Promise<boolean> {
  const finishReason = answer.finishReason ?? 'other'
  const message = answerRecord(run, answer, 'done')
  const refusal = refusalOf(run, finishReason)
  const goesOn = !refusal && (answer.calls.length > 0 || isDeferred(run, answer))
  const step: Step = {
    messages: [message],
    events: [{ kind: 'assistant-message-committed', index: message.index }, usageEvent(run, answer)],
    ...usageFields(run, answer),
  }
  if (goesOn) {
    // Without calls of ours the turn ends here; the provider gives what it owes with the next one.
    const completed = { kind: 'turn-completed' as const, finishReason }
    await run.commit(answer.calls.length > 0 ? step : { ...step, events: [...(step.events ?? []), completed] })
  } else {
    const uncarried = answer.calls.map((call) => ({ call, why: `Not carried out: ${refusal}.` }))
    await run.commit(endStep(run, { kind: 'run-completed', finishReason }, closingResults(run, uncarried), step))
  }
  run.answer = undefined
  return !goesOn
}

/** Why the calls of an answer are not to be carried out, if so. */
function refusalOf(run: Run, finishReason: string): string | undefined {
  if (settingsOf(run).toolChoice === 'none') return 'the tool choice is "none"'
  // Only these two say that the calls are whole.
  if (finishReason === 'stop' || finishReason === 'tool-calls') return undefined
  return `the answer ended early (${finishReason})`
}

/** Whether the provider still owes a result of a tool that it carries out itself, and gives it with a later answer. */
function isDeferred({ agent: { tools = {} }, history, record, runId }: Run, { parts }: Answer): boolean {
  const ofRun = history
    .slice(record.firstIndex)
    .flatMap((message) => (message.role === 'assistant' && message.runId === runId ? message.parts : []))
  const all = [...ofRun, ...parts]
  const given = new Set(all.flatMap((part) => (part.type === 'tool-result' ? [part.toolCallId] : [])))
  return all.some((part) => {
    if (part.type !== 'tool-call' || !part.providerExecuted || given.has(part.toolCallId)) return false
    const tool = Object.hasOwn(tools, part.toolName) ? tools[part.toolName] : undefined
    return tool?.type === 'provider' && tool.supportsDeferredResults === true
  })
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
    messages: [message],
    events: [
      ...(step.events ?? []),
      { kind: 'tool-message-committed', first: answer?.index ?? message.index, index: message.index },
      { kind: 'turn-completed', finishReason: answer?.finishReason ?? 'other' },
    ],
  }
}

export function answerRecord(run: Run, answer: Answer, status: 'done' | 'partial'): AssistantMessageRecord {
  const model = answer.responseModel ?? answer.model
  return {
    ...messageBase(run),
    id: answer.messageId,
    role: 'assistant',
    parts: status === 'done' ? answer.parts : answer.partialParts,
    status,
    ...(model === undefined ? undefined : { model }),
    ...(answer.usage ? { usage: answer.usage } : undefined),
    ...(answer.finishReason ? { finishReason: answer.finishReason } : undefined),
  }
}

export const messageBase = ({ env, history, record, turn }: Run, offset = 0) => ({
  v: 1 as const,
  id: env.newId(),
  index: history.length + offset,
  runId: record.runId,
  turn,
  agent: record.agent,
  at: env.now(),
})

export const usageFields = (run: Run, { usage = noUsage }: Answer) => ({
  run: { turns: run.record.turns + 1, usage: addUsage(run.record.usage, usage) },
  session: { usage: addUsage(run.session.usage, usage) },
})

export const usageEvent = (run: Run, answer: Answer) => {
  const fields = usageFields(run, answer)
  return {
    kind: 'usage-recorded' as const,
    usage: answer.usage ?? noUsage,
    run: fields.run.usage,
    session: fields.session.usage,
  }
}

const hearsChat = ({ env, live, runId }: Run) =>
  (
    [
      'chat-text-delta',
      'chat-tool-call-started',
      'chat-tool-call-arguments-delta',
      'chat-tool-call-completed',
      'chat-finished',
    ] as const
  ).some((kind) => isChat(kind) && env.bus.wants(kind, live.id, runId))

function tellChat(run: Run, part: LanguageModelV4StreamPart) {
  const event = chatEvent(part)
  if (event) run.emit(event.kind, event.payload)
}
