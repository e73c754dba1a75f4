import { createRuntime, defineAgent, memoryStore, type OnToolError, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

type Turns = Parameters<typeof scriptedModel>[0]
type Options = Partial<Omit<AgentDefinition, 'name' | 'model' | 'tools'>>

/** Tools that fail as often as their input says, and note what each attempt was given. */
function failing() {
  const attempts: { readonly name: string; readonly key: string; readonly aborted: boolean }[] = []
  const make = (name: string, policy: object) =>
    tool({
      ...policy,
      inputSchema: z.object({ times: z.number() }),
      execute: ({ times }, { idempotencyKey, abortSignal, getState, setState }) => {
        attempts.push({ name, key: idempotencyKey, aborted: abortSignal.aborted })
        if (getState() !== undefined && times > 0) throw new Error('it sees what a failed attempt has set')
        if (attempts.filter((attempt) => attempt.key === idempotencyKey).length <= times) {
          setState({ half: true })
          throw new Error(`failed on ${name}`)
        }
        return 'fine'
      },
    })
  return {
    attempts,
    tools: {
      look: make('look', { idempotent: true }),
      pay: make('pay', {}),
      late: tool({
        inputSchema: z.object({}),
        idempotent: true,
        timeout: 1000,
        execute: () => new Promise<string>(() => {}),
      }),
      form: tool({ inputSchema: z.object({}), outputSchema: z.string(), idempotent: true }),
      last: make('last', { serial: true }),
    },
  }
}

function start(turns: Turns, options: Options = {}, store: Store = memoryStore(), clock = manualClock()) {
  const { attempts, tools } = failing()
  const model = scriptedModel(turns, { usage: { inputTokens: 10, outputTokens: 1 } })
  const agent = defineAgent({ name: 'assistant', model, tools, doomLoop: false, ...options })
  const runtime = createRuntime(agent, { store, ...clock })
  const session = runtime.session('trip')
  return { attempts, model, runtime, session, clock, store, heard: record(session) }
}

const look = (times: number, toolCallId?: string) =>
  reply.call('look', { times }, toolCallId === undefined ? {} : { toolCallId })
const done = reply.text('Done')
const retry: Options = { onToolError: () => 'retry' }

describe('a call that failed', () => {
  test('is an error result by default, and with `continue` or nothing', async () => {
    for (const options of [{}, { onToolError: () => 'continue' }, { onToolError: () => undefined }] as Options[]) {
      const { session, model, attempts } = start([look(9), done], options)
      expect(await session.send('Go').result).toMatchObject({ text: 'Done' })
      expect(attempts).toHaveLength(1)
      expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([
        { output: { type: 'error-text', value: 'Error: failed on look' } },
      ])
    }
  })

  test('is told to the handler, with the call and the context', async () => {
    const told: Parameters<OnToolError>[] = []
    const onToolError: OnToolError = (...given) => {
      told.push(given)
      return 'continue'
    }
    const { session } = start([reply.call('pay', { times: 1 }, { toolCallId: 'p' }), done], { onToolError })
    const run = session.send('Go', { metadata: { user: 'me' } })
    await run.result
    expect(told).toMatchObject([
      [
        new Error('failed on pay'),
        { toolCallId: 'p', toolName: 'pay', input: { times: 1 }, idempotent: false },
        { sessionId: 'trip', runId: run.runId, agent: 'assistant', turn: 1, attempt: 1, metadata: { user: 'me' } },
      ],
    ])
    expect(told[0]?.[2].signal.aborted).toBe(false)
  })

  test('is carried out again where the handler says so, after longer and longer pauses, under one intent', async () => {
    const { session, heard, attempts, clock, runtime } = start([look(2, 'l'), done], retry)
    const run = session.send('Go')
    expect(await clock.asleep()).toBe(500)
    clock.advance(500)
    await expect.poll(() => attempts.length).toBe(2)
    expect(await clock.asleep()).toBe(1000)
    clock.advance(1000)
    expect(await run.result).toMatchObject({ text: 'Done' })
    expect(new Set(attempts.map(({ key }) => key)).size).toBe(1)
    expect(heard.of('tool-execution-started')).toHaveLength(1)
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'success', output: 'fine' }])
    const trail = await runtime.runs.audit(run.runId)
    expect(trail.filter(({ transition }) => transition === 'retried')).toMatchObject([
      { toolCallId: 'l', detail: 'Error: failed on look' },
      { toolCallId: 'l' },
    ])
    expectOrder(heard.events)
  })

  test('is carried out three times at most', async () => {
    const { session, heard, attempts, clock } = start([look(9), done], retry)
    const { result } = session.send('Go')
    for (const pause of [500, 1000]) {
      expect(await clock.asleep()).toBe(pause)
      clock.advance(pause)
      const before = attempts.length
      await expect.poll(() => attempts.length).toBe(before + 1)
    }
    await result
    expect(attempts).toHaveLength(3)
    expect(heard.of('tool-execution-finished')).toMatchObject([{ errorText: 'Error: failed on look' }])
  })

  test('is never carried out again where the tool is not idempotent', async () => {
    const { session, attempts } = start([reply.call('pay', { times: 1 }), done], retry)
    await session.send('Go').result
    expect(attempts).toHaveLength(1)
  })

  test('is carried out again after its time-out, each attempt with the whole time', async () => {
    const { session, heard, clock } = start([reply.call('late', {}), done], retry)
    const { result } = session.send('Go')
    for (const pause of [1000, 500, 1000, 1000, 1000]) {
      await expect.poll(() => clock.asleep()).toBe(pause)
      clock.advance(pause)
      await Promise.resolve()
    }
    await result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ errorText: expect.stringContaining('1000 ms') }])
  })

  test('is not carried out again once the run is aborted in a pause', async () => {
    const { session, attempts, clock, heard } = start([look(9), done], retry)
    const run = session.send('Go')
    await clock.asleep()
    run.abort()
    await expect(run.result).rejects.toThrow()
    clock.advance(10_000)
    expect(attempts).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('is not carried out again on a page, which runs an id once', async () => {
    const { runtime, session, heard } = start([reply.call('form', {}, { toolCallId: 'f' }), done], retry)
    const { result } = session.send('Go')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'form', toolCallId: 'f', errorText: 'no' })
    expect(await result).toMatchObject({ text: 'Done' })
    await runtime.close()
  })

  test('ends with what stands in for its output', async () => {
    const { session, model, heard } = start([look(9), done], { onToolError: () => ({ result: { cached: 1 } }) })
    await session.send('Go').result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'success', output: { cached: 1 } }])
    expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([{ output: { type: 'json', value: { cached: 1 } } }])
  })

  test('stops the run where the handler says so: its result is stored, and nothing more starts', async () => {
    const turns = [reply.all(look(9, 'a'), look(0, 'b'), reply.call('last', { times: 0 }, { toolCallId: 'c' })), done]
    let stops = true
    const given = start(turns, { onToolError: () => (stops ? 'stop' : 'continue') })
    const { session, heard, runtime, attempts, model } = given
    const run = session.send('Go')
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'tool-errors', usage: { inputTokens: 10 } })
    expect(new Set(heard.of('tool-execution-finished').map(({ toolCallId }) => toolCallId))).toEqual(
      new Set(['a', 'b']),
    )
    expect(attempts.map(({ name }) => name)).toEqual(['look', 'look'])
    expect(model.calls).toHaveLength(1)
    stops = false
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ text: 'Done' })
    expect(attempts.map(({ name }) => name)).toEqual(['look', 'look', 'last'])
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    expectOrder(heard.events)
  })

  test.each([
    ['alone', look(9)],
    ['beside one that goes well', reply.all(look(9), look(0))],
  ])('stops the run where it was the last of its turn, %s', async (_, calls) => {
    const { session, model } = start([calls, done], { onToolError: () => 'stop', maxConsecutiveToolErrors: 9 })
    expect(await session.send('Go').result).toMatchObject({ status: 'stopped', reason: 'tool-errors' })
    expect(model.calls).toHaveLength(1)
  })

  test('whose handler throws, or says what it may not, fails the run', async () => {
    const cases: readonly (readonly [unknown, object])[] = [
      [
        () => Promise.reject(new Error('boom')),
        { code: 'tool-failed', message: /onToolError failed: boom \(on: Error: failed/ },
      ],
      [() => 'again', { code: 'invalid-argument', message: /must give 'continue'/ }],
      [() => null, { code: 'invalid-argument' }],
      [() => ({ __proto__: { result: 1 } }), { code: 'invalid-argument' }],
      [() => ({ result: () => {} }), { code: 'invalid-argument', message: /onToolError gave no result/ }],
    ]
    for (const [onToolError, error] of cases) {
      const { session, heard } = start([look(9), done], { onToolError: onToolError as OnToolError })
      await expect(session.send('Go').result).rejects.toMatchObject({
        ...error,
        ...('message' in error && { message: expect.stringMatching(error.message as RegExp) }),
      })
      expect(heard.of('run-failed')).toHaveLength(1)
      expectOrder(heard.events)
    }
  })

  test('whose handler never answers waits for it until the run is aborted', async () => {
    const reached = door()
    const { session } = start([look(9)], { onToolError: () => reached.pass('retry' as const) })
    const run = session.send('Go')
    await reached.reached
    run.abort()
    await expect(run.result).rejects.toThrow()
  })
})

describe('failed calls in a row', () => {
  const failed = () => look(9)
  const bad = reply.call('nothing', {})

  test('stop the run at the fifth, before the model is asked again', async () => {
    const turns = [failed(), bad, reply.call('late', {}), failed(), failed(), done]
    const { session, model, heard, clock } = start(turns)
    const { result } = session.send('Go')
    expect(await clock.asleep()).toBe(1000)
    clock.advance(1000)
    expect(await result).toMatchObject({
      status: 'stopped',
      reason: 'tool-errors',
      usage: { inputTokens: 50 },
      turns: 5,
    })
    expect(model.calls).toHaveLength(5)
    expect(heard.of('tool-message-committed')).toHaveLength(5)
    expectOrder(heard.events)
  })

  test('are as many as the agent says', async () => {
    for (const [max, calls] of [
      [1, 1],
      [2, 2],
      [7, 7],
    ] as const) {
      const { session, model } = start([...Array.from({ length: 8 }, failed), done], { maxConsecutiveToolErrors: max })
      expect(await session.send('Go').result).toMatchObject({ reason: 'tool-errors' })
      expect(model.calls).toHaveLength(calls)
    }
    const endless = start([...Array.from({ length: 8 }, failed), done], {
      maxConsecutiveToolErrors: Number.POSITIVE_INFINITY,
    })
    expect(await endless.session.send('Go').result).toMatchObject({ status: 'completed' })
  })

  test('of one turn count, too', async () => {
    const { session, model } = start([reply.all(failed(), failed()), done], { maxConsecutiveToolErrors: 2 })
    expect(await session.send('Go').result).toMatchObject({ reason: 'tool-errors' })
    expect(model.calls).toHaveLength(1)
  })

  test('that could not be carried out count as one per answer', async () => {
    const { session } = start([reply.all(bad, bad, bad), done], { maxConsecutiveToolErrors: 2 })
    expect(await session.send('Go').result).toMatchObject({ text: 'Done' })
  })

  test('count anew after a success', async () => {
    const turns = [failed(), reply.all(failed(), look(0)), failed(), look(0), failed(), failed(), done]
    const { session, model } = start(turns, { maxConsecutiveToolErrors: 2 })
    expect(await session.send('Go').result).toMatchObject({ reason: 'tool-errors' })
    expect(model.calls).toHaveLength(6)
  })

  test('do not count what was denied', async () => {
    const turns = [failed(), reply.call('pay', { times: 0 }), failed(), done]
    const options: Options = {
      maxConsecutiveToolErrors: 3,
      policy: ({ toolName }) => (toolName === 'pay' ? 'deny' : undefined),
    }
    expect(await start(turns, options).session.send('Go').result).toMatchObject({ text: 'Done' })
  })

  test('count anew with what steers the run', async () => {
    const held = door()
    const slow = async () => {
      await held.pass()
      return failed()
    }
    const { session } = start([failed(), slow, failed(), done], { maxConsecutiveToolErrors: 2 })
    const run = session.send('Go')
    await held.reached
    await run.steer('Try something else')
    held.open()
    // The second failure stops the run unless the words come first: they do.
    expect(await run.result).toMatchObject({ text: 'Done' })
  })

  test('count anew once a person resumes the run', async () => {
    const { session, runtime } = start([failed(), failed(), failed(), done], { maxConsecutiveToolErrors: 2 })
    const run = session.send('Go')
    expect(await run.result).toMatchObject({ reason: 'tool-errors' })
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ text: 'Done' })
  })

  test('go on counting after a death', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const options: Options = { maxConsecutiveToolErrors: 3 }
    const first = start([failed(), failed(), reply.hang()], options, alive)
    first.session.send('Go')
    await expect.poll(() => first.model.calls.length).toBe(3)
    alive.die()
    const second = start([failed(), done], options, store, first.clock)
    onTestFinished(second.session.view.subscribe(() => {}))
    expect(await second.heard.when('run-stopped')).toMatchObject({ reason: 'tool-errors' })
    expect(second.model.calls).toHaveLength(1)
  })
})

test('a stop that the handler asked for outlasts the death of its owner', async () => {
  const store = memoryStore()
  const alive = mortal(store)
  const options: Options = { onToolError: (_, { toolName }) => (toolName === 'look' ? 'stop' : 'continue') }
  const first = start([reply.all(look(9, 'a'), reply.call('late', {}, { toolCallId: 'l' }))], options, alive)
  first.session.send('Go')
  await first.heard.when('tool-execution-finished', ({ toolCallId }) => toolCallId === 'a')
  alive.die()
  const second = start([done], options, store, first.clock)
  onTestFinished(second.session.view.subscribe(() => {}))
  expect(await second.heard.when('run-stopped')).toMatchObject({ reason: 'tool-errors' })
  expect(second.model.calls).toEqual([])
})

test.each([0, -1, Number.NaN, '5'])('maxConsecutiveToolErrors of %o is refused', (maxConsecutiveToolErrors) => {
  const definition = {
    name: 'a',
    model: scriptedModel([]),
    maxConsecutiveToolErrors: maxConsecutiveToolErrors as number,
  }
  expect(() => defineAgent(definition)).toThrow(/maxConsecutiveToolErrors must be 1 or more/)
})

test('an onToolError that is no function is refused', () => {
  expect(() => defineAgent({ name: 'a', model: scriptedModel([]), onToolError: 'retry' as never })).toThrow(
    /onToolError must be a function/,
  )
})
