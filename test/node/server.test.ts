import { readFileSync } from 'node:fs'
import { APICallError } from '@ai-sdk/provider'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, of, textOf } from '../server/ask.ts'
import { serverAt } from '../server/client.ts'
import { badGateway, quotaExceeded, rateLimited, serverError, unauthorized } from '../server/http-errors.ts'
import { startServer, type TestServer } from '../server/server.ts'
import {
  answer,
  call,
  mcpCall,
  type Protocol,
  raw,
  reasoning,
  refusal,
  say,
  type Turn,
  text,
  webSearch,
} from '../server/turns.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const script = (...turns: Turn[]) => serverAt(server.origin).script(turns)
const answered = async (turn: Turn, protocol: Protocol, options?: Parameters<typeof ask>[2]) =>
  (await ask((await script(turn)).baseURL, protocol, options)).parts
const refused = (turn: Turn, protocol: Protocol, options?: Parameters<typeof ask>[2]): Promise<APICallError> =>
  answered(turn, protocol, options).then(
    () => expect.unreachable('the call gave a stream'),
    (error) => {
      expect(APICallError.isInstance(error)).toBe(true)
      return error
    },
  )
const recording = (name: string) => readFileSync(new URL(`../server/fixtures/${name}.jsonl`, import.meta.url), 'utf8')

describe.each<Protocol>(['responses', 'chat'])('over %s', (protocol) => {
  it('streams text in the given deltas and ends with stop and usage', async () => {
    const parts = await answered(say(['Grüß', ' dich', ' 👋'], { usage: { input: 7, cached: 3 } }), protocol)
    // Chat opens the text with an empty delta, as the real endpoint does.
    expect(of(parts, 'text-delta').flatMap(({ delta }) => delta || [])).toEqual(['Grüß', ' dich', ' 👋'])
    expect(parts.map(({ type }) => type).filter((type) => type !== 'text-delta')).toEqual([
      'stream-start',
      'response-metadata',
      'text-start',
      'text-end',
      'finish',
    ])
    expect(of(parts, 'finish')[0]).toMatchObject({
      finishReason: { unified: 'stop' },
      usage: { inputTokens: { total: 7, cacheRead: 3, noCache: 4 }, outputTokens: { total: 3, text: 3, reasoning: 0 } },
    })
  })

  it('tells no usage where the turn says so', async () => {
    const parts = await answered(say('Hi', { usage: null }), protocol)
    expect(of(parts, 'finish')[0]?.usage.inputTokens.total).toBeUndefined()
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe('stop')
  })

  it('asks for parallel tool calls whose arguments arrive in pieces', async () => {
    const turn = answer([
      text('Let me look.'),
      call('forecast', { city: 'Zürich' }, { deltas: ['{"city"', ':"Zür', 'ich"}'] }),
      call('time', '', { id: 'call_mine' }),
    ])
    const parts = await answered(turn, protocol)
    const calls = of(parts, 'tool-call')
    expect(calls.map(({ toolName, input }) => [toolName, input])).toEqual([
      ['forecast', '{"city":"Zürich"}'],
      ['time', ''],
    ])
    expect(calls[0]?.toolCallId).toMatch(/^call_[0-9a-f]{24}$/)
    expect(calls[1]?.toolCallId).toBe('call_mine')
    const deltas = of(parts, 'tool-input-delta').filter(({ id }) => id === calls[0]?.toolCallId)
    expect(deltas.map(({ delta }) => delta)).toEqual(['{"city"', ':"Zür', 'ich"}'])
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe('tool-calls')
    expect(textOf(parts)).toBe('Let me look.')
  })

  it('sends broken JSON as arguments when a turn wants it', async () => {
    const parts = await answered(answer([call('forecast', '{"city":')]), protocol)
    expect(of(parts, 'tool-call')[0]?.input).toBe('{"city":')
  })

  it('gives different ids in every answer', async () => {
    const two = await serverAt(server.origin).script([answer([call('t', {})])], { repeatLast: true })
    const ids = [await ask(two.baseURL, protocol), await ask(two.baseURL, protocol)].map(
      ({ parts }) => of(parts, 'tool-call')[0]?.toolCallId,
    )
    expect(ids[0]).not.toBe(ids[1])
  })

  it('refuses to answer, which ends as content-filter', async () => {
    const parts = await answered(answer([refusal('I cannot help with that.')]), protocol)
    expect(textOf(parts)).toBe('I cannot help with that.')
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe('content-filter')
  })

  it.each([
    ['length', 'length'],
    ['content_filter', 'content-filter'],
  ] as const)('ends with %s', async (finish, unified) => {
    const parts = await answered(say('Once upon a', { finish }), protocol)
    expect(textOf(parts)).toBe('Once upon a')
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe(unified)
  })

  it('fails with an error event after HTTP 200, before any output', async () => {
    const error = await refused(answer([], { error: { message: 'Overloaded', type: 'overloaded_error' } }), protocol)
    expect(error).toMatchObject({ message: 'Overloaded', statusCode: 503, isRetryable: true })
  })

  it('fails with an error event in the middle of the text', async () => {
    const parts = await answered(say('Half a', { error: { message: 'Boom' } }), protocol)
    expect(textOf(parts)).toBe('Half a')
    expect(of(parts, 'error').map(({ error }) => (error as Error).message)).toEqual(['Boom'])
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe('error')
  })

  it('answers 401 with the key in its message, whole or masked', async () => {
    const apiKey = 'sk-canary-0123456789'
    const whole = await refused(unauthorized(), protocol, { apiKey })
    expect(whole).toMatchObject({ statusCode: 401, isRetryable: false })
    expect(whole.message).toContain(`Incorrect API key provided: ${apiKey}.`)
    const masked = await refused(unauthorized({ mask: true }), protocol, { apiKey })
    expect(masked.message).toContain('Incorrect API key provided: sk-canar********6789.')
  })

  it('answers 429 with retry-after, 429 for lack of quota, 500, and a gateway page', async () => {
    const limited = await refused(rateLimited({ retryAfter: 2 }), protocol)
    expect(limited).toMatchObject({ statusCode: 429, isRetryable: true })
    expect(limited.responseHeaders?.['retry-after']).toBe('2')
    expect(await refused(quotaExceeded(), protocol)).toMatchObject({ data: { error: { code: 'insufficient_quota' } } })
    expect(await refused(serverError(), protocol)).toMatchObject({ statusCode: 500, isRetryable: true })
    expect(await refused(badGateway(), protocol)).toMatchObject({ statusCode: 502, message: 'Bad Gateway' })
  })

  it('logs what was asked', async () => {
    const one = await script(say('Hi'))
    await ask(one.baseURL, protocol, { headers: { 'x-trace': '7' } })
    const { requests } = await one.waitFor('settled')
    expect(requests).toMatchObject([
      {
        index: 0,
        protocol,
        turn: 0,
        state: 'answered',
        headers: { authorization: 'Bearer sk-test', 'x-trace': '7' },
        body: { model: 'gpt-5-mini', stream: true },
      },
    ])
  })

  it('takes the turns in order, then says that the script ran out', async () => {
    const two = await script(say('One'), say('Two'))
    expect(textOf((await ask(two.baseURL, protocol)).parts)).toBe('One')
    expect(textOf((await ask(two.baseURL, protocol)).parts)).toBe('Two')
    await expect(ask(two.baseURL, protocol)).rejects.toThrow(/ran out, it has 2 turns/)
    expect((await two.requests())[2]?.refused).toMatch(/ran out/)
    await two.add(say('Three'))
    expect(textOf((await ask(two.baseURL, protocol)).parts)).toBe('Three')
  })
})

describe('over responses', () => {
  it('streams summaries of reasoning with item id and encrypted content', async () => {
    const turn = answer([reasoning(['First I think', 'Then again'], { encrypted: true }), text('Done')])
    const parts = await answered(turn, 'responses', { providerOptions: { openai: { store: false } } })
    const starts = of(parts, 'reasoning-start')
    const ends = of(parts, 'reasoning-end')
    const deltas = (id: string | undefined) =>
      of(parts, 'reasoning-delta').flatMap((part) => (part.id === id ? part.delta : []))
    expect(starts.map(({ id }) => deltas(id).join(''))).toEqual(['First I think', 'Then again'])
    expect(starts[0]?.providerMetadata?.openai?.itemId).toMatch(/^rs_[0-9a-f]{48}$/)
    expect(starts[0]?.providerMetadata?.openai?.reasoningEncryptedContent).toMatch(/^gAAAAAB/)
    expect(ends.at(-1)?.providerMetadata?.openai?.reasoningEncryptedContent).toMatch(/^gAAAAAB/)
    expect(of(parts, 'finish')[0]?.usage.outputTokens).toEqual({ total: 6, text: 1, reasoning: 5 })
  })

  it('runs a web search itself and cites its sources', async () => {
    const sources = ['https://example.com/a', 'https://example.com/b']
    const citation = { url: 'https://example.com/a', title: 'A', start: 0, end: 8 }
    const parts = await answered(answer([webSearch('news', sources), text('All good today', [citation])]), 'responses')
    expect(of(parts, 'tool-call')[0]).toMatchObject({ toolName: 'web_search', providerExecuted: true })
    expect(of(parts, 'tool-result')[0]).toMatchObject({
      result: { action: { type: 'search', query: 'news' }, sources: sources.map((url) => ({ type: 'url', url })) },
    })
    expect(of(parts, 'text-end')[0]?.providerMetadata?.openai?.annotations).toMatchObject([
      { type: 'url_citation', url: 'https://example.com/a', start_index: 0, end_index: 8 },
    ])
    expect(of(parts, 'source').map((source) => source.sourceType === 'url' && source.url)).toEqual(sources)
    expect(of(parts, 'finish')[0]?.finishReason.unified).toBe('stop')
  })

  it('calls the tool of an MCP server itself, which may fail', async () => {
    const search = { server: 'exa', name: 'search', arguments: '{"q":"x"}' }
    const turn = answer([mcpCall({ ...search, output: '[1]' }), mcpCall({ ...search, error: 'no route' }), text('So')])
    const parts = await answered(turn, 'responses')
    expect(of(parts, 'tool-call')).toMatchObject([
      { toolName: 'mcp.search', input: '{"q":"x"}', providerExecuted: true, dynamic: true },
      { toolName: 'mcp.search' },
    ])
    expect(of(parts, 'tool-result')).toMatchObject([{ result: { output: '[1]' } }, { result: { error: 'no route' } }])
  })

  it.each(['nested', 'flat', 'failed'] as const)('knows the %s form of a stream error', async (form) => {
    const parts = await answered(say('Half', { error: { message: 'Boom', form } }), 'responses')
    expect(of(parts, 'error').map(({ error }) => (error as Error).message)).toEqual(['Boom'])
  })

  it('serves a recording as it is', async () => {
    const parts = await answered(raw(recording('responses-reasoning-call')), 'responses')
    expect(of(parts, 'tool-call')[0]).toMatchObject({ toolName: 'calculator', input: '{"a":12,"b":7,"op":"add"}' })
    expect(of(await answered(raw(recording('lmstudio-responses-call')), 'responses'), 'tool-call')).toHaveLength(1)
  })
})

describe('over chat', () => {
  it('shows neither reasoning nor the search, only citations', async () => {
    const citation = { url: 'https://example.com/a', title: 'A', start: 0, end: 2 }
    const turn = answer([reasoning(['Hm']), webSearch('x', []), text('So', [citation])])
    const parts = await answered(turn, 'chat')
    expect(of(parts, 'reasoning-start')).toEqual([])
    expect(of(parts, 'source')).toMatchObject([{ url: 'https://example.com/a', title: 'A' }])
  })

  it('says that it has no hosted tools', async () => {
    const turn = answer([mcpCall({ server: 's', name: 'n', arguments: '{}' })])
    expect((await refused(turn, 'chat')).message).toMatch(/Chat Completions have no mcp-call/)
  })

  it('serves a recording as it is and closes it with [DONE]', async () => {
    const parts = await answered(raw(recording('xai-chat-call')), 'chat')
    expect(of(parts, 'tool-call')[0]).toMatchObject({ toolName: 'weather', input: '{"location":"San Francisco"}' })
  })
})
