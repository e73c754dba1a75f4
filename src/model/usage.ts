import type { LanguageModelV4Usage } from '@ai-sdk/provider'
import type { Usage } from '../sessions/records.ts'

/** What a provider reports; it may leave out any of it. */
export type Reported = { readonly [K in keyof Usage]: number | undefined }

export const toReported = ({ inputTokens, outputTokens }: LanguageModelV4Usage): Reported => ({
  inputTokens: counted(inputTokens.total),
  outputTokens: counted(outputTokens.total),
  cachedInputTokens: counted(inputTokens.cacheRead),
  reasoningTokens: counted(outputTokens.reasoning),
})

/** No limit could be kept with what is no number. */
const counted = (tokens: number | undefined) =>
  typeof tokens === 'number' && tokens >= 0 && tokens < Number.POSITIVE_INFINITY ? tokens : undefined

/** What was used, where the provider said both what went in and what came out. */
export function toUsage({ inputTokens, outputTokens, ...parts }: Reported): Usage | undefined {
  if (inputTokens === undefined || outputTokens === undefined) return undefined
  const { cachedInputTokens = 0, reasoningTokens = 0 } = parts
  return { inputTokens, outputTokens, cachedInputTokens, reasoningTokens }
}
