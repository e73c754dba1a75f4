import { createOpenAI } from '@ai-sdk/openai'
import { AgentError, createRuntime, defineAgent, indexedDbStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { createStore } from '../../src/sessions/create-store.ts'
import { memoryDatabase } from '../../src/sessions/memory-database.ts'
import { localOwnership } from '../../src/sessions/ownership.ts'
import { recordsOf } from '../worker/fixtures/records.ts'
import { record } from './record.ts'

const keys = {
  credential: 'canary-credential-0123',
  bearer: 'canary-bearer-4567',
  settings: 'canary-settings-8901',
  tenant: 'canary-tenant-2345',
}
/** What repeats all that it has been sent, word by word. */
const echo = `You sent ${keys.credential}, Bearer ${keys.bearer} and x-api-key=${keys.settings}.`
const endpointEcho = `${echo} And ${keys.tenant}.`
const canary = /canary-\w+-\d/

interface Kept {
  readonly store: Store
  records(): Promise<unknown>
}
const stores: readonly (readonly [string, () => Kept])[] = [
  [
    'memory',
    () => {
      const database = memoryDatabase()
      const all = { from: [], before: [[]] }
      return {
        store: createStore(database, localOwnership(), Date.now),
        records: () => database.transact('readonly', (tx) => tx.getAll(all as never, Number.POSITIVE_INFINITY)),
      }
    },
  ],
  [
    'indexedDB',
    () => {
      const name = `test-${crypto.randomUUID()}`
      return { store: indexedDbStore({ name }), records: () => recordsOf(name) }
    },
  ],
]

/** All that there is of a value, errors and what they hide included. */
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, item) =>
    item instanceof Error ? { ...item, message: item.message, stack: item.stack, cause: item.cause } : item,
  )

const logs = ['log', 'info', 'warn', 'error', 'debug'] as const

describe.each(stores)('keys that everything echoes, %s,', (_, keep) => {
  const logged: unknown[] = []
  beforeEach(() => {
    logged.splice(0)
    for (const name of logs) vi.spyOn(console, name).mockImplementation((...words) => void logged.push(words))
    vi.stubGlobal('reportError', (error: unknown) => logged.push(error))
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.unstubAllGlobals()
  })

  const fail = (): never => {
    throw new Error(echo)
  }

  /** A runtime that knows all keys, and everything that is to be searched after what it did. */
  function start(options: Partial<Parameters<typeof defineAgent>[0]> = {}) {
    const { store, records } = keep()
    onTestFinished(() => store.close())
    const statuses = [500, 400, 401]
    const fetch = async () =>
      Response.json(
        { error: { message: endpointEcho, type: 'x', code: keys.credential } },
        { status: statuses.shift() ?? 401 },
      )
    const openai = ({ credentials }: { credentials: unknown }) =>
      createOpenAI({
        baseURL: 'https://model.invalid/v1',
        apiKey: (credentials as { apiKey: string }).apiKey,
        headers: { 'x-tenant-secret': keys.tenant, 'x-token': `Bearer ${keys.bearer}` },
        fetch,
      })('gpt-5-mini') as never
    const inputSchema = z.object({})
    const tools = {
      broken: tool({ inputSchema, execute: fail }),
      spoken: tool({
        inputSchema,
        execute: () => {
          throw echo
        },
      }),
      shown: tool({ inputSchema, execute: () => 1, toModelOutput: fail }),
      form: tool({ inputSchema, outputSchema: z.string() }),
    }
    const agent = defineAgent({
      name: 'assistant',
      model: openai,
      tools,
      settings: { headers: { 'x-api-key': keys.settings } },
      retry: { attempts: 2, delay: 1 },
      ...options,
    } as never)
    const runtime = createRuntime(agent, { store })
    onTestFinished(() => runtime.close())
    runtime.setCredentials({ apiKey: keys.credential, other: { accessToken: keys.bearer } })
    const session = runtime.session('trip')
    const heard = record(runtime)
    const chat: unknown[] = []
    runtime.on(['chat-started', 'chat-finished', 'chat-text-delta'], (event) => void chat.push(event))
    /** All that came of it, as one text. */
    const search = async () => {
      const runIds = new Set(heard.events.map(({ runId }) => runId).filter(Boolean))
      const audits = await Promise.all([...runIds].map((id) => runtime.runs.audit(id).catch((error) => error)))
      const results = await Promise.all([...runIds].map((id) => runtime.runs.get(id).result.catch((error) => error)))
      const view = await session.view.ready
      const history = await session.history()
      const document = await runtime.sessions.export('trip').then(
        (blob) => blob.text(),
        (error) => error,
      )
      return textOf([heard.events, chat, audits, results, view, history, document, await records(), logged])
    }
    return { runtime, session, heard, search }
  }
  const outcome = (result: Promise<unknown>) =>
    result.then(
      () => undefined,
      (error: unknown) => error,
    )

  test('are in nothing that comes of a model’s errors', async () => {
    const { session, heard, search } = start()
    const error = await outcome(session.send('Hello').result)
    expect(error).toMatchObject({ code: 'bad-request', message: expect.stringContaining('You sent …') })
    expect(heard.of('model-retried')).toMatchObject([{ error: { message: expect.stringContaining('You sent …') } }])
    expect(await session.send('Hello').result).toMatchObject({ reason: 'credentials' })
    expect(textOf(error)).not.toMatch(canary)
    expect(await search()).not.toMatch(canary)
  })

  test('are in nothing that comes of what tools throw, or somebody answers for them', async () => {
    const names = ['broken', 'spoken', 'shown']
    const model = scriptedModel([
      reply.all(...names.map((name) => reply.call(name, {})), reply.call('form', {}, { toolCallId: 'f' })),
      reply.text('Done.'),
    ])
    const { session, heard, search } = start({ model: model as never })
    const { result } = session.send('Hello')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'form', toolCallId: 'f', errorText: echo } as never)
    await result
    expect(textOf(model.calls[1]?.prompt)).toContain('You sent …')
    expect(textOf(model.calls[1]?.prompt)).not.toMatch(canary)
    expect(await search()).not.toMatch(canary)
  })

  test.each<[string, object, object]>([
    ['a model function', { model: fail }, { code: 'model-failed' }],
    [
      'a model function that says whose error it is',
      {
        model: () => {
          throw new AgentError('bad-request', echo)
        },
      },
      { code: 'bad-request' },
    ],
    ['the instructions', { instructions: fail }, { code: 'invalid-argument' }],
    ['onModelError', { onModelError: fail }, { code: 'model-failed' }],
    ['middleware, before a run', { middleware: [{ name: 'm', onInput: fail }] }, { code: 'middleware-failed' }],
    ['middleware, in a run', { middleware: [{ name: 'm', beforeModel: fail }] }, { code: 'middleware-failed' }],
  ])('are in nothing that comes of what %s throws', async (_who, options, expected) => {
    const { session, search } = start(options)
    const error = await outcome(session.send('Hello').result)
    expect(error).toMatchObject({ ...expected, message: expect.stringContaining('…') })
    expect(textOf(error)).not.toMatch(canary)
    expect(await search()).not.toMatch(canary)
  })

  test('are in nothing that comes of a policy, or of a summary', async () => {
    const model = scriptedModel([
      reply.call('broken', {}),
      reply.text('A long answer. '.repeat(50)),
      reply.text('Done.'),
    ])
    const { session, heard, search } = start({
      model: model as never,
      policy: fail,
      context: { window: 300, keep: 1, summarise: fail } as never,
    })
    await session.send('Hello').result
    await outcome(session.send('And now?').result)
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'denied' }])
    expect(await search()).not.toMatch(canary)
  })

  test('are in nothing that comes of what tools throw again and again', async () => {
    const model = scriptedModel([reply.call('broken', {}), reply.text('Done.')])
    const { session, runtime, heard, search } = start({
      model: model as never,
      toolPolicy: { broken: { idempotent: true } },
      onToolError: () => 'retry',
    })
    const { runId } = await session.send('Hello').result
    const trail = await runtime.runs.audit(runId)
    expect(trail.filter(({ transition }) => transition === 'retried')).not.toEqual([])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ errorText: expect.stringContaining('You sent …') }])
    expect(await search()).not.toMatch(canary)
  })

  test('are in nothing that comes of a source of tools, nor of middleware after the end', async () => {
    const { session, heard, search } = start({
      model: scriptedModel([reply.hang()]) as never,
      toolSources: [{ name: 'far', tools: fail }],
      middleware: [{ name: 'm', onRunEnd: fail }],
    })
    const handle = session.send('Hello')
    expect(await heard.when('notice')).toMatchObject({ message: expect.stringContaining('You sent …') })
    await heard.when('model-started')
    handle.abort()
    await outcome(handle.result)
    await expect.poll(() => textOf(logged)).toContain('onRunEnd')
    expect(await search()).not.toMatch(canary)
  })

  test('are not taken with a request, where they would be stored', async () => {
    const { session, search } = start()
    const settings = { headers: { authorization: `Bearer ${keys.bearer}` } } as never
    for (const result of [session.send('Hello', { settings }).result, session.step('Hello', { settings })])
      await expect(result).rejects.toMatchObject({
        name: 'AgentError',
        code: 'invalid-argument',
        message: expect.stringMatching(/agent's settings.*model.*credentials/),
      })
    expect(await search()).not.toMatch(canary)
  })
})
