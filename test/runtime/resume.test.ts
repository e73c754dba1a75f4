import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, drafted, hooked, mortal } from './stores.ts'

type Options = Pick<AgentDefinition, 'resume' | 'resumeWithin' | 'limits'> & { readonly now?: () => number }

function start(store: Store, { now, ...options }: Options = {}) {
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, ...options }), { store, ...(now && { now }) })
  const session = runtime.session('trip')
  return { model, runtime, session }
}

/** A runtime that dies in mid-answer, after it has said `text` and saved it. */
async function interrupted(store: Store, options: Options = {}, text = 'Half') {
  const alive = mortal(store)
  const { session, model } = start(alive, options)
  const heard = record(session)
  const run = session.send('first')
  const call = await model.next()
  if (text) call.text(text)
  if (text) await expect.poll(() => drafted(store)).toBeGreaterThan(0)
  alive.die()
  return { runId: run.runId, heard }
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('a run whose owner died in mid-answer, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  test('goes on by itself, as another leg under its own id', async () => {
    const store = newStore()
    const { runId } = await interrupted(store)
    const { runtime, session, model } = start(store)
    const result = runtime.runs.get(runId).result
    const call = await model.next()
    expect(call.options.prompt).toMatchObject([{ role: 'user', content: [{ text: 'first' }] }])
    call.text('Whole')
    call.finish()
    expect(await result).toMatchObject({ runId, status: 'completed', text: 'Whole', turns: 1 })
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('run-started')).toMatchObject([{ runId }, { runId, resumed: true, input: 'first' }])
    expect(all.of('checkpoint-saved').map(({ step }) => step)).toEqual(['user-input', 'before-model'])
    expectOrder(all.events)
  })

  test('shows what it had written until it is written anew', async () => {
    const store = newStore()
    const { runId } = await interrupted(store)
    const claiming = door()
    const { session, model } = start(
      hooked(store, (method, _, call) => (method === 'claim' ? claiming.pass().then(call) : call())),
    )
    onTestFinished(session.view.subscribe(() => {}))
    expect(await session.view.ready).toMatchObject({
      status: 'streaming',
      run: { runId, phase: 'model' },
      messages: [{ role: 'user' }, { role: 'assistant', parts: [{ text: 'Half' }], metadata: { status: 'streaming' } }],
    })
    claiming.open()
    const call = await model.next()
    call.text('Other')
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({
        status: 'streaming',
        run: { runId, phase: 'model', owner: 'here' },
        messages: [{ role: 'user' }, { role: 'assistant', parts: [{ text: 'Other' }] }],
      })
    call.finish()
  })

  test('is gone on with by another open tab at once', async () => {
    const store = newStore()
    const there = start(mortal(store))
    // Opened before the run begins.
    await there.runtime.sessions.list()
    const { runId } = await interrupted(store, {}, '')
    const call = await there.model.next()
    call.text('Taken over')
    call.finish()
    expect(await there.runtime.runs.get(runId).result).toMatchObject({ text: 'Taken over' })
  })

  test('counts as busy: the next input waits for its end', async () => {
    const store = newStore()
    const { runId } = await interrupted(store)
    const { runtime, session, model } = start(store)
    const refused = session.send('refused', { whenBusy: 'reject' })
    await expect(refused.result).rejects.toMatchObject({ code: 'session-busy' })
    const second = session.send('second')
    const call = await model.next()
    expect(call.options.prompt.at(-1)?.content).toMatchObject([{ text: 'first' }])
    call.finish()
    const next = await model.next()
    expect(next.options.prompt.at(-1)?.content).toMatchObject([{ text: 'second' }])
    expect(problemsOf(next.options.prompt)).toEqual([])
    next.finish()
    expect(await second.result).toMatchObject({ status: 'completed' })
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'completed' })
  })
})

describe('a run whose owner died', () => {
  test('waits until the runtime is used', async () => {
    const store = memoryStore()
    await interrupted(store)
    const { runtime, model } = start(store)
    for (let task = 0; task < 20; task++) await new Promise((resolve) => setTimeout(resolve))
    expect(model.calls).toEqual([])
    await runtime.sessions.list()
    ;(await model.next()).finish()
  })

  test.each(['stop', 'abort'] as const)('does not go on where the first thing that is said is %s', async (word) => {
    const store = memoryStore()
    const { runId } = await interrupted(store)
    const { runtime, session, model } = start(store)
    const run = runtime.runs.get(runId)
    if (word === 'stop') expect(await run.stop()).toMatchObject({ status: 'stopped', text: 'Half' })
    else {
      run.abort()
      await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    }
    expect(model.calls).toEqual([])
    const { messages } = await session.view.ready
    expect(messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant', parts: [{ text: 'Half' }], metadata: { status: 'partial' } },
    ])
  })

  test('longer ago than resumeWithin asks a person, who lets it go on', async () => {
    const store = memoryStore()
    const { runId } = await interrupted(store)
    const { runtime, session, model } = start(store, { now: () => Date.now() + 10 * 60_000 + 1 })
    const heard = record(session)
    onTestFinished(session.view.subscribe(() => {}))
    await heard.when('run-waiting')
    const [approval] = await runtime.approvals.ready
    expect(approval).toMatchObject({ reason: 'interrupted', runId, sessionId: 'trip', path: ['assistant'] })
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({
        status: 'ready',
        run: { runId, phase: 'interrupted' },
        approvals: [{ id: approval?.id }],
        messages: [{ role: 'user' }, { parts: [{ text: 'Half' }], metadata: { status: 'partial' } }],
      })
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'interrupted', approvals: 1 }])
    await answer(runtime, approval, { decision: 'resume' })
    const call = await model.next()
    expect(call.options.prompt).toHaveLength(1)
    call.text('Whole')
    call.finish()
    expect(await runtime.runs.get(runId).result).toMatchObject({ text: 'Whole' })
    await expect.poll(() => session.view.getSnapshot()).toMatchObject({ status: 'ready', approvals: [] })
    expect(session.view.getSnapshot().messages).toHaveLength(2)
    expect(await store.readApprovals()).toEqual([])
  })

  test('asks once, however often it is looked at, and keeps the question over restarts', async () => {
    const store = memoryStore()
    await interrupted(store, { resume: 'ask' })
    const ids: unknown[] = []
    for (let restart = 0; restart < 3; restart++) {
      const access = mortal(store)
      const { runtime, session } = start(access, { resume: 'ask' })
      await expect.poll(async () => (await runtime.approvals.ready).length).toBe(1)
      ids.push((await runtime.approvals.ready)[0]?.id)
      expect(await session.view.ready).toMatchObject({ run: { phase: 'interrupted' } })
      access.die()
    }
    expect(new Set(ids).size).toBe(1)
  })

  test('and about which somebody is asked is superseded by a new input, with what it had written', async () => {
    const store = memoryStore()
    const { runId } = await interrupted(store, { resume: 'ask' })
    const { session, model, runtime } = start(store, { resume: 'ask' })
    await expect.poll(async () => (await runtime.approvals.ready).length).toBe(1)
    const next = session.send('second')
    const call = await model.next()
    expect(call.options.prompt).toMatchObject([
      { content: [{ text: 'first' }] },
      { role: 'assistant', content: [{ text: 'Half' }] },
      { content: [{ text: 'second' }] },
    ])
    call.finish()
    await next.result
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('run-cancelled')).toMatchObject([{ runId, reason: 'superseded' }])
    expect(all.of('approval-resolved')).toMatchObject([{ answer: { decision: 'withdrawn' } }])
    expect(await runtime.approvals.ready).toEqual([])
    expectOrder(all.events)
  })

  test('in the midst of a tool, and is not to be resumed, has that call settled with its end', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const working = door()
    const pay = tool({ inputSchema: z.object({}), outputSchema: z.string(), execute: () => working.pass('paid') })
    const begin = (access: Store) => {
      const model = manualModel()
      const agent = defineAgent({ name: 'assistant', model, tools: { pay }, resume: 'never' })
      const session = createRuntime(agent, { store: access }).session('trip')
      return { model, session, heard: record(session, { since: 0 }) }
    }
    const first = begin(alive)
    first.session.send('Pay')
    const call = await first.model.next()
    call.toolCall('pay', {}, 'a')
    call.finish('tool-calls')
    await working.reached
    alive.die()
    const { session, heard } = begin(store)
    await session.view.ready
    expect(await heard.when('run-stopped')).toMatchObject({ reason: 'orphaned' })
    expect(heard.of('tool-execution-finished')).toMatchObject([{ toolCallId: 'a', outcome: 'failure' }])
    expectOrder(heard.events)
  })

  test('and is not to be resumed ends as orphaned, and goes on when a person asks for it', async () => {
    const store = memoryStore()
    const { runId } = await interrupted(store, { resume: 'never' })
    const { runtime, session, model } = start(store, { resume: 'never' })
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'orphaned', text: 'Half' })
    expect(model.calls).toEqual([])
    const resumed = runtime.runs.resume(runId)
    const call = await model.next()
    expect(call.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    call.text('The rest')
    call.finish()
    expect(await resumed.result).toMatchObject({ runId, status: 'completed', text: 'The rest' })
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('three legs long without progress is left to a person', async () => {
    const store = memoryStore()
    const { runId } = await interrupted(store)
    for (let death = 0; death < 3; death++) {
      const access = mortal(store)
      const { runtime, model } = start(access)
      await runtime.sessions.list()
      await model.next()
      access.die()
    }
    const { runtime, model, session } = start(store)
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'crash-loop' })
    expect(model.calls).toEqual([])
    const resumed = runtime.runs.resume(runId)
    ;(await model.next()).finish()
    expect(await resumed.result).toMatchObject({ status: 'completed' })
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('run-started').map(({ resumed = false }) => resumed)).toEqual([false, true, true, true, true])
    expectOrder(all.events)
  })

  test('again and again, but further each time, goes on', async () => {
    const store = memoryStore()
    const lookup = tool({ inputSchema: z.object({}), outputSchema: z.string(), execute: () => 'found' })
    const begin = (access: Store) => {
      const model = manualModel()
      const agent = defineAgent({ name: 'assistant', model, tools: { lookup }, doomLoop: false })
      const runtime = createRuntime(agent, { store: access })
      return { model, runtime }
    }
    let access = mortal(store)
    let { model, runtime } = begin(access)
    const { runId } = runtime.session('trip').send('first')
    for (let turn = 1; turn <= 6; turn++) {
      const call = await model.next()
      call.toolCall('lookup', {}, `call-${turn}`)
      call.finish('tool-calls')
      // The next turn has begun: the checkpoint has moved.
      await model.next()
      access.die()
      access = mortal(store)
      ;({ model, runtime } = begin(access))
      await runtime.sessions.list()
    }
    const last = await model.next()
    expect(last.options.prompt.filter(({ role }) => role === 'tool')).toHaveLength(6)
    expect(problemsOf(last.options.prompt)).toEqual([])
    last.finish()
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'completed', turns: 7 })
  })
})

describe('runs.resume', () => {
  test('goes on with a run that was stopped, from where it stands', async () => {
    const { runtime, session, model } = start(memoryStore())
    const run = session.send('first')
    const call = await model.next()
    call.text('Half')
    await record(session).when('text-delta')
    await run.stop()
    const heard = record(session)
    const resumed = runtime.runs.resume(run.runId)
    const next = await model.next()
    expect(next.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    next.text('The rest')
    next.finish()
    expect(await resumed.result).toMatchObject({ runId: run.runId, status: 'completed', text: 'The rest' })
    expect(heard.of('run-started')).toMatchObject([{ runId: run.runId, resumed: true }])
    expect((await session.view.ready).messages).toHaveLength(3)
  })

  test('starts the calls that a stop has left', async () => {
    const store = memoryStore()
    const working = door()
    const started: string[] = []
    const serial = tool({
      inputSchema: z.object({}),
      serial: true,
      execute: (_, { toolCallId, abortSignal }) => {
        started.push(toolCallId)
        if (toolCallId !== 'a') return 'done'
        void working.pass()
        return new Promise<string>((_, reject) =>
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason)),
        )
      },
    })
    const model = manualModel()
    const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { serial } }), { store })
    const session = runtime.session('trip')
    const heard = record(session)
    const run = session.send('first')
    const call = await model.next()
    call.toolCall('serial', {}, 'a')
    call.toolCall('serial', {}, 'b')
    call.finish('tool-calls')
    await working.reached
    await run.stop()
    const resumed = runtime.runs.resume(run.runId)
    const next = await model.next()
    expect(started).toEqual(['a', 'b'])
    expect(next.options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'a', output: { type: 'error-text', value: expect.stringMatching(/unknown/) } },
      { toolCallId: 'b', output: { type: 'text', value: 'done' } },
    ])
    next.finish()
    expect(await resumed.result).toMatchObject({ status: 'completed' })
    expectOrder(heard.events)
  })

  test('is refused, typed, where the run is over, superseded or unknown', async () => {
    const { runtime, session, model } = start(memoryStore())
    const completed = session.send('first')
    ;(await model.next()).finish()
    await completed.result
    await expect(runtime.runs.resume(completed.runId).result).rejects.toMatchObject({
      code: 'not-resumable',
      message: expect.stringMatching(/completed/),
    })
    const stopped = session.send('second')
    await model.next()
    await stopped.stop()
    const later = session.send('third')
    ;(await model.next()).finish()
    await later.result
    await expect(runtime.runs.resume(stopped.runId).result).rejects.toMatchObject({
      code: 'not-resumable',
      message: expect.stringMatching(/later run/),
    })
    await expect(runtime.runs.resume('nobody').result).rejects.toMatchObject({ code: 'unknown-run' })
  })

  test('of a run that is under way follows it', async () => {
    const { runtime, session, model } = start(memoryStore())
    const run = session.send('first')
    const call = await model.next()
    const followed = runtime.runs.resume(run.runId)
    call.text('One')
    call.finish()
    expect(await followed.result).toMatchObject({ text: 'One' })
    expect(model.calls).toHaveLength(1)
  })
})
