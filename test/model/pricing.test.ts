import { expect, test } from 'vitest'
import { costOf, priceOf } from '../../src/model/pricing.ts'
import { noUsage } from '../../src/sessions/records.ts'

const million = 1_000_000

test('prices are per million tokens, and reasoning is part of the output', () => {
  const usage = { inputTokens: million, outputTokens: 2 * million, cachedInputTokens: 0, reasoningTokens: million }
  expect(costOf(usage, { input: 0.25, output: 2 })).toBe(4.25)
})

test('cached input has its own price, and that of input where none is given', () => {
  const usage = { ...noUsage, inputTokens: million, cachedInputTokens: million / 2 }
  expect(costOf(usage, { input: 2, cachedInput: 0.5, output: 8 })).toBe(1.25)
  expect(costOf(usage, { input: 2, output: 8 })).toBe(2)
})

test('a provider that reports more cached input than input is not paid back', () => {
  expect(costOf({ ...noUsage, inputTokens: 10, cachedInputTokens: 50 }, { input: 1, cachedInput: 1, output: 1 })).toBe(
    10 / million,
  )
})

test('the name in `models` is looked up before the id, and only what the table itself holds', () => {
  const prices = { fast: { input: 1, output: 1 }, 'gpt-5-mini': { input: 2, output: 2 } }
  expect(priceOf(prices, 'fast', 'gpt-5-mini')).toBe(prices.fast)
  expect(priceOf(prices, undefined, 'gpt-5-mini')).toBe(prices['gpt-5-mini'])
  expect(priceOf(prices, 'toString', '__proto__')).toBeUndefined()
  expect(priceOf(undefined, 'fast')).toBeUndefined()
})
