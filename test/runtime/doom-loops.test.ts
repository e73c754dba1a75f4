import type { ToolSet } from '@ai-sdk/provider-utils'
import { connect } from 'turnloop'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, serve, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import type { Change } from '../../src/sessions/store.ts'
import { problemsOf } from './check-prompt.ts'
import { type ManualModel, manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, hooked, type MortalStore, mortal } from './stores.ts'

type Options = Pick<AgentDefinition, 'onDoomLoop' | 'doomLoop' | 'limits' | 'toolPolicy'>

/** A runtime with tools that note each start. */
function start(store: Store, options: Options = {}, starts: string[] = []) {
  const model = manualModel()
  const make = (name: string, policy: object = {}) =>
    tool({
      ...policy,
      inputSchema: z.object({ q: z.string().optional(), n: z.number().optional() }),
      execute: (_, { toolCallId }) => {
        starts.push(toolCallId)
        return name
      },
    })
  const web = {
    type: 'provider',
    isProviderExecuted: true,
    supportsDeferredResults: true,
    id: 'mock.web',
    args: {},
    inputSchema: z.object({}),
  } as unknown as ToolSet[string]
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const tools = {
    search: make('search'),
    read: make('read'),
    clock: make('clock', { repeatable: true }),
    form,
    web,
  }
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools, ...options }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, starts, heard: record(session) }
}

/** One turn of the model: the calls that it makes, as `name id`. */
async function turn(model: ManualModel, ...calls: readonly string[]) {
  const call = await model.next()
  expect(problemsOf(call.options.prompt)).toEqual([])
  for (const made of calls) {
    const [name = '', id = ''] = made.split(' ')
    call.toolCall(name, {}, id)
  }
  call.finish(calls.length > 0 ? 'tool-calls' : 'stop')
  return call
}

/** A run whose third call in a row, `c`, is the same as the two before. */
async function looping(store: Store, options: Options = {}) {
  const started = start(store, options)
  const run = started.session.send('Find it')
  for (const id of ['a', 'b', 'c']) await turn(started.model, `search ${id}`)
  return { ...started, run }
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('a call that is the third of its kind in a row, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  test('is not carried out before a person was asked', async () => {
    const { heard, run, starts, runtime, session } = await looping(newStore())
    onTestFinished(session.view.subscribe(() => {}))
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({
      reason: 'doom-loop',
      title: expect.stringContaining('“search” 3 times in a row'),
      runId: run.runId,
      toolCallId: 'c',
      toolName: 'search',
      input: {},
      repetitions: 3,
      description: 'The model called “search” 3 times in a row with the same input.',
    })
    await heard.when('run-waiting')
    expect(heard.of('doom-loop-detected')).toMatchObject([{ toolName: 'search', repetitions: 3 }])
    expect(heard.of('run-waiting')).toMatchObject([{ waitingFor: 'approval' }])
    expect(starts).toEqual(['a', 'b'])
    expect(await runtime.approvals.ready).toMatchObject([{ id: approval.id }])
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({ run: { phase: 'waiting', waitingFor: 'approval' }, approvals: [{ id: approval.id }] })
    expectOrder(heard.events)
  })

  test('starts once a person lets it; after three more somebody is asked again', async () => {
    const { heard, starts, runtime, model } = await looping(newStore())
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'allow-once' })
    for (const id of ['d', 'e', 'f']) await turn(model, `search ${id}`)
    const again = await heard.nth(2, 'approval-requested')
    expect(again.approval).toMatchObject({ toolCallId: 'f', repetitions: 3 })
    expect(starts).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(heard.of('doom-loop-detected')).toHaveLength(2)
  })

  test('gets an error result, with the reason, where a person says no; the next one is asked about at once', async () => {
    const { heard, starts, runtime, model, run } = await looping(newStore())
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'deny', reason: 'You have it already' })
    const { options } = await turn(model, 'search d')
    expect(options.prompt.at(-1)?.content).toMatchObject([
      {
        toolCallId: 'c',
        output: { type: 'error-text', value: 'The user refused this repeated call: You have it already' },
      },
    ])
    const again = await heard.nth(2, 'approval-requested')
    expect(again.approval).toMatchObject({ toolCallId: 'd', repetitions: 4 })
    await answer(runtime, again.approval, { decision: 'deny' })
    const last = await turn(model)
    expect(last.options.prompt.at(-1)?.content).toMatchObject([
      { output: { value: 'The user refused this repeated call.' } },
    ])
    expect(await run.result).toMatchObject({ status: 'completed' })
    expect(starts).toEqual(['a', 'b'])
    expectOrder(heard.events)
  })

  test('ends the run where a person says so', async () => {
    const { heard, starts, runtime, run, session, model } = await looping(newStore())
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'abort' })
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'aborted' }])
    expect(await runtime.approvals.ready).toEqual([])
    session.send('Something else')
    await turn(model)
    expect(starts).toEqual(['a', 'b'])
    expectOrder(heard.events)
  })

  test('stays a question over restarts, and any tab may answer it', async () => {
    const store = newStore()
    const alive = mortal(store)
    const { heard } = await looping(alive)
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting')
    alive.die()
    const access = mortal(store)
    const between = start(access)
    expect(await between.runtime.approvals.ready).toMatchObject([{ id: approval.id }])
    access.die()
    const owner = start(mortal(store))
    await owner.runtime.sessions.list()
    const other = start(mortal(store))
    const all = record(other.session, { since: 0 })
    await answer(other.runtime, approval, { decision: 'allow-once' })
    await Promise.race([turn(owner.model), turn(other.model)])
    await all.when('run-completed')
    expect([...owner.starts, ...other.starts]).toEqual(['c'])
    expect(all.of('doom-loop-detected')).toHaveLength(1)
    expect(all.of('approval-requested')).toHaveLength(1)
    expectOrder(all.events)
  })
})

describe('a yes to a loop', () => {
  /** A runtime that holds the start of the call `c` up, with a call before it in the same turn; and the question about it. */
  async function beforeStart(alive: MortalStore, calls: readonly string[]) {
    const starting = door()
    const held = hooked(alive, (method, [change], call) =>
      method === 'commit' && (change as Change).calls?.[0]?.toolCallId === 'c' ? starting.pass().then(call) : call(),
    )
    const { session, model, heard, runtime } = start(held, { toolPolicy: { clock: { serial: true } } })
    session.send('Find it')
    for (const made of [['search a'], ['search b'], calls]) await turn(model, ...made)
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting')
    await answer(runtime, approval, { decision: 'allow-once' })
    await starting.reached
    alive.die()
  }

  test.each([
    ['alone in its turn', ['search c']],
    ['after another call of its turn', ['clock r', 'search c']],
  ])('that was not used before a death, %s, is asked for again; the loop is not told again', async (_, calls) => {
    const store = memoryStore()
    await beforeStart(mortal(store), calls)
    const next = start(store)
    const all = record(next.session, { since: 0 })
    const again = await all.nth(2, 'approval-requested')
    expect(again.approval).toMatchObject({ reason: 'doom-loop', toolCallId: 'c', repetitions: 3 })
    expect(all.of('doom-loop-detected')).toHaveLength(1)
    expect(next.starts).toEqual([])
    await all.nth(2, 'run-waiting')
    await answer(next.runtime, again.approval, { decision: 'allow-once' })
    await turn(next.model)
    expect(next.starts).toEqual(['c'])
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('that was used is not asked for again after a death', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const { heard, runtime, model } = await looping(alive)
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'allow-once' })
    await turn(model, 'search d')
    await model.next()
    alive.die()
    const next = start(store)
    await turn(next.model, 'search e')
    await turn(next.model)
    expect(next.starts).toEqual(['e'])
  })
})

describe('a no to a loop', () => {
  test('holds for all calls of the turn that go on with it, and outlasts a death', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const { heard, runtime, model, session } = start(alive)
    session.send('Find it')
    await turn(model, 'search a', 'search b', 'search c', 'search d', 'form f')
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ toolCallId: 'c' })
    await answer(runtime, approval, { decision: 'deny' })
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'tool-results')
    alive.die()
    // A page with tools takes up whatever waits, to see whether it waits for them.
    const claimed = door()
    const next = start(hooked(store, (method, _, call) => call().finally(() => method === 'claim' && claimed.pass())))
    const { port1, port2 } = new MessageChannel()
    serve(next.runtime, port2)
    const page = connect(port1, { pageTools: { other: () => '' } as never })
    onTestFinished(() => page.close())
    claimed.open()
    await page.sessions.list()
    await claimed.reached
    await store.whenFree('trip')
    await next.session.addToolOutput({ tool: 'form', toolCallId: 'f', output: 'filled in' } as never)
    const { options } = await turn(next.model)
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'a', output: { type: 'text' } },
      { toolCallId: 'b', output: { type: 'text' } },
      { toolCallId: 'c', output: { type: 'error-text' } },
      { toolCallId: 'd', output: { type: 'error-text' } },
      { toolCallId: 'f', output: { type: 'text', value: 'filled in' } },
    ])
    const all = record(next.session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('approval-requested')).toHaveLength(1)
    // Taken up only to see that it still waits, nothing is said anew.
    expect(all.of('run-waiting').map(({ waitingFor }) => waitingFor)).toEqual(['approval', 'tool-results'])
    expectOrder(all.events)
  })

  test('is bounded in what it says, and knows no other decisions', async () => {
    const { heard, runtime, model } = await looping(memoryStore())
    const { approval } = await heard.when('approval-requested')
    for (const wrong of [{ decision: 'allow-always' }, { decision: 'retry' }, {}, undefined])
      await expect(answer(runtime, approval, wrong as never)).rejects.toMatchObject({ code: 'invalid-argument' })
    await answer(runtime, approval, { decision: 'deny', reason: 'x'.repeat(10_000) })
    const { options } = await turn(model)
    expect(JSON.stringify(options.prompt.at(-1)?.content).length).toBeLessThan(3000)
  })
})

describe('a question about a loop', () => {
  test('is withdrawn where somebody gives the result of its call', async () => {
    const { heard, model, session, runtime } = start(memoryStore())
    session.send('Ask')
    await turn(model, 'form a', 'form b', 'form c')
    const { approval } = await heard.when('approval-requested')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'form', toolCallId: 'c', output: 'c' } as never)
    const resolved = await heard.when('approval-resolved')
    expect(resolved).toMatchObject({ approvalId: approval.id, answer: { decision: 'withdrawn' } })
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'tool-results')
    for (const toolCallId of ['a', 'b'])
      await session.addToolOutput({ tool: 'form', toolCallId, output: toolCallId } as never)
    await turn(model)
    await heard.when('run-completed')
    expect(heard.of('approval-resolved')).toHaveLength(1)
    expect(await runtime.approvals.ready).toEqual([])
    expectOrder(heard.events)
  })

  test('is not asked where the run is to stop after the turn; a resumed run asks it', async () => {
    const { heard, runtime, model, session, starts } = start(memoryStore())
    const run = session.send('Find it')
    await turn(model, 'search a', 'search b')
    const call = await model.next()
    const stopped = run.stop({ after: 'turn' })
    await runtime.sessions.list()
    call.toolCall('search', {}, 'c')
    call.finish('tool-calls')
    expect(await stopped).toMatchObject({ status: 'stopped', reason: 'requested' })
    expect(heard.of('approval-requested', 'doom-loop-detected')).toEqual([])
    runtime.runs.resume(run.runId)
    expect((await heard.when('approval-requested')).approval).toMatchObject({ reason: 'doom-loop', toolCallId: 'c' })
    expect(starts).toEqual(['a', 'b'])
  })

  test('does not hinder a stop; a resumed run asks anew', async () => {
    const { heard, runtime, run, starts } = await looping(memoryStore())
    await heard.when('run-waiting')
    expect(await run.stop()).toMatchObject({ status: 'stopped', reason: 'requested' })
    runtime.runs.resume(run.runId)
    await heard.when('run-started', ({ resumed }) => resumed === true)
    await heard.nth(2, 'run-waiting')
    expect(await runtime.approvals.ready).toMatchObject([{ reason: 'doom-loop', toolCallId: 'c' }])
    expect(starts).toEqual(['a', 'b'])
    expect(heard.of('doom-loop-detected')).toHaveLength(1)
  })

  test('is withdrawn, once a stop has left it, by the run that rewinds the session', async () => {
    for (const edits of [true, false]) {
      const { heard, runtime, run, session, starts, model } = await looping(memoryStore())
      const { approval } = await heard.when('approval-requested')
      await run.stop()
      const [user] = (await session.view.ready).messages
      const next = edits ? session.send('Find more', { replaces: user?.id ?? '' }) : session.regenerate()
      const { options } = await turn(model, 'search d')
      expect(options.prompt).toMatchObject([{ role: 'user', content: [{ text: edits ? 'Find more' : 'Find it' }] }])
      // What is hidden is no part of a loop.
      await turn(model, 'search e')
      await turn(model)
      expect(await next.result).toMatchObject({ status: 'completed', turns: 3 })
      expect(starts).toEqual(['a', 'b', 'd', 'e'])
      expect(heard.of('approval-resolved')).toMatchObject([
        { approvalId: approval.id, answer: { decision: 'withdrawn' } },
      ])
      expect(await runtime.approvals.ready).toEqual([])
      expectOrder(heard.events)
    }
  })
})

describe('a loop', () => {
  test('may go over several calls, in one turn or in many; nothing of the turn starts before', async () => {
    const { heard, starts, model, session } = start(memoryStore())
    session.send('Find it')
    await turn(model, 'search 1', 'read 2')
    await turn(model, 'search 3')
    await turn(model, 'read 4')
    await turn(model, 'search 5', 'read 6')
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({
      toolCallId: '6',
      toolName: 'read',
      description: 'The model went 3 times through the same 2 steps: “search”, “read”.',
    })
    expect(starts).toEqual(['1', '2', '3', '4'])
  })

  test('is made of calls that can’t be carried out, too', async () => {
    const { heard, model, session, runtime } = start(memoryStore())
    session.send('Find it')
    for (const id of ['a', 'b', 'c']) await turn(model, `unknown ${id}`)
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ toolName: 'unknown', dynamic: true })
    await answer(runtime, approval, { decision: 'allow-once' })
    const { options } = await turn(model)
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { output: { type: 'error-text', value: expect.stringContaining('There is no tool') } },
    ])
  })

  test('begins anew with what a person says, as the next message or in mid-run', async () => {
    const { heard, starts, model, session } = start(memoryStore())
    const first = session.send('Find it')
    await turn(model, 'search a')
    await turn(model, 'search b')
    const call = await model.next()
    await first.steer('In Lisbon')
    call.toolCall('read', {}, 'r')
    call.finish('tool-calls')
    await turn(model, 'search c')
    await turn(model, 'search d')
    await turn(model)
    session.send('Once more')
    await turn(model, 'search e')
    await turn(model, 'search f')
    await turn(model)
    await heard.nth(2, 'run-completed')
    expect(starts).toEqual(['a', 'b', 'r', 'c', 'd', 'e', 'f'])
    expect(heard.of('doom-loop-detected')).toEqual([])
  })

  test('is never that of a repeatable tool', async () => {
    const { heard, starts, model, session } = start(memoryStore(), { toolPolicy: { read: { repeatable: true } } })
    session.send('What time is it?')
    for (const id of ['1', '2', '3', '4']) await turn(model, `clock ${id}`, `read r${id}`)
    await turn(model)
    await heard.when('run-completed')
    expect(starts).toHaveLength(8)
    expect(heard.of('doom-loop-detected')).toEqual([])
  })

  test('is found by the thresholds of the agent, and not at all where they are off', async () => {
    const low = start(memoryStore(), { doomLoop: { repetitions: 2, longestCycle: 1 } })
    low.session.send('Find it')
    for (const id of ['a', 'b']) await turn(low.model, `search ${id}`)
    expect((await low.heard.when('approval-requested')).approval).toMatchObject({ toolCallId: 'b', repetitions: 2 })
    const off = await looping(memoryStore(), { doomLoop: false })
    await turn(off.model, 'search d')
    await turn(off.model)
    expect(off.starts).toEqual(['a', 'b', 'c', 'd'])
  })

  test('of answers that neither speak nor call stops the run, whatever the agent does about others', async () => {
    for (const onDoomLoop of ['ask', 'stop', 'warn'] as const) {
      const { heard, model, session, runtime } = start(memoryStore(), { onDoomLoop })
      const run = session.send('Say something')
      // The provider owes a result: until it comes, the model is asked on.
      const owing = await model.next()
      owing.write({ type: 'tool-call', toolCallId: 'w', toolName: 'web', input: '{}', providerExecuted: true })
      owing.finish()
      const silent = async () => {
        const call = await model.next()
        call.write({ type: 'reasoning-start', id: 'r' }, { type: 'reasoning-end', id: 'r' })
        call.finish()
      }
      for (let n = 0; n < 3; n++) await silent()
      expect(await run.result, onDoomLoop).toMatchObject({ status: 'stopped', reason: 'doom-loop' })
      expect(heard.of('doom-loop-detected')).toMatchObject([
        { repetitions: 3, description: 'The model neither spoke nor called a tool, 3 times in a row.' },
      ])
      expect(heard.of('doom-loop-detected')[0]).not.toHaveProperty('toolName')
      const resumed = runtime.runs.resume(run.runId)
      const call = await model.next()
      call.write({ type: 'tool-result', toolCallId: 'w', toolName: 'web', result: { hits: 1 } })
      call.text('Sorry')
      call.finish()
      expect(await resumed.result).toMatchObject({ status: 'completed', text: 'Sorry' })
    }
  })
})

describe('onDoomLoop: stop', () => {
  test('stops the run before the call; who resumes it lets the call start', async () => {
    const { heard, runtime, run, starts, model } = await looping(memoryStore(), { onDoomLoop: 'stop' })
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'doom-loop' })
    expect(heard.of('doom-loop-detected')).toMatchObject([{ toolName: 'search', repetitions: 3 }])
    expect(heard.of('approval-requested')).toEqual([])
    expect(starts).toEqual(['a', 'b'])
    const resumed = runtime.runs.resume(run.runId)
    await turn(model, 'search d')
    await turn(model, 'search e')
    await turn(model, 'search f')
    expect(await resumed.result).toMatchObject({ status: 'stopped', reason: 'doom-loop' })
    expect(starts).toEqual(['a', 'b', 'c', 'd', 'e'])
    expectOrder(heard.events)
  })

  test('is stopped again where the owner died before the call that was let start', async () => {
    const store = memoryStore()
    const { run } = await looping(mortal(store), { onDoomLoop: 'stop' })
    await run.result
    const alive = mortal(store)
    const starting = door()
    const second = start(
      hooked(alive, (method, [change], call) =>
        method === 'commit' && (change as Change).calls?.length ? starting.pass().then(call) : call(),
      ),
      { onDoomLoop: 'stop' },
    )
    second.runtime.runs.resume(run.runId)
    await starting.reached
    alive.die()
    const third = start(store, { onDoomLoop: 'stop' })
    expect(await third.runtime.runs.get(run.runId).result).toMatchObject({ status: 'stopped', reason: 'doom-loop' })
    expect([...second.starts, ...third.starts]).toEqual([])
  })

  test('leaves its call to the next message, closed', async () => {
    const { run, session, model, starts } = await looping(memoryStore(), { onDoomLoop: 'stop' })
    await run.result
    session.send('Leave it')
    const { options } = await turn(model)
    expect(options.prompt.slice(-2)).toMatchObject([
      { role: 'tool', content: [{ toolCallId: 'c', output: { type: 'error-text' } }] },
      { role: 'user' },
    ])
    expect(starts).toEqual(['a', 'b'])
  })
})

describe('onDoomLoop: warn', () => {
  test('tells the model in place of a result, at each repetition, and carries the other calls out', async () => {
    const { heard, starts, model, run } = await looping(memoryStore(), { onDoomLoop: 'warn' })
    const warned = await turn(model, 'search d', 'read e')
    expect(warned.options.prompt.at(-1)?.content).toMatchObject([
      {
        toolCallId: 'c',
        output: {
          type: 'error-text',
          value: expect.stringMatching(/“search” 3 times in a row .*was not carried out.*something else/),
        },
      },
    ])
    const again = await turn(model)
    expect(again.options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'd', output: { type: 'error-text', value: expect.stringContaining('4 times') } },
      { toolCallId: 'e', output: { type: 'text', value: 'read' } },
    ])
    expect(await run.result).toMatchObject({ status: 'completed' })
    expect(starts).toEqual(['a', 'b', 'e'])
    expect(heard.of('doom-loop-detected').map(({ repetitions }) => repetitions)).toEqual([3, 4])
    expectOrder(heard.events)
  })

  test('of a model that does not listen ends with its turns', async () => {
    const { model, run, starts, heard } = await looping(memoryStore(), { onDoomLoop: 'warn', limits: { maxTurns: 6 } })
    for (const id of ['d', 'e', 'f']) await turn(model, `search ${id}`)
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'max-turns' })
    expect(starts).toEqual(['a', 'b'])
    expect(heard.of('doom-loop-detected')).toHaveLength(4)
  })
})

test('thresholds and answers to loops that can’t be are refused at the definition', () => {
  const model = manualModel()
  for (const wrong of [
    { onDoomLoop: 'never' },
    { doomLoop: { repetitions: 1 } },
    { doomLoop: { repetitions: 2.5 } },
    { doomLoop: { longestCycle: 0 } },
  ])
    expect(() => defineAgent({ name: 'assistant', model, ...(wrong as object) })).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringContaining(Object.keys(wrong)[0] ?? ''),
      }),
    )
})
