import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { manualClock } from './clock.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { hooked } from './stores.ts'

const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })

/** A model that tells its name. */
const named = (name: string) =>
  scriptedModel(
    Array.from({ length: 20 }, () => reply.text(name)),
    { provider: 'test', modelId: name },
  )
const models = () => ({ fast: named('fast'), smart: named('smart'), other: named('other') })
type Name = 'fast' | 'smart' | 'other'

function open(options: object = {}, store: Store = memoryStore(), clock = manualClock()) {
  const agent = defineAgent({ name: 'assistant', model: 'fast', tools: { echo } })
  const runtime = createRuntime(agent, { store, models: models(), ...clock, ...options })
  onTestFinished(() => runtime.close())
  return { runtime, store, clock, session: runtime.session('trip') }
}

describe('the session’s model', () => {
  test('is the one that was chosen last, for every run from then on', async () => {
    const { session } = open()
    expect(await session.send('Hi').result).toMatchObject({ text: 'fast' })
    await session.setModel('smart')
    const heard = record(session)
    expect(await session.send('Hi').result).toMatchObject({ text: 'smart' })
    expect(heard.of('run-started')).toMatchObject([{ model: 'smart' }])
    await session.setModel('other')
    expect(await session.send('Hi').result).toMatchObject({ text: 'other' })
  })

  test('is refused without a price, where what it costs is limited', async () => {
    const prices = { fast: { input: 1, output: 1 }, smart: { input: 2, output: 2 } }
    const agent = defineAgent({ name: 'assistant', model: 'fast', prices, limits: { maxCost: 1 } })
    const runtime = createRuntime(agent, { store: memoryStore(), models: models() })
    const session = runtime.session('trip')
    await session.setModel('smart')
    await expect(session.setModel('other')).rejects.toMatchObject({ code: 'invalid-argument' })
    expect(await session.send('Hi').result).toMatchObject({ text: 'smart' })
  })

  test('may be chosen before its first run', async () => {
    const { session, runtime } = open()
    await session.setModel('smart')
    expect(await runtime.session('trip').view.ready).toMatchObject({ model: 'smart', messages: [] })
    expect(await session.send('Hi').result).toMatchObject({ text: 'smart' })
  })

  test('is asked at the next turn, where a run is under way', async () => {
    const first = manualModel()
    const { session, clock } = open({ models: { fast: first, smart: named('smart') } })
    const heard = record(session)
    const run = session.send('Go')
    const call = await first.next()
    clock.advance(1)
    await session.setModel('smart')
    call.toolCall('echo', { n: 1 }, 'a')
    call.finish('tool-calls')
    expect(await run.result).toMatchObject({ text: 'smart', turns: 2 })
    expect(heard.of('model-started').map(({ model }) => model)).toEqual(['manual-model', 'smart'])
  })

  const stores = [
    ['in memory', memoryStore],
    ...(globalThis.indexedDB ? [['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })] as const] : []),
  ] as const
  test.each(stores)('is kept with it, %s', async (_, makeStore) => {
    const store = makeStore()
    onTestFinished(() => store.close())
    const before = open({}, store)
    await before.session.send('Hi').result
    await before.session.setModel('smart')
    await before.runtime.close()
    const { session } = open({}, store)
    expect(await session.view.ready).toMatchObject({ model: 'smart' })
    expect(await session.send('Again').result).toMatchObject({ text: 'smart' })
  })

  test('is in the view, also of another tab, and no longer once the session is deleted', async () => {
    const { session, store } = open()
    const there = open({}, store).session
    for (const { view } of [session, there]) onTestFinished(view.subscribe(() => {}))
    await session.send('Hi').result
    expect((await session.view.ready).model).toBeUndefined()
    await session.setModel('smart')
    for (const { view } of [session, there])
      await expect.poll(() => view.getSnapshot()).toMatchObject({ model: 'smart', title: 'Hi' })
    await session.rename('Holiday')
    await expect.poll(() => there.view.getSnapshot()).toMatchObject({ model: 'smart', title: 'Holiday' })
    await session.delete()
    await expect.poll(() => session.view.getSnapshot().model).toBeUndefined()
  })

  test('is shown before its first run, as soon as it is chosen', async () => {
    const { session } = open()
    onTestFinished(session.view.subscribe(() => {}))
    await session.view.ready
    await session.setModel('smart')
    await expect.poll(() => session.view.getSnapshot()).toMatchObject({ model: 'smart' })
  })

  test('can not be one that is not there: the error lists those that are', async () => {
    const { session, store } = open()
    for (const name of ['slow', '__proto__', undefined])
      await expect(session.setModel(name as Name)).rejects.toMatchObject({
        code: 'unknown-model',
        message: expect.stringContaining('fast, smart, other'),
      })
    expect(await store.readSettings('trip')).toBeUndefined()
  })

  test('of a store is read once for many turns, and again after it was changed', async () => {
    let reads = 0
    const store = hooked(memoryStore(), (method, _, call) => {
      if (method === 'readSettings') reads++
      return call()
    })
    const { session, runtime } = open({}, store)
    onTestFinished(session.view.subscribe(() => {}))
    await session.view.ready
    const before = reads
    for (let run = 0; run < 3; run++) await session.send('Hi').result
    expect(reads).toBe(before + 1)
    await runtime.session('trip').setModel('smart')
    for (let run = 0; run < 3; run++) expect((await session.send('Hi').result).text).toBe('smart')
    expect(reads).toBe(before + 2)
  })
})

describe('of several choices', () => {
  test('a run’s own counts for that run, unless the session’s is made after it began', async () => {
    const first = manualModel()
    const { session, clock } = open({ models: { ...models(), other: first } })
    await session.setModel('smart')
    clock.advance(1)
    const run = session.send('Go', { model: 'other' })
    let call = await first.next()
    call.toolCall('echo', { n: 1 }, 'a')
    call.finish('tool-calls')
    call = await first.next()
    clock.advance(1)
    await session.setModel('fast')
    call.toolCall('echo', { n: 2 }, 'b')
    call.finish('tool-calls')
    expect(await run.result).toMatchObject({ text: 'fast' })
    expect(await session.send('Again').result).toMatchObject({ text: 'fast' })
  })

  test('the one given with `session(id, { model })` counts where nobody has chosen one', async () => {
    const { runtime, session } = open()
    const withDefault = runtime.session('trip', { model: 'other' })
    expect(await withDefault.send('Hi').result).toMatchObject({ text: 'other' })
    await session.setModel('smart')
    expect(await withDefault.send('Hi').result).toMatchObject({ text: 'smart' })
    expect(await withDefault.send('Hi', { model: 'fast' }).result).toMatchObject({ text: 'fast' })
    await expect(runtime.session('new', { model: 'slow' as Name }).send('Hi').result).rejects.toMatchObject({
      code: 'unknown-model',
    })
  })

  test('one that is made while the input waits counts for it', async () => {
    const first = manualModel()
    const { runtime, session } = open({ models: { ...models(), fast: first } })
    const withDefault = runtime.session('trip', { model: 'other' })
    const before = session.send('Go', { model: 'fast' })
    const call = await first.next()
    const waiting = withDefault.send('Next')
    await withDefault.setModel('smart')
    call.finish()
    await before.result
    expect(await waiting.result).toMatchObject({ text: 'smart' })
  })

  test('one that is made after a fallback took over counts for the rest of the run', async () => {
    const fallback = manualModel()
    const model = scriptedModel([reply.fail(400)])
    const agent = defineAgent({ name: 'a', model, fallbacks: [fallback], tools: { echo } })
    const clock = manualClock()
    const runtime = createRuntime(agent, { store: memoryStore(), models: { smart: named('smart') }, ...clock })
    const trip = runtime.session('trip')
    const run = trip.send('Go')
    const answer = await fallback.next()
    clock.advance(1)
    await trip.setModel('smart')
    answer.toolCall('echo', { n: 1 }, 'a')
    answer.finish('tool-calls')
    expect(await run.result).toMatchObject({ text: 'smart', turns: 2 })
  })

  test('one that is made while a run pauses between two attempts counts from the next turn on', async () => {
    const fast = scriptedModel([reply.fail(429, { 'retry-after': '5' }), reply.call('echo', { n: 1 })], {
      provider: 'test',
      modelId: 'fast',
    })
    const { session, clock } = open({ models: { fast, smart: named('smart') } })
    const heard = record(session)
    const run = session.send('Go')
    expect(await clock.asleep()).toBe(5000)
    clock.advance(1)
    await session.setModel('smart')
    clock.advance(4999)
    expect(await run.result).toMatchObject({ text: 'smart', turns: 2 })
    const started = heard.of('model-started').map(({ model, attempt, turn }) => `${turn}: ${model} ${attempt}`)
    expect(started).toEqual(['1: fast 1', '1: fast 2', '2: smart 1'])
    expect(heard.of('model-switched')).toEqual([])
  })

  test('none counts where a model stands in for every other one', async () => {
    const { session } = open({ model: named('test') })
    await session.setModel('smart')
    expect(await session.send('Hi', { model: 'fast' }).result).toMatchObject({ text: 'test' })
  })
})
