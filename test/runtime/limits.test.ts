import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { type Reply, reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import type { Limits } from '../../src/sessions/records.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

const prices = { 'scripted-model': { input: 1, output: 10 } }
const million = 1_000_000

type Options = Partial<Pick<AgentDefinition, 'limits' | 'onLimit' | 'prices' | 'budget' | 'toolPolicy'>> & {
  readonly store?: Store
  readonly clock?: ReturnType<typeof manualClock>
  readonly work?: (input: unknown, context: { readonly abortSignal: AbortSignal }) => unknown
}

function start(turns: readonly ScriptedTurn[], { store, clock = manualClock(), work, ...options }: Options = {}) {
  const model = scriptedModel(turns)
  const done: unknown[] = []
  const worker = tool({
    inputSchema: z.object({ n: z.number().optional() }),
    execute: async (input, context) => {
      done.push(input.n)
      return work ? work(input, context) : 'worked'
    },
  })
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const agent = defineAgent({ name: 'assistant', model, tools: { work: worker, form }, doomLoop: false, ...options })
  const runtime = createRuntime(agent, { store: store ?? memoryStore(), now: clock.now, sleep: clock.sleep })
  const session = runtime.session('trip')
  return { model, runtime, session, clock, done, heard: record(session) }
}

const used = (inputTokens: number, outputTokens = 0) => reply.finish({ usage: { inputTokens, outputTokens } })
const call = (n = 0) => reply.call('work', { n })
const calls = (...ns: readonly number[]) => reply.all(...ns.map((n) => call(n)))
/** A model that never stops. */
const endless = (turn: Reply = call()) => Array.from({ length: 60 }, () => turn)

describe('a run stops', () => {
  test('with its reason, after the usage of its last turn, at each limit', async () => {
    const cases: readonly (readonly [Options, string, number])[] = [
      [{ limits: { maxTurns: 4 } }, 'max-turns', 4],
      [{ limits: { maxToolCalls: 3 } }, 'tool-calls', 4],
      [{ limits: { maxTokens: 25 } }, 'tokens', 3],
      [{ limits: { maxCost: 25 / million }, prices }, 'budget', 3],
      [{ budget: { perSession: { tokens: 15 } } }, 'budget', 2],
      [{ budget: { perSession: { cost: 15 / million } }, prices }, 'budget', 2],
      [{ budget: { perDay: { tokens: 35 } } }, 'budget', 4],
      [{ budget: { perDay: { cost: 35 / million } }, prices }, 'budget', 4],
    ]
    for (const [options, reason, turns] of cases) {
      const { session, heard } = start(endless(reply.all(call(), used(10))), options)
      expect(await session.send('Go').result, reason).toMatchObject({ status: 'stopped', reason, turns })
      const end = heard.kinds().indexOf('run-stopped')
      expect(heard.kinds().lastIndexOf('usage-recorded')).toBeLessThan(end)
      expect(heard.kinds().at(-1)).toBe('run-stopped')
      expectOrder(heard.events)
    }
  })

  test('after 50 turns by default', async () => {
    const { session } = start(endless())
    expect(await session.send('Go').result).toMatchObject({ reason: 'max-turns', turns: 50 })
  })

  test('for the first of several reasons, in the order stop, duration, budget, turns', async () => {
    const limits = { maxDuration: 100, maxTokens: 10, maxTurns: 1 }
    const play = async (passed: number, tokens: number, stops = false) => {
      const gate = door()
      const { session, heard, clock } = start([reply.all(call(), used(tokens))], {
        limits,
        onLimit: 'ask',
        work: () => gate.pass(),
      })
      const run = session.send('Go')
      await gate.reached
      if (stops) void run.stop({ after: 'turn' })
      clock.advance(passed)
      gate.open()
      if (stops) return (await run.result).reason
      const { approval } = await heard.when('approval-requested')
      return approval.reason === 'budget' && approval.limit
    }
    expect(await play(100, 10, true)).toBe('requested')
    expect(await play(100, 10)).toBe('maxDuration')
    expect(await play(99, 10)).toBe('maxTokens')
    expect(await play(99, 9)).toBe('maxTurns')
  })

  test('sooner where the run narrows a limit, and no later where it widens one', async () => {
    const limits = { maxTurns: 6, maxToolCalls: 4, maxTokens: 45, maxDuration: 1000 }
    const play = async (narrowed: Limits) => {
      const { session } = start(endless(reply.all(call(), used(10))), { limits })
      const { reason, turns } = await session.send('Go', { limits: narrowed }).result
      return [reason, turns]
    }
    expect(await play({})).toEqual(['tool-calls', 5])
    expect(await play({ maxTurns: 2 })).toEqual(['max-turns', 2])
    expect(await play({ maxToolCalls: 1 })).toEqual(['tool-calls', 2])
    expect(await play({ maxTokens: 30 })).toEqual(['tokens', 3])
    expect(await play({ maxTurns: 60, maxToolCalls: 60, maxTokens: 600 })).toEqual(['tool-calls', 5])
  })
})

describe('limits that nobody could keep', () => {
  const model = scriptedModel([])
  const invalid = (pattern: RegExp) =>
    expect.objectContaining({ code: 'invalid-argument', message: expect.stringMatching(pattern) })
  const refused = (definition: object) => {
    try {
      createRuntime(defineAgent({ name: 'a', model, ...definition } as never), { store: memoryStore() })
    } catch (error) {
      return error
    }
  }

  test('are refused where they are defined', () => {
    for (const limit of ['maxTurns', 'maxToolCalls', 'maxTokens', 'maxDuration', 'toolTimeout', 'maxToolOutput'])
      expect(refused({ limits: { [limit]: 0 } })).toEqual(invalid(new RegExp(`limits\\.${limit}`)))
    expect(refused({ limits: { maxTurn: 5 } })).toEqual(invalid(/limits\.maxTurn is unknown.*maxTurns/))
    expect(refused({ limits: { maxCost: 0 }, prices })).toEqual(invalid(/maxCost must be a number above 0/))
    expect(refused({ onLimit: 'wait' })).toEqual(invalid(/onLimit/))
    expect(refused({ prices: { x: { input: -1, output: 1 } } })).toEqual(invalid(/prices\["x"\]/))
    expect(refused({ budget: { perDay: { cost: 0 } }, prices })).toEqual(invalid(/budget/))
    expect(refused({ budget: { perWeek: { tokens: 5 } } })).toEqual(invalid(/budget/))
  })

  test('are those of cost for a model without a price, as far as that is known', () => {
    const noPrice = invalid(/no price/)
    expect(refused({ limits: { maxCost: 1 } })).toEqual(noPrice)
    expect(refused({ budget: { perSession: { cost: 1 } } })).toEqual(noPrice)
    expect(refused({ budget: { perDay: { cost: 1 } }, prices: { other: { input: 1, output: 1 } } })).toEqual(noPrice)
    expect(refused({ limits: { maxCost: 1 }, prices, fallbacks: [scriptedModel([], { modelId: 'other' })] })).toEqual(
      noPrice,
    )
    expect(refused({ limits: { maxCost: 1 }, prices })).toBeUndefined()
    expect(refused({ limits: { maxCost: 1 }, prices, model: () => model })).toBeUndefined()
    expect(refused({ limits: { maxCost: 1 }, model: () => model })).toEqual(noPrice)
  })

  test('are refused for a name without a price where the models are named', () => {
    const agent = (prices: AgentDefinition['prices']) =>
      defineAgent({ name: 'a', model: 'fast', limits: { maxCost: 1 }, ...(prices && { prices }) })
    const create = (prices: AgentDefinition['prices']) => createRuntime(agent(prices), { models: { fast: model } })
    expect(() => create({ other: { input: 1, output: 1 } })).toThrow(/model fast has no price/)
    expect(() => create({ fast: { input: 1, output: 1 } })).not.toThrow()
    expect(() => create(prices)).not.toThrow()
  })

  test('are refused for a run, before anything is stored', async () => {
    const { session, runtime } = start([])
    for (const [limits, pattern] of [
      [{ maxTokens: 0 }, /limits\.maxTokens/],
      [{ maxDuration: Number.NaN }, /limits\.maxDuration/],
      [{ maxTools: 1 }, /limits\.maxTools is unknown/],
      [{ maxCost: 1 }, /no price/],
    ] as const)
      await expect(session.send('Go', { limits: limits as Limits }).result).rejects.toEqual(invalid(pattern))
    await expect(session.send('Hello', { limits: { maxInput: 3 } }).result).rejects.toMatchObject({
      code: 'invalid-input',
    })
    expect(await runtime.sessions.list()).toEqual([])
  })
})

describe('maxToolCalls', () => {
  test('starts the first calls of a turn, leaves the others, and has a resume begin with them', async () => {
    const store = memoryStore()
    const { session, done, heard, model } = start([calls(1, 2, 3), reply.text('Never')], {
      store,
      limits: { maxToolCalls: 2 },
    })
    const run = session.send('Go')
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'tool-calls', turns: 1 })
    expect(done).toEqual([1, 2])
    expectOrder(heard.events)
    expect(model.calls).toHaveLength(1)

    const later = start([reply.text('Done')], { store, limits: { maxToolCalls: 9 } })
    expect(await later.runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed', text: 'Done' })
    expect(later.done).toEqual([3])
    expect(problemsOf(later.model.calls[0]?.prompt ?? [])).toEqual([])
  })

  test('leaves what it has left to the next run, which closes it', async () => {
    const { session, done, model } = start([calls(1, 2), reply.text('Fresh')], { limits: { maxToolCalls: 1 } })
    await session.send('Go').result
    expect(await session.send('Never mind').result).toMatchObject({ text: 'Fresh' })
    expect(done).toEqual([1])
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
  })

  test('holds for serial calls, and does not count what could not be carried out', async () => {
    const turns = [reply.all(reply.call('missing', {}), calls(1, 2, 3))]
    const { session, done } = start(turns, { limits: { maxToolCalls: 2 }, toolPolicy: { work: { serial: true } } })
    expect(await session.send('Go').result).toMatchObject({ reason: 'tool-calls' })
    expect(done).toEqual([1, 2])
  })

  const form = (toolCallId: string) => reply.call('form', {}, { toolCallId })
  const filled = (toolCallId: string) => ({ toolCallId, tool: 'form' as const, output: toolCallId })

  test('holds for calls that others answer: what came beyond it is for the resume', async () => {
    const store = memoryStore()
    const turns = [reply.all(form('a'), form('b')), reply.text('Never')]
    const { session, heard } = start(turns, { store, limits: { maxToolCalls: 1 } })
    const run = session.send('Go')
    await heard.when('run-waiting')
    await Promise.all([session.addToolOutput(filled('a')), session.addToolOutput(filled('b'))])
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'tool-calls' })
    expect(heard.of('tool-execution-started')).toMatchObject([{ toolCallId: 'a' }])
    expectOrder(heard.events)

    const later = start([reply.text('Done')], { store, limits: { maxToolCalls: 2 } })
    expect(await later.runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed', text: 'Done' })
    expect(problemsOf(later.model.calls[0]?.prompt ?? [])).toEqual([])
    expect(JSON.stringify(later.model.calls[0]?.prompt.at(-1))).toContain('"value":"b"')
  })

  test('does not wait for an answer that it would not take, and takes it once somebody has raised it', async () => {
    const turns = [reply.all(call(), form('a')), reply.text('Done')]
    const { session, runtime, heard } = start(turns, { limits: { maxToolCalls: 1 }, onLimit: 'ask' })
    const run = session.send('Go')
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ limit: 'maxToolCalls', used: 1, cap: 1 })
    await session.addToolOutput(filled('a'))
    await answer<'budget'>(runtime, approval, { decision: 'extend', by: 1 })
    expect(await run.result).toMatchObject({ status: 'completed', text: 'Done' })
    expect(heard.of('approval-requested')).toHaveLength(1)
    expectOrder(heard.events)
  })
})

describe('maxDuration', () => {
  test('ends the run in the midst of a tool, or of an answer, which keeps what it has', async () => {
    const inTool = start([call()], { limits: { maxDuration: 5000 }, work: () => new Promise(() => {}) })
    const run = inTool.session.send('Go')
    await inTool.heard.when('tool-execution-started')
    inTool.clock.advance(4999)
    inTool.clock.advance(1)
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'deadline', turns: 1 })
    expectOrder(inTool.heard.events)

    const inText = start([reply.all(reply.text('Half of it'), reply.hang())], { limits: { maxDuration: 5000 } })
    const cut = inText.session.send('Go')
    await inText.heard.when('text-delta', ({ delta }) => delta.includes('it'))
    inText.clock.advance(5000)
    expect(await cut.result).toMatchObject({ reason: 'deadline', text: 'Half of it' })
    expect(inText.heard.kinds().slice(-3)).toEqual(['assistant-message-committed', 'usage-recorded', 'run-stopped'])
  })

  test('does not count what the run waits for, and counts on after a reload', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const clock = manualClock()
    const gate = door()
    const limits = { maxDuration: 1000 }
    const first = start([call(), reply.call('form', {}, { toolCallId: 'form' })], {
      store: alive,
      clock,
      limits,
      work: () => gate.pass(),
    })
    const { runId } = first.session.send('Go')
    await gate.reached
    clock.advance(600)
    gate.open()
    await first.heard.when('run-waiting')
    clock.advance(100_000)
    alive.die()

    const second = start([call(), reply.text('Never')], { store, clock, limits, work: () => new Promise(() => {}) })
    await second.session.view.ready
    await second.session.addToolOutput({ tool: 'form', toolCallId: 'form', output: 'ok' })
    await second.heard.when('tool-execution-started', ({ toolName }) => toolName === 'work')
    expect(await clock.asleep()).toBe(400)
    clock.advance(400)
    expect(await second.runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'deadline' })
  })
})

describe('a tool', () => {
  const never = () => new Promise(() => {})

  test('fails at the time-out of the limits, unless it has one of its own', async () => {
    for (const [own, expected] of [
      [undefined, 1000],
      [200, 200],
      [3000, 3000],
    ] as const) {
      const { session, clock, heard } = start([call(), reply.text('Ok')], {
        limits: { toolTimeout: 1000 },
        work: never,
        ...(own && { toolPolicy: { work: { timeout: own } } }),
      })
      const run = session.send('Go')
      await heard.when('tool-execution-started')
      expect(await clock.asleep()).toBe(expected)
      clock.advance(expected)
      expect(await heard.when('tool-execution-finished')).toMatchObject({
        outcome: 'failure',
        errorText: expect.stringContaining(`${expected} ms`),
      })
      expect(await run.result).toMatchObject({ status: 'completed' })
    }
  })

  test('tells the model no more than maxToolOutput, and people all of it', async () => {
    const long = 'x'.repeat(5000)
    const outputs = [long, { rows: long }]
    for (const output of outputs) {
      const { session, model, heard } = start([call(), reply.text('Ok')], {
        limits: { maxToolOutput: 1000 },
        work: () => output,
      })
      await session.send('Go').result
      const told = JSON.stringify(model.calls[1]?.prompt.at(-1)?.content)
      expect(told).toContain('[Cut: ')
      expect(told.length).toBeLessThan(1300)
      expect(await heard.when('tool-execution-finished')).toMatchObject({ output })
    }
  })

  test('has its errors and the answers of people cut, too', async () => {
    const failing = start([call(), reply.text('Ok')], {
      limits: { maxToolOutput: 500 },
      work: () => Promise.reject({ details: 'x'.repeat(5000) }),
    })
    await failing.session.send('Go').result
    expect(JSON.stringify(failing.model.calls[1]?.prompt.at(-1)).length).toBeLessThan(900)

    for (const given of [{ output: 'x'.repeat(5000) }, { errorText: 'x'.repeat(5000) }]) {
      const { session, model, heard } = start([reply.call('form', {}, { toolCallId: 'f' }), reply.text('Ok')], {
        limits: { maxToolOutput: 500 },
      })
      const run = session.send('Go')
      await heard.when('run-waiting')
      await session.addToolOutput({ tool: 'form', toolCallId: 'f', ...given })
      await run.result
      expect(JSON.stringify(model.calls[1]?.prompt.at(-1))).toContain('[Cut: ')
    }
  })
})

describe('the model is told how many turns are left', () => {
  const noteIn = (prompt: unknown) => /only 2 turns are left|this is the last turn/.exec(JSON.stringify(prompt))?.[0]

  test('in the last two, at the end of a valid prompt, and the history does not keep it', async () => {
    const { session, model } = start(endless(), { limits: { maxTurns: 4 } })
    await session.send('Go').result
    const prompts = model.calls.map(({ prompt }) => prompt)
    expect(prompts.map(noteIn)).toEqual([undefined, undefined, 'only 2 turns are left', 'this is the last turn'])
    for (const prompt of prompts) expect(problemsOf(prompt)).toEqual([])
    expect(prompts[3]?.at(-1)?.role).toBe('user')
    expect(prompts[3]?.slice(0, 5)).toEqual(prompts[2]?.slice(0, 5))
    expect(noteIn((await session.view.ready).messages)).toBeUndefined()
  })

  test('within the message of the user where that is the last one', async () => {
    const { session, model } = start([reply.text('Ok'), reply.text('Ok')], { limits: { maxTurns: 2 } })
    await session.send('Go').result
    await session.send('On').result
    expect(model.calls[0]?.prompt).toMatchObject([
      { role: 'user', content: [{ text: 'Go' }, { text: expect.stringContaining('only 2 turns') }] },
    ])
    expect(model.calls[1]?.prompt[0]?.content).toEqual([{ type: 'text', text: 'Go' }])
  })

  test('not where there is but one', async () => {
    const { session, model } = start([reply.text('Ok')], { limits: { maxTurns: 1 } })
    await session.send('Go').result
    expect(noteIn(model.calls[0]?.prompt)).toBeUndefined()
  })
})

describe("onLimit: 'ask'", () => {
  test('asks at each limit, goes on by as much as is allowed, and asks again', async () => {
    const cases: readonly (readonly [Options, string, number])[] = [
      [{ limits: { maxTurns: 2 } }, 'maxTurns', 2],
      [{ limits: { maxToolCalls: 2 } }, 'maxToolCalls', 2],
      [{ limits: { maxTokens: 20 } }, 'maxTokens', 20],
      [{ limits: { maxCost: 20 / million }, prices }, 'maxCost', 20 / million],
      [{ budget: { perSession: { tokens: 20 } } }, 'sessionTokens', 20],
      [{ budget: { perDay: { cost: 20 / million } }, prices }, 'dayCost', 20 / million],
    ]
    for (const [options, limit, cap] of cases) {
      const { session, runtime, heard, done } = start(endless(reply.all(call(), used(10))), {
        ...options,
        onLimit: 'ask',
      })
      const run = session.send('Go')
      const { approval } = await heard.when('approval-requested')
      expect(approval).toMatchObject({ reason: 'budget', limit, cap })
      expect('used' in approval && approval.used).toBeGreaterThanOrEqual(cap)
      expect(heard.kinds().at(-1)).toBe('run-waiting')
      const before = done.length
      await answer<'budget'>(runtime, approval, { decision: 'extend', by: cap })
      const again = await heard.nth(2, 'approval-requested')
      expect(again.approval, limit).toMatchObject({ limit, cap: cap * 2 })
      expect(done.length, limit).toBe(before + 2)
      await answer<'budget'>(runtime, again.approval, { decision: 'stop' })
      expect(await run.result).toMatchObject({ status: 'stopped' })
      expect(heard.of('run-waiting')).toHaveLength(2)
      expectOrder(heard.events)
    }
  })

  test('asks about time between turns, and lets what is under way finish', async () => {
    const gate = door()
    const { session, runtime, heard, clock } = start([call(), reply.text('Done')], {
      limits: { maxDuration: 1000 },
      onLimit: 'ask',
      work: () => gate.pass(),
    })
    const run = session.send('Go')
    await gate.reached
    clock.advance(1500)
    gate.open()
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ limit: 'maxDuration', used: 1500, cap: 1000 })
    clock.advance(60_000)
    await answer<'budget'>(runtime, approval, { decision: 'extend', by: 1000 })
    expect(await run.result).toMatchObject({ status: 'completed', text: 'Done' })
  })

  test('keeps the question over a reload, in which nothing goes on; a yes counts once', async () => {
    const store = memoryStore()
    const first = mortal(store)
    const options: Options = { limits: { maxTurns: 1 }, onLimit: 'ask' }
    const before = start([call()], { ...options, store: first })
    const { runId } = before.session.send('Go')
    const { approval } = await before.heard.when('approval-requested')
    await before.heard.when('run-waiting')
    first.die()

    const second = mortal(store)
    const between = start([call(), reply.text('Never')], { ...options, store: second })
    expect(await between.session.view.ready).toMatchObject({
      approvals: [{ id: approval.id, reason: 'budget', limit: 'maxTurns', used: 1, cap: 1 }],
      run: { phase: 'waiting', waitingFor: 'approval' },
    })
    expect(between.model.calls).toEqual([])
    await answer<'budget'>(between.runtime, approval, { decision: 'extend', by: 1 })
    await expect(answer<'budget'>(between.runtime, approval, { decision: 'extend', by: 9 })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    const next = await between.heard.when('approval-requested', (event) => event.approval.id !== approval.id)
    expect(next.approval).toMatchObject({ used: 2, cap: 2 })
    await between.heard.nth(1, 'run-waiting')
    second.die()

    const last = start([], { ...options, store })
    await last.session.view.ready
    await answer<'budget'>(last.runtime, next.approval, { decision: 'stop' })
    expect(await last.runtime.runs.get(runId).result).toMatchObject({
      status: 'stopped',
      reason: 'max-turns',
      turns: 2,
    })
  })

  test('refuses an extension by nothing', async () => {
    const { session, runtime, heard } = start([call()], { limits: { maxTurns: 1 }, onLimit: 'ask' })
    session.send('Go')
    const { approval } = await heard.when('approval-requested')
    for (const by of [0, -1, Number.NaN, '5'])
      await expect(answer<'budget'>(runtime, approval, { decision: 'extend', by: by as number })).rejects.toMatchObject(
        {
          code: 'invalid-argument',
        },
      )
    await expect(answer<'budget'>(runtime, approval, { decision: 'allow' } as never)).rejects.toMatchObject({
      code: 'invalid-argument',
    })
  })

  test('can be stopped and aborted while it is asked', async () => {
    for (const word of ['stop', 'turn', 'abort'] as const) {
      const { session, heard } = start([call()], { limits: { maxTurns: 1 }, onLimit: 'ask' })
      const run = session.send('Go')
      await heard.when('run-waiting')
      if (word === 'abort') run.abort()
      else void run.stop({ after: word === 'turn' ? 'turn' : 'now' })
      const end = word === 'abort' ? await heard.when('run-cancelled') : await heard.when('run-stopped')
      expect(end).toMatchObject({ reason: word === 'abort' ? 'aborted' : 'requested' })
      expect(heard.of('approval-resolved')).toMatchObject([{ answer: { decision: 'withdrawn' } }])
      expect((await session.view.ready).approvals).toEqual([])
      expectOrder(heard.events)
    }
  })
})
