import type { ToolSet } from '@ai-sdk/provider-utils'
import {
  createRuntime,
  defineAgent,
  jsonSchema,
  memoryStore,
  type Store,
  type ToolSource,
  type ToolSourceContext,
  tool,
} from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { manualClock } from './clock.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, mortal } from './stores.ts'

const echo = tool({ inputSchema: z.object({ text: z.string() }), execute: ({ text }) => `from outside: ${text}` })
const sourceOf = (tools: ToolSource['tools'], name = 'server'): ToolSource => ({ name, tools })

interface Options {
  readonly store?: Store
  readonly clock?: ReturnType<typeof manualClock>
  readonly more?: Omit<Parameters<typeof defineAgent>[0], 'name' | 'model'>
}

function asking(toolSources: readonly ToolSource[], turns: readonly ScriptedTurn[], options: Options = {}) {
  const { store = memoryStore(), clock, more } = options
  const model = scriptedModel(turns)
  const agent = defineAgent({ name: 'assistant', model, toolSources, ...more })
  const runtime = createRuntime(agent, { store, ...clock })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

const namesOf = ({ calls }: ReturnType<typeof asking>['model'], turn: number) =>
  calls[turn]?.tools?.map(({ name }) => name) ?? []

describe('tools of a source', () => {
  test('are told to the model beside the agent’s own, and carried out as calls that the types don’t know', async () => {
    const own = tool({ inputSchema: z.object({}), execute: () => 1 })
    const { session, model, heard } = asking(
      [sourceOf(async () => ({ echo }))],
      [reply.call('echo', { text: 'hi' }), reply.text('Done')],
      { more: { tools: { own } } },
    )
    await session.send('Go').result
    expect(namesOf(model, 0)).toEqual(['own', 'echo'])
    expect(heard.of('tool-call-started')).toMatchObject([{ toolName: 'echo', dynamic: true }])
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { toolName: 'echo', dynamic: true, outcome: 'success', output: 'from outside: hi' },
    ])
    expectOrder(heard.events)
  })

  test('are asked for before each turn, with the credentials: one that comes later is told then', async () => {
    const asked: ToolSourceContext[] = []
    const source = sourceOf((context) => {
      asked.push(context)
      return (asked.length === 1 ? { echo } : { echo, later: echo }) as ToolSet
    })
    const { runtime, session, model } = asking([source], [reply.call('echo', { text: 'a' }), reply.text('Done')])
    runtime.setCredentials('token')
    await session.send('Go').result
    expect(asked.map(({ credentials }) => credentials)).toEqual(['token', 'token'])
    expect(namesOf(model, 0)).toEqual(['echo'])
    expect(namesOf(model, 1)).toEqual(['echo', 'later'])
  })

  test('are under the agent’s policy, which may name tools that nobody knows yet', async () => {
    const slow = tool({ inputSchema: z.object({}), execute: () => new Promise(() => {}) })
    const clock = manualClock()
    const { session, heard } = asking([sourceOf(() => ({ slow }))], [reply.call('slow', {}), reply.text('Done')], {
      clock,
      more: { toolPolicy: { slow: { timeout: 5 } } },
    })
    const run = session.send('Go')
    await heard.when('tool-execution-started')
    expect(await clock.asleep()).toBe(5)
    clock.advance(5)
    await run.result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'failure' }])
  })

  test('without `execute` wait for an answer from outside, as any', async () => {
    const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
    const { session, heard } = asking([sourceOf(() => ({ form }))], [reply.call('form', {}), reply.text('Done')])
    const run = session.send('Go')
    const { toolCallId } = await heard.when('tool-call-completed')
    await heard.when('run-waiting')
    const output = { tool: 'form', toolCallId, output: 'filled in' } as never
    await session.addToolOutput(output)
    await run.result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output: 'filled in' }])
  })

  test('are asked for again before an open call is carried out by another owner', async () => {
    const shared = memoryStore()
    const first = mortal(shared)
    const wait = door()
    const idempotent = tool({ inputSchema: z.object({}), idempotent: true, execute: () => wait.pass('late') } as never)
    const dying = asking([sourceOf(() => ({ look: idempotent }))], [reply.call('look', {})], { store: first })
    dying.session.send('Go').detach()
    await wait.reached
    first.die()
    const again = tool({ inputSchema: z.object({}), idempotent: true, execute: () => 'again' } as never)
    const { session, heard } = asking([sourceOf(async () => ({ look: again }))], [reply.text('Done')], {
      store: mortal(shared),
    })
    expect((await heard.when('run-completed')).turn).toBe(2)
    expect((await session.history())[1]?.parts[0]).toMatchObject({ state: 'output-available', output: 'again' })
  })

  test('that are gone give an error to the model that calls them', async () => {
    let times = 0
    const source = sourceOf(() => (times++ === 0 ? { echo } : {}) as ToolSet)
    const { session, model, heard } = asking(
      [source],
      [reply.call('echo', { text: 'a' }), reply.call('echo', { text: 'b' }), reply.text('Done')],
    )
    await session.send('Go').result
    expect(heard.of('tool-execution-finished')).toHaveLength(1)
    expect(JSON.stringify(model.calls[2]?.prompt.at(-1))).toContain('There is no tool \\"echo\\"')
  })

  test('answer a call in doubt with a result that fits their schema only', async () => {
    const shared = memoryStore()
    const first = mortal(shared)
    const wait = door()
    const mail = (execute: () => unknown) =>
      tool({ inputSchema: z.object({}), outputSchema: z.string(), execute: execute as () => string })
    const dying = asking([sourceOf(() => ({ mail: mail(() => wait.pass('')) }))], [reply.call('mail', {})], {
      store: first,
    })
    dying.session.send('Go').detach()
    await wait.reached
    first.die()
    const { runtime, heard } = asking([sourceOf(() => ({ mail: mail(() => 'x') }))], [reply.text('Done')], {
      store: mortal(shared),
    })
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ reason: 'in-doubt', toolName: 'mail', dynamic: true })
    await expect(answer(runtime, approval, { decision: 'supply-result', output: 7 })).rejects.toMatchObject({
      code: 'invalid-input',
    })
    await answer(runtime, approval, { decision: 'supply-result', output: 'sent' })
    await heard.when('run-completed')
  })
})

describe('a source that can’t be used', () => {
  const notices = (heard: ReturnType<typeof record>) =>
    heard.of('notice').map(({ code, message }) => `${code}: ${message}`)

  test('is done without, and told of once', async () => {
    const { session, model, heard } = asking(
      [
        sourceOf(() => Promise.reject(new Error('refused'))),
        sourceOf(() => {
          throw new Error('broken')
        }, 'second'),
        sourceOf(() => ({ echo }), 'third'),
        sourceOf(() => 7 as never, 'fourth'),
      ],
      [reply.call('echo', { text: 'a' }), reply.text('Done')],
    )
    await session.send('Go').result
    expect(namesOf(model, 1)).toEqual(['echo'])
    expect([...notices(heard)].sort()).toEqual([
      'tool-source: Tool source "fourth": It gives no tools: What it gave is no set of tools.',
      'tool-source: Tool source "second": It gives no tools: broken',
      'tool-source: Tool source "server": It gives no tools: refused',
    ])
  })

  test('as it takes too long is aborted, and not asked again in this run', async () => {
    const clock = manualClock()
    const signals: AbortSignal[] = []
    const hanging = sourceOf(({ signal }) => {
      signals.push(signal)
      return new Promise<ToolSet>(() => {})
    })
    const { session, heard } = asking(
      [hanging, sourceOf(() => ({ echo }), 'other')],
      [reply.call('echo', { text: 'a' }), reply.text('Done')],
      { clock },
    )
    const run = session.send('Go')
    await expect.poll(() => signals.length).toBe(1)
    expect(await clock.asleep()).toBe(10_000)
    clock.advance(10_000)
    await run.result
    expect(signals).toMatchObject([{ aborted: true }])
    expect(notices(heard)).toEqual([expect.stringContaining('10000 ms')])
  })

  test('keeps no run from being aborted', async () => {
    const wait = door()
    const { session } = asking([sourceOf(() => wait.pass({}))], [])
    const run = session.send('Go')
    await wait.reached
    run.abort()
    await expect(run.result).rejects.toThrow('aborted')
  })

  test('loses the tools that clash with the agent’s own, that providers refuse by name, or that are none', async () => {
    const own = tool({ inputSchema: z.object({}), execute: () => 'own' })
    const circular: Record<string, unknown> = { type: 'object' }
    circular.properties = { again: circular }
    const bad = {
      own: echo,
      'a name with blanks': echo,
      none: null,
      schemaless: { execute: () => 1 },
      circular: tool({ inputSchema: jsonSchema(circular), execute: () => 1 }),
      long: tool({ description: 'x'.repeat(10_001), inputSchema: z.object({}), execute: () => 1 }),
      titled: { ...echo, title: 'x'.repeat(201) },
      good: echo,
    }
    const { session, model, heard } = asking(
      [sourceOf(() => bad as never), sourceOf(() => ({ good: echo, other: echo }), 'second')],
      [reply.call('own', {}), reply.text('Done')],
      { more: { tools: { own } } },
    )
    await session.send('Go').result
    expect(namesOf(model, 0)).toEqual(['own', 'good', 'other'])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output: 'own' }])
    const told = notices(heard)
    expect(told).toHaveLength(8)
    for (const name of ['own', 'a name with blanks', 'none', 'schemaless', 'circular', 'long', 'titled'])
      expect(told.filter((notice) => notice.includes(`"server"`) && notice.includes(`"${name}"`))).toHaveLength(1)
  })

  test('is bounded in its tools', async () => {
    const many = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`tool${n}`, echo]))
    const { session, model, heard } = asking([sourceOf(() => many)], [reply.text('Done')])
    await session.send('Go').result
    expect(namesOf(model, 0)).toHaveLength(500)
    expect(notices(heard)).toHaveLength(1)
  })
})

test('a runtime that is closed closes the sources that it asked, and no others', async () => {
  const close = vi.fn()
  const never = vi.fn()
  const asked = { ...sourceOf(() => ({ echo })), close }
  const unused = { ...sourceOf(() => ({ echo })), close: never }
  const one = asking([asked], [reply.text('Done')])
  const other = asking([unused], [])
  await one.session.send('Go').result
  expect(close).not.toHaveBeenCalled()
  await one.runtime.close()
  await other.runtime.close()
  expect(close).toHaveBeenCalledTimes(1)
  expect(never).not.toHaveBeenCalled()
})

test.each([
  ['no list', {}],
  ['one without a name', [{ tools: () => ({}) }]],
  ['one that gives nothing', [{ name: 'a' }]],
  ['two of one name', [sourceOf(() => ({})), sourceOf(() => ({}))]],
])('sources that can’t work are refused where they are defined: %s', (_, toolSources) => {
  const definition = { name: 'assistant', model: scriptedModel([]), toolSources: toolSources as never }
  expect(() => defineAgent(definition)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
})
