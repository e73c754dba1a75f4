import type { LanguageModelV4FinishReason, LanguageModelV4StreamPart, LanguageModelV4Usage } from '@ai-sdk/provider'

export type Part = LanguageModelV4StreamPart
export type Metadata = Record<string, Record<string, string>>

/** One answer of the model: its parts, begun and ended as providers do. */
export const answer = (
  ...parts: readonly (Part | readonly Part[] | { readonly finish: LanguageModelV4FinishReason['unified'] })[]
): Part[] => {
  const streamed = parts.flatMap((part) => ('finish' in part ? [] : part)) as Part[]
  const given = parts.find((part) => 'finish' in part)
  const calls = streamed.some((part) => part.type === 'tool-call' && !part.providerExecuted)
  return [{ type: 'stream-start', warnings: [] }, ...streamed, finish(given?.finish ?? (calls ? 'tool-calls' : 'stop'))]
}

const usage: LanguageModelV4Usage = {
  inputTokens: { total: 20, noCache: 12, cacheRead: 8, cacheWrite: 0 },
  outputTokens: { total: 9, text: 4, reasoning: 5 },
}

const finish = (unified: LanguageModelV4FinishReason['unified']): Part => ({
  type: 'finish',
  finishReason: { unified, raw: unified },
  usage,
})

export const text = (id: string, ...deltas: string[]): Part[] => [
  { type: 'text-start', id },
  ...deltas.map((delta): Part => ({ type: 'text-delta', id, delta })),
  { type: 'text-end', id },
]

export const reasoning = (id: string, ...deltas: string[]): Part[] => [
  { type: 'reasoning-start', id },
  ...deltas.map((delta): Part => ({ type: 'reasoning-delta', id, delta })),
  { type: 'reasoning-end', id },
]

interface CallOptions {
  readonly providerMetadata?: Metadata
  readonly providerExecuted?: boolean
  readonly dynamic?: boolean
}

/** A call that is written piece by piece; `input` is JSON, or a raw string. */
export const call = (toolCallId: string, toolName: string, input: unknown, options: CallOptions = {}): Part[] => {
  const json = typeof input === 'string' ? input : JSON.stringify(input)
  const { providerExecuted, dynamic } = options
  return [
    {
      type: 'tool-input-start',
      id: toolCallId,
      toolName,
      ...(providerExecuted ? { providerExecuted } : {}),
      ...(dynamic ? { dynamic } : {}),
    },
    ...[json.slice(0, 5), json.slice(5)]
      .filter(Boolean)
      .map((delta): Part => ({ type: 'tool-input-delta', id: toolCallId, delta })),
    { type: 'tool-input-end', id: toolCallId },
    ...wholeCall(toolCallId, toolName, json, options),
  ]
}

/** A call that comes as one part. */
export const wholeCall = (toolCallId: string, toolName: string, input: unknown, options: CallOptions = {}): Part[] => [
  {
    type: 'tool-call',
    toolCallId,
    toolName,
    input: typeof input === 'string' ? input : JSON.stringify(input),
    ...options,
  },
]
