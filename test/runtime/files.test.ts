import type { LanguageModelV4, LanguageModelV4FilePart } from '@ai-sdk/provider'
import {
  type AgentDefinition,
  createRuntime,
  defineAgent,
  indexedDbStore,
  memoryStore,
  type Store,
  tool,
} from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { summaryPrompt } from '../../src/context/compact.ts'
import { estimateMessage } from '../../src/context/estimate-tokens.ts'
import type { MessageRecord } from '../../src/sessions/records.ts'
import { waitFor } from '../wait-for.ts'
import { manualClock } from './clock.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { mortal } from './stores.ts'

type Options = Partial<Pick<AgentDefinition, 'limits' | 'tools' | 'fallbacks'>>

function start(model: LanguageModelV4, { store = memoryStore(), ...options }: Options & { store?: Store } = {}) {
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, ...(options as object) }), { store })
  onTestFinished(() => runtime.close())
  return { runtime, store, session: runtime.session('trip') }
}

const bytes = (length: number, value = 7) => new Uint8Array(length).fill(value)
const png = () => new File([bytes(3)], 'map.png', { type: 'image/png' })
const filesIn = (message: { readonly content: unknown } | undefined) =>
  ((message?.content ?? []) as readonly LanguageModelV4FilePart[]).filter(({ type }) => type === 'file')
const urlsOf = (message: { readonly parts: readonly object[] } | undefined) =>
  (message?.parts ?? []).flatMap((part) => ('url' in part ? [String(part.url)] : []))

for (const [name, makeStore] of [
  ['memory', memoryStore],
  ['IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const) {
  describe(`files of an input, in ${name}`, () => {
    test('are parts of its message, and can be read again', async () => {
      const { session } = start(scriptedModel([reply.text('A map.')]), { store: makeStore() })
      await session.send({ text: 'What is this?', files: [png()] }).result
      const [message] = (await session.view.ready).messages
      expect(message?.parts).toEqual([
        { type: 'file', mediaType: 'image/png', url: expect.stringMatching(/^turnloop:blob\/./), filename: 'map.png' },
        { type: 'text', text: 'What is this?' },
      ])
      const blob = await session.file(urlsOf(message)[0] ?? '')
      expect(blob.type).toBe('image/png')
      expect(new Uint8Array(await blob.arrayBuffer())).toEqual(bytes(3))
    })

    test('reach the model as data, in every turn, also after a reload', async () => {
      const store = makeStore()
      const model = scriptedModel([reply.text('A map.'), reply.text('Ulm.')])
      const first = createRuntime(defineAgent({ name: 'assistant', model }), { store: mortal(store) })
      await first.session('trip').send({ files: [{ data: bytes(2), mediaType: 'application/pdf' }] }).result
      await first.close()
      const { session } = start(model, { store })
      await session.send('Of what?').result
      for (const call of model.calls) {
        expect(filesIn(call.prompt[0])).toEqual([
          { type: 'file', mediaType: 'application/pdf', data: { type: 'data', data: bytes(2) } },
        ])
      }
    })

    test('are gone with an input that is withdrawn, and with their session', async () => {
      const model = manualModel()
      const store = makeStore()
      const { session } = start(model, { store })
      const run = session.send({ text: 'first', files: [png()] })
      const call = await model.next()
      const queued = session.send({ files: [png()] })
      const { inputId } = await run.steer({ text: 'and this', files: [png()] })
      await waitFor(async () => expect((await store.readInbox('trip')).length).toBe(2))
      const urls = (await session.view.ready).queue.flatMap(({ files = [] }) => files.map(({ url }) => url))
      expect(urls).toHaveLength(2)
      for (const url of urls) expect((await session.file(url)).size).toBe(3)
      await session.withdraw(inputId)
      await session.withdraw(queued.runId)
      for (const url of urls) await expect(session.file(url)).rejects.toMatchObject({ code: 'unknown-file' })
      call.finish()
      await run.result
      const [kept = ''] = urlsOf((await session.view.ready).messages[0])
      expect((await session.file(kept)).size).toBe(3)
      await session.delete()
      await expect(session.file(kept)).rejects.toMatchObject({ code: 'unknown-file' })
    })
  })
}

describe('an input with files', () => {
  test('needs no text, and names the session by its files', async () => {
    const { session } = start(scriptedModel([reply.text('Seen.')]))
    await session.send({ files: [png(), new Blob(['a'], { type: 'text/plain' })] }).result
    expect((await session.view.ready).title).toBe('map.png, text/plain')
  })

  test('is told of with what its files are', async () => {
    const { session } = start(scriptedModel([reply.text('Seen.')]))
    const heard = record(session)
    await session.send({ text: 'Look', files: [png()] }).result
    const files = [
      { mediaType: 'image/png', url: expect.stringMatching(/^turnloop:blob/), filename: 'map.png', size: 3 },
    ]
    for (const event of heard.of('input-queued', 'run-started', 'input-delivered'))
      expect(event).toMatchObject({ input: 'Look', files })
    expect(heard.of('input-queued', 'run-started', 'input-delivered')).toHaveLength(3)
  })

  test('may be asked, stepped, opened and steered with', async () => {
    const model = scriptedModel([1, 2, 3, 4].map((n) => reply.text(`${n}`)))
    const { session } = start(model)
    const input = { files: [png()] }
    expect(await session.ask(input)).toBe('1')
    expect(await session.step(input)).toMatchObject({ status: 'done', text: '2' })
    const heard = record(session)
    const run = session.open({ input })
    await heard.when('run-waiting')
    await run.steer(input)
    expect(await run.close()).toMatchObject({ text: '4' })
    expect(
      model.calls.map(
        ({ prompt }) => prompt.flatMap((message) => (message.role === 'user' ? filesIn(message) : [])).length,
      ),
    ).toEqual([1, 2, 3, 4])
  })

  test.each([
    ['nothing', {}, 'is empty'],
    ['blank text and no files', { text: ' ', files: [] }, 'is empty'],
    ['something that is no file', { files: [{ name: 'a' }] }, 'files[0]'],
    ['a text that is none', { text: 5, files: [png()] }, 'must be a string'],
    ['a URL that nobody can load', { files: [new URL('blob:https://a.example/1')] }, 'http'],
    ['too many files', { files: Array.from({ length: 21 }, png) }, 'the limit is 20'],
  ])('of %s is refused', async (_, input, words) => {
    const { session, store } = start(scriptedModel([]))
    await expect(session.send(input as never).result).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining(words),
    })
    expect(await store.readInbox('trip')).toEqual([])
  })

  test('whose file is over the limit is refused, and a run may narrow it', async () => {
    const { session } = start(scriptedModel([reply.text('Seen.')]), { limits: { maxFileSize: 10 } })
    const send = (size: number, maxFileSize = 100) =>
      session.send({ files: [{ data: bytes(size), mediaType: 'a/b' }] }, { limits: { maxFileSize } }).result
    await expect(send(11)).rejects.toMatchObject({ code: 'file-too-large' })
    await expect(send(5, 4)).rejects.toMatchObject({ code: 'file-too-large' })
    await send(10)
  })

  test('is what it was when it was sent, whatever becomes of its bytes', async () => {
    const model = scriptedModel([reply.text('Seen.')])
    const { session } = start(model)
    const data = bytes(2)
    const run = session.send({ files: [{ data, mediaType: 'a/b' }] })
    data.fill(0)
    await run.result
    expect(filesIn(model.calls[0]?.prompt[0])[0]?.data).toEqual({ type: 'data', data: bytes(2) })
  })

  test('that is refused leaves no file behind', async () => {
    const { session, store } = start(scriptedModel([reply.text('One.')]))
    const say = vi.spyOn(store, 'say')
    await session.send('Hi').result
    const refused = session.send({ files: [png()] }, { replaces: 'nobody' })
    await expect(refused.result).rejects.toMatchObject({ code: 'unknown-message' })
    expect(say).toHaveBeenCalledTimes(1)
  })

  test('data URLs are stored as bytes', async () => {
    const { session } = start(scriptedModel([reply.text('Seen.')]))
    await session.send({ files: [new URL('data:text/plain;base64,SGk='), new URL('data:,Hi%20there')] }).result
    const blobs = urlsOf((await session.view.ready).messages[0]).map(async (url) => (await session.file(url)).text())
    expect(await Promise.all(blobs)).toEqual(['Hi', 'Hi there'])
  })

  test('a file that is gone is a note to the model, and nobody fails', async () => {
    const model = scriptedModel([reply.text('One.'), reply.text('Two.')])
    const { session, store } = start(model)
    await session.send({ files: [png()] }).result
    store.readBlob = async () => undefined
    await session.send('And now?', { limits: { maxTurns: 3 } }).result
    expect(model.calls[1]?.prompt[0]?.content).toEqual([
      { type: 'text', text: '[The file map.png is not there any more.]' },
    ])
  })
})

describe('a file by its URL', () => {
  const url = new URL('https://files.example/a.png?key=secret')
  const answers = () => [reply.text('One.'), reply.text('Two.')]
  const stub = (answer: () => Response | Promise<Response>) => {
    const fetched = vi.fn(async () => answer())
    vi.stubGlobal('fetch', fetched)
    onTestFinished(() => void vi.unstubAllGlobals())
    return fetched
  }

  test.each([
    [{ 'image/*': [/^https:\/\/files\.example\//] }, true],
    [{ '*/*': [/example/g] }, true],
    [{ 'image/png': [/./] }, true],
    [{ 'IMAGE/*': [/./] }, true],
    [{ 'application/pdf': [/./] }, false],
    [{ 'image/*': [/^https:\/\/other/] }, false],
    [{}, false],
  ])('stays one where the model reads it: %o', async (supportedUrls, stays) => {
    const fetched = stub(() => new Response(bytes(2)))
    const model = scriptedModel(answers())
    const { session } = start({ ...model, supportedUrls })
    await session.send({ files: [url] }).result
    expect(filesIn(model.calls[0]?.prompt[0])[0]).toMatchObject({
      mediaType: 'image/png',
      data: stays ? { type: 'url', url } : { type: 'data', data: bytes(2) },
    })
    expect(fetched).toHaveBeenCalledTimes(stays ? 0 : 1)
  })

  test('takes the type that its server says, where its name says nothing', async () => {
    stub(() => new Response(bytes(2), { headers: { 'content-type': 'application/pdf; x=y' } }))
    const model = scriptedModel(answers())
    const { session } = start(model)
    await session.send({ files: [new URL('https://files.example/a')] }).result
    expect(filesIn(model.calls[0]?.prompt[0])[0]).toMatchObject({ mediaType: 'application/pdf' })
  })

  test.each([
    ['that is refused', () => Promise.reject(new TypeError('Failed to fetch')), 'unknown-file', 'CORS'],
    ['that is not there', () => new Response('', { status: 404 }), 'unknown-file', 'HTTP 404'],
    ['that is too large', () => new Response(bytes(11)), 'file-too-large', 'over 10 bytes'],
  ])('%s fails the run, says what to do, and is a note in later ones', async (_, answer, code, words) => {
    stub(answer)
    const model = scriptedModel([reply.text('Two.')])
    const { session } = start(model, { limits: { maxFileSize: 10 } })
    const error = await session.send({ files: [url] }).result.catch((thrown) => thrown)
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) })
    expect(error.message).not.toContain('secret')
    expect(await session.ask('Go on without it')).toBe('Two.')
    expect(model.calls[0]?.prompt[0]?.content).toMatchObject([
      { type: 'text', text: expect.stringContaining('image/png') },
    ])
  })

  test('is not waited for over 30 seconds', async () => {
    const clock = manualClock()
    vi.stubGlobal(
      'fetch',
      (_: URL, { signal }: RequestInit) =>
        new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    )
    onTestFinished(() => void vi.unstubAllGlobals())
    const runtime = createRuntime(defineAgent({ name: 'assistant', model: scriptedModel([]) }), {
      store: memoryStore(),
      now: clock.now,
      sleep: clock.sleep,
    })
    const run = runtime.session('trip').send({ files: [url] })
    expect(await clock.asleep()).toBe(30_000)
    clock.advance(30_000)
    await expect(run.result).rejects.toMatchObject({
      code: 'unknown-file',
      message: expect.stringContaining('30000 ms'),
    })
  })
})

/** The content of a tool's result, as the model is told of it. */
function resultItems(call: { readonly prompt: readonly { readonly content: unknown }[] } | undefined) {
  const results = (call?.prompt[2]?.content ?? []) as readonly {
    output: { value: readonly LanguageModelV4FilePart[] }
  }[]
  return results[0]?.output.value ?? []
}

const sizeOf = (file: LanguageModelV4FilePart | undefined) => {
  const data = file?.data
  return data?.type === 'data' ? data.data.length : undefined
}

describe('files of tools and models', () => {
  const large = btoa('x'.repeat(60_000))
  const shows = (data: string) =>
    tool({
      inputSchema: z.object({}),
      execute: () => 'drawn',
      toModelOutput: () => ({
        type: 'content',
        value: [
          { type: 'text', text: 'Here' },
          { type: 'file', mediaType: 'image/png', filename: 'a.png', data: { type: 'data', data } },
        ],
      }),
    })
  const calls = () => scriptedModel([reply.call('draw', {}), reply.text('Drawn.'), reply.text('Yes.')])

  test('a large one in a result is kept apart, and filled in for the model', async () => {
    const model = calls()
    const { session, store } = start(model, { tools: { draw: shows(large) } })
    await session.send('Draw').result
    await session.send('Well?').result
    for (const { prompt } of model.calls.slice(1)) {
      const [, file] = resultItems({ prompt })
      expect(file).toMatchObject({ type: 'file', mediaType: 'image/png', filename: 'a.png', data: { type: 'data' } })
      expect(sizeOf(file)).toBe(60_000)
    }
    const records = await store.readMessages('trip', {})
    expect(JSON.stringify(records).length).toBeLessThan(10_000)
    const rows = await store.readCalls(records[0]?.runId ?? '')
    expect(rows[0]?.result).toEqual((records[2] as Extract<MessageRecord, { role: 'tool' }>).results[0])
  })

  test('a small one stays where it is', async () => {
    const { session, store } = start(calls(), { tools: { draw: shows('AAAA') } })
    await session.send('Draw').result
    expect(JSON.stringify(await store.readMessages('trip', {}))).toContain('"AAAA"')
  })

  test('one over 4 MiB is no failure, and one over the limit is left out, which is said', async () => {
    const huge = btoa('x'.repeat(5_000_000))
    const told = async (maxFileSize: number) => {
      const model = calls()
      const { session } = start(model, { tools: { draw: shows(huge) }, limits: { maxFileSize } })
      await session.send('Draw').result
      return resultItems(model.calls[1])[1]
    }
    expect(sizeOf(await told(6_000_000))).toBe(5_000_000)
    expect(await told(4_000_000)).toMatchObject({ type: 'text', text: expect.stringContaining('the limit is 4000000') })
  })

  test('a large one that a model made is kept apart, and goes back to it', async () => {
    const made = { type: 'file' as const, mediaType: 'image/png', data: { type: 'data' as const, data: large } }
    const model = scriptedModel([reply.parts([made, ...finished]), reply.text('Yes.')])
    const { session } = start(model)
    await session.send('Draw').result
    const [url = ''] = urlsOf((await session.view.ready).messages[1])
    expect((await session.file(url)).size).toBe(60_000)
    await session.send('Well?').result
    expect(sizeOf(filesIn(model.calls[1]?.prompt[1])[0])).toBe(60_000)
  })

  const finished = [
    {
      type: 'finish' as const,
      finishReason: { unified: 'stop' as const, raw: 'stop' },
      usage: {
        inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 1, text: 1, reasoning: 0 },
      },
    },
  ]
})

describe('a file in the context', () => {
  const message = (part: object): MessageRecord =>
    ({ v: 1, id: 'a', index: 0, runId: 'r', turn: 1, agent: 'a', at: 0, role: 'user', parts: [part] }) as never

  test('counts as an image, or by its size', () => {
    const file = (mediaType: string, size: number) =>
      estimateMessage(message({ type: 'file', mediaType, url: 'turnloop:blob/1', size }))
    expect(file('image/png', 5_000_000)).toBe(file('image/png', 10))
    expect(file('text/plain', 400_000)).toBeGreaterThan(50_000)
    expect(file('application/pdf', 3_000_000)).toBeGreaterThan(file('application/pdf', 3_000))
  })

  test('is summarised by its name, never by its bytes', () => {
    const prompt = summaryPrompt(
      [message({ type: 'file', mediaType: 'a/b', url: 'turnloop:blob/1', filename: 'map.png' })],
      undefined,
      1000,
    )
    expect(JSON.stringify(prompt)).toContain('[file map.png]')
    expect(JSON.stringify(prompt)).not.toContain('turnloop:blob')
  })
})
