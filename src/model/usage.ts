import type { LanguageModelV4Usage } from '@ai-sdk/provider'
import type { Usage } from '../sessions/records.ts'

export const toUsage = ({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage => ({
  inputTokens: inputTokens.total ?? 0,
  outputTokens: outputTokens.total ?? 0,
  cachedInputTokens: inputTokens.cacheRead ?? 0,
  reasoningTokens: outputTokens.reasoning ?? 0,
})

export const addUsage = (a: Usage, b: Usage): Usage => ({
  inputTokens: a.inputTokens + b.inputTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
  reasoningTokens: a.reasoningTokens + b.reasoningTokens,
})
