import { APICallError } from '@ai-sdk/provider'
import { describe, expect, test } from 'vitest'
import { AgentError, type AgentErrorCode, fromWire, toWire } from '../../src/errors.ts'
import { toModelError } from '../../src/model/model-error.ts'
import { delayBefore, isOfConnection, isOfModel, isRetried, retryAfterOf } from '../../src/model/retry.ts'

const now = Date.UTC(2026, 10, 26, 12)
const failed = (statusCode: number | undefined, more: object = {}) =>
  toModelError(
    new APICallError({ message: 'No', url: 'https://model.invalid', requestBodyValues: {}, statusCode, ...more }),
    undefined,
    now,
  )
const dropped = () => failed(200, { cause: new TypeError('network error') })
const limited = (retryAfter?: number) => new AgentError('rate-limited', 'Slower', { retryAfter })

describe('the same model is asked again', () => {
  test.each<readonly [string, AgentError]>([
    ['a bare TypeError, which is a refused or lost connection', toModelError(new TypeError('Failed to fetch'))],
    ['an APICallError without status', failed(undefined)],
    ['a drop in mid-stream, which the AI SDK does not retry', dropped()],
    ['an answer that ends as interrupted', new AgentError('model-interrupted', 'Cut')],
    ['a model that fell silent', new AgentError('model-timeout', 'Silent')],
    ...[408, 409, 429, 500, 502, 503, 529].map((status) => [`HTTP ${status}`, failed(status)] as const),
    [
      'an error event of which the provider says that it may pass',
      toModelError({ message: 'Try again', isRetryable: true }),
    ],
  ])('after %s', (_, error) => {
    expect(isRetried(error)).toBe(true)
    expect(isOfModel(error)).toBe(true)
  })

  test.each([
    ['HTTP 400', failed(400)],
    ['HTTP 400 of which the provider says that it may pass', failed(400, { isRetryable: true })],
    ['HTTP 404', failed(404)],
    ['HTTP 500 of which the provider says that it lasts', failed(500, { isRetryable: false })],
    ['an error of the model itself', toModelError(new Error('boom'))],
  ])('but not after %s, where another one may do better', (_, error) => {
    expect(isRetried(error)).toBe(false)
    expect(isOfModel(error)).toBe(true)
  })

  test.each<AgentErrorCode>(['unauthorized', 'invalid-argument', 'unknown-model', 'unsupported-model', 'storage-full'])(
    'neither it nor another one after %s',
    (code) => {
      const error = new AgentError(code, 'No', { recoverable: true })
      expect(isRetried(error)).toBe(false)
      expect(isOfModel(error)).toBe(false)
    },
  )
})

test('a connection that was refused or lost may be for want of a network; an answer of the endpoint is not', () => {
  expect([toModelError(new TypeError('Load failed')), dropped()].map(isOfConnection)).toEqual([true, true])
  expect([failed(503), limited(), new AgentError('model-timeout', '')].some(isOfConnection)).toBe(false)
})

describe('the delay', () => {
  const most = () => 1
  const delays = (options = {}, random = most, error = limited()) =>
    [1, 2, 3, 4, 5, 6, 7].map((attempt) => delayBefore(error, attempt, options, random))

  test('doubles up to a longest one, and ends after as many attempts', () => {
    expect(delays()).toEqual([1000, 2000, undefined, undefined, undefined, undefined, undefined])
    const options = { attempts: 7, baseDelay: 100, maxDelay: 1000 }
    expect(delays(options)).toEqual([100, 200, 400, 800, 1000, 1000, undefined])
    expect(delays({ attempts: 1 })[0]).toBeUndefined()
  })

  test('is drawn from all that is shorter', () => {
    expect(delays({}, () => 0).slice(0, 2)).toEqual([0, 0])
    expect(delays({}, () => 0.25).slice(0, 2)).toEqual([250, 500])
    for (let i = 0; i < 100; i++) {
      const delay = delayBefore(limited(), 2)
      expect(delay).toBeGreaterThanOrEqual(0)
      expect(delay).toBeLessThanOrEqual(2000)
    }
  })

  test('is as long as the endpoint says', () => {
    expect(delays({}, most, limited(7000)).slice(0, 3)).toEqual([7000, 7000, undefined])
    expect(delays({}, most, limited(0))[0]).toBe(1000)
  })

  test('is none where the endpoint asks for more than is waited for', () => {
    expect(delayBefore(limited(60_000), 1)).toBe(60_000)
    expect(delayBefore(limited(60_001), 1)).toBeUndefined()
    expect(delayBefore(limited(60_001), 1, { maxRetryAfter: 100_000 })).toBe(60_001)
    expect(delayBefore(limited(Number.POSITIVE_INFINITY), 1)).toBeUndefined()
  })
})

describe('what the endpoint says of when to ask again', () => {
  test.each<[Record<string, string>, number | undefined]>([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': '0.25' }, 250],
    [{ 'retry-after': 'Thu, 26 Nov 2026 12:00:20 GMT' }, 20_000],
    [{ 'retry-after': 'Thu, 26 Nov 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '1500.5' }, 1501],
    [{ 'retry-after-ms': '1500', 'retry-after': '9' }, 1500],
    [{ 'retry-after-ms': 'soon', 'retry-after': '9' }, 9000],
    [{ 'retry-after': '-5' }, 0],
    [{ 'retry-after': '' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('in %o', (headers, expected) => expect(retryAfterOf(headers, now)).toBe(expected))

  test('is kept of the answer, and nothing else of its headers; it crosses ports and stores', () => {
    const error = failed(429, { responseHeaders: { 'retry-after': '2', 'x-key': 'sk-canary' } })
    expect(error).toMatchObject({ code: 'rate-limited', status: 429, retryAfter: 2000 })
    expect(JSON.stringify(toWire(error))).not.toContain('canary')
    expect(fromWire(structuredClone(toWire(error)))).toEqual(error)
    expect(failed(503, { responseHeaders: { 'retry-after-ms': '40' } }).retryAfter).toBe(40)
    expect(failed(429).retryAfter).toBeUndefined()
    expect(toWire(failed(429))).not.toHaveProperty('retryAfter')
  })
})
