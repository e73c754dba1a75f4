import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, drafted, hooked, mortal } from './stores.ts'

function start(store: Store = memoryStore(), options: Pick<AgentDefinition, 'resume'> = {}) {
  const model = manualModel()
  const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work }, ...options }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

describe('what is said to a run with steer', () => {
  test('is heard at its next turn, after the results of the calls', async () => {
    const { session, model, heard } = start()
    const run = session.send('first')
    const call = await model.next()
    const { inputId } = await run.steer('in French, please')
    expect((await session.view.ready).queue).toMatchObject([{ inputId, text: 'in French, please', mode: 'steer' }])
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    const next = await model.next()
    expect(next.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    expect(next.options.prompt.at(-1)?.content).toMatchObject([{ text: 'in French, please' }])
    expect(problemsOf(next.options.prompt)).toEqual([])
    next.finish()
    expect(await run.result).toMatchObject({ status: 'completed', turns: 2 })
    expect(heard.of('input-delivered').map(({ mode }) => mode)).toEqual(['queue', 'steer'])
    expect((await session.view.ready).queue).toEqual([])
    expectOrder(heard.events)
  })

  test('is heard although the run was about to be complete', async () => {
    const { session, model, heard } = start()
    const run = session.send('first')
    const call = await model.next()
    await run.steer('one more thing')
    call.text('Done')
    call.finish()
    const next = await model.next()
    expect(next.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    next.text('And that')
    next.finish()
    expect(await run.result).toMatchObject({ status: 'completed', text: 'And that', turns: 2 })
    expectOrder(heard.events)
  })

  test('while its last answer is being committed is heard, too', async () => {
    const store = memoryStore()
    const committing = door()
    const held = hooked(store, async (method, [change], call) => {
      const { run } = (change ?? {}) as { run?: { status: string } }
      if (method === 'commit' && run?.status === 'completed') await committing.pass()
      return call()
    })
    const here = start(held)
    const there = start(mortal(store))
    const run = here.session.send('first')
    const call = await here.model.next()
    call.text('Done')
    call.finish()
    await committing.reached
    await there.runtime.runs.get(run.runId).steer('wait')
    committing.open()
    const next = await here.model.next()
    expect(next.options.prompt.at(-1)?.content).toMatchObject([{ text: 'wait' }])
    next.finish()
    expect(await run.result).toMatchObject({ status: 'completed', turns: 2 })
    expectOrder(here.heard.events.filter(({ kind }) => kind !== 'input-queued'))
  })

  test('while its own input is being committed comes after that', async () => {
    const committing = door()
    const store = hooked(memoryStore(), async (method, _, call) => {
      if (method === 'commit') await committing.pass()
      return call()
    })
    const { session, model, heard } = start(store)
    const run = session.send('first')
    await committing.reached
    await run.steer('second')
    committing.open()
    const call = await model.next()
    expect(call.options.prompt.map(({ content }) => content)).toMatchObject([[{ text: 'first' }], [{ text: 'second' }]])
    call.finish()
    await run.result
    const stored = await store.readMessages('trip', {})
    expect(stored.map(({ index, role }) => [index, role])).toEqual([
      [0, 'user'],
      [1, 'user'],
      [2, 'assistant'],
    ])
    expectOrder(heard.events)
  })

  test('by another tab is applied once', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    const run = here.session.send('first')
    const call = await here.model.next()
    await Promise.all([run.steer('one'), there.runtime.runs.get(run.runId).steer('two')])
    call.finish()
    const next = await here.model.next()
    const texts = next.options.prompt.slice(-2).map(({ content }) => (content as { text: string }[])[0]?.text)
    expect(texts.sort()).toEqual(['one', 'two'])
    next.finish()
    await run.result
    expect(await store.readInbox('trip')).toEqual([])
  })

  test('outlasts the death of its owner', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive)
    const run = first.session.send('first')
    await first.model.next()
    await run.steer('in French, please')
    alive.die()
    const { model, runtime } = start(store)
    await runtime.sessions.list()
    const call = await model.next()
    expect(call.options.prompt).toMatchObject([
      { content: [{ text: 'first' }] },
      { content: [{ text: 'in French, please' }] },
    ])
    call.finish()
    expect(await runtime.runs.get(run.runId).result).toMatchObject({ status: 'completed' })
  })

  test('spoils no session where it waits as its owner dies in mid-answer and nobody goes on with the run', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive)
    const run = first.session.send('first')
    ;(await first.model.next()).text('Half')
    await expect.poll(() => drafted(store)).toBeGreaterThan(0)
    await run.steer('in French')
    alive.die()
    const second = mortal(store)
    await record(start(second, { resume: 'never' }).session, { since: 0 }).when('run-stopped')
    second.die()
    const third = start(store)
    const next = third.session.send('next')
    const call = await Promise.race([third.model.next(), next.result.then(() => undefined)])
    expect(problemsOf(call?.options.prompt ?? [])).toEqual([])
    expect(call?.options.prompt.at(-1)?.content).toMatchObject([{ text: 'next' }])
    call?.finish()
    expect(await next.result).toMatchObject({ status: 'completed' })
    const all = record(third.session, { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('goes from the view with the run that it was said to', async () => {
    const { session, model } = start()
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.send('first')
    ;(await model.next()).text('Half')
    await run.steer('in French')
    await expect.poll(() => session.view.getSnapshot().queue).toMatchObject([{ mode: 'steer' }])
    await run.stop()
    await expect.poll(() => session.view.getSnapshot()).toMatchObject({ status: 'ready', queue: [] })
    expect(session.view.getSnapshot().run).toBeUndefined()
  })

  test('is refused, typed, where the run has ended, is unknown, or the input is empty', async () => {
    const { session, model, runtime } = start()
    const run = session.send('first')
    const call = await model.next()
    await expect(run.steer(' ')).rejects.toMatchObject({ code: 'invalid-input' })
    call.finish()
    await run.result
    await expect(run.steer('too late')).rejects.toMatchObject({ code: 'not-resumable' })
    await expect(runtime.runs.get('nobody').steer('hello')).rejects.toMatchObject({ code: 'unknown-run' })
  })
})
