import { AgentError, createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { type ManualModel, manualModel } from './manual-model.ts'
import { answer as answerApproval, expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

const external = { tools: 'external' } as const

function start(store: Store = memoryStore(), options: Pick<AgentDefinition, 'limits' | 'resume'> = {}) {
  const model = manualModel()
  const executed: string[] = []
  const work = tool({
    inputSchema: z.object({ n: z.number().optional() }),
    execute: ({ n }) => {
      executed.push(`work ${n ?? ''}`)
      return 'worked'
    },
  })
  const ask = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const agent = defineAgent({ name: 'assistant', model, tools: { work, ask }, ...options })
  const runtime = createRuntime(agent, { store })
  const session = runtime.session('trip')
  return { model, runtime, session, store, executed, heard: record(session) }
}

async function calls(model: ManualModel, ...named: readonly (readonly [string, string, unknown?])[]) {
  const call = await model.next()
  for (const [name, id, input = {}] of named) call.toolCall(name, input, id)
  call.finish('tool-calls')
  return call
}

async function answers(model: ManualModel, text: string) {
  const call = await model.next()
  call.text(text)
  call.finish()
  return call
}

describe('session.step', () => {
  test('runs one turn, its tools included, and waits for the next step', async () => {
    const { session, model, heard, executed } = start()
    const first = session.step('Hi')
    await calls(model, ['work', 'a'])
    const { runId, ...rest } = await first
    expect(rest).toMatchObject({ status: 'needs-more-turns', turn: 1, text: '', toolCalls: [] })
    expect(rest.usage).toMatchObject({ inputTokens: 3, outputTokens: 2 })
    expect(executed).toEqual(['work '])
    expect(heard.kinds().at(-1)).toBe('run-waiting')
    expect(heard.of('run-waiting')).toMatchObject([{ waitingFor: 'step' }])
    expect(model.calls).toHaveLength(1)
    const second = session.step()
    const call = await answers(model, 'Done')
    expect(call.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    expect(await second).toMatchObject({ status: 'done', runId, turn: 2, text: 'Done', toolCalls: [] })
    expect(heard.of('run-started')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('is done with the first turn where nothing is to be called, and starts a new run with the next input', async () => {
    const { session, model, heard } = start()
    const first = session.step('Hi')
    await answers(model, 'Hello')
    expect(await first).toMatchObject({ status: 'done', text: 'Hello' })
    const second = session.step('And?')
    await answers(model, 'That')
    const result = await second
    expect(result).toMatchObject({ status: 'done', text: 'That', turn: 2 })
    expect(result.runId).not.toBe((await first).runId)
    expect(heard.of('run-started')).toHaveLength(2)
  })

  test('goes on after a reload, and not without a step', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const before = start(alive)
    const first = before.session.step('Hi')
    await calls(before.model, ['work', 'a'])
    const { runId } = await first
    alive.die()
    const after = start(store)
    await after.runtime.sessions.list()
    expect(await after.session.view.ready).toMatchObject({ run: { phase: 'waiting', waitingFor: 'step' } })
    await new Promise((resolve) => setTimeout(resolve))
    expect(after.model.calls).toHaveLength(0)
    const second = after.session.step()
    await answers(after.model, 'Done')
    expect(await second).toMatchObject({ status: 'done', runId, text: 'Done' })
    expect(after.executed).toEqual([])
  })

  test('that died with its page only comes to stand: the next one gives the turn anew', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const before = start(alive)
    void before.session.step('Hi')
    ;(await before.model.next()).text('Half')
    alive.die()
    const after = start(store)
    await after.runtime.sessions.list()
    await after.heard.when('run-waiting')
    expect(after.model.calls).toHaveLength(0)
    const second = after.session.step()
    await answers(after.model, 'Whole')
    expect(await second).toMatchObject({ status: 'done', text: 'Whole' })
    expect(after.heard.of('run-started')).toMatchObject([{ resumed: true }])
  })

  test('right after a reload in mid-turn goes on, too', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const before = start(alive)
    void before.session.step('Hi')
    await before.model.next()
    alive.die()
    const after = start(store)
    const second = after.session.step()
    await answers(after.model, 'Whole')
    expect(await second).toMatchObject({ status: 'done', text: 'Whole' })
    expect(after.model.calls).toHaveLength(1)
  })

  test('asks about a call that had started when its page died, and waits for the step after the answer', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const model = manualModel()
    const begun = door()
    const stuck = tool({ inputSchema: z.object({}), execute: () => begun.pass('worked') })
    const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { stuck } }), { store: alive })
    void runtime.session('trip').step('Hi')
    await calls(model, ['stuck', 'a'])
    await begun.reached
    alive.die()
    const later = manualModel()
    const next = createRuntime(defineAgent({ name: 'assistant', model: later, tools: { stuck } }), { store })
    const session = next.session('trip')
    const heard = record(session)
    expect(await session.step()).toMatchObject({ status: 'awaiting-approval', toolCalls: [{ toolCallId: 'a' }] })
    const { approval } = await heard.when('approval-requested')
    await answerApproval(next, approval, { decision: 'abandon' })
    await heard.when('approval-resolved')
    expect(later.calls).toHaveLength(0)
    const last = session.step()
    await answers(later, 'I do not know')
    expect(await last).toMatchObject({ status: 'done', text: 'I do not know' })
  })

  test('hands page calls to whoever answers them', async () => {
    const { session, model } = start()
    const first = session.step('Hi')
    await calls(model, ['ask', 'a'], ['work', 'b'])
    expect(await first).toMatchObject({
      status: 'pending-tool-calls',
      toolCalls: [{ toolName: 'ask', toolCallId: 'a', input: {} }],
    })
    await session.addToolOutput({ tool: 'ask', toolCallId: 'a', output: 'yes' })
    const second = session.step()
    const call = await answers(model, 'Done')
    expect(problemsOf(call.options.prompt)).toEqual([])
    expect(await second).toMatchObject({ status: 'done' })
  })

  test('tells of a run that failed, was stopped or was cancelled', async () => {
    const { session, model, heard } = start()
    const failing = session.step('Hi')
    ;(await model.next()).fail(new Error('broken'))
    expect(await failing).toMatchObject({ status: 'failed', error: { name: 'AgentError' } })
    const stopping = session.step('Hi')
    ;(await model.next()).text('Half')
    await heard.when('text-delta')
    await session.stop()
    expect(await stopping).toMatchObject({ status: 'stopped', reason: 'requested', text: 'Half' })
    const again = session.step()
    await answers(model, ' and half')
    expect(await again).toMatchObject({ status: 'done', runId: (await stopping).runId })
    const controller = new AbortController()
    const cancelled = session.step('Hi', { signal: controller.signal })
    await model.next()
    controller.abort()
    expect(await cancelled).toMatchObject({ status: 'cancelled', reason: 'aborted' })
    await expect(session.step('Hi', { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('goes on after a stop even where the clock has been set back since', async () => {
    const { session, model, heard } = start()
    const first = session.step('Hi')
    ;(await model.next()).text('Half')
    await heard.when('text-delta')
    await session.stop()
    expect(await first).toMatchObject({ status: 'stopped' })
    const anHourAgo = Date.now() - 3_600_000
    vi.spyOn(Date, 'now').mockImplementation(() => anHourAgo)
    onTestFinished(() => void vi.restoreAllMocks())
    const again = session.step()
    await answers(model, ' and half')
    expect(await again).toMatchObject({ status: 'done', runId: (await first).runId })
  })

  test('makes a turn that was given back since it was too large for its model', async () => {
    const { session, model } = start()
    const long = 'word '.repeat(400)
    for (let n = 0; n < 6; n++) {
      const run = session.send(`${n} ${long}`)
      await answers(model, long)
      await run.result
    }
    const step = session.step('Hi')
    ;(await model.next()).fail(new AgentError('context-overflow', 'too long'))
    // The older part is summarised, then the turn is asked for again.
    await answers(model, 'Summary')
    await answers(model, 'Short')
    expect(await step).toMatchObject({ status: 'done', text: 'Short' })
  })

  test('stops at a limit', async () => {
    const { session, model } = start(memoryStore(), { limits: { maxTurns: 1 } })
    const first = session.step('Hi')
    await calls(model, ['work', 'a'])
    expect(await first).toMatchObject({ status: 'needs-more-turns' })
    expect(await session.step()).toMatchObject({ status: 'stopped', reason: 'max-turns' })
    expect(model.calls).toHaveLength(1)
  })

  test('can be stopped and aborted between two steps', async () => {
    for (const how of ['stop', 'turn', 'abort'] as const) {
      const { session, model, heard } = start()
      const first = session.step('Hi')
      await calls(model, ['work', 'a'])
      await first
      if (how === 'abort') session.abort()
      else await session.stop({ after: how === 'stop' ? 'now' : 'turn' })
      await heard.when(how === 'abort' ? 'run-cancelled' : 'run-stopped')
      if (how === 'abort') await expect(session.step()).rejects.toMatchObject({ code: 'not-resumable' })
      else {
        const next = session.step()
        await answers(model, 'Done')
        expect(await next).toMatchObject({ status: 'done' })
      }
      expectOrder(heard.events)
    }
  })

  test('is refused, typed, where there is nothing to go on with, and where the session is busy', async () => {
    const { session, model } = start()
    await expect(session.step()).rejects.toMatchObject({ code: 'not-resumable' })
    await expect(session.step(' ')).rejects.toMatchObject({ code: 'invalid-input' })
    const run = session.send('Hi')
    const call = await model.next()
    await expect(session.step('Hello')).rejects.toMatchObject({ code: 'session-busy' })
    await expect(session.step()).rejects.toMatchObject({ code: 'not-resumable' })
    call.finish()
    await run.result
    await expect(session.step()).rejects.toMatchObject({ code: 'not-resumable' })
    const first = session.step('Hi')
    await calls(model, ['work', 'a'])
    await first
    await expect(session.step('Hello')).rejects.toMatchObject({ code: 'session-busy' })
  })

  test('comes after another one that is under way', async () => {
    const { session, model } = start()
    const first = session.step('Hi')
    const call = await model.next()
    const second = session.step()
    await session.view.ready
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    expect(await first).toMatchObject({ status: 'needs-more-turns', turn: 1 })
    await answers(model, 'Done')
    expect(await second).toMatchObject({ status: 'done', turn: 2 })
  })

  test('from another tab goes on with the same run', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    const first = here.session.step('Hi')
    await calls(here.model, ['work', 'a'])
    const { runId } = await first
    const second = there.session.step()
    // Whoever owns the session just now is the one who asks.
    const call = await Promise.race([here.model.next(), there.model.next()])
    call.text('Done')
    call.finish()
    expect(await second).toMatchObject({ status: 'done', runId })
    expect(here.model.calls.length + there.model.calls.length).toBe(2)
  })

  test('hears what steers the run between two steps, and does not go on with it', async () => {
    const { session, model, heard } = start()
    const first = session.step('Hi')
    await calls(model, ['work', 'a'])
    await first
    const other = session.send('in French', { whenBusy: 'steer' })
    await heard.when('input-delivered', ({ mode }) => mode === 'steer')
    expect(model.calls).toHaveLength(1)
    const second = session.step()
    const call = await answers(model, 'Oui')
    expect(call.options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    expect(await second).toMatchObject({ status: 'done', text: 'Oui' })
    expect(await other.result).toMatchObject({ text: 'Oui' })
  })

  test('that was resumed otherwise waits for a step all the same', async () => {
    const { session, model, runtime, heard } = start()
    const first = session.step('Hi')
    await calls(model, ['work', 'a'])
    const { runId } = await first
    await session.stop()
    await heard.when('run-stopped')
    runtime.runs.resume(runId)
    await heard.when('run-started', ({ resumed }) => resumed === true)
    const second = session.step()
    await answers(model, 'Done')
    expect(await second).toMatchObject({ status: 'done' })
    expect(model.calls).toHaveLength(2)
  })

  test('rejects with what the store says where it can not be written', async () => {
    let broken = false
    const store = hooked(memoryStore(), (method, _, call) => {
      if (broken && method === 'commit') return Promise.reject(new DOMException('full', 'QuotaExceededError'))
      return call()
    })
    const { session, model } = start(store)
    const first = session.step('Hi')
    const call = await model.next()
    broken = true
    call.text('lost')
    call.finish()
    await expect(first).rejects.toMatchObject({ name: 'AgentError' })
    broken = false
  })
})

describe('a step with external tools', () => {
  test('hands the calls of the turn out, and takes one result for each', async () => {
    const { session, model, executed, heard } = start()
    const first = session.step('Hi', external)
    await calls(model, ['work', 'a', { n: 1 }], ['ask', 'b'], ['nothing', 'c'])
    expect(await first).toMatchObject({
      status: 'pending-tool-calls',
      toolCalls: [
        { toolName: 'work', toolCallId: 'a', input: { n: 1 } },
        { toolName: 'ask', toolCallId: 'b', input: {} },
      ],
    })
    expect(heard.of('run-waiting')).toMatchObject([{ waitingFor: 'tool-results' }])
    await session.addToolOutput({ tool: 'work', toolCallId: 'a', output: 'done outside' })
    await session.addToolOutput({ tool: 'ask', toolCallId: 'b', errorText: 'nobody there' })
    const second = session.step(undefined, external)
    const call = await answers(model, 'Done')
    expect(problemsOf(call.options.prompt)).toEqual([])
    expect(call.options.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'a', output: { type: 'text', value: 'done outside' } },
      { toolCallId: 'b', output: { type: 'error-text', value: 'nobody there' } },
      { toolCallId: 'c', output: { type: 'error-text' } },
    ])
    expect(await second).toMatchObject({ status: 'done', text: 'Done' })
    expect(executed).toEqual([])
    expectOrder(heard.events)
  })

  test('refuses a missing, an unknown and a double result, typed, and says which', async () => {
    const { session, model } = start()
    const first = session.step('Hi', external)
    await calls(model, ['work', 'a'], ['work', 'b'])
    await first
    const refused = (code: string, id: string) => ({ name: 'AgentError', code, message: expect.stringContaining(id) })
    await expect(session.step()).rejects.toMatchObject(refused('missing-tool-output', '"a"'))
    await session.addToolOutput({ tool: 'work', toolCallId: 'a', output: 'one' })
    await expect(session.step()).rejects.toMatchObject(refused('missing-tool-output', '"b"'))
    await expect(session.step()).rejects.not.toMatchObject({ message: expect.stringContaining('"a"') })
    const again = { tool: 'work', toolCallId: 'a', output: 'two' } as const
    await expect(session.addToolOutput(again)).rejects.toMatchObject(refused('duplicate-tool-output', 'a'))
    const unknown = { tool: 'work', toolCallId: 'x', output: '' } as const
    await expect(session.addToolOutput(unknown)).rejects.toMatchObject(refused('unknown-tool', 'x'))
    const other = { tool: 'ask', toolCallId: 'b', output: '' } as const
    await expect(session.addToolOutput(other)).rejects.toMatchObject(refused('unknown-tool', 'b'))
    await session.addToolOutput({ tool: 'work', toolCallId: 'b', output: 'two' })
    const second = session.step()
    const call = await answers(model, 'Done')
    expect(call.options.prompt.at(-1)?.content).toMatchObject([
      { output: { value: 'one' } },
      { output: { value: 'two' } },
    ])
    await second
  })

  test('takes of two results at once, from two tabs, the first', async () => {
    const store = memoryStore()
    const [here, there] = [start(mortal(store)), start(mortal(store))]
    const first = here.session.step('Hi', external)
    await calls(here.model, ['work', 'a'])
    await first
    const given = await Promise.allSettled(
      [here, there].map(({ session }, n) => session.addToolOutput({ tool: 'work', toolCallId: 'a', output: `${n}` })),
    )
    expect(given.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(given.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'duplicate-tool-output' },
    })
  })

  test('keeps what was given over a reload', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const before = start(alive)
    const first = before.session.step('Hi', external)
    await calls(before.model, ['work', 'a'], ['work', 'b'])
    await first
    await before.session.addToolOutput({ tool: 'work', toolCallId: 'a', output: 'one' })
    alive.die()
    const after = start(store)
    await after.runtime.sessions.list()
    await after.session.addToolOutput({ tool: 'work', toolCallId: 'b', output: 'two' })
    const second = after.session.step()
    const call = await answers(after.model, 'Done')
    expect(call.options.prompt.at(-1)?.content).toMatchObject([
      { output: { value: 'one' } },
      { output: { value: 'two' } },
    ])
    expect(await second).toMatchObject({ status: 'done' })
    expect([before.executed, after.executed]).toEqual([[], []])
  })

  test('may follow one with inline tools, and the other way round', async () => {
    const { session, model, executed } = start()
    const first = session.step('Hi')
    await calls(model, ['work', 'a'])
    await first
    const second = session.step(undefined, external)
    await calls(model, ['work', 'b'])
    expect(await second).toMatchObject({ status: 'pending-tool-calls', toolCalls: [{ toolCallId: 'b' }] })
    await session.addToolOutput({ tool: 'work', toolCallId: 'b', output: 'outside' })
    const third = session.step()
    await calls(model, ['work', 'c', { n: 3 }])
    expect(await third).toMatchObject({ status: 'needs-more-turns' })
    expect(executed).toEqual(['work ', 'work 3'])
  })

  test('leaves its calls to the step that goes on after a stop', async () => {
    const { session, model, heard } = start()
    onTestFinished(session.view.subscribe(() => {}))
    const first = session.step('Hi', external)
    await calls(model, ['work', 'a'])
    await first
    await session.stop()
    await heard.when('run-stopped')
    expect(await session.step(undefined, external)).toMatchObject({
      status: 'pending-tool-calls',
      toolCalls: [{ toolCallId: 'a' }],
    })
    await session.addToolOutput({ tool: 'work', toolCallId: 'a', output: 'late' })
    const last = session.step()
    await answers(model, 'Done')
    expect(await last).toMatchObject({ status: 'done' })
    expectOrder(heard.events)
  })
})
