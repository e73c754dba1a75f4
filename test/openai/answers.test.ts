import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answer, call, mcpCall, type Protocol, reasoning, refusal, say, text, webSearch } from '../server/turns.ts'
import { openPage } from './fixtures/worker-page.ts'

let place: ReturnType<typeof openPage>
beforeAll(() => {
  place = openPage()
})
afterAll(() => place.close())

const partsOf = async (session: ReturnType<typeof place.page.session>, at = -1) =>
  (await session.view.ready).messages.at(at)?.parts ?? []

describe.each<Protocol>(['responses', 'chat'])('@ai-sdk/openai in a worker, over %s', (protocol) => {
  it('streams text, in its deltas, with its usage', async () => {
    const { script, session, events } = await place.scripted(protocol, [
      say('Zoë says 👋 to you', { usage: { input: 30, cached: 10, output: 7 } }),
    ])
    const run = session.send('Hello')
    expect(await run.result).toMatchObject({
      text: 'Zoë says 👋 to you',
      finishReason: 'stop',
      usage: { inputTokens: 30, cachedInputTokens: 10, outputTokens: 7 },
    })
    const deltas = events().flatMap((event) => (event.kind === 'text-delta' ? [event.delta] : []))
    expect(deltas.length).toBeGreaterThan(1)
    expect(deltas.join('')).toBe('Zoë says 👋 to you')
    const [request] = await script.requests()
    expect(request).toMatchObject({ protocol, state: 'answered', body: { model: 'gpt-5-mini', stream: true } })
    expect(JSON.stringify(request?.body)).toContain('You are a test.')
  })

  it('goes on over turns with parallel calls, whose results the endpoint takes', async () => {
    const { script, session } = await place.scripted(protocol, [
      answer([text('Let me see.'), call('add', { a: 1, b: 2 }), call('add', { a: 3, b: 4 })]),
      say('3 and 7'),
      say('Welcome'),
    ])
    expect(await session.send('1 + 2 and 3 + 4?').result).toMatchObject({ text: '3 and 7', turns: 2 })
    expect(await session.send('Thanks').result).toMatchObject({ text: 'Welcome' })
    const requests = await script.requests()
    expect(requests.map(({ refused }) => refused)).toEqual([undefined, undefined, undefined])
    expect(await partsOf(session, 1)).toMatchObject([
      { type: 'text', text: 'Let me see.' },
      { type: 'tool-add', state: 'output-available', input: { a: 1, b: 2 }, output: 3 },
      { type: 'tool-add', state: 'output-available', input: { a: 3, b: 4 }, output: 7 },
    ])
  })

  it('answers blank, broken and unknown calls with errors that the endpoint takes', async () => {
    const { script, session } = await place.scripted(protocol, [
      answer([call('add', ''), call('add', '{"a":'), call('nope', { x: 1 }), call('add', { a: 1, b: 'two' })]),
      say('I see'),
    ])
    expect(await session.send('Go wrong').result).toMatchObject({ text: 'I see' })
    expect((await script.requests()).map(({ refused }) => refused)).toEqual([undefined, undefined])
    for (const part of await partsOf(session, 1)) expect(part).toMatchObject({ state: 'output-error' })
  })

  it('replaces a call id that is blank or was used before', async () => {
    const { script, session } = await place.scripted(protocol, [
      answer([call('add', { a: 1, b: 1 }, { id: 'same' }), call('add', { a: 2, b: 2 }, { id: 'same' })]),
      answer([call('add', { a: 3, b: 3 }, { id: 'same' })]),
      say('Done'),
    ])
    expect(await session.send('Sum').result).toMatchObject({ text: 'Done', turns: 3 })
    const ids = (await session.view.ready).messages
      .flatMap(({ parts }) => parts)
      .flatMap((part) => ('toolCallId' in part ? [part.toolCallId] : []))
    expect(ids).toHaveLength(3)
    expect(new Set(ids).size).toBe(3)
    expect((await script.requests()).every(({ refused }) => refused === undefined)).toBe(true)
  })

  it('shows a refusal', async () => {
    const { session } = await place.scripted(protocol, [answer([refusal('I can’t help with that.')]), say('All right')])
    await session.send('Something bad').result
    // What of it becomes text is the provider's affair: the run ends well, and goes on.
    expect((await session.send('Something good').result).text).toBe('All right')
  })

  it.each(['length', 'content_filter'] as const)('ends with %s where the answer does', async (finish) => {
    const { session } = await place.scripted(protocol, [say('Cut sho', { finish }), say('More')])
    expect(await session.send('Tell me', { settings: { maxOutputTokens: 20 } }).result).toMatchObject({
      text: 'Cut sho',
      finishReason: finish.replace('_', '-'),
    })
    expect((await session.send('Go on').result).text).toBe('More')
  })

  it('continues an answer that is as long as its answers may be', async () => {
    const { session } = await place.scripted(protocol, [say('Cut sho', { finish: 'length' }), say('rt')])
    expect(await session.send('Tell me').result).toMatchObject({ text: 'Cut short', finishReason: 'stop', turns: 2 })
  })

  it('passes a preflight that allows only authorization and content-type', async () => {
    const { script, session } = await place.scripted(protocol, [say('Through')], { server: { cors: 'strict' } })
    expect((await session.send('Hello').result).text).toBe('Through')
    const { preflights, requests } = await script.log()
    expect(preflights).toEqual([{ headers: ['authorization', 'content-type'], allowed: true }])
    expect(requests[0]?.headers['user-agent']).toContain('Chrome')
  })
})

describe('@ai-sdk/openai in a worker, over responses only', () => {
  it.each(['assistant', 'private'] as const)(
    'gives reasoning back as the endpoint wants it (agent %s)',
    async (agent) => {
      const encrypted = agent === 'private'
      const { script, session } = await place.scripted('responses', [
        answer([reasoning(['I add them', 'Twice'], { encrypted }), call('add', { a: 12, b: 7 })]),
        answer([reasoning(['It is 19'], { encrypted }), text('19')]),
        say('Welcome'),
      ])
      expect(await session.send('12 + 7?', { agent }).result).toMatchObject({ text: '19', turns: 2 })
      expect(await session.send('Thanks').result).toMatchObject({ text: 'Welcome' })
      expect((await script.requests()).map(({ refused }) => refused)).toEqual([undefined, undefined, undefined])
      const reasonings = (await session.view.ready).messages.flatMap(({ parts }) =>
        parts.filter(({ type }) => type === 'reasoning'),
      )
      expect(reasonings.map((part) => 'text' in part && part.text).join('|')).toMatch(/I add them.*Twice.*It is 19/)
    },
  )

  it('gives reasoning back after a reload, too', async () => {
    const { script, session } = await place.scripted('responses', [
      answer([reasoning(['I add them'], { encrypted: true }), call('add', { a: 1, b: 2 })]),
      answer([reasoning(['It is 3'], { encrypted: true }), text('3')]),
      say('Welcome back'),
    ])
    await session.send('1 + 2?', { agent: 'private' }).result
    const { createRuntime, indexedDbStore } = await import('turnloop/runtime')
    const { agents } = await import('./fixtures/openai-agents.ts')
    // Another runtime, which has only what is stored.
    const other = createRuntime(agents, { store: indexedDbStore({ name: place.database }) })
    other.setCredentials({ baseURL: script.baseURL, protocol: 'responses' })
    expect((await other.session(session.id).send('Thanks').result).text).toBe('Welcome back')
    await other.close()
    expect((await script.requests()).map(({ refused }) => refused)).toEqual([undefined, undefined, undefined])
  })

  it('shows what the provider searched for and cites, and sends its items back', async () => {
    const citation = { url: 'https://example.com/a', title: 'A', start: 0, end: 4 }
    const { script, session, events } = await place.scripted('responses', [
      answer([reasoning(), webSearch('news', ['https://example.com/a']), text('News of today', [citation])]),
      say('Welcome'),
    ])
    expect((await session.send('News?', { agent: 'searcher' }).result).text).toBe('News of today')
    expect((await session.send('Thanks').result).text).toBe('Welcome')
    expect((await script.requests()).map(({ refused }) => refused)).toEqual([undefined, undefined])
    const parts = await partsOf(session, 1)
    expect(parts).toContainEqual(expect.objectContaining({ type: 'source-url', url: 'https://example.com/a' }))
    expect(parts).toContainEqual(
      expect.objectContaining({ toolCallId: expect.any(String), state: 'output-available', providerExecuted: true }),
    )
    expect(events().some(({ kind }) => kind === 'message-part')).toBe(true)
    expect(events().some(({ kind }) => kind === 'tool-execution-started')).toBe(false)
  })

  it('shows a call of the provider’s MCP server and sends it back', async () => {
    const { script, session } = await place.scripted('responses', [
      answer([
        mcpCall({ server: 'docs', name: 'search', arguments: '{"query":"x"}', output: '{"results":[]}' }),
        text('Nothing'),
      ]),
      say('Welcome'),
    ])
    expect((await session.send('Search').result).text).toBe('Nothing')
    expect((await session.send('Thanks').result).text).toBe('Welcome')
    expect((await script.requests()).map(({ refused }) => refused)).toEqual([undefined, undefined])
  })
})
