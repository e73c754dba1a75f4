import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { Change } from '../../src/sessions/store.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

interface Start {
  readonly name: string
  readonly toolCallId: string
  readonly key: string
}

/** A runtime with tools that note each start, and hang where `hangs` says so. */
function start(store: Store, starts: Start[], hangs: (name: string, toolCallId: string) => boolean = () => false) {
  const model = manualModel()
  const reached = door()
  const make = (name: string, policy: object) =>
    tool({
      ...policy,
      inputSchema: z.object({ amount: z.number().optional() }),
      outputSchema: z.object({ receipt: z.string() }),
      execute: async (_, { toolCallId, idempotencyKey }) => {
        starts.push({ name, toolCallId, key: idempotencyKey })
        if (hangs(name, toolCallId)) await reached.pass()
        return { receipt: name }
      },
    })
  const tools = {
    pay: make('pay', {}),
    lookup: make('lookup', { idempotent: true }),
    later: make('later', { serial: true }),
  }
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, reached, heard: record(session) }
}

/** A run that died while `pay` was carried out; its `lookup` had finished, its `later` had not started. */
async function diedInPay(store: Store, starts: Start[] = []) {
  const alive = mortal(store)
  const first = start(alive, starts, (name) => name === 'pay')
  const { runId } = first.session.send('Pay it')
  const call = await first.model.next()
  call.toolCall('pay', { amount: 5 }, 'p')
  call.toolCall('lookup', {}, 'l')
  call.toolCall('later', {}, 's')
  call.finish('tool-calls')
  await first.heard.when('tool-execution-finished', ({ toolCallId }) => toolCallId === 'l')
  alive.die()
  return runId
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('a call that had started when its owner died, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }
  const names = (starts: readonly Start[]) => starts.map(({ name }) => name)

  test('is not started again by itself: a person is asked, and the other calls go on', async () => {
    const store = newStore()
    const runId = await diedInPay(store)
    const starts: Start[] = []
    const { runtime, session, heard } = start(store, starts)
    onTestFinished(session.view.subscribe(() => {}))
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({
      reason: 'in-doubt',
      runId,
      sessionId: 'trip',
      path: ['assistant'],
      toolCallId: 'p',
      toolName: 'pay',
      input: { amount: 5 },
      startedAt: expect.any(Number),
    })
    expect(names(starts)).toEqual(['later'])
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({ run: { phase: 'waiting', waitingFor: 'approval' }, approvals: [{ id: approval.id }] })
    expect(await runtime.approvals.ready).toMatchObject([{ id: approval.id }])
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'waiting', approvals: 1 }])
  })

  test('is not asked about again where the owner dies right after the answer was stored', async () => {
    const store = newStore()
    await diedInPay(store)
    const dying = mortal(store)
    const gone = door()
    const asked = start(
      hooked(dying, async (method, [change], call) => {
        const result = await call()
        const { events = [] } = (method === 'commit' ? change : {}) as Partial<Change>
        if (!events.some(({ kind }) => kind === 'approval-resolved')) return result
        dying.die()
        gone.open()
        return new Promise(() => {})
      }),
      [],
    )
    const { approval } = await asked.heard.when('approval-requested')
    void answer(asked.runtime, approval, { decision: 'abandon' })
    await gone.pass()
    // No page with tools comes, and nobody says anything.
    const { model, runtime } = start(store, [])
    void runtime.info.ready
    const { options } = await model.next()
    expect(problemsOf(options.prompt)).toEqual([])
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'p' },
      { toolCallId: 'l' },
      { toolCallId: 's' },
    ])
  })

  test('is started once more where a person says so, under the same key', async () => {
    const store = newStore()
    const before: Start[] = []
    await diedInPay(store, before)
    const starts: Start[] = []
    const { runtime, session, model, heard } = start(store, starts)
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'retry' })
    const { options } = await model.next()
    expect(problemsOf(options.prompt)).toEqual([])
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'p', output: { type: 'json', value: { receipt: 'pay' } } },
      { toolCallId: 'l' },
      { toolCallId: 's' },
    ])
    expect(names(starts)).toEqual(['later', 'pay'])
    expect(starts[1]?.key).toBe(before.find(({ name }) => name === 'pay')?.key)
    const all = record(session, { since: 0 })
    await all.when('tool-message-committed')
    expectOrder(all.events)
    expect(await store.readApprovals()).toEqual([])
  })

  test('gets the result that a person gives, and does not run', async () => {
    const store = newStore()
    await diedInPay(store)
    const starts: Start[] = []
    const { runtime, model, heard } = start(store, starts)
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'supply-result', output: { receipt: 'found in the mail' } })
    const { options } = await model.next()
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'p', output: { type: 'json', value: { receipt: 'found in the mail' } } },
      {},
      {},
    ])
    expect(names(starts)).toEqual(['later'])
  })

  test('is told to the model as of unknown outcome where a person gives it up', async () => {
    const store = newStore()
    await diedInPay(store)
    const starts: Start[] = []
    const { runtime, model, heard } = start(store, starts)
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'abandon' })
    const { options } = await model.next()
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'p', output: { type: 'error-text', value: expect.stringMatching(/outcome is unknown/) } },
      {},
      {},
    ])
    expect(names(starts)).toEqual(['later'])
    expect(heard.of('tool-execution-finished').at(-1)).toMatchObject({ toolCallId: 'p', outcome: 'failure' })
  })
})

describe('a call in doubt', () => {
  test('of an idempotent tool just runs again, under the same key', async () => {
    const store = memoryStore()
    const before: Start[] = []
    const alive = mortal(store)
    const first = start(alive, before, (name) => name === 'lookup')
    first.session.send('Look')
    const call = await first.model.next()
    call.toolCall('lookup', {}, 'l')
    call.finish('tool-calls')
    await first.reached.reached
    alive.die()
    const starts: Start[] = []
    const { model, heard } = start(store, starts)
    const { options } = await model.next()
    expect(options.prompt.at(-1)?.content).toMatchObject([{ toolCallId: 'l', output: { type: 'json' } }])
    expect(starts).toEqual(before)
    expect(heard.of('approval-requested')).toEqual([])
  })

  test('takes one answer, whoever gives it: the second is refused', async () => {
    const store = memoryStore()
    await diedInPay(store)
    const [here, there] = [start(mortal(store), []), start(mortal(store), [])]
    const { approval } = await Promise.race([
      here.heard.when('approval-requested'),
      there.heard.when('approval-requested'),
    ])
    const answers = await Promise.allSettled([
      answer(here.runtime, approval, { decision: 'abandon' }),
      answer(there.runtime, approval, { decision: 'retry' }),
      answer(here.runtime, approval, { decision: 'abandon' }),
    ])
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const given of answers)
      if (given.status === 'rejected') expect(given.reason).toMatchObject({ code: 'unknown-approval' })
    await Promise.race([here.model.next(), there.model.next()])
    await expect(answer(here.runtime, approval, { decision: 'retry' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
  })

  test('refuses an answer that its question does not know, and a result that does not fit the tool', async () => {
    const store = memoryStore()
    await diedInPay(store)
    const { runtime, heard } = start(store, [])
    const { approval } = await heard.when('approval-requested')
    for (const wrong of [{ decision: 'resume' }, { decision: 'toString' }, {}, undefined, 'retry'])
      await expect(answer(runtime, approval, wrong as never)).rejects.toMatchObject({ code: 'invalid-argument' })
    for (const output of [{ receipt: 5 }, undefined, 'paid'])
      await expect(answer(runtime, approval, { decision: 'supply-result', output })).rejects.toMatchObject({
        code: expect.stringMatching(/invalid-/),
      })
    await expect(answer(runtime, { ...approval, id: 'other' }, { decision: 'retry' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    expect(await runtime.approvals.ready).toHaveLength(1)
  })

  test('stays a question over restarts, however often its owner dies', async () => {
    const store = memoryStore()
    await diedInPay(store)
    const starts: Start[] = []
    const ids = new Set<string>()
    for (let death = 0; death < 5; death++) {
      const access = mortal(store)
      const { runtime } = start(access, starts)
      await expect.poll(async () => (await runtime.approvals.ready).length).toBe(1)
      for (const { id } of await runtime.approvals.ready) ids.add(id)
      access.die()
    }
    expect(ids.size).toBe(1)
    expect(starts.map(({ name }) => name)).toEqual(['later'])
  })

  test('that a person let run again is asked about anew where the yes was not used before a death', async () => {
    const store = memoryStore()
    await diedInPay(store)
    const starts: Start[] = []
    const hanging = mortal(store)
    const second = start(hanging, starts, (name) => name === 'pay')
    const { approval } = await second.heard.when('approval-requested')
    await answer(second.runtime, approval, { decision: 'retry' })
    await second.reached.reached
    hanging.die()
    const third = start(store, starts)
    const again = await third.heard.when('approval-requested', ({ approval: { id } }) => id !== approval.id)
    expect(again.approval).toMatchObject({ reason: 'in-doubt', toolCallId: 'p' })
    expect(starts.filter(({ name }) => name === 'pay')).toHaveLength(1)
  })

  test('is started again while another one runs, within the same turn', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const before: Start[] = []
    const first = start(alive, before, () => true)
    first.session.send('Pay both')
    const call = await first.model.next()
    call.toolCall('pay', {}, 'p')
    call.toolCall('pay', {}, 'q')
    call.finish('tool-calls')
    await expect.poll(() => before.length).toBe(2)
    alive.die()
    const starts: Start[] = []
    const { runtime, session, model, reached } = start(store, starts, (_, toolCallId) => toolCallId === 'p')
    const heard = record(session, { since: 0 })
    const about = async (toolCallId: string) => {
      const { approval } = await heard.when(
        'approval-requested',
        ({ approval: asked }) => 'toolCallId' in asked && asked.toolCallId === toolCallId,
      )
      return approval
    }
    const [p, q] = [await about('p'), await about('q')]
    await answer(runtime, p, { decision: 'retry' })
    await reached.reached
    await answer(runtime, q, { decision: 'retry' })
    await heard.when('approval-resolved', ({ approvalId }) => approvalId === q.id)
    reached.open()
    const { options } = await model.next()
    expect(options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    expect(problemsOf(options.prompt)).toEqual([])
    expect(options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'p', output: { type: 'json' } },
      { toolCallId: 'q', output: { type: 'json' } },
    ])
    expect(starts.map(({ toolCallId }) => toolCallId)).toEqual(['p', 'q'])
    expect(heard.of('turn-completed')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('is closed as of unknown outcome by a stop, and its question is withdrawn', async () => {
    const store = memoryStore()
    const runId = await diedInPay(store)
    const starts: Start[] = []
    const { runtime, heard, model } = start(store, starts)
    await heard.when('approval-requested')
    expect(await runtime.runs.get(runId).stop()).toMatchObject({ status: 'stopped' })
    expect(heard.of('approval-resolved')).toMatchObject([{ answer: { decision: 'withdrawn' } }])
    expect(await runtime.approvals.ready).toEqual([])
    const resumed = runtime.runs.resume(runId)
    const call = await model.next()
    expect(problemsOf(call.options.prompt)).toEqual([])
    call.finish()
    expect(await resumed.result).toMatchObject({ status: 'completed' })
    expect(starts.map(({ name }) => name)).toEqual(['later'])
  })
})
