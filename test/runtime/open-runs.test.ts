import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { type ManualCall, type ManualModel, manualModel } from './manual-model.ts'
import { answer as approve, expectOrder, record } from './record.ts'
import { mortal } from './stores.ts'

const aborted = { name: 'AbortError' }
const hour = 3_600_000

function start(
  store: Store = memoryStore(),
  options: Pick<AgentDefinition, 'limits' | 'onLimit'> = {},
  clock = manualClock(),
) {
  const model = manualModel()
  const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
  const { now, sleep } = clock
  const agent = defineAgent({ name: 'assistant', model, tools: { work }, ...options })
  const runtime = createRuntime(agent, { store, now, sleep })
  const session = runtime.session('trip')
  return { model, runtime, session, store, clock, heard: record(session) }
}

const textsOf = ({ options }: ManualCall) =>
  options.prompt.flatMap(({ role, content }) =>
    role === 'user' ? content.map((part) => (part.type === 'text' ? part.text : '')) : [],
  )

async function answer(model: ManualModel, text: string) {
  const call = await model.next()
  call.text(text)
  call.finish()
  return call
}

const idle = (heard: ReturnType<typeof record>, n = 1) =>
  expect.poll(() => heard.of('run-waiting').filter(({ waitingFor }) => waitingFor === 'input').length).toBe(n)

describe('an open run', () => {
  test('idles between its inputs, and ends when it is closed', async () => {
    const { session, model, heard, store } = start()
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.open({ input: 'first' })
    await answer(model, 'One')
    await idle(heard)
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({ status: 'ready', run: { runId: run.runId, phase: 'waiting', waitingFor: 'input' } })
    expect(run.finished).toBe(false)
    expect(await store.isFree('trip')).toBe(true)
    const { delivered } = await run.steer('second')
    await delivered
    const call = await answer(model, 'Two')
    expect(textsOf(call)).toEqual(['first', 'second'])
    expect(problemsOf(call.options.prompt)).toEqual([])
    await idle(heard, 2)
    expect(await run.close()).toMatchObject({ status: 'completed', text: 'Two', turns: 2, finishReason: 'stop' })
    expect(heard.of('run-started')).toHaveLength(1)
    expect(heard.of('turn-completed')).toHaveLength(2)
    expect(heard.kinds().at(-1)).toBe('run-completed')
    expect(await store.readActiveRuns()).toEqual([])
    await expect.poll(() => session.view.getSnapshot().run).toBeUndefined()
    expectOrder(heard.events)
  })

  test('may begin without an input: no model is asked before the first one comes', async () => {
    const { session, model, heard } = start()
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.open()
    const { delivered } = await run.steer('hello')
    await delivered
    const call = await answer(model, 'Hi')
    expect(textsOf(call)).toEqual(['hello'])
    await idle(heard, heard.of('run-waiting').length)
    expect(heard.of('input-delivered')).toMatchObject([{ mode: 'steer' }])
    expect(heard.of('user-message-committed')).toHaveLength(1)
    expect((await session.view.ready).queue).toEqual([])
    await expect.poll(() => session.view.getSnapshot().title).toBe('hello')
    expect(await run.close()).toMatchObject({ text: 'Hi', turns: 1 })
    expectOrder(heard.events)
  })

  test('that never got an input completes without a turn', async () => {
    const { session, model, heard, store } = start()
    const run = session.open()
    await idle(heard)
    expect((await session.view.ready).queue).toEqual([])
    expect(await run.close()).toMatchObject({ status: 'completed', text: '', turns: 0 })
    expect(model.calls).toHaveLength(0)
    expect(heard.of('turn-completed')).toEqual([])
    expect((await store.readSession('trip', { messages: 9 }))?.messages).toEqual([])
    expectOrder(heard.events)
  })

  test('hears what was said to it before it began', async () => {
    const { session, model } = start()
    const before = session.send('before')
    const call = await model.next()
    const run = session.open()
    await run.steer('one')
    await run.steer('two')
    const closed = run.close()
    call.finish()
    await before.result
    expect(textsOf(await answer(model, 'Both'))).toEqual(['before', 'one', 'two'])
    expect(await closed).toMatchObject({ status: 'completed', text: 'Both', turns: 1 })
  })

  test('hears an input that came in mid-turn once the turn is over', async () => {
    const { session, model, heard } = start()
    const run = session.open({ input: 'first' })
    const call = await model.next()
    await run.steer('second')
    call.text('One')
    call.finish()
    expect(textsOf(await answer(model, 'Two'))).toEqual(['first', 'second'])
    expect(await run.close()).toMatchObject({ text: 'Two' })
    expectOrder(heard.events)
  })

  test('that is closed in mid-turn ends after it, and after what was said before', async () => {
    const { session, model, heard } = start()
    const run = session.open({ input: 'first' })
    const call = await model.next()
    await run.steer('second')
    const closed = run.close()
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    expect(textsOf(await answer(model, 'All'))).toEqual(['first', 'second'])
    expect(await closed).toMatchObject({ status: 'completed', text: 'All', turns: 2 })
    expect(heard.of('run-waiting')).toEqual([])
    expectOrder(heard.events)
  })

  test('takes an input that is sent with whenBusy: "steer"; a queued one waits for its end', async () => {
    const { session, model, heard } = start()
    const run = session.open({ input: 'first' })
    await answer(model, 'One')
    await idle(heard)
    const queued = session.send('queued')
    const steered = session.send('second', { whenBusy: 'steer' })
    expect(textsOf(await answer(model, 'Two'))).toEqual(['first', 'second'])
    await idle(heard, 2)
    await expect(session.send('third', { whenBusy: 'reject' }).result).rejects.toMatchObject({ code: 'session-busy' })
    await run.close()
    expect(await steered.result).toEqual(await run.result)
    expect(textsOf(await answer(model, 'Three'))).toEqual(['first', 'second', 'queued'])
    expect(await queued.result).toMatchObject({ text: 'Three' })
  })

  test('stops after its idle time-out, which begins anew with each answer', async () => {
    const { session, model, heard, clock, store } = start()
    const run = session.open({ input: 'first', idleTimeout: hour })
    await answer(model, 'One')
    await idle(heard)
    expect(await clock.asleep()).toBe(hour)
    clock.advance(hour - 1)
    await run.steer('second')
    await answer(model, 'Two')
    await idle(heard, 2)
    clock.advance(2)
    await expect.poll(() => clock.asleep()).toBe(hour - 2)
    clock.advance(hour)
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'idle', text: 'Two' })
    expect(heard.kinds().at(-1)).toBe('run-stopped')
    expect(await store.readActiveRuns()).toEqual([])
    expectOrder(heard.events)
  })

  test('waits for ever without one', async () => {
    const { session, model, heard, store } = start()
    session.open({ input: 'first' })
    await answer(model, 'One')
    await idle(heard)
    expect((await store.readActiveRuns())[0]).toMatchObject({ status: 'waiting', waitingFor: 'input' })
    expect((await store.readActiveRuns())[0]?.wakeAt).toBeUndefined()
  })

  test('that stopped since it idled can be resumed, and idles again', async () => {
    const { session, model, heard, clock, runtime } = start()
    const run = session.open({ input: 'first', idleTimeout: hour })
    await answer(model, 'One')
    await idle(heard)
    await clock.asleep()
    clock.advance(hour)
    await run.result
    const again = runtime.runs.resume(run.runId)
    await idle(heard, 2)
    expect(await clock.asleep()).toBe(hour)
    await again.steer('second')
    await answer(model, 'Two')
    expect(await again.close()).toMatchObject({ status: 'completed', text: 'Two', turns: 2 })
    expectOrder(heard.events)
  })

  test('counts its turns anew with each input', async () => {
    const { session, model, heard } = start(memoryStore(), { limits: { maxTurns: 2 } })
    const run = session.open({ input: 'first' })
    for (const [n, input] of ['second', 'third', 'fourth'].entries()) {
      const call = await model.next()
      call.toolCall('work', {}, `call${n}`)
      call.finish('tool-calls')
      await answer(model, 'Done')
      await idle(heard, n + 1)
      await run.steer(input)
    }
    for (const id of ['x', 'y']) {
      const call = await model.next()
      call.toolCall('work', {}, id)
      call.finish('tool-calls')
    }
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'max-turns', turns: 8 })
  })

  test('asks no more about its turns once another input has come', async () => {
    const { session, model, heard, runtime } = start(memoryStore(), { limits: { maxTurns: 1 }, onLimit: 'ask' })
    const run = session.open({ input: 'first' })
    const call = await model.next()
    call.toolCall('work', {}, 'c1')
    call.finish('tool-calls')
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'approval')
    await run.steer('second')
    expect(textsOf(await answer(model, 'Two')).slice(0, 2)).toEqual(['first', 'second'])
    await idle(heard)
    expect(heard.of('approval-resolved')).toMatchObject([{ answer: { decision: 'withdrawn' } }])
    expect(await runtime.approvals.ready).toEqual([])
    expect(await run.close()).toMatchObject({ status: 'completed', text: 'Two', turns: 2 })
    expectOrder(heard.events)
  })

  test('has what was allowed beyond its turns for one input no more for the next', async () => {
    const { session, model, heard, runtime } = start(memoryStore(), { limits: { maxTurns: 1 }, onLimit: 'ask' })
    const run = session.open({ input: 'first' })
    const works = async (id: string) => {
      const call = await model.next()
      call.toolCall('work', {}, id)
      call.finish('tool-calls')
    }
    await works('c1')
    const { approval } = await heard.when('approval-requested')
    await approve<'budget'>(runtime, approval, { decision: 'extend', by: 5 })
    await answer(model, 'One')
    await idle(heard)
    await run.steer('second')
    await works('c2')
    expect((await heard.nth(2, 'approval-requested')).approval).toMatchObject({ used: 1, cap: 1 })
    await run.stop()
    expectOrder(heard.events)
  })

  test('counts its calls and its time anew with each input', async () => {
    const { session, model, heard, clock } = start(memoryStore(), { limits: { maxToolCalls: 1, maxDuration: 1000 } })
    const run = session.open({ input: 'first' })
    for (const [n, input] of ['second', 'third'].entries()) {
      const call = await model.next()
      clock.advance(900)
      call.toolCall('work', {}, `call${n}`)
      call.finish('tool-calls')
      await answer(model, 'Done')
      await idle(heard, n + 1)
      clock.advance(5000)
      await run.steer(input)
    }
    const call = await model.next()
    expect(await clock.asleep()).toBe(1000)
    call.toolCall('work', {}, 'x')
    call.toolCall('work', {}, 'y')
    call.finish('tool-calls')
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'tool-calls', turns: 5 })
    expect(heard.of('tool-execution-started')).toHaveLength(3)
  })

  test('can be stopped, now or after the turn, and aborted while it idles, by any handle and by the session', async () => {
    for (const how of ['stop', 'after', 'session', 'abort', 'other-tab'] as const) {
      const store = memoryStore()
      const clock = manualClock()
      const [here, there] = [start(mortal(store), {}, clock), start(mortal(store), {}, clock)]
      const run = here.session.open({ input: 'first' })
      await answer(here.model, 'One')
      await idle(here.heard)
      if (how === 'stop') void run.stop()
      if (how === 'after') void run.stop({ after: 'turn' })
      if (how === 'session') void here.session.stop()
      if (how === 'abort') run.abort()
      if (how === 'other-tab') void there.runtime.runs.get(run.runId).stop({ after: 'turn' })
      if (how === 'abort') await expect(run.result, how).rejects.toMatchObject(aborted)
      else
        expect(await run.result, how).toMatchObject({ status: 'stopped', reason: 'requested', text: 'One', turns: 1 })
      expect(here.heard.of('turn-completed'), how).toHaveLength(1)
      expect(await store.readActiveRuns(), how).toEqual([])
      await expect.poll(() => store.readInbox('trip')).toEqual([])
    }
  })

  test('is aborted on disposal of its handle', async () => {
    const { session, model, heard } = start()
    const run = session.open({ input: 'first' })
    await answer(model, 'One')
    await idle(heard)
    run[Symbol.dispose]()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'disposed' }])
  })

  test('outlasts a reload: any tab steers and closes it', async () => {
    const store = memoryStore()
    const clock = manualClock()
    const alive = mortal(store)
    const first = start(alive, {}, clock)
    const { runId } = first.session.open({ input: 'first', idleTimeout: hour })
    await answer(first.model, 'One')
    await idle(first.heard)
    alive.die()
    const second = start(store, {}, clock)
    const run = second.runtime.runs.get(runId)
    expect(await second.session.view.ready).toMatchObject({ status: 'ready', run: { waitingFor: 'input' } })
    await run.steer('second')
    expect(textsOf(await answer(second.model, 'Two'))).toEqual(['first', 'second'])
    expect(await run.close()).toMatchObject({ text: 'Two', turns: 2 })
  })

  test('stops for idleness in a tab that was opened later', async () => {
    const store = memoryStore()
    const clock = manualClock()
    const alive = mortal(store)
    const first = start(alive, {}, clock)
    const { runId } = first.session.open({ input: 'first', idleTimeout: hour })
    await answer(first.model, 'One')
    await idle(first.heard)
    alive.die()
    clock.advance(hour * 2)
    const second = start(store, {}, clock)
    expect(await second.runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'idle' })
    expect(second.model.calls).toHaveLength(0)
  })

  test('that died in mid-turn goes on, and is closed by what was said before', async () => {
    const store = memoryStore()
    const clock = manualClock()
    const alive = mortal(store)
    const first = start(alive, {}, clock)
    const run = first.session.open({ input: 'first' })
    await first.model.next()
    void run.close()
    await expect.poll(() => store.readInbox('trip')).toMatchObject([{ type: 'close' }])
    alive.die()
    const second = start(store, {}, clock)
    await second.runtime.sessions.list()
    await answer(second.model, 'One')
    expect(await second.runtime.runs.get(run.runId).result).toMatchObject({ status: 'completed', text: 'One' })
    await expect.poll(() => store.readInbox('trip')).toEqual([])
  })

  test('refuses what can not be, typed', async () => {
    const { session, model, runtime } = start()
    await expect(session.open({ idleTimeout: 0 }).result).rejects.toMatchObject({ code: 'invalid-argument' })
    await expect(session.open({ idleTimeout: 0 }).close()).rejects.toMatchObject({ code: 'invalid-argument' })
    await expect(session.open({ input: ' ' }).result).rejects.toMatchObject({ code: 'invalid-input' })
    const run = session.send('Hi')
    const call = await model.next()
    const looked = runtime.runs.get(run.runId)
    await expect(looked.close()).rejects.toMatchObject({ code: 'invalid-argument' })
    await expect(runtime.runs.get('nobody').close()).rejects.toMatchObject({ code: 'unknown-run' })
    call.finish()
    await run.result
    const open = session.open()
    await open.close()
    await expect(open.steer('too late')).rejects.toMatchObject({ code: 'not-resumable' })
    expect(await open.close()).toMatchObject({ status: 'completed' })
  })
})

describe('session.ask', () => {
  test('gives the text of the answer', async () => {
    const { session, model } = start()
    const asked = session.ask('Hi')
    await answer(model, 'Hello')
    expect(await asked).toBe('Hello')
  })

  test('rejects as the run does: aborted by its signal, failed, refused', async () => {
    const { session, model, heard } = start()
    const controller = new AbortController()
    const asked = session.ask('Hi', { signal: controller.signal })
    await model.next()
    controller.abort()
    await expect(asked).rejects.toMatchObject(aborted)
    expect(heard.of('run-cancelled')).toHaveLength(1)
    const failing = session.ask('again')
    ;(await model.next()).fail(new Error('broken'))
    await expect(failing).rejects.toMatchObject({ name: 'AgentError' })
    await expect(session.ask('')).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('rejects with `stopped` where the run stopped before its answer was whole', async () => {
    const { session, model } = start()
    const asked = session.ask('Hi')
    ;(await model.next()).text('Half')
    await session.stop()
    await expect(asked).rejects.toMatchObject({ code: 'stopped', message: expect.stringContaining('requested') })
  })
})
