import { createOpenAI } from '@ai-sdk/openai'
import { describe, expect, test } from 'vitest'
import { AgentError } from '../../src/errors.ts'
import { headersOf, redact, redactError } from '../../src/model/redact.ts'

describe('a text without keys', () => {
  test.each([
    ['Incorrect API key: sk-abcdefgh12345678', 'Incorrect API key: sk…'],
    ['Authorization: Bearer abc.def-123456', 'Authorization: Bearer…'],
    ['no Basic dXNlcjpwYXNzd29yZA== here', 'no Basic… here'],
    ['AIzaSyA1234567890abcdefg is wrong', 'AIza… is wrong'],
    ['expired: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'expired: eyJ…'],
    ['{"x-api-key":"abcd12345"}', '{"x-api-key":"…"}'],
    ['https://x.test/?token=abcd12345&page=2', 'https://x.test/?token=…'],
  ])('leaves out what looks like one: %s', (text, expected) => expect(redact(text, undefined)).toBe(expected))

  test.each([
    'Skeletons and skyscrapers are task-specific',
    'Unexpected token: } in JSON',
    'The model "gpt-5-mini-2026-01-01" does not exist',
    'Order 123e4567-e89b-12d3-a456-426614174000 is gone',
    'password: Required field',
  ])('is as it was: %s', (text) => expect(redact(text, undefined)).toBe(text))

  test.each([
    ['the credentials themselves', 'canary-value'],
    ['a field that is called a key', { apiKey: 'canary-value' }],
    ['a field of any name that looks like a token', { acme: 'canary-value-0123456789' }],
    ['something deep inside', { a: [{ tokens: { acme: 'canary-value' }, auth: 'canary-value' }] }],
    ['a header with its scheme', { authorization: 'Token canary-value' }],
  ])('leaves out what is known as one: %s', (_, secrets) => {
    const secret = JSON.stringify(secrets).match(/canary[\w-]+/)?.[0] ?? ''
    expect(redact(`refused: ${secret}, ${secret}`, secrets)).toBe('refused: …, …')
  })

  test('still has the words of the credentials that are no secret', () => {
    const secrets = { baseURL: 'https://api.example/v1', user: 'Augusta Ada', apiKey: 'short' }
    const text = 'https://api.example/v1 does not know Augusta Ada: short of money'
    expect(redact(text, secrets)).toBe(text)
  })

  test('is that of an error, too, which else stays what it is', () => {
    const error = new AgentError('overloaded', 'sk-abcdefgh12345678', { status: 503, retryAfter: 5 })
    expect(redactError(error, undefined)).toMatchObject({
      name: 'AgentError',
      code: 'overloaded',
      message: 'sk…',
      status: 503,
      retryAfter: 5,
      recoverable: true,
    })
    const clean = new AgentError('overloaded', 'Try again')
    expect(redactError(clean, { apiKey: 'canary-value' })).toBe(clean)
  })

  test('knows the headers that a provider’s model sends', () => {
    const model = createOpenAI({ apiKey: 'canary-key-value', headers: { 'x-tenant-secret': 'canary-tenant' } })('gpt')
    expect(redact('canary-key-value or canary-tenant', headersOf(model as never))).toBe('… or …')
  })
})
