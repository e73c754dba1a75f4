import { dynamicTool, jsonSchema as sdkSchema, tool as sdkTool, type ToolSet } from 'ai'
import { createRuntime, defineAgent, jsonSchema, memoryStore, type ToolContext, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { door } from './stores.ts'

type Tools = ToolSet | readonly ToolSet[]
type More = Omit<Parameters<typeof defineAgent>[0], 'name' | 'model' | 'tools'>

/** One run in which the model calls these tools, in one turn, and then answers. */
function calling(tools: Tools, calls: readonly ReturnType<typeof reply.text>[], more: More = {}) {
  const model = scriptedModel([reply.all(...calls), reply.text('Done')])
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools, ...more }), { store: memoryStore() })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

/** What the model was told of the calls. */
const toldTo = ({ calls }: ReturnType<typeof calling>['model']) => {
  expect(problemsOf(calls[1]?.prompt ?? [])).toEqual([])
  const message = calls[1]?.prompt.at(-1)
  return message?.role === 'tool' ? message.content.map((part) => 'output' in part && part.output) : []
}

const any = z.object({})

describe('a tool', () => {
  test('gets its validated input and its context', async () => {
    const given: [unknown, ToolContext][] = []
    const look = tool({
      inputSchema: z.object({
        city: z.string().trim(),
        days: z.number().default(3),
        at: z.string().transform((text) => new Date(text)),
      }),
      execute: (input, context) => void given.push([input, context]),
    })
    const { session, model } = calling({ look }, [
      reply.call('look', { city: ' Porto ', at: '2026-11-20T00:00:00Z' }, { toolCallId: 'a' }),
    ])
    const run = session.send('Go', { metadata: { user: 'me' } })
    await run.result
    const [input, context] = given[0] ?? []
    expect(input).toEqual({ city: 'Porto', days: 3, at: new Date('2026-11-20T00:00:00Z') })
    expect(context).toMatchObject({
      toolCallId: 'a',
      sessionId: 'trip',
      runId: run.runId,
      agent: 'assistant',
      metadata: { user: 'me' },
      idempotencyKey: expect.stringContaining('a'),
    })
    expect(context?.idempotencyKey).toContain(run.runId)
    expect(context?.abortSignal.aborted).toBe(false)
    expect(toldTo(model)).toEqual([{ type: 'json', value: null }])
  })

  test('of the AI SDK works unchanged, with the options that it knows', async () => {
    const options: object[] = []
    const weather = sdkTool({
      description: 'Weather',
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }, given) => {
        options.push({ ...given })
        return { city, celsius: 21 }
      },
    })
    const lookup = dynamicTool({
      description: 'Anything',
      inputSchema: sdkSchema({ type: 'object', properties: { q: { type: 'string' } } }),
      execute: async (input) => ({ echoed: input }),
    })
    const { session, heard, model } = calling({ weather, lookup }, [
      reply.call('weather', { city: 'Porto' }, { toolCallId: 'a' }),
      reply.call('lookup', { q: 'x' }, { toolCallId: 'b' }),
    ])
    await session.send('Go').result
    expect(options[0]).toMatchObject({
      toolCallId: 'a',
      abortSignal: expect.any(AbortSignal),
      messages: [{ role: 'user' }],
    })
    expect(toldTo(model)).toEqual([
      { type: 'json', value: { city: 'Porto', celsius: 21 } },
      { type: 'json', value: { echoed: { q: 'x' } } },
    ])
    const parts = heard.of('tool-message-committed')[0]?.message.parts
    expect(parts).toMatchObject([{ type: 'tool-weather' }, { type: 'dynamic-tool', toolName: 'lookup' }])
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { toolName: 'weather' },
      { toolName: 'lookup', dynamic: true },
    ])
    expect(heard.of('tool-execution-finished')[0]).not.toHaveProperty('dynamic')
  })

  test('comes in one set or in several', async () => {
    const one = { first: tool({ inputSchema: any, execute: () => 1 }) }
    const two = { second: tool({ inputSchema: any, execute: () => 2 }) }
    const { session, model } = calling([one, two], [reply.call('first', {}), reply.call('second', {})])
    await session.send('Go').result
    expect(toldTo(model)).toEqual([
      { type: 'json', value: 1 },
      { type: 'json', value: 2 },
    ])
  })

  test('described by JSON Schema gets what the model wrote, or what its validator made of it', async () => {
    const given: unknown[] = []
    const execute = (input: unknown) => void given.push(input)
    const schema = { type: 'object', properties: { n: { type: 'number' } } } as const
    const validate = (value: unknown) =>
      typeof (value as { n?: unknown }).n === 'number'
        ? ({ success: true, value: { n: 2 } } as const)
        : ({ success: false, error: new Error('n must be a number') } as const)
    const { session, model } = calling(
      {
        plain: tool({ inputSchema: jsonSchema(schema), execute }),
        checked: tool({ inputSchema: jsonSchema(schema, { validate }), execute }),
      },
      [reply.call('plain', { n: 'x' }), reply.call('checked', { n: 1 }), reply.call('checked', {})],
    )
    await session.send('Go').result
    expect(given).toEqual([{ n: 'x' }, { n: 2 }])
    expect(toldTo(model)[2]).toMatchObject({ type: 'error-text', value: expect.stringMatching(/n must be a number/) })
    expect(model.calls[0]?.tools).toMatchObject([{ inputSchema: schema }, { inputSchema: schema }])
  })

  test('can not change the history through its input', async () => {
    const change = tool({ inputSchema: z.object({ list: z.array(z.number()) }), execute: ({ list }) => list.push(9) })
    const { session, model } = calling({ change }, [reply.call('change', { list: [1] })])
    await session.send('Go').result
    expect(model.calls[1]?.prompt[1]?.content).toMatchObject([{ input: { list: [1] } }])
  })

  test('that takes blank arguments for none', async () => {
    const given: unknown[] = []
    const now = tool({ inputSchema: any, execute: (input) => void given.push(input) })
    const { session } = calling({ now }, [reply.call('now', ''), reply.call('now', '  \n ')])
    await session.send('Go').result
    expect(given).toEqual([{}, {}])
  })
})

describe('what a tool tells', () => {
  test('with progress and custom reaches listeners, in order, between start and end', async () => {
    const work = tool({
      inputSchema: any,
      execute: async (_, { progress, custom }) => {
        progress({ percent: 50 })
        custom('note', ['half'])
        await Promise.resolve()
        progress({ percent: 100 })
        return 'ready'
      },
    })
    const { session, heard } = calling({ work }, [reply.call('work', {}, { toolCallId: 'a' })])
    await session.send('Go').result
    const told = heard.events.slice(
      heard.kinds().indexOf('tool-execution-started'),
      heard.kinds().indexOf('tool-execution-finished') + 1,
    )
    expect(told).toMatchObject([
      { kind: 'tool-execution-started' },
      { kind: 'tool-execution-progress', toolCallId: 'a', toolName: 'work', data: { percent: 50 } },
      { kind: 'custom', name: 'note', data: ['half'] },
      { kind: 'tool-execution-progress', data: { percent: 100 } },
      { kind: 'tool-execution-finished', output: 'ready' },
    ])
    expectOrder(heard.events)
  })

  test('as a stream is preliminary, but for the last value, which is the output', async () => {
    const count = tool({
      inputSchema: any,
      execute: async function* () {
        yield { n: 1 }
        yield { n: 2 }
        yield { n: 3 }
      },
    })
    const { session, heard, model } = calling({ count }, [reply.call('count', {})])
    await session.send('Go').result
    expect(heard.of('tool-execution-progress')).toMatchObject([
      { data: { n: 1 }, preliminary: true },
      { data: { n: 2 }, preliminary: true },
      { data: { n: 3 }, preliminary: true },
    ])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output: { n: 3 } }])
    expect(toldTo(model)).toEqual([{ type: 'json', value: { n: 3 } }])
  })

  test('as a stream that breaks is an error', async () => {
    const count = tool({
      inputSchema: any,
      execute: async function* () {
        yield 1
        throw new Error('half way')
      },
    })
    const { session, heard } = calling({ count }, [reply.call('count', {})])
    await session.send('Go').result
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { outcome: 'failure', errorText: expect.stringMatching(/half way$/) },
    ])
  })

  test('after its end is told nobody', async () => {
    const finished = door()
    const late: ToolContext[] = []
    const work = tool({ inputSchema: any, execute: (_, context) => void late.push(context) })
    const { session, heard } = calling({ work }, [reply.call('work', {})])
    session.on('tool-execution-finished', () => {
      late[0]?.progress('late')
      late[0]?.custom('late', 'late')
      finished.open()
    })
    await session.send('Go').result
    await finished.pass()
    expect(heard.of('tool-execution-progress', 'custom')).toEqual([])
  })

  test('to the model is what toModelOutput makes of it; the page gets the output', async () => {
    const shoot = tool({
      inputSchema: any,
      execute: () => ({ base64: 'AQID' }),
      toModelOutput: ({ output }) => ({
        type: 'content' as const,
        value: [
          { type: 'file' as const, mediaType: 'image/png', data: { type: 'data' as const, data: output.base64 } },
        ],
      }),
    })
    const { session, heard, model } = calling({ shoot }, [reply.call('shoot', {})])
    await session.send('Go').result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output: { base64: 'AQID' } }])
    expect(toldTo(model)).toMatchObject([{ type: 'content', value: [{ mediaType: 'image/png' }] }])
  })
})

describe('a tool that fails', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('no luck')
      },
      expect.stringMatching(/no luck$/),
    ],
    ['rejects', () => Promise.reject(new Error('no luck')), expect.stringMatching(/no luck$/)],
    ['throws a string', () => Promise.reject('no luck'), 'no luck'],
    ['throws nothing', () => Promise.reject(undefined), 'unknown error'],
    ['throws an object', () => Promise.reject({ why: 'no luck' }), '{"why":"no luck"}'],
    ['throws what has no words', () => Promise.reject(Object.create(null)), expect.any(String)],
  ])('because it %s gives the model an error result', async (_, execute, errorText) => {
    const { session, heard, model } = calling(
      { broken: tool({ inputSchema: any, execute: execute as () => unknown }) },
      [reply.call('broken', {})],
    )
    expect(await session.send('Go').result).toMatchObject({ status: 'completed', text: 'Done' })
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'failure', errorText }])
    expect(toldTo(model)).toMatchObject([{ type: 'error-text', value: errorText }])
  })

  test('because its toModelOutput throws gives the model an error result', async () => {
    const broken = tool({
      inputSchema: any,
      execute: () => 1,
      toModelOutput: () => {
        throw new Error('no words')
      },
    })
    const { session, model } = calling({ broken }, [reply.call('broken', {})])
    await session.send('Go').result
    expect(toldTo(model)).toMatchObject([{ type: 'error-text', value: expect.stringMatching(/no words$/) }])
  })

  test('holds up no other', async () => {
    const { session, model } = calling(
      {
        broken: tool({ inputSchema: any, execute: () => Promise.reject(new Error('no luck')) }),
        works: tool({ inputSchema: any, execute: () => 'fine' }),
      },
      [reply.call('broken', {}), reply.call('works', {}), reply.call('broken', {})],
    )
    await session.send('Go').result
    expect(toldTo(model)).toMatchObject([{ type: 'error-text' }, { value: 'fine' }, { type: 'error-text' }])
  })

  test('to finish in its time gets an aborted signal, and the model an error result', async () => {
    const reasons: unknown[] = []
    const slow = tool({
      inputSchema: any,
      timeout: 15,
      execute: (_, { abortSignal }) => {
        abortSignal.addEventListener('abort', () => reasons.push(abortSignal.reason))
        return new Promise<never>(() => {})
      },
    })
    const { session, model } = calling({ slow, quick: tool({ inputSchema: any, execute: () => 'quick' }) }, [
      reply.call('slow', {}),
      reply.call('quick', {}),
    ])
    expect(await session.send('Go').result).toMatchObject({ text: 'Done' })
    expect(toldTo(model)).toMatchObject([
      { type: 'error-text', value: expect.stringMatching(/"slow".*15 ms/) },
      { value: 'quick' },
    ])
    expect(reasons).toMatchObject([{ code: 'timeout' }])
  })

  test('by its own abort is told as such, not as the time-out', async () => {
    const slow = tool({
      inputSchema: any,
      timeout: 5000,
      execute: () => Promise.reject(new DOMException('The user pressed Escape', 'AbortError')),
    })
    const { session, heard } = calling({ slow }, [reply.call('slow', {})])
    await session.send('Go').result
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { errorText: expect.stringMatching(/The user pressed Escape$/) },
    ])
  })
})

describe('a call that can not be carried out', () => {
  test('gives the model an error result that helps, and never runs', async () => {
    const executed = vi.fn(() => 1)
    const { session, heard, model } = calling(
      { known: tool({ inputSchema: z.object({ n: z.number() }), execute: executed }) },
      [
        reply.call('unknown', { a: 1 }),
        reply.call('known', { n: 'x' }),
        reply.call('known', '{"n":'),
        reply.call('known', '[1]'),
        reply.call('known', 'null'),
      ],
    )
    await session.send('Go').result
    expect(toldTo(model)).toMatchObject([
      { type: 'error-text', value: expect.stringMatching(/no tool "unknown".*The tools are: known/) },
      { type: 'error-text', value: expect.stringMatching(/Invalid input for tool "known": n: /) },
      { type: 'error-text', value: expect.stringMatching(/Invalid input for tool "known"/) },
      { type: 'error-text', value: expect.stringMatching(/Invalid input for tool "known"/) },
      { type: 'error-text', value: expect.stringMatching(/Invalid input for tool "known"/) },
    ])
    expect(executed).not.toHaveBeenCalled()
    expect(heard.of('tool-execution-started')).toEqual([])
    expect(heard.of('tool-call-completed').map(({ invalid }) => typeof invalid)).toEqual(Array(5).fill('string'))
    expect(heard.of('tool-message-committed')[0]?.message.parts).toMatchObject(
      Array(5).fill({ type: 'dynamic-tool', state: 'output-error' }),
    )
    expectOrder(heard.events)
  })

  test('is one for every name that an object has by itself', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    const { session, model } = calling(
      { known: tool({ inputSchema: any, execute: () => 1 }) },
      names.map((name) => reply.call(name, {})),
    )
    await session.send('Go').result
    expect(toldTo(model)).toMatchObject(names.map((name) => ({ value: expect.stringContaining(`no tool "${name}"`) })))
  })

  test('because its validator throws is an error result, too', async () => {
    const broken = tool({
      inputSchema: jsonSchema(
        { type: 'object' },
        {
          validate: () => {
            throw new Error('validator bug')
          },
        },
      ),
      execute: () => 1,
    })
    const { session, model } = calling({ broken }, [reply.call('broken', {})])
    await session.send('Go').result
    expect(toldTo(model)).toMatchObject([{ value: expect.stringMatching(/validator bug/) }])
  })
})

describe('toolPolicy', () => {
  test("wins over the tool's own policy", async () => {
    const slow = tool({ inputSchema: any, timeout: 60_000, execute: () => new Promise<never>(() => {}) })
    const { session, model } = calling({ slow }, [reply.call('slow', {})], { toolPolicy: { slow: { timeout: 10 } } })
    await session.send('Go').result
    expect(toldTo(model)).toMatchObject([{ value: expect.stringMatching(/10 ms/) }])
  })

  test('for a tool that is not there is refused', () => {
    const model = scriptedModel([])
    expect(() => defineAgent({ name: 'a', model, tools: {}, toolPolicy: { gone: {} } })).toThrow(
      /toolPolicy names "gone"/,
    )
  })
})

test('the idempotency key is the same for a call, and another one for another call', async () => {
  const keys: string[] = []
  const work = tool({ inputSchema: any, execute: (_, { idempotencyKey }) => void keys.push(idempotencyKey) })
  const { session } = calling({ work }, [reply.call('work', {}), reply.call('work', {})])
  await session.send('Go').result
  expect(new Set(keys).size).toBe(2)
})
