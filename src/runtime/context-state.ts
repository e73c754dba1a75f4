import { estimateJson, estimateText } from '../context/estimate-tokens.ts'
import type { Answer } from '../model/answer.ts'
import type { SessionRecord, SummaryRecord } from '../sessions/records.ts'
import type { ToolDescription } from '../tools/describe-tools.ts'
import { FileCache } from './file-cache.ts'
import type { Run } from './run.ts'

/** What an owner keeps in mind of its run's context. All of it is found again, or made anew, where a leg begins. */
export class ContextState {
  /** The summary that counts; `null` where there is none, `undefined` before it was looked for. */
  summary: SummaryRecord | null | undefined
  /** Tokens of the history's messages between these two places. */
  readonly counted = { from: 0, to: 0, tokens: 0 }
  /** Tokens beside the messages: the system prompt and the tools. */
  overhead: number | undefined
  /** Tokens of what the model was asked last, as they were estimated. */
  asked = 0
  /** The window of the model that was asked last. */
  window: number | undefined
  /** The message from which on all were told. */
  keptFrom: number | undefined
  /** What was too much for the provider was more than this, in tokens as they are estimated. */
  limit = Number.POSITIVE_INFINITY
  /** The turn that was too large for the provider, and how often. */
  overflows = { turn: 0, times: 0 }
  /** What was loaded for its prompts. */
  readonly files = new FileCache()
  /** The turn is asked again, and does not count twice. */
  givenBack = false
}

const schemas = new WeakMap<object, number>()

/** Tokens that each turn takes beside its messages. */
export function overheadOf(instructions: string | undefined, described: readonly ToolDescription[]): number {
  let tokens = instructions ? estimateText(instructions) : 0
  for (const tool of described) {
    const description = tool.type === 'function' ? tool.description : ''
    tokens += schemaTokens(tool) + estimateText(tool.name) + estimateText(description ?? '')
  }
  return tokens
}

/** What a provider is told of a tool is made anew for each turn, but for its schema. */
function schemaTokens(tool: ToolDescription): number {
  const schema = tool.type === 'function' ? tool.inputSchema : tool.args
  const known = schemas.get(schema)
  if (known !== undefined) return known
  const tokens = estimateJson(schema)
  schemas.set(schema, tokens)
  return tokens
}

/** The window of a model in tokens, where it is known. */
export function windowOf({ agent }: Run, modelId: string): number | undefined {
  const window = agent.context?.window
  if (typeof window !== 'object') return window
  return Object.hasOwn(window, modelId) ? window[modelId] : undefined
}

export const ratioOf = ({ session }: Run) => session.tokenRatio ?? 1

/** Tokens that the model may be asked with, as they are estimated: some of its window is left for the answer. */
export function limitOf(run: Run, window: number | undefined): number {
  const { agent, context, record } = run
  const whole = window ?? Number.POSITIVE_INFINITY
  const answer = record.request.settings?.maxOutputTokens ?? agent.settings?.maxOutputTokens ?? 0
  const fits = Math.min(whole * (agent.context?.compactAt ?? 0.8), Math.max(whole - answer, whole / 2))
  return Math.min(context.limit, fits / ratioOf(run))
}

/** A provider that counts quite differently counts something else. */
const bounded = (ratio: number) => Math.min(Math.max(ratio, 0.5), 3)
/** Tokens: what is less says nothing of how a provider counts. */
const telling = 500

/** What an answer tells of the context: how full it is, and how far the estimates were off. */
export function contextFields(run: Run, { usage }: Answer): Partial<SessionRecord> {
  const { asked, window: contextWindow } = run.context
  if (asked === 0) return {}
  if (!usage?.inputTokens) return { contextTokens: Math.round(asked * ratioOf(run)), contextWindow }
  const contextTokens = usage.inputTokens + usage.outputTokens
  if (asked < telling) return { contextTokens, contextWindow }
  const tokenRatio = (ratioOf(run) + bounded(usage.inputTokens / asked)) / 2
  return { contextTokens, contextWindow, tokenRatio }
}
