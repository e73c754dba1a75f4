import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { type AgentError, createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition, Model, ModelErrorContext, ModelErrorDecision } from '../../src/agent/define-agent.ts'
import { manualClock } from './clock.ts'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

type Options = Partial<Omit<AgentDefinition, 'name' | 'tools'>>
type Turn = Reply | ((call: LanguageModelV4CallOptions) => Reply | Promise<Reply>)

const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })

/** A model that answers every call with this. */
const always = (modelId: string, ...turns: readonly Turn[]) =>
  scriptedModel(
    Array.from({ length: 50 }, (_, at) => turns[Math.min(at, turns.length - 1)] as Turn),
    { provider: 'test', modelId },
  )

/** Every pause passes at once. */
function passing() {
  const clock = manualClock()
  const sleep = async (milliseconds: number, signal: AbortSignal) => {
    signal.throwIfAborted()
    clock.advance(milliseconds)
  }
  return { now: clock.now, sleep }
}

function start(options: Options & Pick<AgentDefinition, 'model'>, more: object = {}, store: Store = memoryStore()) {
  const agent = defineAgent({ name: 'assistant', tools: { echo }, ...options })
  const runtime = createRuntime(agent, { store, ...passing(), ...more })
  const session = runtime.session('trip')
  return { runtime, session, heard: record(session) }
}

describe('fallbacks', () => {
  test('take over in their order, once every attempt of the one before has failed', async () => {
    const [a, b, c] = [always('a', reply.fail(500)), always('b', reply.fail(503)), always('c', reply.text('Hello'))]
    const { session, heard } = start({ model: a, fallbacks: [b, c], retry: { attempts: 2 } })
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello', turns: 1 })
    expect(heard.of('model-started').map(({ model, attempt }) => `${model} ${attempt}`)).toEqual([
      'a 1',
      'a 2',
      'b 1',
      'b 2',
      'c 1',
    ])
    expect(heard.of('model-switched')).toMatchObject([
      { from: 'test:a', to: 'test:b', error: { name: 'AgentError', code: 'overloaded', status: 500 } },
      { from: 'test:b', to: 'test:c', error: { name: 'AgentError', code: 'overloaded', status: 503 } },
    ])
    expect(heard.of('message-voided')).toHaveLength(4)
    expectOrder(heard.events)
    // It is durable.
    const again = record(session, { since: 0 })
    await again.when('run-completed')
    expect(again.of('model-switched').map(({ error }) => error.code)).toEqual(['overloaded', 'overloaded'])
  })

  test('take over at once where asking again does not help, or is to be waited for too long', async () => {
    for (const failed of [reply.fail(400), reply.fail(429, { 'retry-after': '3600' })]) {
      const [a, b] = [always('a', failed), always('b', reply.text('Hello'))]
      const { session } = start({ model: a, fallbacks: [b] })
      expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
      expect(a.calls).toHaveLength(1)
    }
  })

  test('are each asked once, and when all of them have failed the run fails with what the last one said', async () => {
    const [a, b] = [always('a', reply.fail(500)), always('b', reply.fail(400))]
    const { session, heard } = start({ model: a, fallbacks: [b, a, b] })
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'bad-request' })
    expect([a.calls.length, b.calls.length]).toEqual([3, 1])
    expect(heard.of('model-switched')).toHaveLength(1)
  })

  test('may be names and functions', async () => {
    const failing = () => always('x', reply.fail(400))
    const named = failing()
    const { session, heard } = start(
      { model: failing, fallbacks: ['b', failing, () => Promise.reject(new Error('no chunk')), 'd'] },
      { models: { b: named, d: always('d', reply.text('Hello')) } },
    )
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(heard.of('model-switched').map(({ from, to }) => [from, to])).toEqual([
      ['test:x', 'b'],
      ['b', 'fallbacks[2]'],
      ['fallbacks[2]', 'd'],
    ])
  })

  test('that are functions of their own are each asked', async () => {
    const { session, heard } = start({
      model: () => always('x', reply.fail(400)),
      fallbacks: [() => always('y', reply.text('Hello'))],
    })
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(heard.of('model-switched')).toMatchObject([{ from: 'test:x', to: 'fallbacks[0]' }])
  })

  test('go on to the end of the run; the next run begins with the first model again', async () => {
    const a = always('a', reply.fail(400), reply.text('From a'))
    const b = always('b', reply.call('echo', { n: 1 }), reply.text('From b'))
    const { session, heard } = start({ model: a, fallbacks: [b] })
    expect(await session.send('Hi').result).toMatchObject({ text: 'From b', turns: 2 })
    expect(await session.send('Again').result).toMatchObject({ text: 'From a' })
    expect(heard.of('model-started').map(({ model }) => model)).toEqual(['a', 'b', 'b', 'a'])
  })

  test('go on where they stood after a death, be it in the midst of their answer', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const b = manualModel()
    const there = start({ model: always('a', reply.fail(400)), fallbacks: ['b', 'c'] }, { models: { b, c: b } }, alive)
    const run = there.session.send('Hi')
    await b.next()
    alive.die()
    const a = always('a', reply.text('From a'))
    const models = { b: always('b', reply.fail(400)), c: always('c', reply.text('From c')) }
    const here = start({ model: a, fallbacks: ['b', 'c'] }, { models }, store)
    expect(await here.runtime.runs.get(run.runId).result).toMatchObject({ text: 'From c' })
    expect(a.calls).toEqual([])
    expect(here.heard.of('model-switched').map(({ from, to }) => [from, to])).toEqual([['b', 'c']])
  })

  test('that are gone after an update leave the run to its own model', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const b = manualModel()
    const there = start({ model: always('a', reply.fail(400)), fallbacks: [b] }, {}, alive)
    const run = there.session.send('Hi')
    await b.next()
    alive.die()
    const here = start({ model: always('a', reply.text('From a')) }, {}, store)
    expect(await here.runtime.runs.get(run.runId).result).toMatchObject({ text: 'From a' })
  })

  test('do not take over from a model that stands in for every other one', async () => {
    const b = always('b', reply.text('From b'))
    const { session } = start({ model: 'none', fallbacks: [b] }, { model: always('test', reply.fail(400)) })
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'bad-request' })
    expect(b.calls).toEqual([])
  })

  test('are not counted as turns', async () => {
    const [a, b] = [always('a', reply.fail(500)), always('b', reply.text('Hello'))]
    const { session } = start({ model: a, fallbacks: [b], limits: { maxTurns: 1 } })
    expect(await session.send('Hi').result).toMatchObject({ status: 'completed', turns: 1 })
  })
})

describe('onModelError', () => {
  type Asked = readonly [AgentError, ModelErrorContext]
  const deciding = (...decisions: readonly unknown[]) => {
    const asked: Asked[] = []
    const onModelError = (error: AgentError, context: ModelErrorContext) => {
      asked.push([error, context])
      return decisions[Math.min(asked.length, decisions.length) - 1] as ModelErrorDecision
    }
    return { asked, onModelError }
  }

  test('learns what failed, where, and what there was of the answer', async () => {
    const { asked, onModelError } = deciding(undefined)
    const a = always('a', reply.drop('Half of it'), reply.fail(500), reply.text('Hello'))
    const { session } = start({ model: a, onModelError })
    const run = session.send('Hi')
    await run.result
    const context = {
      provider: 'test',
      model: 'a',
      turn: 1,
      sessionId: 'trip',
      runId: run.runId,
      agent: 'assistant',
      signal: expect.any(AbortSignal),
    }
    expect(asked).toMatchObject([
      [{ code: 'model-interrupted' }, { ...context, attempt: 1, partialText: 'Half of it' }],
      [{ code: 'overloaded' }, { ...context, attempt: 2 }],
    ])
    expect(asked[1]?.[1]).not.toHaveProperty('partialText')
  })

  test.each(['continue', undefined])('that says %s leaves it at the rules', async (decision) => {
    const { asked, onModelError } = deciding(decision)
    const [a, b] = [always('a', reply.fail(500)), always('b', reply.text('Hello'))]
    const { session } = start({ model: a, fallbacks: [b], onModelError })
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(asked).toHaveLength(3)
    const { session: other } = start({ model: always('a', reply.fail(401)), onModelError })
    expect(await other.send('Hi').result).toMatchObject({ reason: 'credentials' })
  })

  test('that says retry has what can not pass tried again, as often as there are attempts', async () => {
    for (const status of [400, 401, 500]) {
      const { asked, onModelError } = deciding('retry')
      const a = always('a', reply.fail(status))
      const { session, heard } = start({ model: a, onModelError })
      await session.send('Hi').result.catch(() => {})
      expect(a.calls).toHaveLength(3)
      expect(asked).toHaveLength(3)
      expect(heard.of('model-retried')).toHaveLength(2)
    }
  })

  test('that says retry has credentials used that it has renewed meanwhile', async () => {
    const used: unknown[] = []
    const good = always('a', reply.text('Hello'))
    const refused = always('a', reply.fail(401))
    const { session, runtime } = start({
      model: ({ credentials }) => {
        used.push(credentials)
        return credentials === 'new' ? good : refused
      },
      onModelError: async ({ code }) => {
        if (code !== 'unauthorized') return 'continue'
        runtime.setCredentials('new')
        return 'retry'
      },
    })
    runtime.setCredentials('old')
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(used).toEqual(['old', 'new'])
  })

  test('that says abort fails the run at once, also for its credentials, and keeps what there is', async () => {
    for (const failed of [reply.drop('Half of it'), reply.fail(401)]) {
      const { onModelError } = deciding('abort')
      const [a, b] = [always('a', failed), always('b', reply.text('Hello'))]
      const { session, heard } = start({ model: a, fallbacks: [b], onModelError })
      await expect(session.send('Hi').result).rejects.toMatchObject({ name: 'AgentError' })
      expect(heard.kinds().at(-1)).toBe('run-failed')
      expect([a.calls.length, b.calls.length]).toEqual([1, 0])
      if (failed.pieces[0]?.type === 'text')
        expect(heard.of('assistant-message-committed')).toMatchObject([
          { message: { metadata: { status: 'partial' }, parts: [{ text: 'Half of it' }] } },
        ])
      expectOrder(heard.events)
    }
  })

  const c = () => always('c', reply.fail(500), reply.call('echo', { n: 1 }), reply.text('From c'))
  const targets: readonly (readonly [string, (model: ReturnType<typeof c>) => Model | string, string])[] = [
    ['a model', (model) => model, 'test:c'],
    ['a name', () => 'c', 'c'],
    ['a model function', (model) => () => model, 'switchTo'],
  ]
  test.each(targets)(
    'that switches to %s has it asked next, with all its attempts, and for the rest of the run',
    async (_, target, to) => {
      const model = c()
      const [a, b] = [always('a', reply.fail(500), reply.text('From a')), always('b', reply.text('From b'))]
      const { asked, onModelError } = deciding({ switchTo: target(model) }, 'continue')
      const { session, heard } = start({ model: a, fallbacks: [b], onModelError }, { models: { c: model } })
      expect(await session.send('Hi').result).toMatchObject({ text: 'From c', turns: 2 })
      const started = () => heard.of('model-started').map(({ model, attempt }) => `${model} ${attempt}`)
      expect(started()).toEqual(['a 1', 'c 1', 'c 2', 'c 1'])
      expect(heard.of('model-switched')).toMatchObject([{ from: 'test:a', to }])
      expect(asked.map(([, { model }]) => model)).toEqual(['a', 'c'])
      expect(b.calls).toEqual([])
      expect(await session.send('Again').result).toMatchObject({ text: 'From a' })
    },
  )

  test('that switches to a name is kept over a death', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const c = manualModel()
    const onModelError = () => ({ switchTo: 'c' })
    const there = start({ model: always('a', reply.fail(500)), onModelError }, { models: { c } }, alive)
    const run = there.session.send('Hi')
    await c.next()
    alive.die()
    const a = always('a', reply.text('From a'))
    const here = start({ model: a, onModelError }, { models: { c: always('c', reply.text('From c')) } }, store)
    expect(await here.runtime.runs.get(run.runId).result).toMatchObject({ text: 'From c' })
    expect(a.calls).toEqual([])
  })

  test('never goes in a circle', async () => {
    const [a, b] = [always('a', reply.fail(500)), always('b', reply.fail(500))]
    const models = { a, b }
    const { session } = start(
      { model: 'a', onModelError: (_, { model }) => ({ switchTo: model === 'a' ? 'b' : 'a' }) },
      { models },
    )
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'overloaded' })
    expect(a.calls).toHaveLength(1)
    expect(b.calls).toHaveLength(3)
  })

  test('never goes in a circle, not even where somebody is asked in between', async () => {
    const failing = reply.finish({ reason: 'error', usage: { inputTokens: 5 } })
    const [a, b] = [always('a', failing), always('b', failing)]
    const { session, runtime, heard } = start(
      {
        model: 'a',
        onModelError: (_, { model }) => ({ switchTo: model === 'a' ? 'b' : 'a' }),
        limits: { maxTokens: 1 },
        onLimit: 'ask',
      },
      { models: { a, b } },
    )
    const run = session.send('Hi')
    const { approval } = await heard.when('approval-requested')
    await answer<'budget'>(runtime, approval, { decision: 'extend', by: 100 })
    await expect(run.result).rejects.toMatchObject({ code: 'model-failed' })
    expect([a.calls.length, b.calls.length]).toEqual([1, 1])
    expectOrder(heard.events)
  })

  test('that knows ever more models comes to an end', async () => {
    let made = 0
    const more = () => always(`m${made++}`, reply.fail(500))
    const { session } = start({ model: more(), onModelError: () => ({ switchTo: more() }) })
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'overloaded' })
    expect(made).toBeLessThanOrEqual(20)
  })

  test.each([
    ['throws', () => Promise.reject(new Error('boom')), 'model-failed', /onModelError failed: boom.*HTTP 500/],
    ['says what nobody knows', () => 'again', 'invalid-argument', /onModelError must give/],
    ['switches to nothing', () => ({ switchTo: undefined }), 'invalid-argument', /onModelError must give/],
    ['switches to a name that is not there', () => ({ switchTo: 'none' }), 'unknown-model', /"none"/],
  ])('that %s fails the run, and is named', async (_, onModelError, code, message) => {
    const { session } = start({ model: always('a', reply.fail(500)), onModelError: onModelError as never })
    await expect(session.send('Hi').result).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('is not asked where the code is at fault', async () => {
    const onModelError = vi.fn()
    const { session } = start({ model: () => undefined as never, onModelError })
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'unsupported-model' })
    expect(onModelError).not.toHaveBeenCalled()
  })

  test('that does not come back keeps the run from no end', async () => {
    const asked = door()
    let signal: AbortSignal | undefined
    const { session } = start({
      model: always('a', reply.fail(500)),
      onModelError: (_, context) => {
        signal = context.signal
        return asked.pass()
      },
    })
    const run = session.send('Hi')
    await asked.reached
    expect(await run.stop()).toMatchObject({ status: 'stopped', reason: 'requested' })
    expect(signal?.aborted).toBe(true)
  })
})
