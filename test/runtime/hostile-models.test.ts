import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import { AgentError, createRuntime, defineAgent, indexedDbStore, memoryStore, tool } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { isEnd } from '../../src/events/kinds.ts'
import { problemsOf } from './check-prompt.ts'
import { finish } from './manual-model.ts'
import { expectOrder, record } from './record.ts'

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

/** A run that the model spoils, then a good one on the same session. */
async function spoiled(turn: ScriptedTurn, { tools = {} as ToolSet, store = memoryStore() } = {}) {
  onTestFinished(() => store.close())
  const model = scriptedModel([turn, reply.text('Fine')])
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools }), { store })
  const session = runtime.session('trip')
  const heard = record(session)
  const run = session.send('Hi')
  const error = await run.result.then(
    () => undefined,
    (thrown) => thrown,
  )
  const ends = heard.events.filter(({ kind, runId }) => runId === run.runId && isEnd(kind))
  expect(ends).toMatchObject([{ kind: 'run-failed', error: { code: error?.code } }])
  expect(heard.of('run-released')).toEqual([])
  expect(await runtime.sessions.list()).toMatchObject([{ status: 'ready' }])
  expect(await session.send('And now?').result).toMatchObject({ text: 'Fine' })
  expect(problemsOf(model.calls.at(-1)?.prompt ?? [])).toEqual([])
  expectOrder(heard.events)
  return { error, heard, model }
}

const typed = (code: string) => expect.objectContaining({ name: 'AgentError', code })
const parts = (...given: readonly object[]) => reply.parts(given as LanguageModelV4StreamPart[])
const uncloneable = { provider: { call: () => 1 } }

const poisoned = {
  'a text': [
    { type: 'text-start', id: '1' },
    { type: 'text-delta', id: '1', delta: 'Hi', providerMetadata: uncloneable },
    { type: 'text-end', id: '1' },
  ],
  'a reasoning': [
    { type: 'reasoning-start', id: '1', providerMetadata: uncloneable },
    { type: 'reasoning-delta', id: '1', delta: 'Hm' },
    { type: 'reasoning-end', id: '1' },
  ],
  'a source': [{ type: 'source', sourceType: 'url', id: '1', url: 'https://a.test', providerMetadata: uncloneable }],
  'a call': [{ type: 'tool-call', toolCallId: 'c', toolName: 'work', input: '{}', providerMetadata: uncloneable }],
}
const work = tool({ inputSchema: z.object({}), execute: () => 1 })

describe.each(stores)('what can not be cloned, %s,', (_, makeStore) => {
  test.each(Object.entries(poisoned))(
    'in the metadata of %s fails the run once, and leaves the session usable',
    async (_, given) => {
      const { error } = await spoiled(parts(...given, finish('stop')), { tools: { work }, store: makeStore() })
      expect(error).toBeInstanceOf(AgentError)
    },
  )

  test("in a tool's title fails the run once, and leaves the session usable", async () => {
    const titled = { ...work, title: (() => 1) as never }
    const { error } = await spoiled(reply.call('titled', {}), { tools: { titled }, store: makeStore() })
    expect(error).toBeInstanceOf(AgentError)
  })

  test("in a tool's metadata fails the run once, and leaves the session usable", async () => {
    const noted = { ...work, metadata: uncloneable as never }
    const { error } = await spoiled(reply.call('noted', {}), { tools: { noted }, store: makeStore() })
    expect(error).toBeInstanceOf(AgentError)
  })
})

describe('data of the model that can not be read fails the run as model-failed, and poisons no later prompt:', () => {
  const bad = { type: 'url', url: 'no url' }
  const unreadable = {
    'a file with a bad URL': [{ type: 'file', mediaType: 'image/png', data: bad }],
    'a file of reasoning with a bad URL': [{ type: 'reasoning-file', mediaType: 'image/png', data: bad }],
    'a file without data': [{ type: 'file', mediaType: 'image/png' }],
    'a call without input': [{ type: 'tool-call', toolCallId: 'c', toolName: 'work' }],
    'a finish without usage': [{ type: 'finish', finishReason: { unified: 'stop', raw: 'stop' } }],
    'a finish without reason': [{ ...finish('stop'), finishReason: undefined }],
  }
  test.each(Object.entries(unreadable))('%s', async (_, given) => {
    const { error } = await spoiled(parts(...given, finish('stop')), { tools: { work } })
    expect(error).toEqual(typed('model-failed'))
  })

  test('a result of its own tool that is no JSON', async () => {
    const result = { type: 'tool-result', toolCallId: 'c', toolName: 'web', result: 10n }
    const { error } = await spoiled(parts(result, finish('stop')))
    expect(error).toEqual(
      expect.objectContaining({ name: 'AgentError', code: expect.not.stringMatching('unreachable') }),
    )
  })
})

test('a file with a good URL comes back to the model', async () => {
  const url = 'https://images.test/cat.png'
  const file = { type: 'file', mediaType: 'image/png', data: { type: 'url', url: new URL(url) } }
  const model = scriptedModel([parts(file, finish('stop')), reply.text('Fine')])
  const session = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() }).session()
  await session.send('Draw').result
  await session.send('And now?').result
  expect(model.calls[1]?.prompt[1]?.content).toMatchObject([{ type: 'file', data: { url: { href: url } } }])
})

describe('a TypeError of the code that prepares a call is model-failed, not unreachable:', () => {
  const fails = () => {
    throw new TypeError('x is not a function')
  }
  test('of a description', async () => {
    const agent = defineAgent({
      name: 'assistant',
      model: scriptedModel([]),
      tools: { work: { ...work, description: fails as never } },
    })
    await expect(createRuntime(agent, { store: memoryStore() }).run({ input: 'Hi' }).result).rejects.toEqual(
      typed('model-failed'),
    )
  })

  test('of the model function', async () => {
    const agent = defineAgent({ name: 'assistant', model: fails as never })
    await expect(createRuntime(agent, { store: memoryStore() }).run({ input: 'Hi' }).result).rejects.toEqual(
      typed('model-failed'),
    )
  })

  test("of a provider's tool that tells the model its result", async () => {
    const own = { ...work, toModelOutput: fails as never }
    const { error } = await spoiled(
      parts(
        { type: 'tool-call', toolCallId: 'c', toolName: 'own', input: '{}', providerExecuted: true },
        { type: 'tool-result', toolCallId: 'c', toolName: 'own', result: 1 },
        finish('stop'),
      ),
      { tools: { own } },
    )
    expect(error).toEqual(typed('model-failed'))
  })
})

describe('an AgentError of the model function', () => {
  function throwing(code: AgentError['code']) {
    const good = scriptedModel([reply.text('Fine')])
    const bad = () => {
      throw new AgentError(code, 'Of another runtime')
    }
    const runtime = createRuntime(defineAgent({ name: 'assistant', model: bad }), {
      store: memoryStore(),
      models: { good },
    })
    const session = runtime.session('trip')
    return { runtime, session, heard: record(session) }
  }

  test.each([
    'closed',
    'aborted',
    'ownership-lost',
    'storage-full',
    'storage-lost',
    'storage-outdated',
    'storage-unavailable',
  ] as const)("with the code %s does not pass for the store's or an abort", async (code) => {
    const { runtime, session, heard } = throwing(code)
    await expect(session.send('Hi').result).rejects.toEqual(typed('model-failed'))
    expect(heard.of('run-failed')).toMatchObject([{ error: { code: 'model-failed' } }])
    expect(heard.of('run-released', 'run-cancelled')).toEqual([])
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'ready' }])
    expect(await session.send('Hi', { model: 'good' }).result).toMatchObject({ text: 'Fine' })
    expectOrder(heard.events)
  })

  test('with another code keeps it', async () => {
    const { session } = throwing('rate-limited')
    await expect(session.send('Hi').result).rejects.toEqual(typed('rate-limited'))
  })
})
