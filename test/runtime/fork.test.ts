import { type AgentDefinition, createRuntime, defineAgent, indexedDbStore, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { door, hooked } from './stores.ts'

function start(
  model: AgentDefinition['model'],
  { store = memoryStore(), tools = {} }: { store?: ReturnType<typeof memoryStore>; tools?: object } = {},
) {
  const agent = defineAgent({ name: 'assistant', model, tools: tools as never })
  const runtime = createRuntime(agent, { store, models: { smart: scriptedModel([]) } })
  onTestFinished(() => runtime.close())
  return { runtime, store, session: runtime.session('trip') }
}

const texts = (n: number) => scriptedModel(Array.from({ length: n }, (_, i) => reply.text(`answer ${i + 1}`)))
const work = { work: tool({ inputSchema: z.object({}), execute: () => new Promise(() => {}) }) }
const file = { data: new Uint8Array([1, 2, 3]), mediaType: 'image/png', filename: 'a.png' }

for (const [name, makeStore] of [
  ['memory', memoryStore],
  ['IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const) {
  test(`a fork goes on by itself, and so does what it was made of, in ${name}`, async () => {
    const model = texts(4)
    const { session, runtime } = start(model, { store: makeStore() })
    await session.send({ text: 'one', files: [file] }).result
    await session.send('two').result
    const fork = await session.fork()
    expect((await fork.view.ready).messages).toEqual((await session.view.ready).messages)
    await fork.send('three, there').result
    expect(model.calls[2]?.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user'])
    expect(model.calls[2]?.prompt[0]?.content).toMatchObject([{ data: { data: file.data } }, { text: 'one' }])
    await session.delete()
    const [message] = (await fork.view.ready).messages
    const [part] = message?.parts ?? []
    expect((await fork.file(part && 'url' in part ? part.url : '')).size).toBe(3)
    await fork.send('four').result
    expect((await runtime.sessions.list()).map(({ id }) => id)).toEqual([fork.id])
    expect((await fork.view.ready).messages).toHaveLength(8)
  })
}

describe('a fork', () => {
  test('at a message has what comes up to it, results included, and nothing after', async () => {
    const model = scriptedModel([reply.call('add', {}), reply.text('One.'), reply.text('Two.'), reply.text('Three.')])
    const add = { add: tool({ inputSchema: z.object({}), execute: () => 5 }) }
    const { session, store } = start(model, { tools: add })
    await session.send('one').result
    await session.send('two').result
    const { messages } = await session.view.ready
    const fork = await session.fork({ at: messages[1]?.id ?? '' })
    expect((await fork.view.ready).messages).toEqual(messages.slice(0, 2))
    await fork.send('again').result
    expect(model.calls[3]?.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    expect(problemsOf(model.calls[3]?.prompt ?? [])).toEqual([])
    expect((await store.readSession(fork.id, { messages: 0 }))?.session.forkedFrom).toEqual({
      sessionId: 'trip',
      messageId: messages[1]?.id,
    })
  })

  test('has the settings and the state as they are, counts anew what it uses, and has no grants', async () => {
    const remember = {
      remember: tool({
        inputSchema: z.object({}),
        execute: (_, context) => {
          ;(context as unknown as { setState: (value: unknown) => void }).setState({ seen: 1 })
          return 'noted'
        },
      }),
    }
    const { session, store } = start(
      scriptedModel([reply.call('remember', {}), reply.text('One.')], { usage: { inputTokens: 5 } }),
      { tools: remember },
    )
    await session.send('one').result
    await session.rename('Renamed')
    await session.setModel('smart')
    const grant = {
      v: 1 as const,
      sessionId: 'trip',
      actionKey: 'a',
      toolName: 'remember',
      grantedAt: 1,
      approvalId: 'p',
    }
    const claim = await store.claim('trip')
    const state = await store.readSession('trip', { messages: 0 })
    if (!claim || !state) throw new Error('no session')
    const tainted = { at: 1, toolName: 'web' }
    await store.commit({
      id: 'c',
      sessionId: 'trip',
      epoch: claim.epoch,
      session: { ...state.session, tainted },
      events: [],
      grants: [grant],
    })
    claim.release()
    const fork = await session.fork()
    const forked = await store.readSession(fork.id, { messages: 0 })
    expect(forked).toMatchObject({
      session: { agent: 'assistant', usage: { inputTokens: 0 }, tainted },
      settings: { title: 'Renamed', model: 'smart' },
      state: { value: { seen: 1 } },
    })
    expect(forked?.run).toBeUndefined()
    expect(await store.readGrants('trip')).toHaveLength(1)
    expect(await store.readGrants(fork.id)).toEqual([])
  })

  test('is made while a run is under way, and closes the calls that are open there', async () => {
    const model = manualModel()
    const { session, store } = start(model, { tools: work })
    const heard = record(session)
    const run = session.send('one')
    const call = await model.next()
    call.text('Half')
    const early = await session.fork()
    expect((await early.view.ready).messages).toMatchObject([{ role: 'user' }])
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    await heard.when('tool-execution-started')
    const fork = await session.fork()
    expect((await fork.view.ready).messages[1]?.parts).toMatchObject([
      { text: 'Half' },
      { state: 'output-error', errorText: expect.stringContaining('its outcome is unknown') },
    ])
    void fork.send('go on')
    const next = await model.next()
    expect(problemsOf(next.options.prompt)).toEqual([])
    next.finish()
    run.abort()
    await expect(run.result).rejects.toThrow()
    expect((await store.readMessages('trip', {})).map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
  })

  test('is tainted by what came while it was made', async () => {
    const [reading, page] = [door(), door()]
    let held = false
    const store = hooked(memoryStore(), async (method, _, call) => {
      if (method === 'readMessages' && held) await reading.pass()
      return call()
    })
    const inputSchema = z.object({})
    const tools = {
      fetch: tool({ inputSchema, untrusted: true, execute: () => page.pass('from outside') }),
      form: tool({ inputSchema, outputSchema: z.string() }),
    }
    const { session } = start(scriptedModel([reply.all(reply.call('fetch', {}), reply.call('form', {}))]), {
      store,
      tools,
    })
    const heard = record(session)
    void session.send('one')
    await page.reached
    held = true
    const forking = session.fork()
    await reading.reached
    page.open()
    await heard.when('tool-execution-finished')
    held = false
    reading.open()
    const state = await store.readSession((await forking).id, { messages: 10 })
    expect(JSON.stringify(state?.messages)).toContain('from outside')
    expect(state?.session.tainted).toMatchObject({ toolName: 'fetch' })
  })

  test('keeps what was rewound out of view, and can be rewound', async () => {
    const model = texts(4)
    const { session } = start(model)
    await session.send('one').result
    await session.send('two').result
    const before = (await session.view.ready).messages
    await session.send('two, better', { replaces: before[2]?.id ?? '' }).result
    const fork = await session.fork()
    expect((await fork.view.ready).messages).toEqual((await session.view.ready).messages)
    expect(await fork.history()).toEqual(await session.history())
    await expect(session.fork({ at: before[2]?.id ?? '' })).rejects.toMatchObject({ code: 'unknown-message' })
    await fork.regenerate().result
    expect(model.calls.at(-1)?.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
  })

  test('takes the summaries of what it has, and no other', async () => {
    const { session, store } = start(texts(2))
    await session.send('one').result
    await session.send('two').result
    const { messages } = await session.view.ready
    const claim = await store.claim('trip')
    for (const n of [1, 2]) {
      const state = await store.readSession('trip', { messages: 0 })
      if (!claim || !state) throw new Error('no session')
      const summary = { v: 1 as const, n, at: 1, text: `up to ${2 * n}`, before: 2 * n, covers: 2 * n }
      const record = { ...state.session, summaries: n }
      await store.commit({ id: `c${n}`, sessionId: 'trip', epoch: claim.epoch, session: record, events: [], summary })
    }
    claim?.release()
    const fork = await session.fork({ at: messages[1]?.id ?? '' })
    expect(await store.readSummary(fork.id, 1)).toMatchObject({ text: 'up to 2' })
    expect(await store.readSummary(fork.id, 2)).toBeUndefined()
    expect(await store.readSummary((await session.fork()).id, 2)).toMatchObject({ text: 'up to 4' })
  })

  test('of what is not there is refused, and nothing is made', async () => {
    const { session, runtime } = start(texts(1))
    await expect(session.fork()).rejects.toMatchObject({ code: 'unknown-session' })
    await session.send('one').result
    for (const at of ['nobody', '', '__proto__', 5 as never])
      await expect(session.fork({ at })).rejects.toMatchObject({ code: 'unknown-message' })
    expect(await runtime.sessions.list()).toHaveLength(1)
  })

  test('is told of and listed at once', async () => {
    const { session, runtime } = start(texts(1))
    await session.send('one').result
    const list = runtime.sessions.view()
    onTestFinished(list.subscribe(() => {}))
    await list.ready
    const fork = await session.fork()
    await expect.poll(() => list.getSnapshot().map(({ id }) => id)).toContain(fork.id)
  })
})
