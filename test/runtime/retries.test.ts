import { APICallError } from '@ai-sdk/provider'
import { AgentError } from 'turnloop'
import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { finish, manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { hooked, mortal } from './stores.ts'

type Turns = Parameters<typeof scriptedModel>[0]
type Options = Partial<Omit<AgentDefinition, 'name' | 'model' | 'tools'>>

const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })

function start(turns: Turns, options: Options = {}, store: Store = memoryStore(), clock = manualClock()) {
  const model = scriptedModel(turns, { usage: { inputTokens: 10, outputTokens: 1 } })
  const agent = defineAgent({ name: 'assistant', model, tools: { echo }, ...options })
  const runtime = createRuntime(agent, { store, ...clock })
  const session = runtime.session('trip')
  return { model, runtime, session, clock, heard: record(session) }
}

/** Lets every pause pass as soon as somebody sleeps; gives the pauses. */
function passing(clock: ReturnType<typeof manualClock>) {
  const pauses: number[] = []
  const sleep = (milliseconds: number, signal: AbortSignal) => {
    pauses.push(milliseconds)
    clock.advance(milliseconds)
    return signal.aborted ? Promise.reject(signal.reason) : Promise.resolve()
  }
  return { pauses, sleep, now: clock.now }
}

const failing = (thrown: unknown) => () => Promise.reject(thrown)
const refused = () => failing(new TypeError('Failed to fetch'))

describe('an attempt that failed is made again', () => {
  const kinds: readonly (readonly [string, Turns[number]])[] = [
    ['a connection that was refused', refused()],
    ['a connection that was lost in mid-answer', reply.drop('Half an')],
    ['an answer that ended as interrupted', reply.all(reply.text('Half'), reply.finish({ reason: 'interrupted' }))],
    ...[408, 409, 429, 500, 503].map((status) => [`HTTP ${status}`, reply.fail(status)] as const),
    ['an error in mid-answer', reply.all(reply.text('Half'), reply.fail(503))],
  ]
  test.each(kinds)('after %s', async (_, failed) => {
    const clock = passing(manualClock())
    const model = scriptedModel([failed, failed, reply.text('Whole')])
    const session = createRuntime(defineAgent({ name: 'a', model }), { store: memoryStore(), ...clock }).session('trip')
    const heard = record(session)
    expect(await session.send('Hi').result).toMatchObject({ text: 'Whole', turns: 1 })
    expect(heard.of('model-started').map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect(clock.pauses).toHaveLength(2)
    for (const { prompt } of model.calls) expect(prompt).toEqual(model.calls[0]?.prompt)
    expectOrder(heard.events)
  })

  const lasting: readonly (readonly [string, Turns[number], string])[] = [
    ['HTTP 400', reply.fail(400), 'bad-request'],
    ['HTTP 404', reply.fail(404), 'bad-request'],
    ['an error of its own', failing(new Error('boom')), 'model-failed'],
    ['a model of another specification', failing(new AgentError('unsupported-model', 'No')), 'unsupported-model'],
  ]
  test.each(lasting)('but not after %s', async (_, failed, code) => {
    const { session, heard, model } = start([failed])
    await expect(session.send('Hi').result).rejects.toMatchObject({ code })
    expect(model.calls).toHaveLength(1)
    expect(heard.of('model-retried')).toEqual([])
  })

  test.each([401, 403])('nor after HTTP %i, which stops the run, fallbacks or not', async (status) => {
    const other = scriptedModel([reply.text('Other')])
    const { session, model } = start([reply.fail(status)], { fallbacks: [other] })
    expect(await session.send('Hi').result).toMatchObject({ status: 'stopped', reason: 'credentials' })
    expect(model.calls).toHaveLength(1)
    expect(other.calls).toEqual([])
  })

  test('nor an answer that a content filter ended', async () => {
    const { session, model } = start([reply.all(reply.text('Half'), reply.finish({ reason: 'content-filter' }))])
    expect(await session.send('Hi').result).toMatchObject({ status: 'completed', finishReason: 'content-filter' })
    expect(model.calls).toHaveLength(1)
  })

  test('when the model fell silent', async () => {
    const { session, model, clock } = start([reply.hang(), reply.text('Whole')], { modelTimeout: { firstPart: 20 } })
    const run = session.send('Hi')
    clock.advance(await clock.asleep())
    expect(await run.result).toMatchObject({ text: 'Whole' })
    expect(model.calls).toHaveLength(2)
  })

  test('as often as the agent says, and then the run fails with what it last failed with, and keeps that answer', async () => {
    const clock = passing(manualClock())
    const { session, heard, model } = start(
      [reply.fail(500), reply.fail(503), reply.drop('First half'), reply.drop('Second half')],
      { retry: { attempts: 4, baseDelay: 100, maxDelay: 150 } },
      memoryStore(),
      clock as never,
    )
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'model-interrupted' })
    expect(model.calls).toHaveLength(4)
    expect(heard.of('model-retried').map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect(clock.pauses).toEqual(heard.of('model-retried').map(({ delay }) => delay))
    for (const [at, most] of [100, 150, 150].entries()) expect(clock.pauses[at]).toBeLessThanOrEqual(most)
    const committed = heard.of('assistant-message-committed').map(({ message }) => message)
    expect(committed).toMatchObject([{ metadata: { status: 'partial' }, parts: [{ text: 'Second half' }] }])
    expect(heard.of('message-voided')).toHaveLength(3)
    expectOrder(heard.events)
  })
})

describe('the pause between two attempts', () => {
  test('is as long as the endpoint says, and shown', async () => {
    const { session, heard, clock } = start([reply.fail(429, { 'retry-after': '7' }), reply.text('Hello')])
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.send('Hi')
    const retried = await heard.when('model-retried')
    expect(retried).toMatchObject({ attempt: 1, delay: 7000, error: { code: 'rate-limited', retryAfter: 7000 } })
    expect(retried.error).toBeInstanceOf(AgentError)
    expect(await clock.asleep()).toBe(7000)
    const retrying = { phase: 'retrying', attempt: 1, retryAt: clock.now() + 7000, turn: 1 }
    await expect.poll(() => session.view.getSnapshot().run).toMatchObject(retrying)
    clock.advance(6999)
    expect(await clock.asleep()).toBe(1)
    clock.advance(1)
    expect(await run.result).toMatchObject({ text: 'Hello' })
    expect((await session.view.ready).run).toBeUndefined()
  })

  test('is not waited for, nor followed by an attempt, where the run is to stop after the turn', async () => {
    const { session, heard, clock, model, runtime } = start([
      reply.fail(429, { 'retry-after': '40' }),
      reply.text('Hi'),
    ])
    const run = session.send('Hello')
    await heard.when('model-retried')
    await clock.asleep()
    expect(await run.stop({ after: 'turn' })).toMatchObject({ status: 'stopped', reason: 'requested', turns: 0 })
    expect(model.calls).toHaveLength(1)
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed', text: 'Hi', turns: 1 })
    expectOrder(heard.events)
  })

  test('is shown to who joins in it', async () => {
    const { runtime, session, clock, heard } = start([reply.fail(429, { 'retry-after-ms': '50' }), reply.text('Hello')])
    const run = session.send('Hi')
    await heard.when('model-retried')
    const retryAt = (await clock.asleep()) + clock.now()
    clock.advance(20)
    const { view } = runtime.session('trip')
    expect((await view.ready).run).toMatchObject({ phase: 'retrying', attempt: 1, retryAt })
    const joining = record(session, { since: 0 })
    expect(await joining.when('model-retried')).toMatchObject({ attempt: 1, delay: 30 })
    clock.advance(30)
    await run.result
  })

  test('is shown in another tab', async () => {
    const store = memoryStore()
    const { session, clock } = start([reply.fail(429, { 'retry-after': '7' }), reply.text('Hello')], {}, store)
    const there = start([], {}, store, clock)
    onTestFinished(there.session.view.subscribe(() => {}))
    await there.session.view.ready
    const run = session.send('Hi')
    const retrying = { runId: run.runId, phase: 'retrying', attempt: 1, retryAt: clock.now() + 7000 }
    await expect.poll(() => there.session.view.getSnapshot().run).toMatchObject(retrying)
    const [retried] = there.heard.of('model-retried')
    expect(retried?.error).toBeInstanceOf(AgentError)
    // Who joins there late sees it too.
    expect((await there.runtime.session('trip').view.ready).run).toMatchObject(retrying)
    clock.advance(7000)
    await run.result
  })

  test('may be given as a date, on the clock of the runtime', async () => {
    const { session, heard, clock } = start([
      reply.fail(503, { 'retry-after': new Date(manualClock().now() + 4000).toUTCString() }),
      reply.text('Hello'),
    ])
    const run = session.send('Hi')
    expect(await heard.when('model-retried')).toMatchObject({ delay: 4000 })
    clock.advance(4000)
    await run.result
  })

  test('is none where the endpoint asks for more than is waited for: the run fails at once', async () => {
    const { session, model } = start([reply.fail(429, { 'retry-after': '3600' })])
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'rate-limited', retryAfter: 3_600_000 })
    expect(model.calls).toHaveLength(1)
  })

  test.each(['stop', 'abort'] as const)('ends at once by %s', async (how) => {
    const { session, heard, clock, model } = start([reply.drop('Half a')])
    const run = session.send('Hi')
    await clock.asleep()
    await session[how]()
    if (how === 'stop') expect(await run.result).toMatchObject({ status: 'stopped', reason: 'requested', text: '' })
    else await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(model.calls).toHaveLength(1)
    // The attempt was dropped: nothing of it is kept.
    expect(heard.of('assistant-message-committed')).toEqual([])
    expectOrder(heard.events)
  })

  test('that a run was stopped in is not made up for: the resumed run asks at once', async () => {
    const { session, runtime, clock } = start([reply.fail(500), reply.text('Hello')])
    const run = session.send('Hi')
    await clock.asleep()
    await run.stop()
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ text: 'Hello' })
  })

  test('lets the next attempt hear who steered the run meanwhile', async () => {
    const { session, clock, model } = start([reply.fail(500), reply.text('Hello')])
    const run = session.send('Hi')
    await clock.asleep()
    const { delivered } = await run.steer('And be quick')
    await delivered
    clock.advance(10_000)
    expect(await run.result).toMatchObject({ text: 'Hello', turns: 1 })
    expect(model.calls[1]?.prompt.at(-1)).toMatchObject({ role: 'user', content: [{ text: 'And be quick' }] })
  })
})

describe('a dropped attempt', () => {
  test('is void: no view shows it, no prompt has it, and the next one has a message of its own', async () => {
    const { session, heard, clock, model } = start([reply.drop('Half of it'), reply.text('Whole'), reply.text('Next')])
    onTestFinished(session.view.subscribe(() => {}))
    const run = session.send('Hi')
    await heard.when('text-delta')
    await clock.asleep()
    await expect.poll(() => session.view.getSnapshot().messages.map(({ role }) => role)).toEqual(['user'])
    clock.advance(10_000)
    await run.result
    const [first, second] = heard.of('model-started')
    expect(heard.of('message-voided').map(({ messageId }) => messageId)).toEqual([first?.messageId])
    expect(heard.of('model-retried').map(({ messageId }) => messageId)).toEqual([first?.messageId])
    expect(second?.messageId).not.toBe(first?.messageId)
    expect((await session.view.ready).messages).toMatchObject([
      { role: 'user' },
      { id: second?.messageId, parts: [{ text: 'Whole' }] },
    ])
    await session.send('Again').result
    expect(JSON.stringify(model.calls[2]?.prompt)).not.toContain('Half')
  })

  test('that said nothing at all is not told of', async () => {
    let tries = 0
    const model = scriptedModel([reply.text('Hello')])
    const agent = defineAgent({
      name: 'a',
      model: () => (tries++ === 0 ? Promise.reject(new TypeError('Failed to fetch the module')) : model),
    })
    const session = createRuntime(agent, { store: memoryStore(), ...passing(manualClock()) }).session('trip')
    const heard = record(session)
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(heard.of('message-voided')).toEqual([])
    expect(heard.of('model-retried')).toMatchObject([{ error: { code: 'unreachable' } }])
  })

  test('is paid for, and is no turn', async () => {
    const usage = { inputTokens: 100, outputTokens: 20 }
    const half = reply.all(reply.text('Half'), reply.finish({ reason: 'interrupted', usage }))
    const { session, clock, heard } = start([half, reply.text('Whole')], { limits: { maxTurns: 1 } })
    const run = session.send('Hi')
    clock.advance(await clock.asleep())
    expect(await run.result).toMatchObject({
      status: 'completed',
      turns: 1,
      usage: { inputTokens: 110, outputTokens: 21 },
    })
    expect((await session.view.ready).usage).toMatchObject({ inputTokens: 110, outputTokens: 21 })
    const recorded = heard.of('usage-recorded')
    expect(recorded.map(({ usage }) => usage.inputTokens)).toEqual([100, 10])
    expect(recorded.map(({ run }) => run.inputTokens)).toEqual([100, 110])
    expectOrder(heard.events)
  })

  const stores = [
    ['in memory', memoryStore],
    ...(globalThis.indexedDB ? [['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })] as const] : []),
  ] as const
  test.each(stores)('does not come back with the death of its owner, %s', async (_, makeStore) => {
    const store = makeStore()
    onTestFinished(() => store.close())
    const alive = mortal(store)
    const model = manualModel()
    const clock = manualClock()
    const there = createRuntime(defineAgent({ name: 'assistant', model }), { store: alive, ...clock })
    const run = there.session('trip').send('Hi')
    const call = await model.next()
    call.text('Half')
    const draft = async () => (await store.readSession('trip', { messages: 0 }))?.draft
    await expect.poll(draft).toBeDefined()
    call.write(finish('interrupted'))
    call.end()
    await clock.asleep()
    await expect.poll(draft).toBeUndefined()
    alive.die()
    const here = createRuntime(defineAgent({ name: 'assistant', model: scriptedModel([reply.text('Whole')]) }), {
      store,
      ...clock,
    })
    const heard = record(here.session('trip'))
    expect(await here.runs.get(run.runId).result).toMatchObject({ text: 'Whole', turns: 1 })
    // The next leg asks at once.
    expect(heard.of('model-started')).toMatchObject([{ attempt: 1 }])
    expect(heard.of('message-voided')).toEqual([])
  })
})

describe('the limits of a run', () => {
  const half = reply.all(
    reply.text('Half'),
    reply.finish({ reason: 'interrupted', usage: { inputTokens: 90, outputTokens: 10 } }),
  )

  test('count dropped attempts too: there is none beyond them, and what is left is for the resume', async () => {
    const { session, heard, model, clock } = start([half, half, reply.text('Whole')], { limits: { maxTokens: 150 } })
    const run = session.send('Hi')
    clock.advance(await clock.asleep())
    expect(await run.result).toMatchObject({
      status: 'stopped',
      reason: 'tokens',
      turns: 0,
      usage: { inputTokens: 180 },
    })
    expect(model.calls).toHaveLength(2)
    expect(heard.of('assistant-message-committed')).toEqual([])
    expectOrder(heard.events)
  })

  test('may be raised in between: the turn then has all its attempts again', async () => {
    const { session, heard, runtime } = start([half, reply.text('Whole')], {
      limits: { maxTokens: 50 },
      onLimit: 'ask',
    })
    const run = session.send('Hi')
    const { approval } = await heard.when('approval-requested')
    await answer(runtime, approval, { decision: 'extend', by: 1000 })
    expect(await run.result).toMatchObject({ text: 'Whole', turns: 1 })
    expect(heard.of('turn-started').map(({ turn }) => turn)).toEqual([1, 1])
    expectOrder(heard.events)
  })

  test('end it in the midst of a pause, too', async () => {
    const failed = reply.fail(429, { 'retry-after': '10' })
    const { session, clock } = start([failed], { limits: { maxDuration: 4000 } })
    const run = session.send('Hi')
    expect(await clock.asleep()).toBe(4000)
    clock.advance(4000)
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'deadline' })
  })
})

describe('no attempt is made again once a tool of the turn has started', () => {
  test('since all of them come before', async () => {
    const clock = passing(manualClock())
    const started = vi.fn()
    const count = tool({ inputSchema: z.object({}), execute: () => started() ?? 'counted' })
    const half: Reply = reply.all(reply.call('count', {}), reply.drop())
    const model = scriptedModel([half, reply.call('count', {}), reply.fail(500), reply.text('Done')])
    const agent = defineAgent({ name: 'a', model, tools: { count } })
    const session = createRuntime(agent, { store: memoryStore(), ...clock }).session('trip')
    const heard = record(session)
    expect(await session.send('Go').result).toMatchObject({ text: 'Done', turns: 2 })
    // The call of the dropped attempt was whole, and was never carried out.
    expect(started).toHaveBeenCalledTimes(1)
    expect(heard.of('model-retried').map(({ turn }) => turn)).toEqual([1, 2])
    expect(problemsOf(model.calls[3]?.prompt ?? [])).toEqual([])
    expectOrder(heard.events)
  })

  test('also not by who goes on after a death: its tools are carried out, and the model is not asked anew', async () => {
    const store = memoryStore()
    const alive = mortal(
      hooked(store, (method, args, call) => {
        const calls = (args[0] as { readonly calls?: readonly unknown[] })?.calls
        if (method !== 'commit' || !calls?.length) return call()
        // The tool may have started.
        return call().then(() => alive.die())
      }),
    )
    const model = () => scriptedModel([reply.call('echo', { n: 1 }), reply.text('Done')])
    const clock = manualClock()
    const idempotent = { echo: { idempotent: true } }
    const there = createRuntime(defineAgent({ name: 'a', model: model(), tools: { echo }, toolPolicy: idempotent }), {
      store: alive,
      ...clock,
    })
    const run = there.session('trip').send('Go')
    await expect.poll(async () => (await store.readCalls(run.runId)).length).toBe(1)
    const after = scriptedModel([reply.fail(500), reply.text('Done')])
    const here = createRuntime(defineAgent({ name: 'a', model: after, tools: { echo }, toolPolicy: idempotent }), {
      store,
      ...passing(clock),
    })
    const heard = record(here.session('trip'))
    expect(await here.runs.get(run.runId).result).toMatchObject({ text: 'Done', turns: 2 })
    const order = heard.kinds().filter((kind) => kind === 'tool-execution-finished' || kind === 'model-started')
    expect(order).toEqual(['tool-execution-finished', 'model-started', 'model-started'])
    expect(after.calls[0]?.prompt.at(-1)).toMatchObject({ role: 'tool' })
  })
})

test('what can not work is refused when the agent is defined', () => {
  const model = scriptedModel([])
  const refusing = (definition: object) => () => defineAgent({ name: 'a', model, ...definition } as never)
  for (const definition of [
    { retry: { attempts: 0 } },
    { retry: { baseDelay: -1 } },
    { retry: { maxRetryAfter: '60' } },
    { fallbacks: model },
    { fallbacks: [undefined] },
    { onModelError: 'retry' },
    { offline: 'never' },
  ])
    expect(refusing(definition)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  const old = { ...model, specificationVersion: 'v3' }
  expect(() => createRuntime(defineAgent({ name: 'a', model, fallbacks: [old as never] }))).toThrow(/specification v3/)
  expect(() => createRuntime(defineAgent({ name: 'a', model, fallbacks: ['none'] }))).toThrow(
    /There is no model "none"/,
  )
})

test('an error that a provider marks as lasting is not tried again', async () => {
  const error = new APICallError({
    message: 'No',
    url: 'https://model.invalid',
    requestBodyValues: {},
    statusCode: 500,
    isRetryable: false,
  })
  const { session, model } = start([failing(error)])
  await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'overloaded', recoverable: false })
  expect(model.calls).toHaveLength(1)
})
