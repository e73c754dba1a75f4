import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { waitFor } from '../wait-for.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })

/** Runs of this agent don't go on by themselves. */
function start(store: Store, more: { work?: typeof form } = {}) {
  const model = manualModel()
  const agent = defineAgent({ name: 'assistant', model, tools: { form, ...more }, resume: 'ask' })
  const runtime = createRuntime(agent, { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

/** A runtime that dies in mid-answer, and another one on the same store. */
async function interrupted(store: Store = memoryStore()) {
  const alive = mortal(store)
  const first = start(alive)
  const run = first.session.send('first')
  const call = await first.model.next()
  call.text('Half')
  await first.heard.when('text-delta')
  alive.die()
  return { ...start(store), runId: run.runId, store }
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

for (const [where, makeStore] of stores) {
  describe(`a run whose runtime died, ${where}`, () => {
    test('shows as interrupted in the view and the list', async () => {
      const { session, runtime } = await interrupted(makeStore())
      expect(await session.view.ready).toMatchObject({ status: 'ready', run: { phase: 'interrupted' } })
      expect(await runtime.sessions.list()).toMatchObject([{ id: 'trip', status: 'interrupted' }])
    })

    test('is superseded by the next input', async () => {
      const { session, model, runId } = await interrupted(makeStore())
      const run = session.send('second')
      const call = await model.next()
      expect(call.options.prompt.map(({ role }) => role)).toEqual(['user', 'user'])
      expect(problemsOf(call.options.prompt)).toEqual([])
      call.finish()
      await run.result
      const all = record(session, { since: 0 })
      await all.when('run-completed')
      expect(all.of('run-cancelled')).toMatchObject([{ runId, reason: 'superseded' }])
      expectOrder(all.events)
    })
  })
}

describe('a run whose runtime died', () => {
  test('in the middle of its tools has every call closed by the next one', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const working = door()
    const work = tool({ inputSchema: z.object({}), outputSchema: z.string(), execute: () => working.pass('x') })
    const first = start(alive, { work: work as never })
    first.session.send('first')
    const call = await first.model.next()
    call.toolCall('work', {}, 'started')
    call.toolCall('form', {}, 'waiting')
    call.toolCall('nothing', {}, 'unknown')
    call.finish('tool-calls')
    await working.reached
    alive.die()
    let ran = 0
    const again = tool({ inputSchema: z.object({}), outputSchema: z.string(), execute: () => `${++ran}` })
    const { session, model } = start(store, { work: again as never })
    session.send('second')
    const { options } = await model.next()
    expect(problemsOf(options.prompt)).toEqual([])
    expect(options.prompt[2]?.content).toMatchObject([
      { toolCallId: 'started', output: { type: 'error-text', value: expect.stringMatching(/outcome is unknown/) } },
      { toolCallId: 'waiting', output: { type: 'error-text', value: expect.stringMatching(/not started/i) } },
      { toolCallId: 'unknown', output: { type: 'error-text', value: expect.stringMatching(/no tool "nothing"/) } },
    ])
    expect(ran).toBe(0)
    const all = record(session, { since: 0 })
    await all.nth(2, 'run-started')
    expectOrder(all.events)
  })

  test('is not ended by an answer to one of its calls', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const working = door()
    const work = tool({ inputSchema: z.object({}), outputSchema: z.string(), execute: () => working.pass('x') })
    const first = start(alive, { work: work as never })
    first.session.send('first')
    const call = await first.model.next()
    call.toolCall('work', {}, 'started')
    call.toolCall('form', {}, 'waiting')
    call.finish('tool-calls')
    await working.reached
    alive.die()
    const { session, runtime, model } = start(store)
    await session.addToolOutput({ tool: 'form', toolCallId: 'waiting', output: 'filled in' })
    await expect.poll(() => runtime.sessions.list()).toMatchObject([{ status: 'interrupted', approvals: 1 }])
    session.send('second')
    const { options } = await model.next()
    expect(options.prompt[2]?.content).toMatchObject([
      { toolCallId: 'started', output: { type: 'error-text' } },
      { toolCallId: 'waiting', output: { type: 'text', value: 'filled in' } },
    ])
    expect(problemsOf(options.prompt)).toEqual([])
  })

  test('can be stopped and aborted', async () => {
    const stopped = await interrupted()
    expect(await stopped.runtime.runs.get(stopped.runId).stop()).toMatchObject({ status: 'stopped' })
    const aborted = await interrupted()
    aborted.session.abort()
    await expect(aborted.runtime.runs.get(aborted.runId).result).rejects.toMatchObject({ name: 'AbortError' })
    expect(await aborted.runtime.sessions.list()).toMatchObject([{ status: 'ready' }])
  })

  test('is no reason to be busy', async () => {
    const { session, model } = await interrupted()
    const run = session.send('second', { whenBusy: 'reject' })
    const call = await model.next()
    call.finish()
    expect(await run.result).toMatchObject({ status: 'completed' })
  })

  test('can be deleted with its session', async () => {
    const { session, runtime, store, runId } = await interrupted()
    await session.delete()
    expect(await runtime.sessions.list()).toEqual([])
    expect(await store.readRun(runId)).toBeUndefined()
  })

  test('leaves what it had queued waiting until somebody says what becomes of it', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive)
    const cut = first.session.send('first')
    await first.model.next()
    const queued = first.session.send('second')
    await first.heard.nth(2, 'input-queued')
    alive.die()
    const { session, runtime, model } = start(store)
    const asked = record(session).when('approval-requested')
    expect(await session.view.ready).toMatchObject({
      status: 'ready',
      run: { runId: cut.runId, phase: 'interrupted' },
      queue: [{ inputId: queued.runId, text: 'second' }],
    })
    await answer(runtime, (await asked).approval, { decision: 'abandon' })
    const second = await model.next()
    expect(second.options.prompt.at(-1)?.content).toMatchObject([{ text: 'second' }])
    second.finish()
    expect(await runtime.runs.get(queued.runId).result).toMatchObject({ status: 'completed' })
    await expect(runtime.runs.get(cut.runId).result).rejects.toMatchObject({ name: 'AbortError' })
  })
})

for (const [where, makeStore] of stores) {
  describe(`two runtimes, ${where}`, () => {
    /** Two tabs on one database: IndexedDB stores of their own, or accesses to one memory store. */
    function two() {
      const store = makeStore()
      onTestFinished(() => store.close())
      return [start(mortal(store)), start(mortal(store))] as const
    }

    test('run what both sent, in the order of the sends, and both hear of it', async () => {
      const [here, there] = two()
      const first = here.session.send('first')
      const call = await here.model.next()
      const second = there.session.send('second')
      await there.heard.when('input-queued')
      call.text('one')
      call.finish()
      expect(await first.result).toMatchObject({ text: 'one' })
      const next = await Promise.race([here.model.next(), there.model.next()])
      next.text('two')
      next.finish()
      expect(await second.result).toMatchObject({ text: 'two' })
      await waitFor(() => {
        for (const { heard } of [here, there]) expect(heard.of('run-completed')).toHaveLength(2)
      })
      expectOrder(here.heard.events.filter(({ kind }) => kind !== 'input-queued'))
    })

    test('show what the other one does', async () => {
      const [here, there] = two()
      const heard = record(there.session, { since: 0 })
      const run = here.session.send('first')
      const call = await here.model.next()
      await heard.when('user-message-committed')
      call.text('one')
      call.finish()
      await run.result
      await heard.when('run-completed')
      expectOrder(heard.events)
    })

    test('stop and abort what the other one runs', async () => {
      const [here, there] = two()
      const stopped = here.session.send('first')
      const call = await here.model.next()
      call.text('Half')
      await here.heard.when('text-delta')
      await there.session.stop()
      expect(await stopped.result).toMatchObject({ status: 'stopped', text: 'Half' })
      const aborted = here.session.send('second')
      // Whoever has got the lock meanwhile runs it.
      await Promise.race([here.model.next(), there.model.next()])
      there.runtime.runs.get(aborted.runId).abort()
      await expect(aborted.result).rejects.toMatchObject({ name: 'AbortError' })
    })

    test('follow a run of the other one to its end', async () => {
      const [here, there] = two()
      const run = here.session.send('first')
      const call = await here.model.next()
      const followed = there.runtime.runs.get(run.runId).result
      call.text('one')
      call.finish()
      expect(await followed).toMatchObject({ text: 'one' })
    })

    test('refuse with session-busy while the other one runs', async () => {
      const [here, there] = two()
      here.session.send('first')
      const call = await here.model.next()
      const refused = there.session.send('second', { whenBusy: 'reject' })
      await expect(refused.result).rejects.toMatchObject({ code: 'session-busy' })
      call.finish()
    })

    test('withdraw an input that waits for the other one', async () => {
      const [here, there] = two()
      const first = here.session.send('first')
      const call = await here.model.next()
      const second = there.session.send('second')
      await there.heard.when('input-queued')
      second.abort()
      await expect(second.result).rejects.toMatchObject({ name: 'AbortError' })
      call.finish()
      await first.result
      expect(here.heard.of('run-started')).toHaveLength(1)
    })

    test('take over when the other one dies, without a word of the dead one getting through', async () => {
      const store = makeStore()
      const alive = mortal(store)
      const [here, there] = [start(alive), start(mortal(store))]
      const cut = here.session.send('first')
      const call = await here.model.next()
      call.text('Half')
      await here.heard.when('text-delta')
      await there.session.view.ready
      const seen = record(there.session)
      alive.die()
      call.text('of it')
      call.finish()
      const { approval } = await seen.when('approval-requested')
      await answer(there.runtime, approval, { decision: 'resume' })
      const next = await there.model.next()
      next.text('Whole')
      next.finish()
      expect(await there.runtime.runs.get(cut.runId).result).toMatchObject({ text: 'Whole' })
      const all = record(there.session, { since: 0 })
      await all.when('run-completed')
      expect(all.of('assistant-message-committed')).toHaveLength(1)
      expectOrder(all.events)
    })
  })
}
