import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { toAgentError } from '../errors.ts'
import { isChat } from '../events/kinds.ts'
import { Answer } from '../model/answer.ts'
import { callModel } from '../model/call-model.ts'
import { chatEvent } from '../model/chat-events.ts'
import { headersOf, redactError } from '../model/redact.ts'
import { resolveModel } from '../model/resolve-model.ts'
import { policyOf, toolOf } from '../tools/tool-run.ts'
import { Attempts } from './attempts.ts'
import { buildContext } from './build-context.ts'
import { ratioOf } from './context-state.ts'
import { keepDrafts, saveDraft } from './drafts.ts'
import { tellError } from './end-hooks.ts'
import { afterModel } from './model-hooks.ts'
import type { End, Run } from './run.ts'
import { toldTools } from './skills.ts'
import { errorTexts } from './texts.ts'
import { gatherTools } from './tool-sources.ts'
import { openStream, priceFor } from './usage.ts'
import type { Wait } from './waiting.ts'

/**
 * Steps 2 and 3 of a turn: builds the context and streams the model's answer, in as many attempts, and with as many models,
 * as that takes. Gives what keeps the run from it where there is no network, or the attempts have come to a limit.
 */
export async function askModel(run: Run): Promise<Answer | End | Wait> {
  beginTurn(run)
  await gatherTools(run)
  const attempts = await Attempts.begin(run)
  for (;;) {
    const answer = newAnswer(run)
    const error = await ask(run, answer, attempts).then(
      () => undefined,
      (thrown) => errorTexts(redactError(toAgentError(thrown), run.secrets), run.onText),
    )
    if (!error) {
      await afterModel(run, answer)
      return answer
    }
    // It was ended: what there is of the answer is kept.
    run.signal.throwIfAborted()
    await tellError(run, error)
    const barred = await attempts.after(error, answer)
    if (barred) return barred
  }
}

function beginTurn(run: Run) {
  run.phase = 'model'
  if (run.context.givenBack) run.context.givenBack = false
  else {
    if (!run.record.turnGivenBack) run.turn++
    run.emit('turn-started', {})
  }
}

/** Each attempt has a message of its own. */
function newAnswer(run: Run): Answer {
  const { env } = run
  run.record = { ...run.record, turnGivenBack: undefined }
  const answer = new Answer({
    messageId: env.newId(),
    tools: toldTools(run),
    emit: run.emit,
    newId: env.newId,
    usedCallIds: run.usedCallIds,
    // One that only its provider knows, a hosted MCP server's for example, is from outside.
    isUntrusted: (toolName) => policyOf(run, { toolName }).untrusted ?? !toolOf(run, { toolName }),
  })
  run.answer = answer
  return answer
}

/** One attempt. */
async function ask(run: Run, answer: Answer, attempts: Attempts): Promise<void> {
  const { agent, env } = run
  const drafts = keepDrafts(run, answer)
  await callModel({
    open: async (signal) => {
      const { reference } = attempts.model
      const model = await resolveModel(reference, env.models, env.credentials())
      run.modelHeaders = headersOf(model)
      answer.price = priceFor(run, reference, model)
      // What steers the run and was just being delivered is asked with.
      await run.written()
      const options = await buildContext(run, model).catch((error) => {
        throw toAgentError(error, 'model-failed')
      })
      signal.throwIfAborted()
      answer.ask(options)
      attempts.made = model
      run.emit('model-started', {
        provider: model.provider,
        model: model.modelId,
        attempt: attempts.attempt,
        messageId: answer.messageId,
      })
      run.emit('chat-started', { provider: model.provider, model: model.modelId })
      const stream = openStream(answer, model, { ...options, abortSignal: signal }, run.context.asked * ratioOf(run))
      void saveDraft(run, answer)
      return stream
    },
    answer,
    timeout: agent.modelTimeout,
    signal: run.signal,
    credentials: run.secrets,
    now: env.now,
    ...(hearsChat(run) ? { onPart: (part: LanguageModelV4StreamPart) => tellChat(run, part) } : undefined),
  }).finally(() => clearInterval(drafts))
}

const hearsChat = ({ env, live, runId, record }: Run) =>
  (
    [
      'chat-text-delta',
      'chat-tool-call-started',
      'chat-tool-call-arguments-delta',
      'chat-tool-call-completed',
      'chat-finished',
    ] as const
  ).some((kind) => isChat(kind) && env.bus.wants(kind, live.id, runId, record.ancestors))

function tellChat(run: Run, part: LanguageModelV4StreamPart) {
  const event = chatEvent(part)
  if (event) run.emit(event.kind, event.payload)
}
