import { AgentError, createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

function start(store: Store) {
  const model = manualModel()
  const started: string[] = []
  const working = door()
  const work = tool({
    inputSchema: z.object({}),
    execute: async (_, { toolCallId, abortSignal }) => {
      started.push(toolCallId)
      void working.pass()
      await new Promise((_, reject) => abortSignal.addEventListener('abort', () => reject(abortSignal.reason)))
    },
  })
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work, form } }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, started, working, heard: record(session) }
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('two runtimes on one store, %s:', (_, makeStore) => {
  /** The second one looks at the session, and shows that the first one is writing. */
  async function two() {
    const store = makeStore()
    onTestFinished(() => store.close())
    const access = mortal(store)
    const [here, there] = [start(access), start(mortal(store))]
    onTestFinished(there.session.view.subscribe(() => {}))
    await there.session.view.ready
    const run = here.session.send('first')
    const call = await here.model.next()
    call.text('Half ')
    await expect
      .poll(() => there.session.view.getSnapshot())
      .toMatchObject({
        status: 'streaming',
        run: { owner: 'elsewhere' },
        messages: [{}, { parts: [{ text: 'Half ' }] }],
      })
    return { store, access, here, there, run, call }
  }

  test('who looks on sees the text as it is written', async () => {
    const { there, call, run } = await two()
    call.text('of it')
    await expect
      .poll(() => there.session.view.getSnapshot())
      .toMatchObject({ messages: [{}, { parts: [{ text: 'Half of it' }] }] })
    call.finish()
    await run.result
    await expect.poll(() => there.session.view.getSnapshot().status).toBe('ready')
    const texts = there.heard.of('text-delta').map(({ delta }) => delta)
    expect(texts.join('')).toBe('Half of it')
  })

  test('a look that comes late begins with what was written so far', async () => {
    const { there, here, call } = await two()
    const late = record(there.session)
    call.text('of it')
    const { start: from, delta } = await late.when('text-delta')
    expect(`${from} ${delta}`).toBe('5 of it')
    const { messages } = await there.runtime.session('trip').view.ready
    expect(messages[1]).toMatchObject({ parts: [{ text: 'Half of it' }] })
    expect(here.heard.of('owner-changed')).toEqual([])
  })

  test('a session that is taken over goes on there, and the old owner is released and writes nothing more', async () => {
    const { here, there, run, call } = await two()
    await there.session.takeOver()
    const released = await here.heard.when('run-released')
    expect(released).toMatchObject({ reason: 'ownership-lost', runId: run.runId })
    const next = await there.model.next()
    call.text('of the old one')
    call.finish()
    next.text('New')
    next.finish()
    // The handle follows the stored run.
    expect(await run.result).toMatchObject({ runId: run.runId, status: 'completed', text: 'New' })
    const all = record(there.session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('assistant-message-committed')).toMatchObject([{ message: { parts: [{ text: 'New' }] } }])
    expectOrder(all.events)
    await expect
      .poll(() => there.session.view.getSnapshot())
      .toMatchObject({ status: 'ready', messages: [{}, { parts: [{ text: 'New' }] }] })
  })

  test('an old owner starts no tool after its session was taken over', async () => {
    const { here, there, call } = await two()
    await there.session.takeOver()
    await there.model.next()
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    await here.heard.when('run-released')
    await here.runtime.sessions.list()
    expect(here.started).toEqual([])
    expect(here.heard.of('tool-execution-started')).toEqual([])
  })

  test('a tool of the old owner is aborted, and what became of it is asked', async () => {
    const { here, there, call, run } = await two()
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    await here.working.reached
    await there.session.takeOver()
    const { approval } = await there.heard.when('approval-requested')
    expect(approval).toMatchObject({ reason: 'in-doubt', toolCallId: 'a', runId: run.runId })
    expect(there.started).toEqual([])
  })
})

describe('an owner', () => {
  /** One that is not told that its lock was taken, as a tab that is frozen is not. */
  const untold = (store: Store) =>
    hooked(store, async (method, _, call) => {
      const given = await call()
      return method === 'claim' && given ? { ...(given as object), lost: new AbortController().signal } : given
    })

  test('that was not told that it lost the session is refused by its epoch, and released', async () => {
    const store = memoryStore()
    const [here, there] = [start(untold(mortal(store))), start(mortal(store))]
    const run = here.session.send('first')
    const call = await here.model.next()
    await there.session.takeOver()
    const next = await there.model.next()
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    expect(await here.heard.when('run-released')).toMatchObject({ reason: 'ownership-lost' })
    expect(here.started).toEqual([])
    next.text('New')
    next.finish()
    expect(await run.result).toMatchObject({ text: 'New' })
    const all = record(there.session, { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('whose session was deleted meanwhile writes nothing of it, and starts no tool', async () => {
    const store = memoryStore()
    const { session, model, started, heard } = start(untold(store))
    const run = session.send('first')
    const call = await model.next()
    await store.deleteSession('trip')
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    await expect(run.result).rejects.toMatchObject({ code: expect.stringMatching(/unknown-session|ownership-lost/) })
    expect(started).toEqual([])
    expect(heard.of('assistant-message-committed', 'tool-execution-started')).toEqual([])
    expect(await store.readSession('trip', { messages: 10 })).toBeUndefined()
  })

  test('whose lock a script of the page steals is released, and waits for the lock again', async () => {
    const name = crypto.randomUUID()
    const store = indexedDbStore({ name })
    onTestFinished(() => store.close())
    const { session, model, heard } = start(store)
    const run = session.send('first')
    const call = await model.next()
    const thief = door()
    const stolen = navigator.locks.request(`turnloop:${name}:trip`, { steal: true }, () => thief.pass())
    expect(await heard.when('run-released')).toMatchObject({ reason: 'ownership-lost' })
    call.text('of the old leg')
    call.finish()
    thief.open()
    await stolen
    const next = await model.next()
    next.text('Whole')
    next.finish()
    expect(await run.result).toMatchObject({ text: 'Whole' })
    expect(heard.of('assistant-message-committed')).toHaveLength(1)
  })

  test('that is closed leaves its run to another tab, which goes on with it', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    onTestFinished(there.session.view.subscribe(() => {}))
    await there.session.view.ready
    const run = here.session.send('first')
    await here.model.next()
    await here.runtime.close()
    const call = await there.model.next()
    call.text('One')
    call.finish()
    expect(await there.runtime.runs.get(run.runId).result).toMatchObject({ text: 'One' })
  })

  test('holds the lock for no longer than its run needs it', async () => {
    const store = memoryStore()
    const { session, model, heard } = start(store)
    const run = session.send('first')
    const call = await model.next()
    expect(await store.isFree('trip')).toBe(false)
    call.toolCall('form', {}, 'a')
    call.finish('tool-calls')
    await heard.when('run-waiting')
    await store.whenFree('trip')
    await session.addToolOutput({ tool: 'form', toolCallId: 'a', output: 'filled in' })
    const next = await model.next()
    expect(await store.isFree('trip')).toBe(false)
    next.finish()
    await run.result
    await store.whenFree('trip')
  })
})

test('questions and their answers show in every tab', async () => {
  const store = memoryStore()
  const access = mortal(store)
  const first = start(access)
  first.session.send('first')
  const call = await first.model.next()
  call.toolCall('work', {}, 'a')
  call.finish('tool-calls')
  await first.working.reached
  const tabs = [start(mortal(store)), start(mortal(store))]
  for (const { runtime } of tabs) onTestFinished(runtime.approvals.subscribe(() => {}))
  for (const { runtime } of tabs) expect(await runtime.approvals.ready).toEqual([])
  access.die()
  for (const { runtime } of tabs) await expect.poll(() => runtime.approvals.getSnapshot().length).toBe(1)
  const [here, there] = tabs
  await answer(here?.runtime as never, there?.runtime.approvals.getSnapshot()[0], { decision: 'abandon' })
  for (const { runtime } of tabs) await expect.poll(() => runtime.approvals.getSnapshot().length).toBe(0)
})

describe('a run that waits', () => {
  /** Two tabs look at a session; the first one's run waits for `form`. */
  async function waiting() {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    for (const { session } of [here, there]) {
      onTestFinished(session.view.subscribe(() => {}))
      await session.view.ready
    }
    here.session.send('first')
    const call = await here.model.next()
    call.toolCall('form', {}, 'a')
    call.finish('tool-calls')
    await there.heard.when('run-waiting')
    return { here, there }
  }
  const filledIn = { tool: 'form', toolCallId: 'a', output: 'filled in' } as const

  test('and goes on in another tab settles the handle of the one that sent it, though nobody listens there', async () => {
    const store = memoryStore()
    const model = manualModel()
    const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
    const agent = defineAgent({ name: 'assistant', model, tools: { form } })
    const run = createRuntime(agent, { store: mortal(store) })
      .session('trip')
      .send('first')
    const call = await model.next()
    call.toolCall('form', {}, 'a')
    call.finish('tool-calls')
    await expect.poll(async () => (await store.readRun(run.runId))?.status).toBe('waiting')
    await store.whenFree('trip')
    const there = start(mortal(store))
    await there.session.addToolOutput(filledIn)
    const next = await there.model.next()
    next.text('Thanks')
    next.finish()
    expect(await run.result).toMatchObject({ runId: run.runId, status: 'completed', text: 'Thanks' })
  })

  test('and goes on in another tab shows in both whose it is now', async () => {
    const { here, there } = await waiting()
    await there.session.addToolOutput(filledIn)
    const call = await there.model.next()
    call.text('Thanks')
    await expect
      .poll(() => there.session.view.getSnapshot())
      .toMatchObject({ status: 'streaming', run: { owner: 'here' } })
    await expect
      .poll(() => here.session.view.getSnapshot())
      .toMatchObject({ status: 'streaming', run: { owner: 'elsewhere' } })
  })
})

describe('a take-over that failed', () => {
  test.each(['looks', 'does not look'])('is not made up for later, where its tab %s at the session', async (looks) => {
    const store = memoryStore()
    let broken = false
    const access = hooked(mortal(store), (method, _, call) =>
      method === 'claim' && broken ? Promise.reject(new AgentError('storage-unavailable', 'No database')) : call(),
    )
    const here = start(mortal(store))
    const model = manualModel()
    const there = createRuntime(defineAgent({ name: 'assistant', model }), { store: access }).session('trip')
    if (looks === 'looks') {
      onTestFinished(there.view.subscribe(() => {}))
      await there.view.ready
    }
    const run = here.session.send('first')
    const call = await here.model.next()
    broken = true
    await expect(there.takeOver()).rejects.toMatchObject({ code: 'storage-unavailable' })
    broken = false
    const second = there.send('second')
    await expect.poll(() => store.readInbox('trip')).toMatchObject([{ runId: second.runId }])
    for (let task = 0; task < 20; task++) await new Promise((resolve) => setTimeout(resolve))
    expect(model.calls).toEqual([])
    call.finish()
    expect(await run.result).toMatchObject({ status: 'completed' })
    const next = await Promise.race([here.model.next(), model.next()])
    next.finish()
    expect(await second.result).toMatchObject({ status: 'completed' })
    expect(here.heard.of('run-released')).toEqual([])
  })
})

describe('what can be no event, and is said on the channel all the same,', () => {
  const delta = { kind: 'text-delta', messageId: 'm', partId: '0', start: 0, delta: 'x' }
  const senseless = [
    ['a delta without text', { ...delta, delta: undefined }],
    ['a delta without a place', { ...delta, start: undefined }],
    ['a delta of a part far out', { ...delta, partId: '99999999' }],
    ['a part that is none', { ...delta, kind: 'message-part', part: null }],
    ['nothing', null],
  ] as const

  test.each(senseless)('breaks no view, and takes no other event with it: %s', async (_, said) => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    onTestFinished(there.session.view.subscribe(() => {}))
    await there.session.view.ready
    const { runId } = here.session.send('first')
    const call = await here.model.next()
    call.text('Half')
    await expect.poll(() => there.session.view.getSnapshot().status).toBe('streaming')
    const state = await store.readSession('trip', { messages: 0 })
    const envelope = { sessionId: 'trip', runId, seq: state?.session.seq, at: 0, agent: 'assistant', turn: 1 }
    const errors: string[] = []
    const hear = (event: ErrorEvent) => {
      errors.push(event.message)
      event.preventDefault()
    }
    addEventListener('error', hear)
    onTestFinished(() => removeEventListener('error', hear))
    // What is told now is shown in one frame with what follows.
    await new Promise(requestAnimationFrame)
    store.announce({
      type: 'live',
      sessionId: 'trip',
      from: 'nobody',
      events: [said && { ...envelope, ...said }] as never,
    })
    call.text(' and more')
    call.finish()
    await expect
      .poll(() => there.session.view.getSnapshot())
      .toMatchObject({ status: 'ready', messages: [{}, { parts: [{ text: 'Half and more' }] }] })
    expect(errors).toEqual([])
  })
})

describe('a view that begins in the moment in which a session does', () => {
  test('shows its first message, and who runs it', async () => {
    const store = memoryStore()
    const reading = door()
    const access = hooked(mortal(store), async (method, [, options], call) => {
      const found = await call()
      const isWindow = method === 'readSession' && (options as { messages: number }).messages > 0
      // What it reads is from before, and it has it after.
      return isWindow && found === undefined ? reading.pass(found) : found
    })
    const [here, there] = [start(mortal(store)), start(access)]
    onTestFinished(there.session.view.subscribe(() => {}))
    await reading.reached
    here.session.send('first')
    await here.model.next()
    reading.open()
    await there.session.view.ready
    expect(there.session.view.getSnapshot()).toMatchObject({
      run: { phase: 'model', owner: 'elsewhere' },
      messages: [{ role: 'user' }],
      queue: [],
    })
  })
})

describe('an owner that does not answer any more', () => {
  afterEach(() => void vi.useRealTimers())

  /** A store whose runtime goes on writing, and tells the others nothing live. */
  const mute = (store: Store, state: { readonly mute: boolean }) =>
    new Proxy(store, {
      get: (target, key: keyof Store) =>
        key === 'announce'
          ? (word: Parameters<Store['announce']>[0]) => state.mute || target.announce(word)
          : target[key],
    })

  test('shows as such, and again as elsewhere when it answers', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const store = memoryStore()
    let frozen = false
    // A tab that is frozen neither hears nor says anything, and keeps its lock.
    const access: Store = {
      ...store,
      watch: (listener) => store.watch((change) => frozen || listener(change)),
      announce: (word) => frozen || store.announce(word),
    }
    const [here, there] = [start(access), start(mortal(store))]
    there.session.view.subscribe(() => {})
    await there.session.view.ready
    here.session.send('first')
    await here.model.next()
    await there.heard.when('owner-changed')
    frozen = true
    await vi.advanceTimersByTimeAsync(5000)
    const { owner } = await there.heard.when('owner-changed', (event) => event.owner === 'not-responding')
    expect(owner).toBe('not-responding')
    const joined = there.runtime.session('trip')
    expect((await joined.view.ready).run).toMatchObject({ owner: 'not-responding' })
    frozen = false
    await vi.advanceTimersByTimeAsync(1000)
    await there.heard.nth(3, 'owner-changed')
    expect(there.heard.of('owner-changed').map((event) => event.owner)).toEqual([
      'elsewhere',
      'not-responding',
      'elsewhere',
    ])
  })

  test.each(['after its view', 'before its view'])(
    'shows as such where it keeps the store from answering, too, to one that was there %s',
    async (when) => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
      const store = memoryStore()
      const state = { mute: false }
      // Its transaction does not end: nobody else has an answer of the database before.
      const held = door()
      const hangs = hooked(mortal(store), async (_, __, call) => (state.mute ? held.pass().then(call) : call()))
      const [here, there] = [start(mute(mortal(store), state)), start(hangs)]
      if (when === 'before its view') here.session.send('first')
      else onTestFinished(there.session.view.subscribe(() => {}))
      await there.session.view.ready
      if (when === 'after its view') here.session.send('first')
      else onTestFinished(there.session.view.subscribe(() => {}))
      ;(await here.model.next()).text('Half')
      await expect.poll(() => there.session.view.getSnapshot().run?.owner).toBe('elsewhere')
      state.mute = true
      await vi.advanceTimersByTimeAsync(5000)
      await expect.poll(() => there.session.view.getSnapshot().run?.owner).toBe('not-responding')
      held.open()
    },
  )

  test('is shown no more as soon as its run waits', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const store = memoryStore()
    const state = { mute: false }
    const [here, there] = [start(mute(mortal(store), state)), start(mortal(store))]
    onTestFinished(there.session.view.subscribe(() => {}))
    await there.session.view.ready
    here.session.send('first')
    const call = await here.model.next()
    call.text('Half')
    await there.heard.when('owner-changed')
    state.mute = true
    await vi.advanceTimersByTimeAsync(5000)
    await there.heard.when('owner-changed', ({ owner }) => owner === 'not-responding')
    await expect.poll(() => there.session.view.getSnapshot().run?.owner).toBe('not-responding')
    call.toolCall('form', {}, 'a')
    call.finish('tool-calls')
    await expect
      .poll(() => there.session.view.getSnapshot())
      .toMatchObject({ run: { phase: 'waiting', owner: 'here' } })
    expect((await there.runtime.session('trip').view.ready).run).toMatchObject({ phase: 'waiting', owner: 'here' })
  })
})
