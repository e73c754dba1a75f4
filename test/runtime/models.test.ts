import { APICallError, type LanguageModelV4, type LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { createRuntime, defineAgent, type ModelTimeout, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { waitFor } from '../wait-for.ts'
import { problemsOf } from './check-prompt.ts'
import { callParts, finish, manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door } from './stores.ts'

const hello = () => scriptedModel([reply.text('Hello'), reply.text('Again')])
const store = memoryStore

describe('a model is given', () => {
  test('as an object', async () => {
    const runtime = createRuntime(defineAgent({ name: 'a', model: hello() }), { store: store() })
    expect(await runtime.run({ input: 'Hi' }).result).toMatchObject({ text: 'Hello' })
  })

  test('as a function, or one that gives a promise, with the credentials of that moment', async () => {
    const model = hello()
    const given: unknown[] = []
    const agent = defineAgent({
      name: 'a',
      model: async ({ credentials }) => {
        given.push(credentials)
        return model
      },
    })
    const runtime = createRuntime(agent, { store: store() })
    await runtime.run({ input: 'Hi' }).result
    runtime.setCredentials({ token: 'one' })
    await runtime.run({ input: 'Hi' }).result
    expect(given).toEqual([undefined, { token: 'one' }])
    const sync = createRuntime(defineAgent({ name: 'a', model: () => hello() }), { store: store() })
    expect(await sync.run({ input: 'Hi' }).result).toMatchObject({ text: 'Hello' })
  })

  test('by name, by the agent or by the run', async () => {
    const models = { fast: scriptedModel([reply.text('fast')]), smart: () => scriptedModel([reply.text('smart')]) }
    const runtime = createRuntime(defineAgent({ name: 'a', model: 'fast' }), { store: store(), models })
    const heard = record(runtime)
    expect(await runtime.run({ input: 'Hi' }).result).toMatchObject({ text: 'fast' })
    expect(await runtime.run({ input: 'Hi', model: 'smart' }).result).toMatchObject({ text: 'smart' })
    expect(await runtime.session('x', { model: 'smart' }).send('Hi').result).toMatchObject({ text: 'smart' })
    expect(heard.of('run-started').map(({ model }) => model)).toEqual([undefined, 'smart', 'smart'])
  })

  test('in place of every other one', async () => {
    const agent = defineAgent({ name: 'a', model: 'none such' })
    const runtime = createRuntime(agent, { store: store(), model: hello() })
    expect(await runtime.run({ input: 'Hi' }).result).toMatchObject({ text: 'Hello' })
  })

  test('by a name that is not there: the error lists those that are', async () => {
    const models = { fast: hello(), smart: hello() }
    const unknown = { code: 'unknown-model', message: expect.stringMatching(/"slow".*fast, smart/) }
    expect(() => createRuntime(defineAgent({ name: 'a', model: 'slow' }), { models })).toThrow(
      expect.objectContaining(unknown),
    )
    const runtime = createRuntime(defineAgent({ name: 'a', model: 'fast' }), { store: store(), models })
    const run = runtime.run({ input: 'Hi', model: 'slow' as 'fast' })
    await expect(run.result).rejects.toMatchObject(unknown)
    for (const name of ['__proto__', 'constructor', 'toString'])
      await expect(runtime.run({ input: 'Hi', model: name as 'fast' }).result).rejects.toMatchObject({
        code: 'unknown-model',
      })
  })

  test('of an older specification: the error says what to install', async () => {
    for (const version of ['v2', 'v3']) {
      const old = { ...hello(), specificationVersion: version } as unknown as LanguageModelV4
      const refused = {
        code: 'unsupported-model',
        message: expect.stringMatching(`specification ${version}.*@ai-sdk/openai@4`),
      }
      expect(() => createRuntime(defineAgent({ name: 'a', model: old }))).toThrow(expect.objectContaining(refused))
      expect(() => createRuntime(defineAgent({ name: 'a', model: 'x' }), { models: { x: old } })).toThrow(
        expect.objectContaining(refused),
      )
      expect(() => createRuntime(defineAgent({ name: 'a', model: 'x' }), { model: old })).toThrow(
        expect.objectContaining(refused),
      )
      const runtime = createRuntime(defineAgent({ name: 'a', model: () => old }), { store: store() })
      await expect(runtime.run({ input: 'Hi' }).result).rejects.toMatchObject(refused)
    }
  })

  test('as something that is no model', async () => {
    const refused = { code: 'unsupported-model' }
    for (const model of [{}, { specificationVersion: 'v9' }])
      expect(() => createRuntime(defineAgent({ name: 'a', model: model as never }))).toThrow(
        expect.objectContaining(refused),
      )
    for (const model of [undefined, null, 'gpt-5-mini', 7]) {
      const runtime = createRuntime(defineAgent({ name: 'a', model: () => model as never }), { store: store() })
      await expect(runtime.run({ input: 'Hi' }).result).rejects.toMatchObject(refused)
    }
  })
})

/** A model with this `doStream`. */
const streaming = (doStream: (...args: Parameters<LanguageModelV4['doStream']>) => unknown): LanguageModelV4 =>
  ({ ...manualModel(), doStream }) as unknown as LanguageModelV4

/** Part by part, so that what stands before an error is read. */
const streamOf = (parts: readonly LanguageModelV4StreamPart[], end: 'close' | 'hang' | Error = 'close') => {
  let next = 0
  return new ReadableStream<LanguageModelV4StreamPart>(
    {
      pull: (controller) => {
        const part = parts[next++]
        if (next <= parts.length) return controller.enqueue(part as LanguageModelV4StreamPart)
        if (end === 'hang') return new Promise<void>(() => {})
        return end === 'close' ? controller.close() : controller.error(end)
      },
    },
    { highWaterMark: 0 },
  )
}

const text: LanguageModelV4StreamPart[] = [
  { type: 'stream-start', warnings: [] },
  { type: 'text-start', id: '1' },
  { type: 'text-delta', id: '1', delta: 'Half' },
]

/** One run against the model, then a good one: the session must still work. */
async function failing(model: LanguageModelV4, modelTimeout?: ModelTimeout) {
  const good = scriptedModel([reply.text('Fine')])
  const models = { bad: model, good }
  const agent = defineAgent({
    name: 'a',
    model: 'bad',
    retry: { attempts: 1 },
    ...(modelTimeout ? { modelTimeout } : undefined),
  })
  const runtime = createRuntime(agent, { store: store(), models })
  const session = runtime.session('trip')
  const heard = record(session)
  const error = await session.send('Hi').result.then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(heard.kinds().at(-1)).toBe('run-failed')
  expect(heard.of('run-failed')[0]?.error).toEqual(error)
  expect((await session.view.ready).error).toEqual(error)
  expect(await session.send('And now', { model: 'good' }).result).toMatchObject({ text: 'Fine' })
  expect(problemsOf(good.calls[0]?.prompt ?? [])).toEqual([])
  expectOrder(heard.events)
  return { error, heard, partial: heard.of('assistant-message-committed')[0]?.message }
}

describe('a model that fails', () => {
  /** A provider's own TypeError looks like one of the network. */
  const broken = expect.stringMatching(/^(model-failed|unreachable)$/)
  const api = (statusCode: number | undefined, more: object = {}) =>
    new APICallError({
      message: 'Refused',
      url: 'https://model.invalid',
      requestBodyValues: { key: 'secret' },
      statusCode,
      ...more,
    })

  test.each([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
      'model-failed',
      /boom/,
    ],
    ['rejects', () => Promise.reject(new Error('boom')), 'model-failed', /boom/],
    ['rejects with what is no error', () => Promise.reject({ odd: true }), 'model-failed', /./],
    ['rejects with nothing', () => Promise.reject(undefined), 'model-failed', /./],
    ['gives nothing', () => undefined, broken, /./],
    ['gives no stream', () => ({}), 'model-failed', /gave no stream/],
    ['gives a broken stream', () => ({ stream: streamOf([], new Error('broken')) }), 'model-failed', /broken/],
    [
      'gives a stream that somebody reads',
      () => {
        const stream = streamOf(text)
        stream.getReader()
        return { stream }
      },
      broken,
      /./,
    ],
    ['sends what is no part', () => ({ stream: streamOf([undefined as never]) }), broken, /./],
    ['can not be reached', () => Promise.reject(new TypeError('Failed to fetch')), 'unreachable', /Failed to fetch/],
    ['limits the rate', () => Promise.reject(api(429)), 'rate-limited', /429/],
    ['is overloaded', () => Promise.reject(api(503)), 'overloaded', /503/],
    ['does not understand', () => Promise.reject(api(400)), 'bad-request', /400/],
    ['ends without a finish', () => ({ stream: streamOf(text) }), 'model-interrupted', /cut off/],
    ['ends at once', () => ({ stream: streamOf([]) }), 'model-interrupted', /cut off/],
    [
      'ends as interrupted',
      () => ({ stream: streamOf([...text, finish('interrupted')]) }),
      'model-interrupted',
      /cut off/,
    ],
    ['ends with an error', () => ({ stream: streamOf([...text, finish('error')]) }), 'model-failed', /error/],
    [
      'sends an error part',
      () => ({ stream: streamOf([...text, { type: 'error', error: new Error('overheated') }, finish('error')]) }),
      'model-failed',
      /overheated/,
    ],
    [
      'loses the connection',
      () => ({ stream: streamOf(text, api(200, { cause: new TypeError('network error') })) }),
      'model-interrupted',
      /./,
    ],
  ])('because it %s ends the run typed', async (_, doStream, code, message) => {
    const { error } = await failing(streaming(doStream))
    expect(error).toMatchObject({ name: 'AgentError', code, message: expect.stringMatching(message) })
    expect(JSON.stringify(error)).not.toContain('secret')
  })

  test.each([401, 403])(
    'because it refuses the key with %i stops the run, which goes on with a new one',
    async (status) => {
      let refused = true
      const model = streaming(() =>
        refused ? Promise.reject(api(status)) : { stream: streamOf([...text, finish('stop')]) },
      )
      const runtime = createRuntime(defineAgent({ name: 'a', model }), { store: store() })
      const trip = runtime.session('trip')
      const heard = record(trip)
      const { runId, result } = trip.send('Hi')
      expect(await result).toMatchObject({ status: 'stopped', reason: 'credentials' })
      const [stopped] = heard.of('run-stopped')
      expect(stopped).toMatchObject({
        reason: 'credentials',
        error: { name: 'AgentError', code: 'unauthorized', status },
      })
      expect(JSON.stringify(stopped)).not.toContain('secret')
      expect(await trip.view.ready).toMatchObject({ status: 'error', error: { code: 'unauthorized' } })
      refused = false
      expect(await runtime.runs.resume(runId).result).toMatchObject({ runId, status: 'completed' })
      expect((await trip.view.ready).error).toBeUndefined()
    },
  )

  test('because its function throws or rejects', async () => {
    const functions = [
      () => {
        throw new Error('no such chunk')
      },
      () => Promise.reject(new Error('no such chunk')),
    ]
    for (const model of functions) {
      const runtime = createRuntime(defineAgent({ name: 'a', model }), { store: store() })
      await expect(runtime.run({ input: 'Hi' }).result).rejects.toMatchObject({
        code: 'model-failed',
        message: 'no such chunk',
      })
    }
  })

  test('in mid-answer keeps the text so far as partial', async () => {
    const { partial } = await failing(
      streaming(() => ({ stream: streamOf([...text, ...callParts('x', {}, 'c')], new Error('boom')) })),
    )
    expect(partial).toMatchObject({ metadata: { status: 'partial' }, parts: [{ type: 'text', text: 'Half' }] })
  })

  test('with a text that was never opened or closed keeps it', async () => {
    const model = streaming(() => ({
      stream: streamOf([{ type: 'text-delta', id: 'x', delta: 'One' }, { type: 'text-end', id: 'y' }, finish('stop')]),
    }))
    const runtime = createRuntime(defineAgent({ name: 'a', model }), { store: store() })
    expect(await runtime.run({ input: 'Hi' }).result).toMatchObject({ text: 'One' })
  })
})

describe('a model that falls silent', () => {
  const silent = { code: 'model-timeout', recoverable: true }

  test('before it answers ends by firstPart', async () => {
    const { error } = await failing(
      streaming(() => new Promise(() => {})),
      { firstPart: 20 },
    )
    expect(error).toMatchObject({ ...silent, message: expect.stringMatching(/begin.*20 ms/) })
  })

  test('before the first part ends by firstPart', async () => {
    const { error } = await failing(
      streaming(() => ({ stream: streamOf([], 'hang') })),
      { firstPart: 20 },
    )
    expect(error).toMatchObject(silent)
  })

  test('while its function makes it ends by firstPart', async () => {
    const agent = defineAgent({
      name: 'a',
      model: () => new Promise<never>(() => {}),
      retry: { attempts: 1 },
      modelTimeout: { firstPart: 20 },
    })
    await expect(createRuntime(agent, { store: store() }).run({ input: 'Hi' }).result).rejects.toMatchObject(silent)
  })

  test('in mid-answer ends by betweenParts, and keeps the text so far', async () => {
    const { error, partial } = await failing(
      streaming(() => ({ stream: streamOf(text, 'hang') })),
      { betweenParts: 20 },
    )
    expect(error).toMatchObject({ ...silent, message: expect.stringMatching(/silent.*20 ms/) })
    expect(partial?.parts).toMatchObject([{ text: 'Half' }])
  })

  test('but for pings ends all the same', async () => {
    let pings = 0
    const pinging = streaming(() => ({
      stream: new ReadableStream<LanguageModelV4StreamPart>({
        start: (controller) => {
          for (const part of text) controller.enqueue(part)
        },
        pull: async (controller) => {
          await new Promise((resolve) => setTimeout(resolve, 2))
          pings++
          controller.enqueue({ type: 'ping' } as LanguageModelV4StreamPart)
        },
      }),
    }))
    const { error } = await failing(pinging, { betweenParts: 40 })
    expect(error).toMatchObject(silent)
    expect(pings).toBeGreaterThan(1)
  })

  test('never, but does not finish either, ends by total', async () => {
    const talking = streaming(() => ({
      stream: new ReadableStream<LanguageModelV4StreamPart>({
        pull: async (controller) => {
          await new Promise((resolve) => setTimeout(resolve, 2))
          controller.enqueue({ type: 'text-delta', id: '1', delta: 'x' })
        },
      }),
    }))
    const { error } = await failing(talking, { total: 50, betweenParts: 5000 })
    expect(error).toMatchObject({ ...silent, message: expect.stringMatching(/finish.*50 ms/) })
  })

  test('has its fetch aborted and its stream cancelled', async () => {
    const model = manualModel()
    const agent = defineAgent({ name: 'a', model, retry: { attempts: 1 }, modelTimeout: { betweenParts: 20 } })
    const run = createRuntime(agent, { store: store() }).run({ input: 'Hi' })
    const call = await model.next()
    call.text('Half')
    await expect(run.result).rejects.toMatchObject(silent)
    expect(call.options.abortSignal?.aborted).toBe(true)
    expect(call.cancelled).toBe(true)
  })

  test('may take a minute where nothing else is said', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    try {
      const runtime = createRuntime(
        defineAgent({ name: 'a', model: streaming(() => new Promise(() => {})), retry: { attempts: 1 } }),
        { store: store() },
      )
      const heard = record(runtime)
      const run = runtime.run({ input: 'Hi' })
      await heard.when('model-started')
      await vi.advanceTimersByTimeAsync(59_000)
      expect(run.finished).toBe(false)
      await vi.advanceTimersByTimeAsync(2_000)
      await expect(run.result).rejects.toMatchObject({ ...silent, message: expect.stringMatching(/60000 ms/) })
    } finally {
      vi.useRealTimers()
    }
  })

  test('may do so for ever where that is wanted', async () => {
    const model = manualModel()
    const modelTimeout = { firstPart: Number.POSITIVE_INFINITY, betweenParts: Number.POSITIVE_INFINITY }
    const run = createRuntime(defineAgent({ name: 'a', model, modelTimeout }), { store: store() }).run({ input: 'Hi' })
    const call = await model.next()
    await new Promise((resolve) => setTimeout(resolve))
    call.finish()
    expect(await run.result).toMatchObject({ status: 'completed' })
  })
})

test('a stream that comes after the run was given up is cancelled', async () => {
  const opening = door()
  const asked = door()
  const cancelled = vi.fn()
  const model = streaming(async () => {
    asked.open()
    await opening.pass()
    return { stream: new ReadableStream({ cancel: cancelled }) }
  })
  const run = createRuntime(defineAgent({ name: 'a', model }), { store: store() }).run({ input: 'Hi' })
  await opening.reached
  run.abort()
  await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
  opening.open()
  await waitFor(() => expect(cancelled).toHaveBeenCalled())
})

test('a validator that comes back after the run has failed is told nobody', async () => {
  const checking = door()
  const slow = tool({
    inputSchema: z.object({}).refine(async () => checking.pass(true)),
    execute: () => 'x',
  })
  const model = streaming(() => ({ stream: streamOf([...text, ...callParts('slow', {}, 'c')], 'hang') }))
  const agent = defineAgent({
    name: 'a',
    model,
    tools: { slow },
    retry: { attempts: 1 },
    modelTimeout: { betweenParts: 20 },
  })
  const session = createRuntime(agent, { store: store() }).session('trip')
  const heard = record(session)
  await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'model-timeout' })
  checking.open()
  await new Promise((resolve) => setTimeout(resolve))
  expect(heard.kinds().at(-1)).toBe('run-failed')
  expectOrder(heard.events)
})

describe('a call of the model', () => {
  const echo = tool({ description: 'Echoes', inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })

  test('has the settings of the agent and the run, the run over the agent, field by field', async () => {
    const model = hello()
    const agent = defineAgent({
      name: 'a',
      model,
      instructions: 'Be brief.',
      tools: { echo },
      settings: {
        temperature: 0.1,
        maxOutputTokens: 100,
        stopSequences: ['END'],
        seed: 1,
        reasoning: 'low',
        headers: { a: '1' },
        providerOptions: { acme: { x: 1 } },
        toolChoice: 'required',
      },
    })
    const runtime = createRuntime(agent, { store: store() })
    await runtime.run({ input: 'Hi' }).result
    const settings = {
      temperature: 0.9,
      toolChoice: { type: 'tool', toolName: 'echo' },
      topP: 0.5,
      seed: undefined,
    } as const
    await runtime.run({ input: 'Hi', settings: settings as never }).result
    const common = {
      maxOutputTokens: 100,
      stopSequences: ['END'],
      seed: 1,
      reasoning: 'low',
      headers: { a: '1' },
      providerOptions: { acme: { x: 1 } },
      tools: [
        {
          type: 'function',
          name: 'echo',
          description: 'Echoes',
          inputSchema: { type: 'object', properties: { n: { type: 'number' } } },
        },
      ],
    }
    expect(model.calls[0]).toMatchObject({ ...common, temperature: 0.1, toolChoice: { type: 'required' } })
    expect(model.calls[1]).toMatchObject({
      ...common,
      temperature: 0.9,
      topP: 0.5,
      toolChoice: { type: 'tool', toolName: 'echo' },
    })
    expect(model.calls[0]?.prompt).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
    ])
    expect(model.calls[0]?.abortSignal).toBeInstanceOf(AbortSignal)
  })

  test('of an agent without tools and settings has none', async () => {
    const model = hello()
    await createRuntime(defineAgent({ name: 'a', model }), { store: store() }).run({ input: 'Hi' }).result
    expect(Object.keys(model.calls[0] ?? {}).sort()).toEqual(['abortSignal', 'prompt', 'toolChoice'])
  })

  test('has ids of calls that are not empty and were never used before, in events and prompts', async () => {
    const call = (id: string) =>
      reply.parts([{ type: 'tool-call', toolCallId: id, toolName: 'echo', input: '{"n":1}' }])
    const model = scriptedModel([
      reply.all(call('same'), call('same'), call('')),
      reply.all(reply.call('echo', { n: 2 }, { toolCallId: 'same' })),
      reply.text('Done'),
    ])
    const agent = defineAgent({ name: 'a', model, tools: { echo }, doomLoop: false })
    const session = createRuntime(agent, { store: store() }).session('trip')
    const heard = record(session)
    await session.send('Go').result
    expect(problemsOf(model.calls[2]?.prompt ?? [])).toEqual([])
    const ids = heard.of('tool-execution-started').map(({ toolCallId }) => toolCallId)
    expect(new Set(ids).size).toBe(4)
    expect(ids[0]).toBe('same')
    expect(ids).not.toContain('')
    const [started] = heard.of('tool-call-started')
    expect(started?.toolCallId).toBe(ids[3])
    expectOrder(heard.events)
  })

  test('may bring parts that nobody knows yet', async () => {
    const model = scriptedModel([reply.all(reply.parts([{ type: 'hologram', data: 1 } as never]), reply.text('Hello'))])
    const session = createRuntime(defineAgent({ name: 'a', model }), { store: store() }).session('trip')
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
  })

  test('that finishes for another reason than stop or tool-calls carries no tool out', async () => {
    for (const reason of ['length', 'content-filter', 'other'] as const) {
      const executed = vi.fn()
      const never = tool({ inputSchema: z.object({}), execute: executed })
      const model = scriptedModel([
        reply.all(reply.text('Half'), reply.call('never', {}), reply.finish({ reason })),
        reply.text('Fine'),
      ])
      const session = createRuntime(defineAgent({ name: 'a', model, tools: { never } }), { store: store() }).session(
        'trip',
      )
      expect(await session.send('Hi').result).toMatchObject({ status: 'completed', finishReason: reason })
      await session.send('And now').result
      expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
      expect(executed).not.toHaveBeenCalled()
    }
  })
})
