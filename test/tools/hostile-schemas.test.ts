import { jsonSchema as sdkSchema } from 'ai'
import { createRuntime, defineAgent, jsonSchema, memoryStore, type ToolSource, tool } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from '../runtime/check-prompt.ts'
import { expectOrder, record } from '../runtime/record.ts'

// Schemas and inputs that are meant to hang, flood or break whoever handles them. No test here measures time: what hangs fails.

type Json = Record<string, unknown>

function circular(): Json {
  const schema: Json = { type: 'object' }
  schema.properties = { again: schema }
  return schema
}

/** Each level holds the one below it twice: 2^40 objects for whoever walks it. */
function bomb(): Json {
  let schema: Json = { type: 'string' }
  for (let level = 0; level < 40; level++) schema = { type: 'object', properties: { a: schema, b: schema } }
  return schema
}

function deep(levels: number): Json {
  let schema: Json = { type: 'string' }
  for (let level = 0; level < levels; level++) schema = { type: 'array', items: schema }
  return schema
}

const inObject = (property: unknown): Json => ({ type: 'object', properties: { a: property } })
const branches = (count: number) => inObject({ anyOf: Array.from({ length: count }, (_, n) => ({ const: `b${n}` })) })

const hostile: readonly (readonly [string, Json])[] = [
  ['a bomb of shared parts', bomb()],
  ['one that holds itself', circular()],
  ['one that is nested 100,000 deep', deep(100_000)],
  ['10,000 branches', branches(10_000)],
  ['an endless text', inObject({ description: 'x'.repeat(500_000) })],
  ['endless names', { type: 'object', properties: Object.fromEntries([['n'.repeat(500_000), {}]]) }],
  ['a long list of numbers', inObject({ enum: Array.from({ length: 200_000 }, (_, n) => n) })],
  ['a pattern that takes for ever', inObject({ type: 'string', pattern: '^(a+)+$' })],
  ['such a pattern for names', { type: 'object', patternProperties: { '(a|a)*$': {} } }],
  ['a forbidden name', JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}')],
  ['a function', inObject(() => {})],
]

const toolWith = (inputSchema: unknown) => tool({ inputSchema: inputSchema as never, execute: () => 1 })

describe('a tool whose schema is hostile', () => {
  test.each(hostile)('is refused by name where the agent is defined: %s', (_, schema) => {
    for (const inputSchema of [jsonSchema(schema), sdkSchema(schema as never)])
      expect(() =>
        defineAgent({ name: 'a', model: scriptedModel([]), tools: { weather: toolWith(inputSchema) } }),
      ).toThrow(expect.objectContaining({ code: 'unsupported-tool', message: expect.stringContaining('weather') }))
  })

  test.each(hostile)('is left out with a notice where a source gives it: %s', async (_, schema) => {
    const source: ToolSource = {
      name: 'server',
      tools: () => ({ bad: toolWith(jsonSchema(schema)), good: toolWith(jsonSchema({ type: 'object' })) }),
    }
    const model = scriptedModel([reply.text('Done')])
    const agent = defineAgent({ name: 'a', model, toolSources: [source] })
    const session = createRuntime(agent, { store: memoryStore() }).session('trip')
    const heard = record(session)
    await session.send('Go').result
    expect(model.calls[0]?.tools?.map(({ name }) => name)).toEqual(['good'])
    expect(heard.of('notice')).toMatchObject([{ message: expect.stringContaining('"bad"') }])
  })

  test.each(hostile)('fails the run where its schema comes later: %s', async (_, schema) => {
    const late = toolWith(() => jsonSchema(schema))
    const agent = defineAgent({ name: 'a', model: scriptedModel([]), tools: { late } })
    const session = createRuntime(agent, { store: memoryStore() }).session('trip')
    await expect(session.send('Go').result).rejects.toMatchObject({ code: 'unsupported-tool' })
  })

  test('is refused where a library checks with a pattern that takes for ever, and taken where it does not', () => {
    const define = (text: z.ZodType) => () =>
      defineAgent({ name: 'a', model: scriptedModel([]), tools: { mail: toolWith(z.object({ text })) } })
    expect(define(z.string().regex(/^(\w+\s?)*$/))).toThrow(expect.objectContaining({ code: 'unsupported-tool' }))
    expect(define(z.email())).not.toThrow()
    expect(define(z.string().regex(/^[a-z]+(-[a-z]+)*$/))).not.toThrow()
  })

  test('is refused as an output, too', () => {
    const output = jsonSchema(circular())
    expect(() => defineAgent({ name: 'a', model: scriptedModel([]), output })).toThrow(
      expect.objectContaining({ code: 'unsupported-tool' }),
    )
  })

  test('may refer to itself by name: nobody follows that', async () => {
    const tree = { type: 'object', properties: { children: { type: 'array', items: { $ref: '#' } } } }
    const loop = {
      $ref: '#/definitions/a',
      definitions: { a: { $ref: '#/definitions/b' }, b: { $ref: '#/definitions/a' } },
    }
    const model = scriptedModel([
      reply.all(reply.call('tree', { children: [{}] }), reply.call('loop', {})),
      reply.text('Done'),
    ])
    const tools = { tree: toolWith(jsonSchema(tree as never)), loop: toolWith(jsonSchema(loop as never)) }
    const session = createRuntime(defineAgent({ name: 'a', model, tools }), { store: memoryStore() }).session('trip')
    await session.send('Go').result
    expect(model.calls[0]?.tools).toMatchObject([{ inputSchema: tree }, { inputSchema: loop }])
  })

  test('may be large within its bounds, and is told whole characters only', async () => {
    const model = scriptedModel([reply.text('Done')])
    const tools = {
      wide: toolWith(jsonSchema(branches(2000) as never)),
      half: toolWith(jsonSchema(inObject({ title: 'a\uD800' }) as never)),
    }
    const session = createRuntime(defineAgent({ name: 'a', model, tools }), { store: memoryStore() }).session('trip')
    await session.send('Go').result
    expect(model.calls[0]?.tools?.[1]).toMatchObject({ inputSchema: inObject({ title: 'a\uFFFD' }) })
  })
})

describe('a call whose input is hostile', () => {
  const got: unknown[] = []
  const anything = tool({ inputSchema: z.unknown(), execute: (input) => void got.push(input) })

  async function calling(turn: ScriptedTurn) {
    got.length = 0
    const model = scriptedModel([turn, reply.text('Done')])
    const store = memoryStore()
    const runtime = createRuntime(defineAgent({ name: 'a', model, tools: { anything } }), { store })
    const session = runtime.session('trip')
    const heard = record(session)
    await session.send('Go').result
    expectOrder(heard.events)
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    return { heard, told: JSON.stringify(model.calls[1]?.prompt), history: await session.history() }
  }

  test.each([
    ['nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['nested 2,000 deep', '['.repeat(2000) + ']'.repeat(2000)],
    ['objects nested 2,000 deep', `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`],
    ['with a forbidden name', '{"__proto__":{"a":1}}'],
    ['with a prototype', '{"constructor":{"prototype":{"a":1}}}'],
    ['cut', '{"a":[1,2'],
  ])('is answered with an error, and the run goes on: %s', async (_, input) => {
    const { heard } = await calling(reply.call('anything', input))
    expect(got).toEqual([])
    expect(heard.of('tool-execution-started')).toEqual([])
    expect(heard.of('run-completed')).toHaveLength(1)
  })

  test('is answered with an error where it is of 5 MiB', async () => {
    const input = JSON.stringify({ a: 'x'.repeat(5 * 1024 * 1024) })
    const part = { type: 'tool-call' as const, toolCallId: 'a', toolName: 'anything', input }
    await calling(reply.all(reply.parts([part]), reply.finish({ reason: 'tool-calls' })))
    expect(got).toEqual([])
  })

  test('with half characters in texts and names is told and stored in whole ones', async () => {
    const { told, history } = await calling(reply.call('anything', '{"a\\ud800":"b\\udfff"}'))
    expect(got).toHaveLength(1)
    expect(told).not.toMatch(/\\ud[89a-f]/i)
    expect(JSON.stringify(history)).not.toMatch(/\\ud[89a-f]/i)
  })

  test('may have names that objects have already', async () => {
    await calling(reply.call('anything', { toString: 1, constructor: 2, hasOwnProperty: 3 }))
    expect(got).toEqual([{ toString: 1, constructor: 2, hasOwnProperty: 3 }])
  })

  test.each([
    ['half a character', 'a\uD800'],
    ['a prototype', '__proto__'],
    ['blanks', 'no such tool!'],
    ['no end', 'x'.repeat(100_000)],
    ['nothing', ''],
  ])('may name a tool with %s: providers get a name that they take', async (_, name) => {
    const { told } = await calling(reply.call(name, {}))
    const prompt = JSON.parse(told) as { role: string; content: { type?: string; toolName?: string }[] }[]
    const names = prompt
      .flatMap(({ content }) => (Array.isArray(content) ? content : []))
      .flatMap(({ toolName }) => toolName ?? [])
    expect(names).toHaveLength(2)
    for (const toolName of names) expect(toolName).toMatch(/^[a-zA-Z0-9_-]{1,64}$/)
    expect(told.length).toBeLessThan(5000)
  })

  test('may have the id of another call, of this turn or an earlier one', async () => {
    const same = { toolCallId: 'same' }
    const { heard } = await calling(
      reply.all(reply.call('anything', { n: 1 }, same), reply.call('anything', { n: 2 }, same)),
    )
    expect(got).toEqual([{ n: 1 }, { n: 2 }])
    const ids = heard.of('tool-execution-finished').map(({ toolCallId }) => toolCallId)
    expect(new Set(ids).size).toBe(2)
  })
})
