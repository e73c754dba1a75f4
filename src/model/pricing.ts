import type { AgentDefinition, Price } from '../agent/define-agent.ts'
import type { Usage } from '../sessions/records.ts'

/** What the tokens of a call cost. */
export function costOf({ inputTokens, cachedInputTokens, outputTokens }: Usage, price: Price): number {
  const cached = Math.min(cachedInputTokens, inputTokens)
  const fresh = inputTokens - cached
  return (fresh * price.input + cached * (price.cachedInput ?? price.input) + outputTokens * price.output) / 1_000_000
}

/** The first of these names that has a price. */
export function priceOf(
  prices: AgentDefinition['prices'] = {},
  ...names: readonly (string | undefined)[]
): Price | undefined {
  const known = names.find((name) => name !== undefined && Object.hasOwn(prices, name))
  return known === undefined ? undefined : prices[known]
}
