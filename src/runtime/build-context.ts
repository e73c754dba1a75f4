import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4Prompt } from '@ai-sdk/provider'
import type { Skill } from '../agent/skill.ts'
import { isOf, partsOf } from '../context/compact.ts'
import { estimateMessage } from '../context/estimate-tokens.ts'
import { type Parts, type Trimmed, total, trim } from '../context/trim.ts'
import { toPrompt } from '../model/prompt.ts'
import type { CallSettings, MessageRecord, SummaryRecord } from '../sessions/records.ts'
import { describeTools, type ToolDescription } from '../tools/describe-tools.ts'
import { limitOf, overheadOf, ratioOf, windowOf } from './context-state.ts'
import { instructionsOf } from './instructions.ts'
import { beforeModel } from './model-hooks.ts'
import { responseFormatOf, withRepair } from './output.ts'
import { withFiles } from './prompt-files.ts'
import type { Run } from './run.ts'
import { forgottenSkills, toldTools, withSkills } from './skills.ts'
import { promptTexts } from './texts.ts'
import { withChildren, withDelegates } from './told-children.ts'
import { withTurnsLeft } from './turns-left.ts'

/** The run's settings, field by field over the agent's. */
export const settingsOf = ({ agent, record }: Run): CallSettings => ({ ...agent.settings, ...record.request.settings })

/** Step 2 of a turn: what this model is asked. */
export async function buildContext(run: Run, model: LanguageModelV4): Promise<LanguageModelV4CallOptions> {
  const { context, history } = run
  const tools = await describeTools(toldTools(run))
  const own = withDelegates(run, await instructionsOf(run))
  await findSummary(run)
  context.window = windowOf(run, model.modelId)
  const { instructions, messages, trimmedCount, keptFrom, tokens } = withWhatFits(run, own, tools)
  context.asked = tokens
  context.keptFrom = keptFrom
  run.emit('context-built', {
    messageCount: messages.length,
    estimatedTokens: Math.round(tokens * ratioOf(run)),
    trimmedCount,
    ...(context.window === undefined ? undefined : { window: context.window }),
  })
  const responseFormat = await responseFormatOf(run)
  const prompt = await withFiles(run, model, toPrompt(instructions, messages))
  const asked = await beforeModel(run, {
    messages: withTurnsLeft(run, withRepair(run, withChildren(run, withRequestToGoOn(prompt, history)))),
    activeTools: tools.map(({ name }) => name),
    settings: settingsOf(run),
  })
  const { toolChoice, stopSequences, ...settings } = asked.settings
  const active = tools.filter(({ name }) => asked.activeTools.includes(name))
  return {
    ...settings,
    ...(stopSequences ? { stopSequences: [...stopSequences] } : undefined),
    prompt: run.onText ? promptTexts(asked.messages, run.onText) : asked.messages,
    ...(active.length > 0 ? { tools: active } : undefined),
    ...(responseFormat ? { responseFormat } : undefined),
    toolChoice: typeof toolChoice === 'object' ? toolChoice : { type: toolChoice ?? 'auto' },
  }
}

/** What fits beside the system prompt, which has the skills that were loaded by a message that doesn't fit. */
function withWhatFits(run: Run, own: string | undefined, tools: readonly ToolDescription[]) {
  const { context } = run
  for (let restated: readonly Skill[] = []; ; ) {
    const instructions = withSkills(run, own, restated)
    context.overhead = overheadOf(instructions, tools)
    const fits = whatFits(run, limitOf(run, context.window))
    const forgotten = forgottenSkills(run, fits.messages)
    // With more in the system prompt there is room for less: what has gone stays away.
    if (forgotten.every((skill) => restated.includes(skill))) return { instructions, ...fits }
    restated = [...new Set([...restated, ...forgotten])]
  }
}

/** The history as it would be told without a limit: older messages as their summary has them. */
export function wholeContext(run: Run): Parts {
  const parts = partsOf(run.history, run.context.summary ?? undefined)
  return { ...parts, tokens: total(parts.first) + tokensFrom(run, run.history.length - parts.messages.length) }
}

/** Tokens of the history from there on: only what is new since the last time is counted. */
function tokensFrom({ context, history }: Run, from: number): number {
  const { counted } = context
  if (counted.from !== from || counted.to > history.length) Object.assign(counted, { from, to: from, tokens: 0 })
  for (const message of history.slice(counted.to)) counted.tokens += estimateMessage(message)
  counted.to = history.length
  return counted.tokens
}

/** What of it is told so that no more than `limit` tokens are asked, everything included. */
export function whatFits(run: Run, limit: number): Trimmed {
  const { overhead = 0, keptFrom } = run.context
  const trimmed = trim(wholeContext(run), { limit: limit - overhead, keptFrom })
  return { ...trimmed, tokens: overhead + trimmed.tokens }
}

/** The newest summary of which the history still has every message. */
export async function findSummary({ context, env, history, live, session }: Run): Promise<void> {
  if (context.summary !== undefined) return
  let found: SummaryRecord | undefined
  for (let n = session.summaries ?? 0; n > 0 && !found; n--) {
    const summary = await env.store.readSummary(live.id, n)
    if (summary && isOf(history, summary)) found = summary
  }
  context.summary = found ?? null
}

/**
 * After a stop in mid-answer, or an answer that was as long as the model's answers may be, the history ends with half an
 * answer, which few providers take as it is.
 */
function withRequestToGoOn(prompt: LanguageModelV4Prompt, history: readonly MessageRecord[]): LanguageModelV4Prompt {
  const last = history.at(-1)
  if (last?.role !== 'assistant' || prompt.at(-1)?.role !== 'assistant') return prompt
  if (last.status !== 'partial' && last.finishReason !== 'length') return prompt
  return [...prompt, { role: 'user', content: [{ type: 'text', text: 'Go on where you left off.' }] }]
}
