import { APICallError } from '@ai-sdk/provider'
import { describe, expect, it } from 'vitest'
import { toModelError } from '../../src/model/model-error.ts'

const refused = (statusCode: number, message: string, responseBody = '') =>
  toModelError(
    new APICallError({ message, url: 'https://model.invalid', requestBodyValues: {}, statusCode, responseBody }),
  )

/** As providers write them. */
const overflows: readonly (readonly [who: string, status: number, message: string])[] = [
  [
    'OpenAI, chat',
    400,
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens. Please reduce the length of the messages.",
  ],
  [
    'OpenAI, responses',
    400,
    'Your input exceeds the context window of this model. Please adjust your input and try again.',
  ],
  ['Anthropic', 400, 'prompt is too long: 209353 tokens > 199999 maximum'],
  ['Anthropic, with the answer', 400, 'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000'],
  ['Anthropic, by size', 413, 'Request exceeds the maximum size'],
  ['Bedrock', 400, 'Input is too long for requested model.'],
  ['Google', 400, 'The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).'],
  ['xAI', 400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens."],
  ['Groq', 400, 'Please reduce the length of the messages or completion.'],
  ['llama.cpp', 500, 'the request exceeds the available context size. try increasing the context size'],
  [
    'LM Studio',
    400,
    'Trying to keep the first 4919 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough: tokens to keep is greater than the context length',
  ],
  ['Mistral', 400, 'Prompt contains 40000 tokens, too large for model with 32768 maximum context length'],
  ['Ollama', 400, 'prompt too long; exceeded max context length by 12 tokens'],
  ['Qwen', 400, 'Range of input length should be [1, 30720]'],
  ['MiniMax', 400, 'invalid params, context window exceeds limit'],
  ['Kimi', 400, 'Invalid request: Your request exceeded model token limit: 262144'],
  ['Cohere', 400, 'too many tokens: size limit exceeded by 2400 tokens.'],
]

describe('a prompt that is larger than the context', () => {
  it.each(overflows)('is known by what %s says', (_, status, message) => {
    expect(refused(status, message)).toMatchObject({ code: 'context-overflow', recoverable: false, status })
  })

  it('is known by a code in the body, whatever the message is', () => {
    const body = JSON.stringify({ error: { message: 'Zu lang', code: 'context_length_exceeded' } })
    const error = refused(400, 'Zu lang', body)
    expect(error.code).toBe('context-overflow')
    expect(error.message).not.toContain('context_length_exceeded')
  })

  it('is known in mid-stream', () => {
    const thrown = { message: 'Your input exceeds the context window of this model.', statusCode: 400 }
    expect(toModelError(thrown).code).toBe('context-overflow')
  })

  it('is known from a model that is no endpoint', () => {
    expect(toModelError(new DOMException('The input is too large.', 'QuotaExceededError')).code).toBe(
      'context-overflow',
    )
  })
})

describe('something else is', () => {
  it.each([
    [
      429,
      'Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 35000. Too many tokens',
      'rate-limited',
    ],
    [400, 'Unknown parameter: context_management', 'bad-request'],
    [400, "Invalid 'temperature': decimal above maximum value. Expected a value <= 2", 'bad-request'],
    [400, 'max_tokens is too large: 100000. This model supports at most 16384 completion tokens', 'bad-request'],
    [401, 'The context window exceeds your plan', 'unauthorized'],
    [503, 'The model is overloaded', 'overloaded'],
  ] as const)('a %i with %s', (status, message, code) => expect(refused(status, message).code).toBe(code))
})
