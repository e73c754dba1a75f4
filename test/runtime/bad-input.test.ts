import { createRuntime, defineAgent, indexedDbStore, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'

const any = z.object({})
const hello = () => scriptedModel([reply.text('Hello'), reply.text('Again'), reply.text('And again')])
const error = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'AgentError', code, message: expect.stringMatching(message) })

function start(more: Omit<Parameters<typeof defineAgent>[0], 'name' | 'model'> = {}, model = hello()) {
  const agents = [defineAgent({ name: 'assistant', model, ...more }), defineAgent({ name: 'other', model })] as const
  const runtime = createRuntime(agents, { store: memoryStore() })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(runtime) }
}

describe('an input', () => {
  test.each([
    ['', 'empty'],
    ['  \n\t ', 'empty'],
    [undefined, 'string'],
    [null, 'string'],
    [7, 'string'],
    [{ text: 7 }, 'string'],
    [['Hi'], 'string'],
  ])('of %j is refused', async (input, why) => {
    const { session, heard } = start()
    await expect(session.send(input as string).result).rejects.toThrow(error('invalid-input', new RegExp(why)))
    expect(heard.kinds()).toEqual(['run-failed'])
    expect(await session.send('Hi').result).toMatchObject({ text: 'Hello' })
  })

  test('that is too long is refused, by the limit of the agent that is to hear it', async () => {
    const { session, runtime } = start({ limits: { maxInput: 10 } })
    await expect(session.send('x'.repeat(11)).result).rejects.toThrow(
      error('invalid-input', /11 characters; the limit is 10/),
    )
    expect(await session.send('x'.repeat(10)).result).toMatchObject({ status: 'completed' })
    const other = runtime.session('other', { agent: 'other' })
    expect(await other.send('x'.repeat(11)).result).toMatchObject({ status: 'completed' })
    await expect(other.send('x'.repeat(200_001)).result).rejects.toThrow(error('invalid-input', /200000/))
    // A session stays with its agent, also where nobody names it again.
    expect(await runtime.session('other').send('x'.repeat(11)).result).toMatchObject({ status: 'completed' })
  })

  test('keeps every character', async () => {
    const input = ' \u0000 "quotes" \\ \u2028 \ud83d\ude80 \ud800 lone surrogate, <script>, العربية, 日本語 '
    const { session, heard, model } = start()
    await session.send(input).result
    expect(model.calls[0]?.prompt.at(-1)?.content).toEqual([{ type: 'text', text: input }])
    expect(heard.of('user-message-committed')[0]?.message.parts).toEqual([{ type: 'text', text: input }])
  })
})

describe('a request', () => {
  test('for an unknown agent is refused, and the error lists those there are', async () => {
    const { runtime } = start()
    const unknown = error('unknown-agent', /"nobody".*assistant, other/)
    await expect(runtime.run({ input: 'Hi', agent: 'nobody' as 'other' }).result).rejects.toThrow(unknown)
    await expect(runtime.session('x', { agent: 'nobody' as 'other' }).send('Hi').result).rejects.toThrow(unknown)
    for (const agent of ['__proto__', 'constructor', ''])
      await expect(runtime.run({ input: 'Hi', agent: agent as 'other' }).result).rejects.toThrow(
        error('unknown-agent', /./),
      )
  })

  test('with limits that make no sense is refused', async () => {
    const { session } = start()
    for (const maxTurns of [0, -1, Number.NaN, 'many' as never])
      await expect(session.send('Hi', { limits: { maxTurns } }).result).rejects.toThrow(
        error('invalid-argument', /maxTurns/),
      )
  })

  test('with metadata that can not be stored is refused', async () => {
    const { session } = start()
    await expect(session.send('Hi', { metadata: () => {} }).result).rejects.toThrow(error('invalid-argument', /./))
    expect(await session.send('Hi', { metadata: { fine: new Date(0) } }).result).toMatchObject({ status: 'completed' })
  })

  test('that is nothing at all is refused', async () => {
    const { runtime } = start()
    const refused = error('invalid-argument', /pass a request/)
    for (const request of [undefined, null, 'Hi', 7]) expect(() => runtime.run(request as never)).toThrow(refused)
    await expect(runtime.run(() => undefined as never).result).rejects.toThrow(refused)
    await expect(runtime.run({} as never).result).rejects.toThrow(error('invalid-input', /string/))
  })
})

describe('a session id', () => {
  test.each([
    'ü',
    '日本語',
    '🚀',
    '\ud800',
    '\udfff\ud800',
    'a/b?c#d',
    '..',
    '__proto__',
    'constructor',
    ' ',
    '\u0000',
    '\n',
    '%D800',
    'x'.repeat(5000),
    '["event","x",1]',
  ])('may be %j', async (id) => {
    const { runtime, heard } = start()
    const session = runtime.session(id)
    await session.send('Hi').result
    expect(await session.send('Hi').result).toMatchObject({ sessionId: id, text: 'Again' })
    expect(await runtime.sessions.list()).toMatchObject([{ id }])
    expect((await session.view.ready).messages).toHaveLength(4)
    expectOrder(heard.events)
  })

  test('keeps two sessions apart that look alike, in IndexedDB too', async () => {
    const store = indexedDbStore({ name: crypto.randomUUID() })
    const ids = ['\ud800', '\udbff', '\ufffd', '%D800', 'é', 'e\u0301', 'a', 'A', 'a ']
    const model = scriptedModel(ids.map((_) => reply.text('Hello')))
    const runtime = createRuntime(defineAgent({ name: 'a', model }), { store })
    onTestFinished(() => runtime.close())
    await Promise.all(ids.map((id) => runtime.session(id).send(`I am ${JSON.stringify(id)}`).result))
    for (const id of ids) {
      const { messages } = await runtime.session(id).view.ready
      expect(messages.map(({ parts }) => parts[0])).toMatchObject([
        { text: `I am ${JSON.stringify(id)}` },
        { text: 'Hello' },
      ])
    }
    expect((await runtime.sessions.list()).map(({ id }) => id).sort()).toEqual([...ids].sort())
  })

  test('that is none is refused at once', () => {
    const { runtime } = start()
    for (const id of ['', 7, null, {}])
      expect(() => runtime.session(id as string)).toThrow(error('invalid-argument', /string that is not empty/))
  })
})

describe('an agent', () => {
  const model = hello()
  const refused = (define: () => unknown, code: string, message: RegExp) => expect(define).toThrow(error(code, message))

  test('without name or model is refused', () => {
    refused(() => defineAgent({ name: '', model }), 'invalid-argument', /`name`/)
    refused(() => defineAgent({ name: 'a', model: undefined as never }), 'invalid-argument', /`model`/)
  })

  test('that has a tool name twice is refused', () => {
    const one = tool({ inputSchema: any, execute: () => 1 })
    refused(
      () => defineAgent({ name: 'a', model, tools: [{ one }, { one }] }),
      'invalid-argument',
      /two tools named "one"/,
    )
  })

  test('that has a tool name which no provider takes is refused', () => {
    const one = tool({ inputSchema: any, execute: () => 1 })
    for (const name of ['with space', 'ünïcode', '', 'x'.repeat(65), 'a.b'])
      refused(() => defineAgent({ name: 'a', model, tools: { [name]: one } }), 'invalid-argument', /tool name/)
    refused(() => defineAgent({ name: 'a', model, tools: { ['__proto__']: one } }), 'invalid-argument', /tool name/)
  })

  test('whose policy nobody could understand is refused, before a call could start unasked', () => {
    const pay = tool({ inputSchema: any, execute: () => 1 })
    const odd = (fields: object, agent: object = {}) =>
      defineAgent({ name: 'a', model, tools: { pay: { ...pay, ...fields } as never }, ...agent })
    for (const approval of [true, 'ask', null, {}])
      refused(() => odd({ approval }), 'invalid-argument', /"pay": approval/)
    for (const needsApproval of ['always', 1])
      refused(() => odd({ needsApproval }), 'invalid-argument', /needsApproval/)
    for (const risk of ['high', true, null]) refused(() => odd({ risk }), 'invalid-argument', /"pay": risk/)
    refused(() => odd({ actionKey: 'host' }), 'invalid-argument', /"pay": actionKey/)
    refused(() => odd({}, { toolPolicy: { pay: { approval: 'yes' } } }), 'invalid-argument', /"pay": approval/)
    refused(() => odd({}, { policy: 'ask' }), 'invalid-argument', /policy must be a function/)
    for (const approvalTimeout of [0, -1, Number.NaN, '5'])
      refused(() => odd({}, { approvalTimeout }), 'invalid-argument', /approvalTimeout/)
  })

  test('that would be asked about a tool which its provider carries out is refused, for nobody could be asked before', () => {
    const web = { type: 'provider', isProviderExecuted: true, id: 'mock.web', args: {}, inputSchema: any }
    for (const fields of [
      { needsApproval: true },
      { approval: 'always' },
      { needsApproval: () => false },
      { egress: true },
    ])
      refused(
        () => defineAgent({ name: 'a', model, tools: { web: { ...web, ...fields } as never } }),
        'unsupported-tool',
        /"web".*provider/,
      )
    refused(
      () =>
        defineAgent({ name: 'a', model, tools: { web: web as never }, toolPolicy: { web: { approval: 'always' } } }),
      'unsupported-tool',
      /"web".*provider/,
    )
    defineAgent({ name: 'a', model, tools: { web: { ...web, approval: 'never' } as never } })
  })

  test('whose tool is none is refused', () => {
    for (const odd of [undefined, null, 7, 'x', {}])
      refused(() => defineAgent({ name: 'a', model, tools: { odd: odd as never } }), 'unsupported-tool', /"odd"/)
  })

  test('with limits that make no sense is refused', () => {
    for (const maxTurns of [0, -1, Number.NaN, '5' as never])
      refused(() => defineAgent({ name: 'a', model, limits: { maxTurns } }), 'invalid-argument', /limits\.maxTurns/)
  })

  test('without a schema that a provider could be told fails its run, and says which tool', async () => {
    const odd = { '~standard': { version: 1, vendor: 'odd', validate: (value: unknown) => ({ value }) } }
    for (const inputSchema of [odd, z.object({ at: z.date() })]) {
      const agent = defineAgent({
        name: 'a',
        model: hello(),
        tools: { odd: { inputSchema, execute: () => 1 } as never },
      })
      await expect(createRuntime(agent, { store: memoryStore() }).run({ input: 'Hi' }).result).rejects.toThrow(
        error('unsupported-tool', /"odd".*JSON Schema/),
      )
    }
  })

  test('whose code is gone fails the run by name, and closes what it had left open', async () => {
    const store = memoryStore()
    const old = createRuntime(defineAgent({ name: 'old', model: hello() }), { store })
    await old.session('trip').send('Hi').result
    const now = createRuntime(defineAgent({ name: 'new', model: hello() }), { store })
    await expect(now.session('trip').send('Hi').result).rejects.toThrow(error('unknown-agent', /"old".*new/))
    expect(await now.session('trip', { agent: 'new' }).send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(await now.session('trip').send('Hi').result).toMatchObject({ text: 'Again' })
  })

  test('named twice is refused', () => {
    const twice = [defineAgent({ name: 'a', model }), defineAgent({ name: 'a', model })]
    refused(() => createRuntime(twice), 'invalid-argument', /Two agents are named "a"/)
    refused(() => createRuntime([]), 'invalid-argument', /at least one agent/)
  })
})

describe('a tool that returns', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const deep = () => {
    let value: unknown = 1
    for (let depth = 0; depth < 100_000; depth++) value = [value]
    return value
  }
  const hostile = {
    get trap() {
      throw new Error('trap')
    },
  }
  test.each([
    ['a function', () => () => 1, /function.*return data/],
    ['a function inside', () => ({ callback: () => 1 }), /function.*return data/],
    ['a symbol', () => Symbol('x'), /symbol.*return data/],
    ['a cycle', () => cycle, /refers to itself.*return a tree/],
    ['a BigInt', () => 10n, /bigint.*return data/],
    ['100 MB', () => 'x'.repeat(100 * 1024 * 1024), /over 4 MiB.*return less/],
    ['100 MB in pieces', () => Array(100).fill('x'.repeat(1024 * 1024)), /over 4 MiB.*return less/],
    ['a billion holes', () => new Array(1_000_000_000), /over 4 MiB.*return less/],
    ['bytes', () => new Uint8Array(8), /binary.*base64/],
    ['a Blob', () => new Blob(['x']), /binary.*base64/],
    ['what is too deep', deep, /nested.*flatter/],
    ['what throws when it is read', () => hostile, /trap/],
    [
      'what turns into another such thing for ever',
      () => {
        const odd = { toJSON: (): unknown => ({ toJSON: odd.toJSON }) }
        return odd
      },
      /./,
    ],
    [
      'a proxy without mercy',
      () =>
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('no keys')
            },
          },
        ),
      /no keys/,
    ],
  ])('%s gives the model an error result that says what to do', async (_, execute, message) => {
    const model = scriptedModel([reply.call('odd', {}), reply.text('Fine')])
    const { session, heard } = start(
      { tools: { odd: tool({ inputSchema: any, execute: execute as () => unknown }) } },
      model,
    )
    expect(await session.send('Go').result).toMatchObject({ text: 'Fine' })
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { outcome: 'failure', errorText: expect.stringMatching(message) },
    ])
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    expect(JSON.stringify(model.calls[1]?.prompt).length).toBeLessThan(5000)
    expectOrder(heard.events)
  })

  test.each([
    ['nothing', () => undefined, null],
    ['NaN', () => Number.NaN, null],
    ['a date', () => new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a map', () => new Map([['a', 1]]), {}],
    [
      'what it holds twice',
      () => {
        const same = { a: 1 }
        return [same, same]
      },
      [{ a: 1 }, { a: 1 }],
    ],
    ['undefined inside', () => ({ a: undefined, b: [undefined, 1] }), { b: [null, 1] }],
    [
      'keys like __proto__',
      () => JSON.parse('{"__proto__":{"polluted":true},"a":1}'),
      JSON.parse('{"__proto__":{"polluted":true},"a":1}'),
    ],
  ])('%s returns it as JSON has it', async (_, execute, output) => {
    const model = scriptedModel([reply.call('odd', {}), reply.text('Fine')])
    const { session, heard } = start(
      { tools: { odd: tool({ inputSchema: any, execute: execute as () => unknown }) } },
      model,
    )
    await session.send('Go').result
    const [finished] = heard.of('tool-execution-finished')
    expect(finished).toMatchObject({ outcome: 'success' })
    expect(JSON.stringify(finished && 'output' in finished ? finished.output : undefined)).toBe(JSON.stringify(output))
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('what can not be told as progress is an error of the tool, and not of the run', async () => {
    const odd = tool({ inputSchema: any, execute: (_, { progress }) => progress(() => {}) })
    const model = scriptedModel([reply.call('odd', {}), reply.text('Fine')])
    const { session, heard } = start({ tools: { odd } }, model)
    expect(await session.send('Go').result).toMatchObject({ text: 'Fine' })
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'failure' }])
  })
})

describe('arguments', () => {
  test('with __proto__ or constructor.prototype are refused, at any depth', async () => {
    const executed = vi.fn()
    const open = tool({ inputSchema: z.looseObject({}), execute: executed })
    const attacks = [
      '{"__proto__":{"x":1}}',
      '{"a":[{"__proto__":1}]}',
      '{"constructor":{"prototype":{"x":1}}}',
      '{"\\u005f_proto__":1}',
    ]
    const model = scriptedModel([reply.all(...attacks.map((json) => reply.call('open', json))), reply.text('Fine')])
    const { session, heard } = start({ tools: { open } }, model)
    expect(await session.send('Go').result).toMatchObject({ text: 'Fine' })
    expect(executed).not.toHaveBeenCalled()
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    for (const { invalid } of heard.of('tool-call-completed'))
      expect(invalid).toMatch(/__proto__|constructor\.prototype/)
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  test('as deep as the stack end as an error result', async () => {
    const executed = vi.fn()
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const model = scriptedModel([reply.call('open', `{"a":${deep}}`), reply.text('Fine')])
    const { session } = start({ tools: { open: tool({ inputSchema: z.looseObject({}), execute: executed }) } }, model)
    expect(await session.send('Go').result).toMatchObject({ text: 'Fine' })
    expect(executed).not.toHaveBeenCalled()
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
  })

  test('of the size of a book arrive', async () => {
    const given: number[] = []
    const write = tool({
      inputSchema: z.object({ text: z.string() }),
      execute: ({ text }) => void given.push(text.length),
    })
    const model = scriptedModel([reply.call('write', { text: 'x'.repeat(2_000_000) }), reply.text('Fine')])
    const { session } = start({ tools: { write } }, model)
    expect(await session.send('Go').result).toMatchObject({ text: 'Fine' })
    expect(given).toEqual([2_000_000])
  })
})

describe('a session', () => {
  test('keeps the first 60 characters of its first message as its title, until it is renamed', async () => {
    const { session, runtime } = start()
    await session.send(`  ${'🚀'.repeat(100)}\n`).result
    const title = async () => (await runtime.sessions.list())[0]?.title
    expect(await title()).toBe('🚀'.repeat(60))
    await session.rename('  Trip  ')
    expect(await title()).toBe('Trip')
    for (const bad of ['', '   ', 7 as never, undefined as never])
      await expect(session.rename(bad)).rejects.toThrow(error('invalid-argument', /title/))
    expect(await title()).toBe('Trip')
  })

  test('that does not exist can be stopped, aborted and deleted', async () => {
    const { runtime } = start()
    const session = runtime.session('nothing')
    await session.stop()
    session.abort()
    await session.delete()
    expect(await session.view.ready).toMatchObject({ loaded: true, messages: [], status: 'ready' })
    expect(await runtime.sessions.list()).toEqual([])
  })

  test('that is deleted while it runs ends its run and what it had queued', async () => {
    const model = manualModel()
    const runtime = createRuntime(defineAgent({ name: 'a', model }), { store: memoryStore() })
    const session = runtime.session('trip')
    const heard = record(session)
    const runs = [session.send('first'), session.send('second')]
    const call = await model.next()
    await heard.nth(2, 'input-queued')
    await session.delete()
    for (const { result } of runs) await expect(result).rejects.toMatchObject({ name: expect.stringMatching(/Error$/) })
    expect(call.options.abortSignal?.aborted).toBe(true)
    expect(await runtime.sessions.list()).toEqual([])
    const run = session.send('anew')
    const next = await model.next()
    expect(next.options.prompt).toHaveLength(1)
    next.finish()
    expect(await run.result).toMatchObject({ status: 'completed' })
  })
})

describe('where there is no', () => {
  test.each([
    ['IndexedDB', () => vi.stubGlobal('indexedDB', undefined)],
    ['lock', () => vi.spyOn(navigator, 'locks', 'get').mockReturnValue(undefined as never)],
  ])('%s, the error says what to pass instead', async (_, remove) => {
    onTestFinished(() => {
      vi.unstubAllGlobals()
      vi.restoreAllMocks()
    })
    const runtime = createRuntime(defineAgent({ name: 'a', model: hello() }))
    remove()
    const unavailable = error('storage-unavailable', /memoryStore\(\)/)
    await expect(runtime.run({ input: 'Hi' }).result).rejects.toThrow(unavailable)
    await expect(runtime.sessions.list()).rejects.toThrow(unavailable)
    await expect(runtime.session('x').view.ready).rejects.toThrow(unavailable)
    await runtime.close()
  })
})
