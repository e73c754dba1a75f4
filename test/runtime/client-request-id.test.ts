import { connect, type RunHandle } from 'turnloop'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, serve, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

/** A runtime on this store, as a tab has it. */
function start(store: Store, model = manualModel()) {
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { form } }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

const once = { clientRequestId: 'once' }
const aborted = { name: 'AbortError' }

/** Whether the handle goes on being what it is, after all that was said has been heard. */
async function goesOn(handle: RunHandle, runtime: { readonly sessions: { list(): Promise<unknown> } }) {
  await runtime.sessions.list()
  return !handle.finished
}

const places = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(places)('a second request of the same id, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  test('gives the first one’s run, whatever it asks', async () => {
    const { session, model, heard } = start(newStore())
    const first = session.send('Hello', once)
    const call = await model.next()
    const repeats = [session.send('Something else', once), session.send('', { ...once, whenBusy: 'reject' })]
    call.text('Hi')
    call.finish()
    const output = await first.result
    expect(output).toMatchObject({ runId: first.runId, status: 'completed', text: 'Hi' })
    for (const repeat of repeats) {
      expect(repeat.runId).toBe(first.runId)
      expect(await repeat.result).toEqual(output)
    }
    expect(model.calls).toHaveLength(1)
    expect(heard.of('user-message-committed')).toMatchObject([{ message: { parts: [{ text: 'Hello' }] } }])
    expect(heard.of('input-queued')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('in the same task is one run', async () => {
    const { session, model, heard } = start(newStore())
    const handles = [1, 2, 3].map((n) => session.send(`Hello ${n}`, once))
    const call = await model.next()
    call.text('Hi')
    call.finish()
    for (const { result } of handles) expect(await result).toMatchObject({ runId: handles[0]?.runId, text: 'Hi' })
    expect(model.calls).toHaveLength(1)
    expect(heard.of('run-started')).toMatchObject([{ input: 'Hello 1' }])
    expectOrder(heard.events)
  })

  test('gives the result from the store once the first has ended, also after a reload', async () => {
    const store = newStore()
    const before = start(mortal(store))
    const run = before.session.send('Hello', once)
    const call = await before.model.next()
    call.text('Hi')
    call.finish()
    const output = await run.result
    expect(await before.session.send('Hello', once).result).toEqual(output)
    await before.runtime.close()
    const after = start(store)
    expect(await after.session.send('Hello', once).result).toEqual(output)
    expect(after.model.calls).toEqual([])
    expect(after.heard.events).toEqual([])
  })

  test('fails and is cancelled as the first was', async () => {
    const store = newStore()
    const before = start(mortal(store))
    const failed = before.session.send('Hello', { clientRequestId: 'failed' })
    ;(await before.model.next()).fail(Object.assign(new Error('No'), { statusCode: 400 }))
    const error = await failed.result.catch((thrown) => thrown)
    const cancelled = before.session.send('Hello', { clientRequestId: 'cancelled' })
    await before.model.next()
    cancelled.abort()
    await expect(cancelled.result).rejects.toMatchObject(aborted)
    const { session } = start(mortal(store))
    await expect(session.send('Hello', { clientRequestId: 'failed' }).result).rejects.toMatchObject({
      code: error.code,
      message: error.message,
    })
    await expect(session.send('Hello', { clientRequestId: 'cancelled' }).result).rejects.toMatchObject(aborted)
  })

  test('goes on with the first one’s run where that was cut off, or waits', async () => {
    const store = newStore()
    const alive = mortal(store)
    const before = start(alive)
    const run = before.session.send('Hello', once)
    await before.model.next()
    alive.die()
    const waiting = mortal(store)
    const between = start(waiting)
    const second = between.session.send('Hello', once)
    expect(second.runId).toBe(run.runId)
    const call = await between.model.next()
    call.toolCall('form', {}, 'f')
    call.finish('tool-calls')
    await between.heard.when('run-waiting')
    waiting.die()
    const after = start(store)
    const third = after.session.send('Hello', once)
    await after.session.addToolOutput({ tool: 'form', toolCallId: 'f', output: 'filled in' } as never)
    const last = await after.model.next()
    last.text('Thanks')
    last.finish()
    expect(await third.result).toMatchObject({ runId: run.runId, text: 'Thanks' })
    const all = record(after.session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('user-message-committed')).toHaveLength(1)
    expectOrder(all.events)
  })

  test('from two tabs at the same moment is one run', async () => {
    const store = newStore()
    const model = manualModel()
    // Both find that the request is not known, before either writes it.
    const doors = [door(), door()]
    const tabs = doors.map(({ pass }) =>
      start(
        hooked(mortal(store), (method, _, call) => (method === 'say' ? pass().then(call) : call())),
        model,
      ),
    )
    await Promise.all(tabs.map(({ runtime }) => runtime.sessions.list()))
    const handles = tabs.map(({ session }, n) => session.send(`Hello ${n}`, once))
    await Promise.all(doors.map(({ reached }) => reached))
    for (const { open } of doors) open()
    const call = await model.next()
    call.text('Hi')
    call.finish()
    const [one, other] = await Promise.all(handles.map(({ result }) => result))
    expect(one).toMatchObject({ text: 'Hi' })
    expect(other).toEqual(one)
    expect(model.calls).toHaveLength(1)
    const all = record(start(mortal(store)).session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('run-started')).toHaveLength(1)
    expectOrder(all.events)
  })
})

describe('the handle of a repeated request', () => {
  test.each([
    ['here', false],
    ['in another tab', true],
  ])('does not own the run: disposing it, or aborting its signal, ends nothing, %s', async (_, elsewhere) => {
    const store = memoryStore()
    const one = start(mortal(store))
    const other = elsewhere ? start(mortal(store)) : one
    const first = one.session.send('Hello', once)
    const call = await one.model.next()
    const controller = new AbortController()
    const repeat = other.session.send('Hello', { ...once, signal: controller.signal })
    repeat[Symbol.dispose]()
    controller.abort()
    // Does not wait for the run's end either.
    await repeat[Symbol.asyncDispose]()
    expect(await goesOn(first, one.runtime)).toBe(true)
    const heard = record(first)
    call.text('Hi')
    await heard.when('text-delta')
    call.finish()
    expect(await first.result).toMatchObject({ status: 'completed' })
    expect(await repeat.result).toMatchObject({ status: 'completed' })
  })

  test('can still abort or stop the run, as any handle', async () => {
    const { session, model } = start(memoryStore())
    const first = session.send('Hello', once)
    await model.next()
    const repeat = session.send('Hello', once)
    repeat[Symbol.dispose]()
    repeat.abort()
    await expect(first.result).rejects.toMatchObject(aborted)
    const next = session.send('Hello', { clientRequestId: 'next' })
    await model.next()
    expect(await session.send('Hello', { clientRequestId: 'next' }).stop()).toMatchObject({ status: 'stopped' })
    expect(await next.result).toMatchObject({ status: 'stopped' })
  })

  test('leaves the first one its run: that is cancelled by its disposal and by its signal', async () => {
    const { session, model, heard } = start(memoryStore())
    for (const by of ['disposal', 'signal'] as const) {
      const controller = new AbortController()
      const first = session.send('Hello', { clientRequestId: by, signal: controller.signal })
      const repeat = session.send('Hello', { clientRequestId: by })
      await model.next()
      if (by === 'signal') controller.abort()
      else await first[Symbol.asyncDispose]()
      await expect(first.result, by).rejects.toMatchObject(aborted)
      await expect(repeat.result, by).rejects.toMatchObject(aborted)
    }
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'disposed' }, { reason: 'aborted' }])
  })

  test('also of one that is disposed in the task in which it was sent', async () => {
    const { session, model, runtime } = start(memoryStore())
    const first = session.send('Hello', once)
    session.send('Hello', once)[Symbol.dispose]()
    const call = await model.next()
    expect(await goesOn(first, runtime)).toBe(true)
    call.finish()
    expect(await first.result).toMatchObject({ status: 'completed' })
    const gone = session.send('Hello', { clientRequestId: 'gone' })
    gone[Symbol.dispose]()
    await expect(gone.result).rejects.toMatchObject(aborted)
  })

  test('holds between pages on one worker, too', async () => {
    const model = manualModel()
    const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() })
    const pages = [1, 2].map(() => {
      const { port1, port2 } = new MessageChannel()
      serve(runtime, port2)
      const page = connect<typeof runtime>(port1)
      onTestFinished(() => page.close())
      return page
    })
    const send = (n: number) => pages[n]?.session('trip').send('Hello', once) as RunHandle
    const first = send(0)
    const call = await model.next()
    const second = send(1)
    await second[Symbol.asyncDispose]()
    call.text('Hi')
    call.finish()
    expect(await first.result).toMatchObject({ text: 'Hi' })
    expect(await second.result).toMatchObject({ text: 'Hi' })
    expect(model.calls).toHaveLength(1)
  })
})

describe('a request with an id', () => {
  test('that was refused is refused with those made beside it, and may be made again', async () => {
    const { session, model, heard } = start(memoryStore())
    const handles = [session.send('', once), session.send('Too', once)]
    for (const { result } of handles) await expect(result).rejects.toMatchObject({ code: 'invalid-input' })
    expect(heard.of('run-failed')).toHaveLength(1)
    const again = session.send('Hello', once)
    ;(await model.next()).finish()
    expect(await again.result).toMatchObject({ status: 'completed' })
    expect(heard.of('run-started')).toMatchObject([{ input: 'Hello' }])
  })

  test('that steers the run under way is heard by it once, also when it is made again after that has ended', async () => {
    const { session, model, heard } = start(memoryStore())
    const run = session.send('Hello')
    const call = await model.next()
    const steer = () => session.send('In French', { ...once, whenBusy: 'steer' })
    const handles = [steer(), steer()]
    await heard.nth(2, 'input-queued')
    call.text('Hello')
    call.finish()
    const next = await model.next()
    handles.push(steer())
    next.text('Bonjour')
    next.finish()
    const output = await run.result
    for (const { result } of [...handles, steer()]) expect(await result).toEqual(output)
    expect(model.calls).toHaveLength(2)
    expect(heard.of('input-delivered').map(({ input }) => input)).toEqual(['Hello', 'In French'])
    expectOrder(heard.events)
  })

  test('whose input was withdrawn may be made again', async () => {
    const { session, model, heard } = start(memoryStore())
    session.send('Before')
    const call = await model.next()
    const first = session.send('Hello', once)
    await heard.nth(2, 'input-queued')
    first.abort()
    await expect(first.result).rejects.toMatchObject(aborted)
    const again = session.send('Hello', once)
    call.finish()
    ;(await model.next()).finish()
    expect(await again.result).toMatchObject({ status: 'completed' })
  })

  test('is another one on another session, or under another id', async () => {
    const { runtime } = start(memoryStore())
    const idOf = (session: string, clientRequestId: string) => {
      const handle = runtime.session(session).send('Hello', { clientRequestId })
      handle.abort()
      return handle.runId
    }
    const ids = [
      idOf('a', 'b'),
      idOf('a', 'c'),
      idOf('b', 'b'),
      idOf('a:b', 'c'),
      idOf('a', 'b:c'),
      idOf('a%3Ab', 'c'),
      idOf('a', 'Ü b/😀'),
    ]
    expect(new Set(ids).size).toBe(ids.length)
    expect(idOf('a', 'b')).toBe(ids[0])
  })

  test('goes to its run by `runtime.run`, and is kept with its request', async () => {
    const store = memoryStore()
    const { runtime, model } = start(store)
    const run = runtime.run({ input: 'Hello', ...once }, { session: 'trip' })
    ;(await model.next()).finish()
    await run.result
    expect((await store.readRun(run.runId))?.request).toMatchObject({ input: 'Hello', clientRequestId: 'once' })
  })

  test.each([
    ['empty', ''],
    ['too long', 'x'.repeat(201)],
    ['no string', 5],
    ['not well-formed', '\ud800'],
  ])('is refused where that is %s', async (_, clientRequestId) => {
    const { session } = start(memoryStore())
    expect(() => session.send('Hello', { clientRequestId: clientRequestId as string })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    )
  })

  test('is refused where its session or its id is not known when its handle is made', async () => {
    const { runtime, model } = start(memoryStore())
    expect(() => runtime.run({ input: 'Hello', ...once })).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining('session') }),
    )
    const late = runtime.run(() => ({ input: 'Hello', ...once }), { session: 'trip' })
    await expect(late.result).rejects.toMatchObject({ code: 'invalid-argument' })
    expect(model.calls).toEqual([])
  })
})
