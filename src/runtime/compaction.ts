import type { ContextOptions } from '../agent/context-options.ts'
import { type Fold, foldOf, summaryPrompt } from '../context/compact.ts'
import { estimateJson, estimateText } from '../context/estimate-tokens.ts'
import type { Parts } from '../context/trim.ts'
import { AgentError, toAgentError } from '../errors.ts'
import { Answer } from '../model/answer.ts'
import { callModel, modelTimeouts } from '../model/call-model.ts'
import { headersOf, redactError } from '../model/redact.ts'
import { resolveModel } from '../model/resolve-model.ts'
import { isOfConnection } from '../model/retry.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import type { SummaryRecord } from '../sessions/records.ts'
import { findSummary, settingsOf, whatFits, wholeContext } from './build-context.ts'
import { candidatesOf } from './candidates.ts'
import { limitOf, ratioOf, windowOf } from './context-state.ts'
import { keepDrafts, saveDraft } from './drafts.ts'
import { afterCompaction, beforeCompaction } from './model-hooks.ts'
import type { Run } from './run.ts'
import { promptTexts } from './texts.ts'
import { untilAborted } from './until-aborted.ts'
import { droppedStep, openStream, priceFor } from './usage.ts'

/** Summaries that may fail in a row before a run makes no more by itself. */
const mostFailures = 3
/** Times that one turn is asked again because it was too large. */
const mostOverflows = 3

/**
 * Before a turn: where the context is nearly full, a summary takes the place of its older part. True where one was made; what
 * it used then counts before the turn begins. One that fails is counted, and the run goes on without it.
 */
export async function compactWhereFull(run: Run): Promise<boolean> {
  const { agent, context, record, session } = run
  if (agent.context?.compaction === false || (record.failedSummaries ?? 0) >= mostFailures) return false
  const window = windowOf(run, '') ?? context.window ?? session.contextWindow
  const limit = limitOf(run, window)
  if (limit === Number.POSITIVE_INFINITY) return false
  await findSummary(run)
  const { overhead = 0 } = context
  return overhead + wholeContext(run).tokens > limit && compact(run, limit, limit / 10)
}

/**
 * The provider says that this is more than its model takes: true where there is less to ask it now. What a summary uses goes
 * by the id of the attempt that was refused, so that neither draft of the two is booked once more.
 */
export async function makeRoom(run: Run, messageId?: string): Promise<boolean> {
  const { agent, context } = run
  if (context.overflows.turn !== run.turn) context.overflows = { turn: run.turn, times: 0 }
  if (++context.overflows.times > mostOverflows) return false
  const { asked } = context
  context.limit = asked / 2
  if (agent.context?.compaction !== false) await compact(run, context.limit, 1, messageId)
  return whatFits(run, context.limit).tokens < asked
}

/** Makes a summary where at least `worth` tokens go with it; false where it did not come to one. */
async function compact(run: Run, limit: number, worth: number, messageId = run.env.newId()): Promise<boolean> {
  const { agent, context, env, history, session } = run
  const { keep = (limit / 4) * ratioOf(run) } = agent.context ?? {}
  const fold = foldOf(history, context.summary ?? undefined, Math.min(keep / ratioOf(run), limit / 2))
  if (!fold || fold.tokens < worth || (await beforeCompaction(run, fold.messages))) return false
  run.phase = 'model'
  const answer = new Answer({
    messageId,
    tools: {},
    emit: () => {},
    newId: env.newId,
    usedCallIds: new Set(),
  })
  let text: string
  try {
    const summary = await afterCompaction(run, await summaryOf(run, fold, limit, answer))
    text = run.onText?.(summary) ?? summary
  } catch (error) {
    if (run.signal.aborted) await run.commit(droppedStep(run, answer))
    run.signal.throwIfAborted()
    const failure = redactError(toAgentError(error), run.secrets)
    // Without a network nothing is known of summaries; the turn waits for it, and then there may be one.
    if (isOfConnection(failure) && env.network.isOffline && agent.offline !== 'fail')
      await run.commit(droppedStep(run, answer))
    else await commitFailure(run, failure, answer)
    return false
  }
  const { before, covers } = fold
  await commitSummary(run, { v: 1, n: (session.summaries ?? 0) + 1, at: env.now(), text, before, covers }, answer)
  return true
}

/** A summary of the agent's making, or the model's. Rejects where it is none, or no shorter than what it stands for. */
async function summaryOf(run: Run, fold: Fold, limit: number, answer: Answer): Promise<string> {
  const summarise = run.agent.context?.summarise
  const text = summarise ? await ownSummary(run, fold, summarise) : await summaryByModel(run, fold, limit, answer)
  if (typeof text !== 'string' || !text.trim()) throw new AgentError('model-failed', 'The summary is empty.')
  if (estimateText(text) >= fold.tokens)
    throw new AgentError('model-failed', 'The summary is no shorter than what it stands for.')
  return text.trim()
}

/** It has as long as a call of the model. */
async function ownSummary(
  { agent, context, env, signal }: Run,
  { messages }: Fold,
  summarise: NonNullable<ContextOptions['summarise']>,
): Promise<string> {
  const { total, firstPart } = { ...modelTimeouts, ...agent.modelTimeout }
  const timeout = total < Number.POSITIVE_INFINITY ? total : firstPart
  const [settled, late] = [new AbortController(), new AbortController()]
  const expire = () =>
    late.abort(new AgentError('model-timeout', `context.summarise gave nothing within ${timeout} ms (modelTimeout).`))
  env.sleep(timeout, settled.signal).then(expire, () => {})
  const ended = AbortSignal.any([signal, late.signal])
  const previous = context.summary?.text
  const given = { signal: ended, ...(previous === undefined ? undefined : { previous }) }
  try {
    return await untilAborted(async () => summarise(foldMessages(messages), given), ended)
  } finally {
    settled.abort()
  }
}

async function summaryByModel(run: Run, { messages }: Fold, limit: number, answer: Answer): Promise<string> {
  const { agent, context, env } = run
  const { headers, providerOptions } = settingsOf(run)
  const drafts = keepDrafts(run, answer, { untold: true })
  await callModel({
    open: async (abortSignal) => {
      const { reference } = (await candidatesOf(run)).first
      const model = await resolveModel(reference, env.models, env.credentials())
      abortSignal.throwIfAborted()
      run.modelHeaders = headersOf(model)
      answer.price = priceFor(run, reference, model)
      const whole = summaryPrompt(messages, context.summary ?? undefined, limit)
      const prompt = run.onText ? promptTexts(whole, run.onText) : whole
      const options = { prompt, ...(headers && { headers }), ...(providerOptions && { providerOptions }), abortSignal }
      const stream = openStream(answer, model, options, estimateJson(prompt) * ratioOf(run))
      void saveDraft(run, answer, { untold: true })
      return stream
    },
    answer,
    timeout: agent.modelTimeout,
    signal: run.signal,
    credentials: run.secrets,
    now: env.now,
  }).finally(() => clearInterval(drafts))
  return answer.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

async function commitSummary(run: Run, summary: SummaryRecord, answer: Answer) {
  const { context } = run
  const before = wholeContext(run)
  context.summary = summary
  context.keptFrom = undefined
  const after = wholeContext(run)
  const tokensOf = ({ tokens }: Parts) => Math.round(((context.overhead ?? 0) + tokens) * ratioOf(run))
  const used = droppedStep(run, answer)
  await run.commit({
    ...used,
    summary,
    run: { ...used.run, failedSummaries: 0 },
    session: { ...used.session, summaries: summary.n, contextTokens: tokensOf(after) },
    events: [
      ...(used.events ?? []),
      {
        kind: 'context-compacted',
        messagesBefore: countOf(before),
        messagesAfter: countOf(after),
        tokensBefore: tokensOf(before),
        tokensAfter: tokensOf(after),
      },
    ],
  })
}

async function commitFailure(run: Run, { message }: AgentError, answer: Answer) {
  const failedSummaries = (run.record.failedSummaries ?? 0) + 1
  const used = droppedStep(run, answer)
  await run.commit({
    ...used,
    run: { ...used.run, failedSummaries },
    events: [
      ...(used.events ?? []),
      ...(failedSummaries === mostFailures
        ? [{ kind: 'compaction-circuit-opened' as const, consecutiveFailures: failedSummaries }]
        : []),
    ],
  })
  run.emit('notice', { code: 'compaction-failed', message: `The older messages could not be summarised: ${message}` })
}

const countOf = ({ first, messages }: Parts) => first.length + messages.length
