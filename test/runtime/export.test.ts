import type { LanguageModelV4 } from '@ai-sdk/provider'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { SessionDocument } from '../../src/sessions/document.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { hooked } from './stores.ts'

const tools = {
  draw: tool({
    inputSchema: z.object({}),
    execute: () => ({ drawn: true }),
    toModelOutput: () => ({
      type: 'content',
      value: [{ type: 'file', mediaType: 'image/png', data: { type: 'data', data: btoa('x'.repeat(60_000)) } }],
    }),
  }),
}

function start({ store = memoryStore(), model = scriptedModel([]) }: { store?: Store; model?: LanguageModelV4 } = {}) {
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools }), {
    store,
    models: { smart: scriptedModel([]) },
  })
  onTestFinished(() => runtime.close())
  return { runtime, store, session: runtime.session('trip') }
}

/** A session in which there is something of everything. */
async function rich(store: Store = memoryStore()) {
  const model = scriptedModel([
    reply.text('One.'),
    reply.call('draw', {}),
    reply.text('Drawn.'),
    reply.call('unknown', {}),
    reply.text('Three.'),
  ])
  const { runtime, session } = start({ store, model })
  await session.send({ text: 'one', files: [{ data: new Uint8Array([1, 2]), mediaType: 'a/b', filename: 'f' }] }).result
  await session.send('two').result
  await session.send('three', { replaces: (await session.view.ready).messages[2]?.id ?? '' }).result
  await session.rename('Mine')
  return { runtime, session, store }
}

const parsed = async (document: Blob) => JSON.parse(await document.text()) as SessionDocument
const packed = (document: unknown) => new Blob([JSON.stringify(document)])

describe('an export', () => {
  test('has what was said, its files and settings, and nothing of runs', async () => {
    const { session, runtime } = await rich()
    const blob = await runtime.sessions.export('trip')
    expect(blob.type).toBe('application/json')
    const document = await parsed(blob)
    expect(document).toMatchObject({
      format: 'turnloop-session',
      version: 1,
      title: 'Mine',
      agent: 'assistant',
      files: [
        { mediaType: 'a/b', data: 'AQI=' },
        { mediaType: 'image/png', data: btoa('x'.repeat(60_000)) },
      ],
    })
    expect(document.messages.filter(({ hidden }) => hidden)).toHaveLength(4)
    expect(document.messages.filter(({ hidden, role }) => !hidden && role !== 'tool')).toHaveLength(
      (await session.view.ready).messages.length,
    )
    expect(document).not.toHaveProperty('run')
    await expect(runtime.sessions.export('nobody')).rejects.toMatchObject({ code: 'unknown-session' })
  })

  test('of a session whose run is under way closes what is open', async () => {
    const model = manualModel()
    const { session, runtime } = start({ model })
    const heard = record(session)
    const run = session.send('one')
    const call = await model.next()
    call.toolCall('missing', {}, 'a')
    call.toolCall('draw', {}, 'b')
    call.finish('tool-calls')
    await heard.when('tool-execution-finished')
    const { messages } = await parsed(await runtime.sessions.export('trip'))
    const copy = await runtime.sessions.import(packed(await parsed(await runtime.sessions.export('trip'))))
    expect(messages.map(({ role }) => role).slice(0, 3)).toEqual(['user', 'assistant', 'tool'])
    run.abort()
    void copy.send('go on')
    await expect.poll(() => model.calls.length).toBeGreaterThan(1)
    for (const { options } of model.calls) expect(problemsOf(options.prompt)).toEqual([])
  })
})

describe('an import', () => {
  for (const [name, makeStore] of [
    ['memory', memoryStore],
    ['IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
  ] as const) {
    test(`gives back what was exported, from one runtime to another, in ${name}`, async () => {
      const { session, runtime } = await rich()
      const document = await runtime.sessions.export('trip')
      const there = start({ store: makeStore() })
      const copy = await there.runtime.sessions.import(document)
      expect(copy.id).not.toBe('trip')
      expect((await copy.view.ready).messages).toEqual((await session.view.ready).messages)
      expect((await copy.view.ready).title).toBe('Mine')
      expect(await copy.history()).toEqual(await session.history())
      expect((await there.runtime.sessions.list()).map(({ id }) => id)).toEqual([copy.id])
      const again = await parsed(await there.runtime.sessions.export(copy.id))
      expect(again).toEqual({ ...(await parsed(document)), tainted: { at: expect.any(Number), toolName: 'import' } })
      const twice = await there.runtime.sessions.import(packed(again))
      expect(await parsed(await there.runtime.sessions.export(twice.id))).toEqual(again)
    })
  }

  test('can be gone on with', async () => {
    const { runtime } = await rich()
    const model = scriptedModel([reply.text('Four.')])
    const there = start({ model })
    const copy = await there.runtime.sessions.import(await runtime.sessions.export('trip'))
    expect(await copy.ask('four')).toBe('Four.')
    const prompt = model.calls[0]?.prompt ?? []
    expect(problemsOf(prompt)).toEqual([])
    expect(prompt[0]?.content).toMatchObject([
      { type: 'file', data: { data: new Uint8Array([1, 2]) } },
      { text: 'one' },
    ])
    expect(JSON.stringify(prompt)).toContain('There is no tool \\"unknown\\"')
  })

  const message = {
    id: 'a',
    role: 'user',
    runId: 'r',
    turn: 1,
    agent: 'assistant',
    at: 1,
    parts: [{ type: 'text', text: 'Hi' }],
  }
  const called = {
    ...message,
    id: 'b',
    role: 'assistant',
    status: 'done',
    parts: [{ type: 'tool-call', toolCallId: 'c', toolName: 't', input: {} }],
  }
  const result = {
    toolCallId: 'c',
    toolName: 't',
    outcome: 'success',
    output: 1,
    modelOutput: { type: 'json', value: 1 },
  }
  const results = { ...message, id: 'd', role: 'tool', parts: undefined, results: [result] }
  const usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 }
  const valid = {
    format: 'turnloop-session',
    version: 1,
    title: 'T',
    agent: 'assistant',
    createdAt: 1,
    turn: 1,
    usage,
    messages: [message, called, results],
    summaries: [],
    files: [],
  }
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const withPart = (part: object) => ({ ...valid, messages: [{ ...message, parts: [part] }] })
  const withOutput = (modelOutput: object) => ({
    ...valid,
    messages: [message, called, { ...results, results: [{ ...result, modelOutput }] }],
  })

  test('of a document that was written by hand is taken where it is right', async () => {
    const { runtime } = start()
    const session = await runtime.sessions.import(packed(valid))
    expect((await session.view.ready).messages).toMatchObject([
      { parts: [{ text: 'Hi' }] },
      { parts: [{ state: 'output-available', output: 1 }] },
    ])
  })

  test.each<[string, unknown, RegExp]>([
    ['no JSON', '{', /no JSON/],
    [
      'nested 100,000 deep',
      `{"format":"turnloop-session","version":1,"state":${nested(100_000)}}`,
      /nested over|no JSON/,
    ],
    ['nested too deep', { ...valid, state: JSON.parse(nested(600)) }, /nested over 520 deep/],
    ['something else', { messages: [] }, /its format is not "turnloop-session"/],
    ['a list', [], /its format/],
    ['nothing', null, /its format/],
    ['of a later version', { ...valid, version: 2 }, /version 2/],
    ['with a field that is unknown', { ...valid, grants: [] }, /unknown field "grants"/],
    ['without its messages', { ...valid, messages: undefined }, /it.messages must be a list/],
    ['whose title is none', { ...valid, title: 5 }, /it.title must be a string/],
    [
      'with endless usage',
      JSON.stringify(valid).replace('"inputTokens":0', '"inputTokens":1e999'),
      /it.usage.inputTokens/,
    ],
    ['with negative usage', { ...valid, usage: { ...usage, inputTokens: -1 } }, /it.usage.inputTokens/],
    [
      'with a message of nobody',
      { ...valid, messages: [{ ...message, role: 'system' }] },
      /it.messages\[0\].role must be one of/,
    ],
    [
      'with a role from the prototype',
      { ...valid, messages: [{ ...message, role: 'constructor' }] },
      /role must be one of/,
    ],
    ['with a part of no kind', withPart({ type: 'hologram' }), /it.messages\[0\].parts\[0\].type/],
    [
      'with a call of the user',
      withPart({ type: 'tool-call', toolCallId: 'x', toolName: 't', input: 1 }),
      /parts\[0\].type must be one of text, file/,
    ],
    ['with a file without a URL', withPart({ type: 'file', mediaType: 'a/b', url: 'none' }), /url must be a URL/],
    [
      'with code for a URL',
      withPart({ type: 'file', mediaType: 'a/b', url: 'java\nscript:alert(1)' }),
      /url must be no code/,
    ],
    [
      'with metadata that is none',
      withPart({ type: 'text', text: '', providerMetadata: { a: 1 } }),
      /providerMetadata.a must be an object/,
    ],
    ['with an output of no kind', withOutput({ type: 'other', value: 1 }), /modelOutput.type/],
    [
      'with a file of no URL in an output',
      withOutput({ type: 'content', value: [{ type: 'file', mediaType: 'a/b', data: { type: 'url', url: 'x' } }] }),
      /data.url must be a URL/,
    ],
    ['with an id twice', { ...valid, messages: [message, message] }, /two messages have the same id/],
    ['with an open call', { ...valid, messages: [message, called] }, /last calls have no result/],
    ['with an open call in the midst', { ...valid, messages: [called, message] }, /calls before messages\[1\]/],
    ['with a result without a call', { ...valid, messages: [message, results] }, /result without its call/],
    ['with a call twice', { ...valid, messages: [called, results, { ...called, id: 'e' }] }, /id was used before/],
    ['with a state that is too large', { ...valid, state: 'x'.repeat(70_000) }, /state/],
    [
      'with a file that is no base64',
      { ...valid, files: [{ id: 'f', mediaType: 'a/b', data: '%' }] },
      /files\[0\].data must be base64/,
    ],
    [
      'with a prototype',
      JSON.stringify(valid).replace('"title"', '"__proto__":{"x":1},"title"'),
      /"__proto__" is not allowed/,
    ],
    [
      'with a prototype deep inside',
      JSON.stringify(valid).replace('"input":{}', '"input":{"a":[{"__proto__":1}]}'),
      /"__proto__" is not allowed/,
    ],
  ])('of a document %s is refused, with nothing written', async (_, document, words) => {
    const written: string[] = []
    const store = hooked(memoryStore(), (method, _, call) => {
      written.push(method)
      return call()
    })
    const { runtime } = start({ store })
    const blob = typeof document === 'string' ? new Blob([document]) : packed(document)
    const error = await runtime.sessions.import(blob).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'invalid-document', message: expect.stringMatching(words) })
    expect(written).not.toContain('createSession')
    expect(await runtime.sessions.list()).toEqual([])
  })

  test('looks for no more summaries than it has, whatever their numbers', async () => {
    let looks = 0
    const store = hooked(memoryStore(), (method, _, call) => {
      if (method === 'readSummary' && ++looks > 100) throw new Error('it looks on and on')
      return call()
    })
    const { runtime } = start({ store, model: scriptedModel([reply.text('Hi')]) })
    const summary = { at: 1, before: 1, covers: 3 }
    const summaries = [Number.MAX_SAFE_INTEGER, 7].map((n) => ({ ...summary, n, text: `S${n}` }))
    const session = await runtime.sessions.import(packed({ ...valid, summaries }))
    await session.send('Go').result
    const again = await parsed(await runtime.sessions.export(session.id))
    expect(again.summaries).toMatchObject([
      { n: 1, text: 'S7' },
      { n: 2, text: `S${Number.MAX_SAFE_INTEGER}` },
    ])
  })

  test('of what is no Blob is refused', async () => {
    const { runtime } = start()
    for (const document of ['{}', null, {}, 5])
      await expect(runtime.sessions.import(document as never)).rejects.toMatchObject({ code: 'invalid-document' })
  })

  test('takes no model that is not there, and marks the session as tainted', async () => {
    const { runtime, store } = start()
    const gone = await runtime.sessions.import(packed({ ...valid, model: 'gone' }))
    const known = await runtime.sessions.import(packed({ ...valid, model: 'smart' }))
    expect((await gone.view.ready).model).toBeUndefined()
    expect((await known.view.ready).model).toBe('smart')
    const state = await store.readSession(gone.id, { messages: 0 })
    expect(state?.session.tainted).toMatchObject({ toolName: 'import' })
    expect((await store.readSession((await gone.fork()).id, { messages: 0 }))?.session.tainted).toEqual(
      state?.session.tainted,
    )
  })
})
