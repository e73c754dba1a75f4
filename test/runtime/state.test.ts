import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import type { ToolContext } from '../../src/agent/tool.ts'
import { type ManualModel, manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

type Does = (context: ToolContext, input: { n?: number | undefined }) => unknown

/** A runtime whose one tool does what the test says. */
function start(store: Store, does: Does, options: Partial<AgentDefinition> = {}) {
  const model = manualModel()
  const note = tool({
    inputSchema: z.object({ n: z.number().optional() }),
    execute: async (input, context) => (await does(context, input)) ?? 'done',
  })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, ...options, tools: { note } }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

async function calls(model: ManualModel, ...inputs: readonly { id: string; n?: number }[]) {
  const call = await model.next()
  for (const { id, ...input } of inputs) call.toolCall('note', input, id)
  call.finish(inputs.length > 0 ? 'tool-calls' : 'stop')
  return call
}

const storedIn = async (store: Store) => (await store.readSession('trip', { messages: 0 }))?.state?.value

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)("a session's state, %s,", (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  test('is there for the next call, the next run and the next runtime', async () => {
    const store = newStore()
    const seen: unknown[] = []
    const does: Does = ({ getState, setState }) => {
      seen.push(getState())
      setState({ count: (getState<{ count: number }>()?.count ?? 0) + 1 })
    }
    const first = start(mortal(store), does)
    const run = first.session.send('Count')
    await calls(first.model, { id: 'a' })
    await calls(first.model, { id: 'b' })
    await calls(first.model)
    await run.result
    const second = first.session.send('Once more')
    await calls(first.model, { id: 'c' })
    await calls(first.model)
    await second.result
    await first.runtime.close()
    const next = start(store, does)
    const third = next.session.send('And again')
    await calls(next.model, { id: 'd' })
    await calls(next.model)
    await third.result
    expect(seen).toEqual([undefined, { count: 1 }, { count: 2 }, { count: 3 }])
    expect(await storedIn(store)).toEqual({ count: 4 })
  })

  test('is stored in one step with the result of the call that set it', async () => {
    const store = newStore()
    const reached = door()
    const alive = mortal(store)
    const first = start(alive, async ({ setState }, { n }) => {
      setState(n)
      if (n === 2) await reached.pass()
    })
    first.session.send('Set it')
    await calls(first.model, { id: 'a', n: 1 }, { id: 'b', n: 2 })
    await first.heard.when('tool-execution-finished')
    await reached.reached
    expect(await storedIn(store)).toBe(1)
    alive.die()
    const seen: unknown[] = []
    const next = start(store, ({ getState }) => seen.push(getState()), { toolPolicy: { note: { idempotent: true } } })
    await calls(next.model)
    await next.heard.when('run-completed')
    expect(seen).toEqual([1])
    expect(await storedIn(store)).toBe(1)
  })

  test('goes with the session, and is cleared by undefined', async () => {
    const store = newStore()
    const { model, session } = start(store, ({ setState }, { n }) => setState(n))
    const run = session.send('Set it')
    await calls(model, { id: 'a', n: 1 })
    await calls(model, { id: 'b' })
    const call = await model.next()
    expect(await storedIn(store)).toBeUndefined()
    call.toolCall('note', { n: 3 }, 'c')
    call.finish('tool-calls')
    await calls(model)
    await run.result
    expect(await storedIn(store)).toBe(3)
    await session.delete()
    const anew = session.send('Anew')
    await calls(model)
    await anew.result
    expect(await storedIn(store)).toBeUndefined()
  })
})

describe('what a tool sets', () => {
  test.each<[string, Partial<AgentDefinition>, Does]>([
    [
      'and throws',
      {},
      ({ setState }) => {
        setState('half')
        throw new Error('No')
      },
    ],
    [
      'and then takes too long for',
      { toolPolicy: { note: { timeout: 1 } } },
      ({ setState }) => {
        setState('half')
        return new Promise(() => {})
      },
    ],
    ['is too large, and so it fails', {}, ({ setState }) => setState('x'.repeat(70_000))],
  ])('%s, is not stored', async (_, options, does) => {
    const store = memoryStore()
    const { model, session, heard } = start(store, does, options)
    const run = session.send('Set it')
    await calls(model, { id: 'a' })
    await calls(model)
    await run.result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'failure' }])
    expect(await storedIn(store)).toBeUndefined()
    expectOrder(heard.events)
  })

  test('in a call that is cut by a stop is not stored, and nor is what it sets afterwards', async () => {
    const store = memoryStore()
    const reached = door()
    const late: unknown[] = []
    const { model, session } = start(store, async ({ setState }) => {
      setState('half')
      await reached.pass()
      try {
        setState('late')
      } catch (error) {
        late.push(error)
      }
    })
    const run = session.send('Set it')
    await calls(model, { id: 'a' })
    await reached.reached
    await run.stop()
    reached.open()
    await expect.poll(() => late).toMatchObject([{ code: 'aborted' }])
    expect(await storedIn(store)).toBeUndefined()
  })

  test('after it gave its result is refused', async () => {
    const store = memoryStore()
    let keep: ToolContext | undefined
    const { model, session } = start(store, (context) => {
      keep = context
    })
    const run = session.send('Set it')
    await calls(model, { id: 'a' })
    await calls(model)
    await run.result
    expect(() => keep?.setState(1)).toThrow(expect.objectContaining({ code: 'aborted' }))
    expect(await storedIn(store)).toBeUndefined()
  })

  test('beside another call is seen by it, and the last to set wins, whichever ends last', async () => {
    const store = memoryStore()
    const doors = { a: door(), b: door() }
    const seen: unknown[] = []
    const { model, session, heard } = start(store, async ({ getState, setState, toolCallId }) => {
      seen.push(getState())
      setState(toolCallId)
      await doors[toolCallId as 'a' | 'b'].pass()
    })
    const run = session.send('Set it')
    await calls(model, { id: 'a' }, { id: 'b' })
    await doors.b.reached
    doors.b.open()
    await heard.when('tool-execution-finished')
    doors.a.open()
    await calls(model)
    await run.result
    expect(seen).toEqual([undefined, 'a'])
    expect(await storedIn(store)).toBe('b')
  })
})

describe('instructions that are a function', () => {
  const systemOf = (prompt: LanguageModelV4Prompt) => (prompt[0]?.role === 'system' ? prompt[0].content : undefined)

  test('are made before each turn, from the state as it is then', async () => {
    const contexts: unknown[] = []
    const { model, session } = start(memoryStore(), ({ setState }, { n }) => setState({ n }), {
      instructions: ({ signal, ...context }) => {
        contexts.push(context)
        return Promise.resolve(signal.aborted ? '' : `State: ${JSON.stringify(context.state)}`)
      },
    })
    const run = session.send('Go', { metadata: { user: 'u1' } })
    const first = await calls(model, { id: 'a', n: 1 })
    const second = await calls(model, { id: 'b', n: 2 })
    const third = await calls(model)
    await run.result
    expect([first, second, third].map(({ options }) => systemOf(options.prompt))).toEqual([
      'State: undefined',
      'State: {"n":1}',
      'State: {"n":2}',
    ])
    const shared = { sessionId: 'trip', runId: run.runId, agent: 'assistant', metadata: { user: 'u1' } }
    expect(contexts[2]).toEqual({ ...shared, state: { n: 2 } })
  })

  test('that are blank are left out', async () => {
    const { model, session } = start(memoryStore(), () => {}, { instructions: () => '' })
    session.send('Go')
    const { options } = await calls(model)
    expect(options.prompt.map(({ role }) => role)).toEqual(['user'])
  })

  test.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('no weather')
      },
      'no weather',
    ],
    ['rejects', () => Promise.reject(new Error('no network')), 'no network'],
    ['gives no string', () => 5, 'it gave number'],
  ])('one that %s ends the run as failed, by its name', async (_, instructions, why) => {
    const { session, model, heard } = start(memoryStore(), () => {}, { instructions: instructions as () => string })
    const error = await session.send('Go').result.catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining(why) })
    expect(error.message).toContain('instructions function of the agent "assistant"')
    expect(model.calls).toEqual([])
    expectOrder(heard.events)
  })

  test('that never come don’t keep a run from ending', async () => {
    const asked = door()
    let aborted = false
    const { session } = start(memoryStore(), () => {}, {
      instructions: ({ signal }) => {
        signal.addEventListener('abort', () => (aborted = true))
        return asked.pass('never')
      },
    })
    const run = session.send('Go')
    await asked.reached
    expect(await run.stop()).toMatchObject({ status: 'stopped' })
    expect(aborted).toBe(true)
  })
})
