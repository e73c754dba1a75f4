import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition, Model } from '../../src/agent/define-agent.ts'
import { noUsage } from '../../src/sessions/records.ts'
import { manualClock } from './clock.ts'
import { finish, manualModel } from './manual-model.ts'
import { answer, record } from './record.ts'
import { door, drafted, hooked, mortal } from './stores.ts'

const million = 1_000_000
/** A cost of 1 for a token in, 0.1 for one from the cache, 10 for one out. */
const price = { input: million, cachedInput: million / 10, output: million * 10 }
const prices = { 'scripted-model': price, 'manual-model': price }

type Options = Partial<Pick<AgentDefinition, 'limits' | 'onLimit' | 'prices' | 'budget' | 'resume' | 'retry'>> & {
  readonly store?: Store
  readonly clock?: ReturnType<typeof manualClock>
  readonly models?: Readonly<Record<string, Model>>
  readonly override?: Model
}

function start<M extends Model | string>(
  model: M,
  { store = memoryStore(), clock = manualClock(), models, override, ...options }: Options = {},
) {
  const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
  const agent = defineAgent({
    name: 'assistant',
    model,
    tools: { work },
    prices,
    doomLoop: false,
    retry: { attempts: 1 },
    ...options,
  })
  const runtime = createRuntime(agent, {
    store,
    now: clock.now,
    sleep: clock.sleep,
    ...(models && { models }),
    ...(override && { model: override }),
  })
  const session = runtime.session('trip')
  return { runtime, session, clock, store, heard: record(session) }
}

const used = (inputTokens: number, outputTokens = 0, cachedInputTokens = 0) =>
  reply.finish({ usage: { inputTokens, outputTokens, cachedInputTokens } })
const saying = (text: string, ...tokens: readonly [number, number?, number?]) =>
  reply.all(reply.text(text), used(...tokens))
const calling = (...tokens: readonly [number, number?, number?]) => reply.all(reply.call('work', {}), used(...tokens))
const tokens = (inputTokens: number, outputTokens: number) => ({ inputTokens, outputTokens })

describe('what the calls of a model used', () => {
  test('is told with its cost per turn, run and session, in events, ends, results and views', async () => {
    const model = scriptedModel([calling(10, 1), saying('One', 20, 2, 10), saying('Two', 5, 0)])
    const { session, heard, runtime } = start(model)
    const first = await session.send('Go').result
    expect(first).toMatchObject({ usage: tokens(30, 3), cost: 20 + 41 - 10 })
    const [a, b] = heard.of('usage-recorded')
    expect(a).toMatchObject({ usage: tokens(10, 1), cost: 20, run: tokens(10, 1), runCost: 20, sessionCost: 20 })
    expect(b).toMatchObject({
      usage: tokens(20, 2),
      cost: 31,
      run: tokens(30, 3),
      runCost: 51,
      session: tokens(30, 3),
      sessionCost: 51,
    })
    expect(a).not.toHaveProperty('estimated')
    expect(await heard.when('run-completed')).toMatchObject({ usage: tokens(30, 3), cost: 51 })
    expect(await session.send('On').result).toMatchObject({ usage: tokens(5, 0), cost: 5 })
    expect(heard.of('usage-recorded').at(-1)).toMatchObject({ runCost: 5, sessionCost: 56 })
    expect(await session.view.ready).toMatchObject({ usage: tokens(35, 3), cost: 56 })
    expect(await runtime.runs.get(first.runId).result).toMatchObject({ cost: 51 })
  })

  test('is in the view of a run while it goes on, also for who joins late or after a reload', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const model = manualModel()
    const { session, runtime } = start(model, { store: alive })
    const live = session.view
    const leave = live.subscribe(() => {})
    const { runId } = session.send('Go')
    const call = await model.next()
    call.toolCall('work', {}, 'c')
    call.write(finish('tool-calls', 10, 1))
    call.end()
    await model.next()
    const run = { runId, usage: tokens(10, 1), cost: 20 }
    await expect.poll(() => live.getSnapshot().run).toMatchObject(run)
    expect((await runtime.session('trip').view.ready).run).toMatchObject(run)
    leave()
    alive.die()
    const later = start(manualModel(), { store, resume: 'ask' })
    await later.heard.when('approval-requested')
    expect((await later.session.view.ready).run).toMatchObject(run)
    const resumed = start(manualModel(), { store })
    void resumed.runtime.runs.resume(runId)
    expect(await resumed.heard.when('run-started')).toMatchObject({ resumed: true, usage: tokens(10, 1), cost: 20 })
  })

  test('has no cost where a model has no price, and none before anything was called', async () => {
    const { session, heard } = start(scriptedModel([saying('One', 10), saying('Two', 10)]), { prices: {} })
    expect(await session.view.ready).not.toHaveProperty('cost')
    const output = await session.send('Go').result
    expect(output).not.toHaveProperty('cost')
    for (const event of heard.of('usage-recorded', 'run-completed')) {
      expect(event).not.toHaveProperty('cost')
      expect(event).not.toHaveProperty('runCost')
    }
    expect(await session.view.ready).not.toHaveProperty('cost')
  })

  test('has no cost any more once one call had no price, though later ones have', async () => {
    const store = memoryStore()
    await start(scriptedModel([saying('One', 10)]), { store, prices: {} }).session.send('Go').result
    const { session, heard } = start(scriptedModel([saying('Two', 10)]), { store })
    expect(await session.send('On').result).toMatchObject({ cost: 10 })
    expect(heard.of('usage-recorded').at(-1)).toMatchObject({ cost: 10, runCost: 10 })
    expect(heard.of('usage-recorded').at(-1)).not.toHaveProperty('sessionCost')
    expect(await session.view.ready).not.toHaveProperty('cost')
  })

  test('is priced by the name that a model was asked for, else by its id; in tests by that of the model it stands for', async () => {
    const named = scriptedModel([saying('One', 10), saying('Two', 10)], { modelId: 'other' })
    const models = { fast: named }
    const byName = start('fast', { models, prices: { fast: { input: 2 * million, output: 0 }, other: price } })
    expect(await byName.session.send('Go').result).toMatchObject({ cost: 20 })
    const byId = start('fast', { models, prices: { other: price } })
    expect(await byId.session.send('Go').result).toMatchObject({ cost: 10 })
    const override = scriptedModel([saying('One', 10), saying('Two', 10)], { modelId: 'double' })
    const limits = { maxCost: 100 }
    const inPlace = start(scriptedModel([]), { override, limits })
    expect(await inPlace.session.send('Go').result).toMatchObject({ cost: 10 })
    const inPlaceOfName = start('fast', { override, models, limits, prices: { fast: price } })
    expect(await inPlaceOfName.session.send('Go').result).toMatchObject({ cost: 10 })
  })

  test('fails the run before the model is called where its cost is limited and it turns out to have no price', async () => {
    const model = scriptedModel([saying('Never', 10)], { modelId: 'late' })
    const { session } = start(() => model, { limits: { maxCost: 5 } })
    await expect(session.send('Go').result).rejects.toMatchObject({
      code: 'unknown-price',
      message: expect.stringContaining('"late"'),
    })
    expect(model.calls).toEqual([])
  })
})

describe('a call without reported usage is booked at its estimate', () => {
  const history = 'A question of about a dozen words, which the model is asked here.'
  const text = 'Half an answer, of some words'

  test('where a stop, an abort or the connection cuts it', async () => {
    for (const how of ['stop', 'abort', 'drop'] as const) {
      const model = manualModel()
      const { session, heard, store } = start(model)
      const run = session.send(history)
      const call = await model.next()
      call.text(text)
      await heard.when('text-delta')
      if (how === 'stop') void run.stop()
      else if (how === 'abort') run.abort()
      else call.fail(new TypeError('network error'))
      const booked = await heard.when('usage-recorded')
      expect(booked, how).toMatchObject({ estimated: true, run: booked.usage, session: booked.usage })
      expect(booked.usage.inputTokens, how).toBeGreaterThan(10)
      expect(booked.usage.outputTokens, how).toBeGreaterThan(4)
      expect(booked.cost).toBe(booked.usage.inputTokens + 10 * booked.usage.outputTokens)
      await run.result.catch(() => {})
      expect(await store.readSpend('2026-01-15')).toMatchObject({ usage: booked.usage, cost: booked.cost })
    }
  })

  test('where the provider leaves out the whole, or one side of it', async () => {
    const unknown = {
      total: undefined,
      noCache: undefined,
      cacheRead: undefined,
      cacheWrite: undefined,
      text: undefined,
      reasoning: undefined,
    }
    for (const [input, output] of [
      [undefined, undefined],
      [7, undefined],
      [undefined, 7],
      [Number.NaN, Number.POSITIVE_INFINITY],
      [-5, -5],
    ]) {
      const model = manualModel()
      const { session, heard } = start(model)
      const run = session.send(history)
      const call = await model.next()
      call.text(text)
      call.write({
        type: 'finish',
        finishReason: { unified: 'stop', raw: 'stop' },
        usage: { inputTokens: { ...unknown, total: input }, outputTokens: { ...unknown, total: output } },
      })
      call.end()
      const { usage } = await run.result
      if (input === 7) expect(usage.inputTokens).toBe(7)
      else expect(usage.inputTokens).toBeGreaterThan(10)
      expect(usage.outputTokens).toBeGreaterThan(4)
      if (output === 7) expect(usage.outputTokens).toBe(7)
      expect(await heard.when('usage-recorded')).toMatchObject({ estimated: true, usage })
    }
  })

  test('but not where the endpoint refused it, or it was never made', async () => {
    const { session, heard } = start(scriptedModel([reply.fail(400)]))
    await session.send('Go').result.catch(() => {})
    expect(await heard.when('usage-recorded')).toMatchObject({ usage: noUsage })
    const unmade = start(() => Promise.reject(new Error('no chunk')))
    await unmade.session.send('Go').result.catch(() => {})
    expect(await unmade.heard.when('usage-recorded')).toMatchObject({ usage: noUsage })
    for (const { kinds, of } of [heard, unmade.heard]) {
      expect(kinds()).toContain('run-failed')
      expect(of('usage-recorded')[0]).not.toHaveProperty('estimated')
    }
  })

  test('where its owner died: with the leg that goes on, once, whatever it had written', async () => {
    for (const written of ['', text]) {
      const store = memoryStore()
      const alive = mortal(store)
      const saved = door()
      const watching = hooked(alive, async (method, _, call) => {
        const result = await call()
        if (method === 'saveDraft') saved.open()
        return result
      })
      const model = manualModel()
      const first = start(model, { store: watching })
      const { runId } = first.session.send(history)
      const call = await model.next()
      if (written) call.text(written)
      if (written) await expect.poll(() => drafted(store)).toBe(1)
      await saved.pass()
      alive.die()

      const again = manualModel()
      const second = start(again, { store })
      const next = await again.next()
      next.text('All of it')
      next.write(finish('stop', 100, 10))
      next.end()
      const { usage, cost, turns } = await second.runtime.runs.get(runId).result
      const [cut, whole, ...more] = second.heard.of('usage-recorded')
      expect(more).toEqual([])
      expect(cut).toMatchObject({ estimated: true, run: cut?.usage })
      expect((cut?.usage.outputTokens ?? 0) > 4).toBe(written !== '')
      expect(cut?.usage.inputTokens).toBeGreaterThan(10)
      expect(whole).toMatchObject({ usage: tokens(100, 10), run: usage, session: usage, runCost: cost })
      expect(usage.inputTokens).toBe(100 + (cut?.usage.inputTokens ?? 0))
      expect(turns).toBe(1)
      expect(await store.readSpend('2026-01-15')).toMatchObject({ usage, cost })
    }
  })

  test('where its attempt was dropped: once, also where its owner dies before the next one', async () => {
    for (const dies of [false, true]) {
      const store = memoryStore()
      const alive = mortal(store)
      const clock = manualClock()
      const model = manualModel()
      const first = start(model, { store: alive, clock, retry: {} })
      const { runId } = first.session.send(history)
      const call = await model.next()
      call.text(text)
      await expect.poll(() => drafted(store)).toBe(1)
      call.fail(new TypeError('network error'))
      const dropped = await first.heard.when('usage-recorded')
      expect(dropped).toMatchObject({ estimated: true, run: dropped.usage })
      await first.heard.when('model-retried')
      if (dies) alive.die()
      else clock.advance(60_000)
      const again = dies ? manualModel() : model
      const second = dies ? start(again, { store, clock }) : first
      const next = await again.next()
      next.text('All of it')
      next.write(finish('stop', 100, 10))
      next.end()
      const { usage, turns } = await second.runtime.runs.get(runId).result
      expect(turns).toBe(1)
      expect(usage.inputTokens).toBe(100 + dropped.usage.inputTokens)
      expect(usage.outputTokens).toBe(10 + dropped.usage.outputTokens)
      expect(await store.readSpend('2026-01-15')).toMatchObject({ usage })
    }
  })

  test('where its owner died and it does not go on: with its end', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const model = manualModel()
    const first = start(model, { store: alive })
    const { runId } = first.session.send(history)
    const call = await model.next()
    call.text(text)
    await expect.poll(() => drafted(store)).toBe(1)
    alive.die()
    const second = start(manualModel(), { store, resume: 'never' })
    const { usage, reason } = await second.runtime.runs.get(runId).result
    expect(reason).toBe('orphaned')
    expect(usage.inputTokens).toBeGreaterThan(10)
    expect(second.heard.kinds().slice(-2)).toEqual(['usage-recorded', 'run-stopped'])
    expect(await second.session.view.ready).toMatchObject({ usage })
  })

  test('and what is estimated counts against the limits of the run', async () => {
    const model = manualModel()
    const { session, runtime, heard } = start(model, { limits: { maxTokens: 10 } })
    const run = session.send(history)
    const call = await model.next()
    call.text(text)
    await heard.when('text-delta')
    await run.stop()
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ status: 'stopped', reason: 'tokens' })
    expect(model.calls).toHaveLength(1)
  })
})

describe('a budget', () => {
  const long = (turns: number, inputTokens: number): ScriptedTurn[] =>
    Array.from({ length: turns }, () => calling(inputTokens))

  test('of a session holds over its runs', async () => {
    const { session } = start(scriptedModel([saying('One', 60), ...long(9, 20)]), {
      budget: { perSession: { cost: 100 } },
    })
    expect(await session.send('Go').result).toMatchObject({ status: 'completed' })
    expect(await session.send('On').result).toMatchObject({ reason: 'budget', turns: 2, cost: 40 })
    expect(await session.send('On').result).toMatchObject({ reason: 'budget', turns: 0, usage: noUsage })
  })

  test('of a day holds over all sessions and runtimes of the store, and begins anew at midnight UTC', async () => {
    const store = memoryStore()
    const clock = manualClock(Date.UTC(2026, 0, 15, 23, 30))
    const options = { store, clock, budget: { perDay: { tokens: 100 } } }
    const here = start(scriptedModel([saying('One', 60), saying('Late', 60)]), options)
    const there = start(scriptedModel(long(9, 20)), options)
    await here.session.send('Go').result
    expect(await there.runtime.run({ input: 'Go' }).result).toMatchObject({ reason: 'budget', turns: 2 })
    expect(await here.runtime.run({ input: 'On' }).result).toMatchObject({ reason: 'budget', turns: 0 })
    clock.advance(60 * 60_000)
    expect(await here.runtime.run({ input: 'On' }).result).toMatchObject({ status: 'completed', text: 'Late' })
    expect(await store.readSpend('2026-01-16')).toMatchObject({ usage: tokens(60, 0) })
  })

  test('of a day holds in another runtime for a run that goes over midnight UTC, by what it used since', async () => {
    const store = memoryStore()
    const clock = manualClock(Date.UTC(2026, 0, 15, 23, 59))
    const options = { store, clock, budget: { perDay: { tokens: 100 } } }
    const model = manualModel()
    const here = start(model, options)
    const run = here.session.send('Go')
    const answering = async (inputTokens: number, ends = false) => {
      const call = await model.next()
      if (inputTokens === 70) clock.advance(2 * 60_000)
      if (!ends) call.toolCall('work', {}, `call ${inputTokens}`)
      call.write(finish(ends ? 'stop' : 'tool-calls', inputTokens, 0))
      call.end()
    }
    await answering(90)
    // Asked the day before, and booked on the day on which it was answered.
    await answering(70)
    await answering(20, true)
    expect(await run.result).toMatchObject({ status: 'completed', usage: tokens(180, 0) })
    expect(await store.readSpend('2026-01-15')).toMatchObject({ usage: tokens(90, 0) })
    expect(await store.readSpend('2026-01-16')).toMatchObject({ usage: tokens(90, 0) })
    const there = start(scriptedModel(long(9, 15)), options)
    expect(await there.runtime.run({ input: 'Go' }).result).toMatchObject({ reason: 'budget', turns: 1 })
  })

  test('of a day is exceeded by no more than the calls that are in flight', async () => {
    const store = memoryStore()
    const runtimes = Array.from({ length: 4 }, () => {
      const model = scriptedModel(long(50, 10))
      return { ...start(model, { store, budget: { perDay: { tokens: 200 } } }), model }
    })
    const runs = runtimes.flatMap(({ runtime }) => [runtime.run({ input: 'Go' }), runtime.run({ input: 'Go' })])
    for (const { result } of runs) expect(await result).toMatchObject({ reason: 'budget' })
    const spent = (await store.readSpend('2026-01-15'))?.usage.inputTokens
    expect(spent).toBeGreaterThanOrEqual(200)
    expect(spent).toBeLessThan(200 + 10 * runs.length)
  })

  test('that is asked about goes on for that run alone', async () => {
    const { session, runtime, heard } = start(scriptedModel(long(9, 60)), {
      budget: { perSession: { tokens: 100 } },
      onLimit: 'ask',
    })
    const run = session.send('Go')
    const { approval } = await heard.when('approval-requested')
    await answer<'budget'>(runtime, approval, { decision: 'extend', by: 60 })
    const again = await heard.nth(2, 'approval-requested')
    expect(again.approval).toMatchObject({ limit: 'sessionTokens', used: 180, cap: 160 })
    await run.stop()
    session.send('On')
    expect((await heard.nth(3, 'approval-requested')).approval).toMatchObject({ used: 180, cap: 100 })
  })

  test('is not read where there is none', async () => {
    const read: string[] = []
    const store = hooked(memoryStore(), (method, _, call) => {
      read.push(method)
      return call()
    })
    await start(scriptedModel([saying('One', 5)]), { store }).session.send('Go').result
    expect(read).not.toContain('readSpend')
  })
})
