import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

function start(store: Store, resume: 'auto' | 'ask' = 'auto') {
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, resume }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

/** A page that sends, and is gone before its run began: it never came to the session's lock. */
async function left(store: Store, input: string) {
  const asked = door()
  const dying = mortal(hooked(store, (method, _, call) => (method === 'claim' ? asked.pass() : call())))
  const { session } = start(dying)
  const run = session.send(input)
  await asked.reached
  dying.die()
  return run
}

/** A runtime that comes to no lock before the test lets it. */
function heldUp(store: Store) {
  const held = door()
  const watched = hooked(store, async (method, _, call) => {
    if (method === 'claim') await held.pass()
    return call()
  })
  return { ...start(watched), held }
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('an input whose page died before its run began, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  test('is run when its session is next viewed, and stands in the queue till then', async () => {
    const store = newStore()
    const { runId } = await left(store, 'Hi')
    const { session, model, runtime, heard, held } = heldUp(store)
    expect(await runtime.sessions.list()).toEqual([])
    onTestFinished(session.view.subscribe(() => {}))
    expect(await session.view.ready).toMatchObject({
      status: 'submitted',
      queue: [{ inputId: runId, text: 'Hi' }],
      run: { runId, phase: 'queued' },
    })
    held.open()
    const call = await model.next()
    expect(call.options.prompt).toMatchObject([{ content: [{ text: 'Hi' }] }])
    call.text('Hello')
    call.finish()
    await expect.poll(() => session.view.getSnapshot()).toMatchObject({ status: 'ready', queue: [] })
    expect(session.view.getSnapshot().messages.map(({ role }) => role)).toEqual(['user', 'assistant'])
    expect(await runtime.runs.get(runId).result).toMatchObject({ text: 'Hello' })
    expectOrder(heard.events)
  })

  test('is under control where somebody looked at its session only once', async () => {
    const store = newStore()
    const { runId } = await left(store, 'Hi')
    // Listens to the runtime, to no session: nothing but the run keeps the session in use.
    const model = manualModel()
    const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store })
    const session = runtime.session('trip')
    const heard = record(runtime)
    await session.view.ready
    await model.next()
    await session.stop()
    expect(await heard.when('run-stopped')).toMatchObject({ runId, reason: 'requested' })
  })

  test('is run so in a session that was there before', async () => {
    const store = newStore()
    const before = start(store)
    const first = before.session.send('first')
    ;(await before.model.next()).finish()
    await first.result
    await before.runtime.close()
    const { runId } = await left(store, 'second')
    const { session, model, runtime, held } = heldUp(store)
    expect(await session.view.ready).toMatchObject({ queue: [{ inputId: runId, text: 'second' }] })
    held.open()
    const call = await model.next()
    expect(problemsOf(call.options.prompt)).toEqual([])
    expect(call.options.prompt.at(-1)).toMatchObject({ content: [{ text: 'second' }] })
    call.finish()
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'completed' })
  })

  test('is run once where two pages view its session', async () => {
    const store = newStore()
    const { runId } = await left(store, 'Hi')
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    await Promise.all([here.session.view.ready, there.session.view.ready])
    const call = await Promise.race([here.model.next(), there.model.next()])
    call.finish()
    expect(await here.runtime.runs.get(runId).result).toMatchObject({ status: 'completed' })
    expect(await there.runtime.runs.get(runId).result).toMatchObject({ status: 'completed' })
    expect(here.model.calls.length + there.model.calls.length).toBe(1)
  })

  test('can be aborted by its session before that', async () => {
    const store = newStore()
    await left(store, 'Hi')
    const { session, model } = start(store)
    session.abort()
    await waitFor(async () => expect(await store.readInbox('trip')).toEqual([]))
    expect((await session.view.ready).queue).toEqual([])
    expect(model.calls).toEqual([])
  })

  test('goes with its session where that is deleted', async () => {
    const store = newStore()
    await left(store, 'Hi')
    const { session, model } = start(store)
    await session.delete()
    expect(await store.readInbox('trip')).toEqual([])
    expect(await session.view.ready).toMatchObject({ status: 'ready', queue: [] })
    expect(model.calls).toEqual([])
  })

  test('runs before the next message where nobody viewed the session', async () => {
    const store = newStore()
    await left(store, 'first')
    const { session, model } = start(store)
    const second = session.send('second')
    const call = await model.next()
    expect(call.options.prompt).toMatchObject([{ content: [{ text: 'first' }] }])
    call.finish()
    ;(await model.next()).finish()
    expect(await second.result).toMatchObject({ status: 'completed' })
  })
})

/** A run whose runtime died in mid-answer. Its agent does not go on by itself. */
async function interrupted() {
  const store = memoryStore()
  const alive = mortal(store)
  const { session, model } = start(alive, 'ask')
  session.send('Hi')
  await model.next()
  alive.die()
  return store
}

describe('whether a run is interrupted', () => {
  test('is answered alike to two who ask at once', async () => {
    const { runtime, session } = start(await interrupted(), 'ask')
    const [one, other, snapshot] = await Promise.all([
      runtime.sessions.list(),
      runtime.sessions.list(),
      session.view.ready,
    ])
    expect([...one, ...other].map(({ status }) => status)).toEqual(['interrupted', 'interrupted'])
    expect(snapshot.run).toMatchObject({ phase: 'interrupted' })
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'interrupted' }])
  })

  test('is asked anew each time: a run that somebody carries on is running', async () => {
    const store = await interrupted()
    const [here, there] = [start(mortal(store), 'ask'), start(mortal(store), 'ask')]
    expect(await here.runtime.sessions.list()).toMatchObject([{ status: 'interrupted' }])
    there.session.send('again')
    await there.model.next()
    const [one, other] = await Promise.all([here.runtime.sessions.list(), here.runtime.sessions.list()])
    expect([...one, ...other].map(({ status }) => status)).toEqual(['running', 'running'])
  })
})
