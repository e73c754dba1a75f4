import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { type ManualCall, manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

const aborted = { name: 'AbortError' }
const steer = { whenBusy: 'steer' } as const

function start(store: Store = memoryStore(), options: Pick<AgentDefinition, 'resume'> = {}) {
  const model = manualModel()
  const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
  const ask = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work, ask }, ...options }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, store, heard: record(session) }
}

const textsOf = ({ options }: ManualCall) =>
  options.prompt.flatMap(({ role, content }) =>
    role === 'user' ? content.map((part) => (part.type === 'text' ? part.text : '')) : [],
  )

describe('an input sent with whenBusy: "steer"', () => {
  test('is heard by the run that is under way, at its next turn, and its handle follows that run', async () => {
    const { session, model, heard } = start()
    const run = session.send('first')
    const call = await model.next()
    const other = session.send('in French', steer)
    const ownId = other.runId
    const followed = record(other)
    await heard.nth(2, 'input-queued')
    expect((await session.view.ready).queue).toEqual([{ inputId: ownId, text: 'in French', mode: 'steer' }])
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    const next = await model.next()
    expect(next.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    expect(textsOf(next)).toEqual(['first', 'in French'])
    expect(problemsOf(next.options.prompt)).toEqual([])
    expect(other.runId).toBe(run.runId)
    expect((await session.view.ready).queue).toEqual([])
    next.text('Oui')
    next.finish()
    expect(await other.result).toEqual(await run.result)
    expect(await other.result).toMatchObject({ runId: run.runId, text: 'Oui' })
    expect(heard.of('run-started')).toHaveLength(1)
    expect(heard.of('input-delivered')).toMatchObject([
      { mode: 'queue', inputId: run.runId },
      { mode: 'steer', inputId: ownId, runId: run.runId },
    ])
    expect(followed.kinds()).toEqual(expect.arrayContaining(['input-queued', 'input-delivered', 'text-delta']))
    expect(followed.kinds().at(-1)).toBe('run-completed')
    expect(followed.kinds()).not.toContain('run-started')
    expectOrder(heard.events)
  })

  test('starts a run of its own where none is under way', async () => {
    const { session, model, heard } = start()
    const run = session.send('first', steer)
    const ownId = run.runId
    const call = await model.next()
    call.text('Hello')
    call.finish()
    expect(await run.result).toMatchObject({ runId: ownId, text: 'Hello' })
    expect(heard.of('input-queued', 'input-delivered')).toMatchObject([{ mode: 'queue' }, { mode: 'queue' }])
    expectOrder(heard.events)
  })

  test('starts a run of its own where the run under way ends before it has heard it', async () => {
    const { session, model, heard } = start()
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.send('first')
    ;(await model.next()).text('Half')
    const other = session.send('second', steer)
    const ownId = other.runId
    await heard.nth(2, 'input-queued')
    await run.stop()
    const next = await model.next()
    expect(textsOf(next)).toEqual(['first', 'second'])
    await expect.poll(() => session.view.getSnapshot()).toMatchObject({ queue: [], run: { runId: ownId } })
    next.text('All of it')
    next.finish()
    expect(await other.result).toMatchObject({ runId: ownId, text: 'All of it', status: 'completed' })
    expect(heard.of('input-withdrawn')).toEqual([])
    expectOrder(heard.events)
  })

  test('is heard although the run was about to be complete', async () => {
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
    const other = there.session.send('wait', steer)
    await there.heard.when('input-queued', ({ input }) => input === 'wait')
    committing.open()
    const next = await here.model.next()
    expect(textsOf(next)).toEqual(['first', 'wait'])
    next.text('What?')
    next.finish()
    expect(await run.result).toMatchObject({ text: 'What?', turns: 2 })
    expect(await other.result).toEqual(await run.result)
    expect(other.runId).toBe(run.runId)
    expect(there.model.calls).toHaveLength(0)
  })

  test('of another tab is heard by the run here, and the handle there follows it', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    const run = here.session.send('first')
    const call = await here.model.next()
    const other = there.session.send('second', steer)
    const followed = record(other)
    await followed.when('input-queued')
    call.finish()
    const next = await here.model.next()
    expect(textsOf(next)).toEqual(['first', 'second'])
    await followed.when('input-delivered')
    expect(other.runId).toBe(run.runId)
    next.text('Yes')
    next.finish()
    expect(await other.result).toEqual(await run.result)
    expect(followed.kinds().at(-1)).toBe('run-completed')
  })

  test('goes before what is queued, and may be heard by a run that was queued before it', async () => {
    const { session, model } = start()
    const first = session.send('first')
    const call = await model.next()
    const queued = session.send('queued')
    const other = session.send('steers', steer)
    call.fail(new Error('broken'))
    await first.result.catch(() => {})
    const next = await model.next()
    expect(textsOf(next)).toEqual(['first', 'queued', 'steers'])
    next.finish()
    await queued.result
    expect((await other.result).runId).toBe(queued.runId)
  })

  test('waits while the run waits for its calls, and outlasts the death of its owner', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive)
    const run = first.session.send('first')
    const call = await first.model.next()
    call.toolCall('ask', {}, 'a')
    call.finish('tool-calls')
    await first.heard.when('run-waiting')
    first.session.send('second', steer)
    await first.heard.nth(2, 'input-queued')
    alive.die()
    const { model, session, runtime, heard } = start(store)
    await runtime.sessions.list()
    expect((await session.view.ready).queue).toMatchObject([{ text: 'second', mode: 'steer' }])
    await session.addToolOutput({ tool: 'ask', toolCallId: 'a', output: 'yes' })
    const next = await model.next()
    expect(next.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    next.finish()
    await runtime.runs.get(run.runId).result
    expect(heard.of('run-started')).toEqual([])
    expect(await store.readInbox('trip')).toEqual([])
  })

  test('starts a run where the one before was interrupted and does not go on by itself', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start(alive, { resume: 'ask' })
    const run = first.session.send('first')
    await first.model.next()
    alive.die()
    const { model, session, runtime, heard } = start(store, { resume: 'ask' })
    await heard.when('approval-requested')
    const other = session.send('second', steer)
    const call = await model.next()
    expect(textsOf(call)).toEqual(['first', 'second'])
    call.finish()
    const ownId = other.runId
    expect((await other.result).runId).toBe(ownId)
    await expect(runtime.runs.get(run.runId).result).rejects.toMatchObject(aborted)
  })

  test('is taken back by an abort, a disposal or session.withdraw while it waits', async () => {
    const { session, model, heard } = start()
    const run = session.send('first')
    const call = await model.next()
    const [one, two, three] = ['1', '2', '3'].map((input) => session.send(input, steer))
    await heard.nth(4, 'input-queued')
    one?.abort()
    two?.[Symbol.dispose]()
    expect(await session.withdraw(three?.runId ?? '')).toBe(true)
    for (const handle of [one, two, three]) await expect(handle?.result).rejects.toMatchObject(aborted)
    call.finish()
    await run.result
    expect(model.calls).toHaveLength(1)
    expect(heard.of('input-withdrawn')).toHaveLength(3)
  })

  test('leaves a handle that is detached once another run has heard it', async () => {
    const { session, model, heard } = start()
    const run = session.send('first')
    const call = await model.next()
    const other = session.send('second', steer)
    await heard.nth(2, 'input-queued')
    call.finish()
    const next = await model.next()
    other[Symbol.dispose]()
    next.text('Still here')
    next.finish()
    expect(await run.result).toMatchObject({ text: 'Still here' })
    expect(heard.of('run-cancelled')).toEqual([])
  })

  test('gives a handle that stops or aborts the run that has heard it', async () => {
    for (const end of ['stop', 'abort'] as const) {
      const { session, model, heard } = start()
      const run = session.send('first')
      ;(await model.next()).finish()
      await run.result
      const second = session.send('second')
      const call = await model.next()
      const other = session.send('third', steer)
      await heard.nth(3, 'input-queued')
      call.finish()
      await model.next()
      if (end === 'stop') {
        expect(await other.stop()).toMatchObject({ status: 'stopped', runId: second.runId })
      } else {
        other.abort()
        await expect(other.result).rejects.toMatchObject(aborted)
      }
      await second.result.catch(() => {})
      expect(second.finished).toBe(true)
    }
  })

  test('means the run that hears it with an abort that was said before anybody knew', async () => {
    const store = memoryStore()
    const delivering = door()
    const held = hooked(store, async (method, [change], call) => {
      const result = await call()
      const events = (change as { events?: readonly { kind: string; mode?: string }[] } | undefined)?.events ?? []
      if (method === 'commit' && events.some(({ kind, mode }) => kind === 'input-delivered' && mode === 'steer'))
        return delivering.pass(result)
      return result
    })
    const { session, model, heard } = start(held)
    const run = session.send('first')
    const call = await model.next()
    const other = session.send('second', steer)
    await heard.nth(2, 'input-queued')
    call.finish()
    await delivering.reached
    other.abort()
    delivering.open()
    await expect(other.result).rejects.toMatchObject(aborted)
    await expect(run.result).rejects.toMatchObject(aborted)
  })

  test('works for a request that a function makes', async () => {
    const { session, model, runtime } = start()
    const run = session.send('first')
    const call = await model.next()
    const other = runtime.run(() => ({ input: 'second', ...steer }), { session: 'trip' })
    const followed = record(other)
    await followed.when('input-queued')
    call.finish()
    const next = await model.next()
    expect(textsOf(next)).toEqual(['first', 'second'])
    next.finish()
    expect((await other.result).runId).toBe(run.runId)
    expect(followed.kinds()).toContain('input-delivered')
  })

  test('is refused as any input is', async () => {
    const { session, model } = start()
    const run = session.send('first')
    const call = await model.next()
    await expect(session.send(' ', steer).result).rejects.toMatchObject({ code: 'invalid-input' })
    call.finish()
    await run.result
  })
})

describe('the receipt of run.steer', () => {
  test('says when the input was heard', async () => {
    const { session, model } = start()
    const run = session.send('first')
    const call = await model.next()
    const { delivered, inputId } = await run.steer('second')
    let heard = false
    void delivered.then(() => (heard = true))
    await session.view.ready
    expect(heard).toBe(false)
    call.finish()
    await delivered
    const { messages } = await session.view.ready
    expect(messages.map(({ id }) => id)).toContain(inputId)
    ;(await model.next()).finish()
    await run.result
  })

  test('of another tab does, too', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    const run = here.session.send('first')
    const call = await here.model.next()
    const { delivered } = await there.runtime.runs.get(run.runId).steer('second')
    call.finish()
    await delivered
    ;(await here.model.next()).finish()
    await run.result
  })

  test('rejects where the run ended before, and is no unhandled rejection where nobody awaits it', async () => {
    const unhandled: unknown[] = []
    const note = (event: PromiseRejectionEvent) => unhandled.push(event.reason)
    addEventListener('unhandledrejection', note)
    const { session, model } = start()
    const run = session.send('first')
    ;(await model.next()).text('Half')
    const { delivered } = await run.steer('second')
    await run.steer('third')
    await run.stop()
    await expect(delivered).rejects.toMatchObject({ code: 'not-resumable' })
    await new Promise((resolve) => setTimeout(resolve))
    removeEventListener('unhandledrejection', note)
    expect(unhandled).toEqual([])
  })

  test('rejects where the input was taken back, from whichever tab', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    onTestFinished(here.session.view.subscribe(() => {}))
    const run = here.session.send('first')
    const call = await here.model.next()
    const { inputId, delivered } = await run.steer('second')
    await expect.poll(() => here.session.view.getSnapshot().queue).toMatchObject([{ inputId, runId: run.runId }])
    expect(await there.session.withdraw(inputId)).toBe(true)
    await expect(delivered).rejects.toMatchObject(aborted)
    await expect.poll(() => here.session.view.getSnapshot().queue).toEqual([])
    expect(await here.session.withdraw(inputId)).toBe(false)
    call.finish()
    await run.result
    expect(here.model.calls).toHaveLength(1)
  })
})

describe('session.withdraw', () => {
  test('takes back a queued run, and nothing that was heard or is unknown', async () => {
    const { session, model, heard } = start()
    const run = session.send('first')
    const call = await model.next()
    const queued = session.send('second')
    expect(await session.withdraw(queued.runId)).toBe(true)
    await expect(queued.result).rejects.toMatchObject(aborted)
    expect(await session.withdraw(run.runId)).toBe(false)
    expect(await session.withdraw('nobody')).toBe(false)
    call.finish()
    await run.result
    expect(heard.of('input-withdrawn')).toMatchObject([{ inputId: queued.runId }])
  })

  test('and the run that is about to hear the input: one of the two has it', async () => {
    const store = memoryStore()
    for (let round = 0; round < 5; round++) {
      const delivering = door()
      const held = hooked(store, async (method, [change], call) => {
        const events = (change as { events?: readonly { kind: string; mode?: string }[] } | undefined)?.events ?? []
        if (method === 'commit' && events.some(({ kind, mode }) => kind === 'input-delivered' && mode === 'steer'))
          await delivering.pass()
        return call()
      })
      const here = start(mortal(held))
      const run = here.session.send(`first ${round}`)
      const call = await here.model.next()
      const { inputId, delivered } = await run.steer('second')
      call.finish()
      await delivering.reached
      const [withdrawn] = await Promise.all([here.session.withdraw(inputId), delivering.open()])
      const heard = await delivered.then(
        () => true,
        () => false,
      )
      expect(heard).toBe(!withdrawn)
      if (heard) (await here.model.next()).finish()
      expect(await run.result).toMatchObject({ turns: heard ? 2 : 1 })
      await here.runtime.close()
    }
  })
})

test('what is said to a run whose input still waits is heard as it begins', async () => {
  const { session, model } = start()
  const first = session.send('first')
  const call = await model.next()
  const queued = session.send('second')
  const { delivered } = await queued.steer('and in French')
  call.finish()
  await first.result
  const next = await model.next()
  next.finish()
  const last = await model.next()
  await delivered
  expect(textsOf(last)).toEqual(['first', 'second', 'and in French'])
  last.finish()
  await queued.result
})
