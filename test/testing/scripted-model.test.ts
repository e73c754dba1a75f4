import {
  APICallError,
  type LanguageModelV4CallOptions,
  type LanguageModelV4Prompt,
  type LanguageModelV4StreamPart,
} from '@ai-sdk/provider'
import { streamText } from 'ai'
import { describe, expect, it } from 'vitest'
import { reply, type ScriptedModel, scriptedModel } from '../../src/testing/index.ts'

const prompt: LanguageModelV4Prompt = [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }]

async function ask(model: ScriptedModel, options: Partial<LanguageModelV4CallOptions> = {}) {
  const { stream } = await model.doStream({ prompt, ...options })
  return read(stream)
}

/** The parts, and what the stream broke with. */
async function read(stream: ReadableStream<LanguageModelV4StreamPart>) {
  const parts: LanguageModelV4StreamPart[] = []
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return { parts, error: undefined }
      parts.push(value)
    }
  } catch (error) {
    return { parts, error }
  }
}

const types = (parts: readonly LanguageModelV4StreamPart[]) => parts.map(({ type }) => type)
const joined = (
  parts: readonly LanguageModelV4StreamPart[],
  type: 'text-delta' | 'reasoning-delta' | 'tool-input-delta',
) => parts.map((part) => (part.type === type ? part.delta : '')).join('')
const ofType = <T extends LanguageModelV4StreamPart['type']>(parts: readonly LanguageModelV4StreamPart[], type: T) =>
  parts.filter((part): part is Extract<LanguageModelV4StreamPart, { type: T }> => part.type === type)

describe('a reply', () => {
  it('of text streams start, a delta per word, end and the reason to finish', async () => {
    const { parts } = await ask(scriptedModel([reply.text('Hello  there,\nyou ')]))
    expect(types(parts)).toEqual([
      'stream-start',
      'response-metadata',
      'text-start',
      'text-delta',
      'text-delta',
      'text-delta',
      'text-end',
      'finish',
    ])
    expect(joined(parts, 'text-delta')).toBe('Hello  there,\nyou ')
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'stop' } })
  })

  it.each(['', ' ', '\n\n', ' a', 'a ', 'a b  ', '👩‍👩‍👧 ü'])('of text %j keeps every character', async (text) => {
    const { parts } = await ask(scriptedModel([reply.text(text)]))
    expect(joined(parts, 'text-delta')).toBe(text)
    expect(ofType(parts, 'text-delta').every(({ delta }) => delta !== '')).toBe(true)
  })

  it('of a very long text is no problem', async () => {
    const text = 'word '.repeat(200_000)
    const { parts } = await ask(scriptedModel([reply.text(text)]))
    expect(joined(parts, 'text-delta')).toBe(text)
  })

  it('of reasoning streams reasoning parts', async () => {
    const { parts } = await ask(scriptedModel([reply.reasoning('Let me see')]))
    expect(types(parts)).toContain('reasoning-start')
    expect(types(parts)).toContain('reasoning-end')
    expect(joined(parts, 'reasoning-delta')).toBe('Let me see')
  })

  it('of a call streams its JSON and finishes for tool calls', async () => {
    const { parts } = await ask(scriptedModel([reply.call('forecast', { city: 'Ülm', days: [1, 2, 3] })]))
    const [call] = ofType(parts, 'tool-call')
    expect(call).toEqual({
      type: 'tool-call',
      toolCallId: 'call-1',
      toolName: 'forecast',
      input: '{"city":"Ülm","days":[1,2,3]}',
    })
    expect(joined(parts, 'tool-input-delta')).toBe(call?.input)
    expect(ofType(parts, 'tool-input-delta').length).toBeGreaterThan(1)
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'tool-calls' } })
  })

  it('of a call takes a string as it is', async () => {
    const { parts } = await ask(scriptedModel([reply.call('forecast', '{"city":')]))
    expect(ofType(parts, 'tool-call')[0]?.input).toBe('{"city":')
  })

  it('of several calls gives each an id of its own, over all answers', async () => {
    const model = scriptedModel([
      reply.all(reply.call('a', {}), reply.call('b', {})),
      reply.all(reply.call('a', {}), reply.call('c', {}, { toolCallId: 'mine' })),
    ])
    const ids = [...(await ask(model)).parts, ...(await ask(model)).parts].flatMap((part) =>
      part.type === 'tool-call' ? part.toolCallId : [],
    )
    expect(ids).toEqual(['call-1', 'call-2', 'call-3', 'mine'])
  })

  it('made of several is one answer, in order, with an id for each text', async () => {
    const { parts } = await ask(
      scriptedModel([reply.all(reply.reasoning('Hm'), reply.text('A'), reply.call('a', {}), reply.text('B'))]),
    )
    expect(ofType(parts, 'text-start').map(({ id }) => id)).toEqual(['1', '3'])
    expect(types(parts).filter((type) => /start|finish/.test(type))).toEqual([
      'stream-start',
      'reasoning-start',
      'text-start',
      'tool-input-start',
      'text-start',
      'finish',
    ])
  })

  it('can end for another reason, and say what it used', async () => {
    const model = scriptedModel(
      [
        reply.all(
          reply.text('Once'),
          reply.finish({ reason: 'length', usage: { outputTokens: 7, reasoningTokens: 2 } }),
        ),
        reply.text('More'),
      ],
      {
        usage: { inputTokens: 10, cachedInputTokens: 4, outputTokens: 5 },
      },
    )
    expect((await ask(model)).parts.at(-1)).toMatchObject({
      finishReason: { unified: 'length' },
      usage: {
        inputTokens: { total: 10, noCache: 6, cacheRead: 4 },
        outputTokens: { total: 7, text: 5, reasoning: 2 },
      },
    })
    expect((await ask(model)).parts.at(-1)).toMatchObject({
      finishReason: { unified: 'stop' },
      usage: { outputTokens: { total: 5 } },
    })
  })

  it('of raw parts is streamed as it is, without an end of its own', async () => {
    const parts: LanguageModelV4StreamPart[] = [{ type: 'text-start', id: 'a' }, { type: 'ping' }]
    expect((await ask(scriptedModel([reply.parts(parts)]))).parts).toEqual(parts)
  })

  it('of raw parts among others stands in its place, and its calls count', async () => {
    const call = { type: 'tool-call', toolCallId: 'x', toolName: 'a', input: '{}' } as const
    const { parts } = await ask(scriptedModel([reply.all(reply.text('A'), reply.parts([call]))]))
    expect(types(parts).slice(-2)).toEqual(['tool-call', 'finish'])
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'tool-calls' } })
  })
})

describe('a failure', () => {
  it('with a status is thrown before anything streams, as a provider throws it', async () => {
    const error: unknown = await ask(scriptedModel([reply.fail(429, { 'retry-after': '3' })])).catch((thrown) => thrown)
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ statusCode: 429, isRetryable: true, responseHeaders: { 'retry-after': '3' } })
    const refused: unknown = await ask(scriptedModel([reply.fail(401)])).catch((thrown) => thrown)
    expect(refused).toMatchObject({ statusCode: 401, isRetryable: false })
  })

  it('with a status after a text is an error part that ends the answer', async () => {
    const { parts, error } = await ask(
      scriptedModel([reply.all(reply.text('Well'), reply.fail(500), reply.text('never said'))]),
    )
    expect(error).toBeUndefined()
    expect(types(parts).slice(-3)).toEqual(['text-end', 'error', 'finish'])
    expect(ofType(parts, 'error')[0]?.error).toMatchObject({ statusCode: 500 })
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'error' } })
  })

  it('of the connection comes after all of the text, in its middle, in the shape that Chromium gives', async () => {
    const { parts, error } = await ask(scriptedModel([reply.drop('Once upon a')]))
    expect(joined(parts, 'text-delta')).toBe('Once upon a')
    expect(parts.at(-1)?.type).toBe('text-delta')
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ statusCode: 200, isRetryable: false, cause: expect.any(TypeError) })
  })

  it('of the connection can come before any text', async () => {
    const { parts, error } = await ask(scriptedModel([reply.drop()]))
    expect(types(parts)).toEqual(['stream-start', 'response-metadata'])
    expect(error).toMatchObject({ statusCode: 200 })
  })

  it('for want of turns says how many there were', async () => {
    const model = scriptedModel([reply.text('A'), reply.text('B')])
    await ask(model)
    await ask(model)
    await expect(ask(model)).rejects.toThrow('the script has 2 turns, and this is call 3')
    await expect(ask(scriptedModel([reply.text('A')].slice(1)))).rejects.toMatchObject({ code: 'invalid-argument' })
  })

  it('says that only streaming is scripted', async () => {
    await expect(scriptedModel([reply.text('A')]).doGenerate({ prompt })).rejects.toThrow('only streaming is scripted')
  })
})

describe('a turn', () => {
  it('may be a function of the call', async () => {
    const model = scriptedModel([async ({ temperature }) => reply.text(`It is ${temperature}`)])
    expect(joined((await ask(model, { temperature: 0.5 })).parts, 'text-delta')).toBe('It is 0.5')
  })

  it('may throw what the call is to fail with', async () => {
    const refused = new TypeError('Failed to fetch')
    const model = scriptedModel([
      () => {
        throw refused
      },
    ])
    await expect(ask(model)).rejects.toBe(refused)
  })
})

describe('calls', () => {
  it('holds each call as it was when it was made', async () => {
    const model = scriptedModel([reply.text('A'), reply.text('B')])
    const url = new URL('https://example.com/a.png')
    const bytes = new Uint8Array([1, 2])
    const growing: LanguageModelV4Prompt = [
      {
        role: 'user',
        content: [
          { type: 'file', mediaType: 'image/png', data: { type: 'url', url } },
          { type: 'file', mediaType: 'image/png', data: { type: 'data', data: bytes } },
        ],
      },
    ]
    const { signal } = new AbortController()
    await ask(model, { prompt: growing, abortSignal: signal })
    growing.push({ role: 'system', content: 'later' })
    bytes.fill(9)
    url.pathname = '/b.png'
    await ask(model, { temperature: 1 })
    expect(model.calls).toHaveLength(2)
    expect(model.calls[0]?.prompt).toEqual([
      {
        role: 'user',
        content: [
          { type: 'file', mediaType: 'image/png', data: { type: 'url', url: new URL('https://example.com/a.png') } },
          { type: 'file', mediaType: 'image/png', data: { type: 'data', data: new Uint8Array([1, 2]) } },
        ],
      },
    ])
    expect(model.calls[0]?.abortSignal).toBe(signal)
    expect(model.calls[1]).toMatchObject({ temperature: 1 })
  })

  it('counts calls that fail too', async () => {
    const model = scriptedModel([reply.fail(500)])
    await ask(model).catch(() => {})
    expect(model.calls).toHaveLength(1)
  })
})

describe('an abort', () => {
  const aborted = () => {
    const controller = new AbortController()
    controller.abort()
    return controller.signal
  }

  it('before the call ends it, and it counts as not made', async () => {
    const model = scriptedModel([reply.text('A')])
    await expect(ask(model, { abortSignal: aborted() })).rejects.toMatchObject({ name: 'AbortError' })
    expect(model.calls).toHaveLength(0)
  })

  it('ends a model that hangs', async () => {
    const controller = new AbortController()
    const asked = ask(scriptedModel([reply.hang()]), { abortSignal: controller.signal })
    controller.abort()
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('ends a turn that is still being made', async () => {
    const controller = new AbortController()
    const asked = ask(scriptedModel([() => new Promise(() => {})]), { abortSignal: controller.signal })
    controller.abort()
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('ends an answer that fell silent', async () => {
    const controller = new AbortController()
    const model = scriptedModel([reply.all(reply.text('Well'), reply.hang())])
    const { stream } = await model.doStream({ prompt, abortSignal: controller.signal })
    const reader = stream.getReader()
    for (let type = ''; type !== 'text-end'; ) type = (await reader.read()).value?.type ?? 'text-end'
    const silent = reader.read()
    controller.abort()
    await expect(silent).rejects.toMatchObject({ name: 'AbortError' })
  })

  it.each([0, 1, 2, 3, 4, 5, 6])('after %i parts breaks the stream there', async (count) => {
    const controller = new AbortController()
    const { stream } = await scriptedModel([reply.text('one two three')]).doStream({
      prompt,
      abortSignal: controller.signal,
    })
    const reader = stream.getReader()
    for (let read = 0; read < count; read++) expect((await reader.read()).done).toBe(false)
    controller.abort()
    await expect(reader.read()).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('ends the wait between two parts', async () => {
    const controller = new AbortController()
    const { stream } = await scriptedModel([reply.text('one two')], { pace: 1e8 }).doStream({
      prompt,
      abortSignal: controller.signal,
    })
    const reader = stream.getReader()
    await reader.read()
    const waiting = reader.read()
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  it('after the end changes nothing', async () => {
    const controller = new AbortController()
    const { parts, error } = await ask(scriptedModel([reply.text('A')]), { abortSignal: controller.signal })
    controller.abort()
    expect(parts.at(-1)?.type).toBe('finish')
    expect(error).toBeUndefined()
  })

  it('is not needed to cancel a stream that hangs', async () => {
    const { stream } = await scriptedModel([reply.all(reply.text('Well'), reply.hang())]).doStream({ prompt })
    await stream.cancel()
    expect((await read(stream)).parts).toEqual([])
  })
})

it('paces its parts', async () => {
  const { parts } = await ask(scriptedModel([reply.text('one two')], { pace: 1 }))
  expect(parts.at(-1)?.type).toBe('finish')
})

it('works as a model of the AI SDK', async () => {
  const model = scriptedModel([reply.text('Hello')], { usage: { inputTokens: 3, outputTokens: 1 }, modelId: 'mine' })
  const result = streamText({ model, prompt: 'Hi' })
  expect(await result.text).toBe('Hello')
  expect(await result.totalUsage).toMatchObject({ inputTokens: 3, outputTokens: 1 })
  expect((await result.response).modelId).toBe('mine')
})
