import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { connectedPage, fedRuntime } from '../worker/fixtures/port.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

type Turns = Parameters<typeof scriptedModel>[0]
type Options = Partial<Omit<AgentDefinition, 'name' | 'model' | 'tools'>>

const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })
const refused = () => Promise.reject(new TypeError('Failed to fetch'))

/** What the browser tells the page. */
const say = (word: 'online' | 'offline') => globalThis.dispatchEvent(new Event(word))

function open(turns: Turns, options: Options = {}, store: Store = memoryStore(), clock = manualClock()) {
  const model = scriptedModel(turns)
  const agent = defineAgent({ name: 'assistant', model, tools: { echo }, ...options })
  const runtime = createRuntime(agent, { store, ...clock })
  onTestFinished(() => runtime.close())
  const session = runtime.session('trip')
  return { model, runtime, session, clock, store, heard: record(session) }
}

/** One that the browser has told that it is offline. */
function offline(...options: Parameters<typeof open>) {
  const opened = open(...options)
  say('offline')
  return opened
}

beforeEach(() => {
  onTestFinished(() => void say('online'))
})

describe('a run whose connection fails while the browser is offline', () => {
  test('waits, holds nothing, and goes on with the same turn once the browser is online', async () => {
    const { session, heard, model, store } = offline([refused, reply.text('Hello')])
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.send('Hi')
    expect(await heard.when('run-waiting')).toMatchObject({ waitingFor: 'offline', turn: 1 })
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({
        status: 'submitted',
        run: { runId: run.runId, phase: 'waiting', waitingFor: 'offline' },
        messages: [{ role: 'user' }],
      })
    await expect.poll(() => store.isFree('trip')).toBe(true)
    expect(model.calls).toHaveLength(1)
    say('online')
    expect(await run.result).toMatchObject({ status: 'completed', text: 'Hello', turns: 1 })
    expect(heard.of('model-started').map(({ turn, attempt }) => [turn, attempt])).toEqual([
      [1, 1],
      [1, 1],
    ])
    expect(heard.of('model-retried')).toEqual([])
    expectOrder(heard.events)
    expect(await session.send('Again').result.catch(() => {})).toBeUndefined()
    expect(heard.of('turn-started').map(({ turn }) => turn)).toEqual([1, 1, 2])
  })

  test('drops what it had of the answer, wherever in the run that was', async () => {
    const turns = [reply.call('echo', { n: 1 }), reply.drop('Half of'), reply.text('Whole')]
    const { session, heard, model } = offline(turns)
    const run = session.send('Hi')
    await heard.when('run-waiting')
    expect(heard.of('message-voided')).toHaveLength(1)
    expect((await session.view.ready).messages).toHaveLength(2)
    say('online')
    expect(await run.result).toMatchObject({ text: 'Whole', turns: 2 })
    expect(model.calls[2]?.prompt).toEqual(model.calls[1]?.prompt)
    expect(problemsOf(model.calls[2]?.prompt ?? [])).toEqual([])
    expectOrder(heard.events)
  })

  test('tries again every 30 seconds, whatever the browser says', async () => {
    const { session, heard, model, clock } = offline([refused, refused, reply.text('Hello')])
    const run = session.send('Hi')
    for (const wait of [1, 2]) {
      await heard.nth(wait, 'run-waiting')
      expect(await clock.asleep()).toBe(30_000)
      clock.advance(29_999)
      expect(model.calls).toHaveLength(wait)
      clock.advance(1)
    }
    expect(await run.result).toMatchObject({ text: 'Hello', turns: 1 })
    expect(heard.of('turn-completed').map(({ turn }) => turn)).toEqual([1])
    expectOrder(heard.events)
  })

  test('tries again also where its time comes while it is being let go of', async () => {
    const held = door()
    let waits = false
    const store = hooked(memoryStore(), async (method, args, call) => {
      const { run } = (method === 'commit' ? args[0] : {}) as { readonly run?: { readonly status: string } }
      const given = await call()
      if (run?.status === 'waiting') waits = true
      if (method === 'readRun' && waits) await held.pass()
      return given
    })
    const { session, clock } = offline([refused, reply.text('Hello')], {}, store)
    const run = session.send('Hi')
    await held.reached
    expect(await clock.asleep()).toBe(30_000)
    clock.advance(30_000)
    // Whoever hears the alarm has looked.
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setTimeout(resolve))
    held.open()
    expect(await run.result).toMatchObject({ text: 'Hello' })
  })

  test('does not give summaries up that failed for the same reason', async () => {
    const words = 'word '.repeat(90)
    const failing = Array.from({ length: 8 }, () => refused)
    const turns = [reply.text(words), reply.text(words), ...failing, reply.text('Summary'), reply.text('Hello')]
    const { session, heard, clock } = open(turns, { context: { window: 500, keep: 50 } })
    for (let n = 0; n < 2; n++) await session.send(words).result
    say('offline')
    const run = session.send(words)
    for (const wait of [1, 2, 3]) {
      await heard.nth(wait, 'run-waiting')
      await clock.asleep()
      clock.advance(30_000)
    }
    await heard.nth(4, 'run-waiting')
    say('online')
    expect(await run.result).toMatchObject({ text: 'Hello' })
    expect(heard.of('compaction-circuit-opened')).toEqual([])
    expect(heard.of('context-compacted')).toHaveLength(1)
  })

  const fallback = (modelId: string, turns: Turns) => scriptedModel(turns, { provider: 'test', modelId })

  test('asks each fallback once at the turn, which may be on this machine, and the first model when it looks again', async () => {
    const [far, near] = [fallback('far', [refused, reply.text('From afar')]), fallback('near', [reply.fail(400)])]
    const turns = [refused, refused, reply.fail(400)]
    const { session, heard, clock } = offline(turns, { fallbacks: [far, near] })
    const asked = () => heard.of('model-started').map(({ model }) => model)
    const run = session.send('Hi')
    await heard.when('run-waiting')
    expect(asked()).toEqual(['scripted-model', 'far', 'near'])
    await clock.asleep()
    clock.advance(30_000)
    await heard.nth(2, 'run-waiting')
    expect(asked().slice(3)).toEqual(['scripted-model'])
    say('online')
    // With a network they are fallbacks again.
    expect(await run.result).toMatchObject({ status: 'completed', text: 'From afar', turns: 1 })
    expect(asked().slice(4)).toEqual(['scripted-model', 'far'])
    expectOrder(heard.events)
  })

  test('begins each turn with the first model, where a fallback answered', async () => {
    const near = fallback('near', [reply.call('echo', { n: 1 }), reply.text('From here')])
    const { session, heard, model } = offline([refused, refused, reply.text('From there')], { fallbacks: [near] })
    expect(await session.send('Hi').result).toMatchObject({ text: 'From here', turns: 2 })
    expect(heard.of('model-switched')).toMatchObject([{ to: 'test:near' }, { to: 'test:near' }])
    expect(heard.of('run-waiting')).toEqual([])
    say('online')
    expect(await session.send('Again').result).toMatchObject({ text: 'From there' })
    expect(model.calls).toHaveLength(3)
    expectOrder(heard.events)
  })

  test('has all its attempts again afterwards', async () => {
    const { session, heard, model, clock } = offline([refused, reply.fail(500), reply.fail(500), reply.text('Hello')])
    const run = session.send('Hi')
    await heard.when('run-waiting')
    say('online')
    for (const retry of [1, 2]) {
      await heard.nth(retry, 'model-retried')
      clock.advance(await clock.asleep())
    }
    expect(await run.result).toMatchObject({ text: 'Hello' })
    expect(model.calls).toHaveLength(4)
  })

  test('does not miss that the browser is online before the wait is written', async () => {
    const store = hooked(memoryStore(), (method, args, call) => {
      const { run } = (method === 'commit' ? args[0] : {}) as { readonly run?: { readonly status: string } }
      if (run?.status === 'waiting') say('online')
      return call()
    })
    const { session } = offline([refused, reply.text('Hello')], {}, store)
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
  })

  test('keeps what is said meanwhile: inputs wait behind it, and who steers it is heard with the turn', async () => {
    const { session, heard, model } = offline([refused, reply.text('One'), reply.text('Two')])
    const first = session.send('First')
    await heard.when('run-waiting')
    const second = session.send('Second')
    await heard.when('input-queued', ({ inputId }) => inputId === second.runId)
    await first.steer('And be quick')
    await heard.when('input-delivered', ({ mode }) => mode === 'steer')
    await heard.nth(2, 'run-waiting')
    expect(model.calls).toHaveLength(1)
    say('online')
    expect([(await first.result).text, (await second.result).text]).toEqual(['One', 'Two'])
    expect(model.calls[1]?.prompt).toMatchObject([
      { content: [{ text: 'First' }] },
      { content: [{ text: 'And be quick' }] },
    ])
    expectOrder(heard.events)
  })

  test.each(['stop', 'stop after the turn', 'abort'])(
    'ends at once by %s, for which no network is needed',
    async (how) => {
      const { session, heard, model, runtime } = offline([refused, reply.text('Hello')])
      const run = session.send('Hi')
      await heard.when('run-waiting')
      if (how === 'abort') {
        run.abort()
        await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
      } else {
        const after = how === 'stop' ? 'now' : 'turn'
        expect(await run.stop({ after })).toMatchObject({ status: 'stopped', reason: 'requested', turns: 0 })
        say('online')
        expect(await runtime.runs.resume(run.runId).result).toMatchObject({ text: 'Hello', turns: 1 })
      }
      expect(model.calls).toHaveLength(how === 'abort' ? 1 : 2)
      await heard.when(how === 'abort' ? 'run-cancelled' : 'run-completed')
      expectOrder(heard.events)
    },
  )
})

describe('a run goes its usual way', () => {
  test('where its model answers all the same, as one on this machine does', async () => {
    const { session, heard, clock } = offline([reply.text('One'), reply.fail(500), reply.text('Two')])
    expect(await session.send('Hi').result).toMatchObject({ text: 'One' })
    const run = session.send('Again')
    await heard.when('model-retried')
    clock.advance(await clock.asleep())
    expect(await run.result).toMatchObject({ text: 'Two' })
    expect(heard.of('run-waiting')).toEqual([])
  })

  test('where the browser says nothing of being offline', async () => {
    const { session, heard, clock } = open([refused, reply.text('Hello')])
    const run = session.send('Hi')
    await heard.when('model-retried')
    clock.advance(await clock.asleep())
    expect(await run.result).toMatchObject({ text: 'Hello' })
    expect(heard.of('run-waiting')).toEqual([])
  })

  test("with `offline: 'fail'`", async () => {
    const { session, heard } = offline([refused], { offline: 'fail', retry: { attempts: 1 } })
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'unreachable' })
    expect(heard.of('run-waiting')).toEqual([])
  })

  test('where onModelError has said so', async () => {
    const local = scriptedModel([reply.text('From here')])
    const onModelError: AgentDefinition['onModelError'] = () => ({ switchTo: local })
    const { session } = offline([refused], { onModelError })
    expect(await session.send('Hi').result).toMatchObject({ text: 'From here' })
  })
})

const stores = [
  ['in memory', memoryStore],
  ...(globalThis.indexedDB ? [['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })] as const] : []),
] as const

describe.each(stores)('a run that waits for the network, %s,', (_, makeStore) => {
  /** A run that waits, and whose runtime is gone. */
  async function left(clock = manualClock()) {
    const store = makeStore()
    onTestFinished(() => store.close())
    const alive = mortal(store)
    const there = offline([refused], {}, alive, clock)
    const { runId } = there.session.send('Hi')
    await there.heard.when('run-waiting')
    await expect.poll(() => store.isFree('trip')).toBe(true)
    alive.die()
    return { store, runId, clock }
  }

  test('goes on after a reload, once a page is there that is online', async () => {
    const { store, runId, clock } = await left()
    say('online')
    const { runtime, heard } = open([reply.text('Hello')], {}, store, clock)
    expect(await runtime.runs.get(runId).result).toMatchObject({ text: 'Hello', turns: 1 })
    expect(heard.of('run-started')).toEqual([])
    const all = record(runtime.session('trip'), { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('goes on waiting after a reload in a page that is offline, for as long as it had to', async () => {
    const { store, runId, clock } = await left()
    clock.advance(10_000)
    const { runtime, model } = offline([reply.text('Hello')], {}, store, clock)
    const { result } = runtime.runs.get(runId)
    expect(await clock.asleep()).toBe(20_000)
    expect(model.calls).toEqual([])
    clock.advance(20_000)
    expect(await result).toMatchObject({ text: 'Hello' })
  })

  test('goes on in another tab when its own is closed', async () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    const alive = mortal(store)
    const clock = manualClock()
    const there = offline([refused], {}, alive, clock)
    const here = offline([reply.text('Hello')], {}, mortal(store), clock)
    // Opened before the run begins.
    await here.runtime.sessions.list()
    const { runId } = there.session.send('Hi')
    await here.heard.when('run-waiting')
    await expect.poll(() => store.isFree('trip')).toBe(true)
    alive.die()
    say('online')
    expect(await here.runtime.runs.get(runId).result).toMatchObject({ text: 'Hello' })
  })
})

describe('the network’s state', () => {
  test('is in the runtime’s info', async () => {
    const { runtime } = open([])
    onTestFinished(runtime.info.subscribe(() => {}))
    expect(await runtime.info.ready).toMatchObject({ online: true })
    say('offline')
    await expect.poll(() => runtime.info.getSnapshot()).toMatchObject({ online: false })
    say('online')
    await expect.poll(() => runtime.info.getSnapshot()).toMatchObject({ online: true })
  })

  test('is told by the page to its worker: with its hello, and whenever it changes', async () => {
    const { runtime } = fedRuntime()
    const { page, tap } = connectedPage(runtime)
    expect((await page.info.ready).online).toBe(true)
    expect(tap.sent.find(({ type }) => type === 'hello')).toMatchObject({ page: { online: true } })
    onTestFinished(page.info.subscribe(() => {}))
    say('offline')
    await expect.poll(() => page.info.getSnapshot()).toMatchObject({ online: false })
    expect(tap.said).toContainEqual({ type: 'online', online: false })
    say('online')
    await expect.poll(() => page.info.getSnapshot()).toMatchObject({ online: true })
  })
})
