import {
  createRuntime,
  defineAgent,
  type HookContext,
  indexedDbStore,
  type Middleware,
  memoryStore,
  type Store,
  tool,
} from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

type Turns = Parameters<typeof scriptedModel>[0]
type Options = Partial<Omit<AgentDefinition, 'name' | 'model' | 'tools'>>
type Hook = Exclude<keyof Middleware, 'name' | 'timeout'>

const words = (count: number) => 'word '.repeat(count).trim()
const echo = tool({
  inputSchema: z.object({ text: z.string() }),
  execute: ({ text }) => {
    if (text === 'fail') throw new Error('no echo')
    return text
  },
})
const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })

function start(turns: Turns, middleware: readonly Middleware[], options: Options = {}, store: Store = memoryStore()) {
  const clock = manualClock()
  const model = scriptedModel(turns, { usage: { inputTokens: 10, outputTokens: 1 } })
  const agent = defineAgent({ name: 'assistant', model, tools: { echo, form }, middleware, ...options })
  const runtime = createRuntime(agent, { store, ...clock })
  const session = runtime.session('trip')
  return { model, runtime, session, clock, store, heard: record(session) }
}

/** A store, and everything that was written to it. */
function watched() {
  const written: string[] = []
  const store = hooked(memoryStore(), (method, args, call) => {
    if (!method.startsWith('read')) written.push(JSON.stringify(args))
    return call()
  })
  return { store, written }
}

const echoing = [reply.call('echo', { text: 'hi' }, { toolCallId: 'e' }), reply.text('Done')]
const summarising = {
  turns: [reply.text(words(450)), reply.text('A summary'), reply.text('Hi')],
  options: { context: { window: 500, keep: 50 } },
}
/** The hooks, and turns in which each of them is called. */
const places: readonly (readonly [Hook, Turns, Options])[] = [
  ['beforeModel', [reply.text('Hi')], {}],
  ['afterModel', [reply.text('Hi')], {}],
  ['beforeTool', echoing, {}],
  ['afterTool', echoing, {}],
  ['onEvent', echoing, {}],
  ['onError', [reply.call('echo', { text: 'fail' }), reply.text('Done')], {}],
  ['beforeCompaction', summarising.turns, summarising.options],
  ['afterCompaction', summarising.turns, summarising.options],
  ['onRunEnd', [reply.text('Hi')], {}],
]

/** The run in which the hook is called: with a summary the second one. */
async function lastRun({ session }: Pick<ReturnType<typeof start>, 'session'>, hook: string) {
  if (hook.endsWith('Compaction')) await session.send('Tell me much').result
  return session.send('Go')
}

const broken = (hook: string, does: () => unknown) => ({ name: 'broken', [hook]: does }) as unknown as Middleware
const boom = () => {
  throw new Error('boom')
}
const failure = (hook: string, words: string) => ({
  code: 'middleware-failed',
  message: expect.stringContaining(`Middleware "broken" failed in ${hook}: ${words}`),
})

describe('a hook', () => {
  test.each(places)('%s comes in order, after… in reverse, with its context', async (hook, turns, options) => {
    const order: string[] = []
    const contexts: HookContext[] = []
    const noting = (name: string) =>
      ({
        name,
        [hook]: async (...args: unknown[]) => {
          const context = args.at(-1) as HookContext
          contexts.push({ ...context })
          order.push(name)
        },
      }) as Middleware
    const given = start(turns, [noting('first'), noting('second')], options)
    const run = await lastRun(given, hook)
    await run.result
    expect(order.slice(0, 2)).toEqual(hook.startsWith('after') ? ['second', 'first'] : ['first', 'second'])
    expect(contexts.at(-1)).toMatchObject({ sessionId: 'trip', runId: run.runId, agent: 'assistant' })
    expect(contexts.at(-1)?.turn).toBeGreaterThan(0)
    expect(contexts.at(-1)?.signal.aborted).toBe(false)
    expectOrder(given.heard.events)
  })

  test.each(places)('%s that throws ends the run once, naming middleware and hook', async (hook, turns, options) => {
    const given = start(turns, [broken(hook, boom)], options)
    const run = await lastRun(given, hook)
    await expect(run.result).rejects.toMatchObject(failure(hook, 'boom'))
    expect(given.heard.of('run-failed')).toMatchObject([{ error: failure(hook, 'boom') }])
    expectOrder(given.heard.events)
    expect(await given.store.readRun(run.runId)).toMatchObject({ status: 'failed' })
  })

  test.each(places)('%s that rejects ends it as well', async (hook, turns, options) => {
    const given = start(turns, [broken(hook, () => Promise.reject(new Error('boom')))], options)
    const run = await lastRun(given, hook)
    await expect(run.result).rejects.toMatchObject(failure(hook, 'boom'))
  })

  const waited = places.filter(([hook]) => hook !== 'onEvent')
  test.each(waited)('%s that is late ends the run, its signal aborted', async (hook, turns, options) => {
    let signal: AbortSignal | undefined
    const late = {
      ...broken(hook, (...args: readonly unknown[]) => {
        signal = (args.at(-1) as HookContext).signal
        return new Promise(() => {})
      }),
      timeout: 2000,
    }
    const given = start(turns, [late], options)
    const run = await lastRun(given, hook)
    await expect.poll(() => signal).toBeDefined()
    given.clock.advance(1999)
    expect(signal?.aborted).toBe(false)
    given.clock.advance(1)
    await expect(run.result).rejects.toMatchObject(failure(hook, 'it did not finish within 2000 ms'))
    expect(signal?.aborted).toBe(true)
    expectOrder(given.heard.events)
  })

  const wrong = places.filter(([hook]) => hook !== 'onEvent' && hook !== 'onError' && hook !== 'onRunEnd')
  test.each(wrong)('%s that gives what it may not ends the run', async (hook, turns, options) => {
    for (const [given, words] of [
      [null, 'it gave null'],
      ['yes', 'it gave string'],
      [[], 'it gave object'],
      [{ nonsense: 1 }, 'it gave "nonsense"'],
      [JSON.parse('{"__proto__": {"text": "x"}}'), 'it gave "__proto__"'],
    ] as const) {
      const run = await lastRun(start(turns, [broken(hook, () => given)], options), hook)
      await expect(run.result).rejects.toMatchObject(failure(hook, words))
    }
  })

  const types: readonly (readonly [string, object, string])[] = [
    ['beforeModel', { messages: 'Hi' }, 'messages must be'],
    ['beforeModel', { messages: [{ role: 'user', content: 'Hi' }] }, 'messages must be'],
    ['beforeModel', { messages: [null] }, 'messages must be'],
    ['beforeModel', { activeTools: ['none'] }, 'activeTools names "none"'],
    ['beforeModel', { activeTools: 5 }, 'activeTools must be'],
    ['beforeModel', { settings: { heat: 1 } }, 'settings has "heat"'],
    ['beforeModel', { settings: 5 }, 'settings must be'],
    ['afterModel', { text: 5 }, 'text must be a string'],
    ['beforeTool', { deny: true }, 'deny must be a string'],
    ['beforeTool', { input: () => {} }, 'holds a function'],
    ['afterTool', { output: 1, errorText: 'x' }, 'give either'],
    ['afterTool', { output: 1n }, 'holds a bigint'],
    ['beforeCompaction', { skip: 'no' }, 'skip must be'],
    ['afterCompaction', { summary: ' ' }, 'the summary is empty'],
  ]
  test.each(types)('%s that gives %o ends the run', async (hook, given, words) => {
    const [, turns = [], options] = places.find(([name]) => name === hook) ?? []
    const run = await lastRun(start(turns, [broken(hook, () => given)], options), hook)
    const error = { code: 'middleware-failed', message: expect.stringContaining(words) }
    await expect(run.result).rejects.toMatchObject(error)
  })

  test.each(waited)('%s is waited for no more once the run is aborted', async (hook, turns, options) => {
    const reached = door()
    let signal: AbortSignal | undefined
    const slow = broken(hook, (...args: readonly unknown[]) => {
      signal = (args.at(-1) as HookContext).signal
      return reached.pass()
    })
    const given = start(turns, [slow], options)
    const run = await lastRun(given, hook)
    await reached.reached
    run.abort()
    // Its end is being told already: that goes on.
    if (hook === 'onRunEnd') reached.open()
    await run.result.catch(() => {})
    expect(given.heard.of('run-completed', 'run-cancelled', 'run-failed', 'run-stopped')).toHaveLength(
      hook.endsWith('Compaction') ? 2 : 1,
    )
    if (hook !== 'onRunEnd') expect(signal?.aborted).toBe(true)
    expectOrder(given.heard.events)
  })
})

describe('onInput', () => {
  const shout: Middleware = { name: 'shout', onInput: ({ text }) => ({ text: text.replace('secret', 'SHOUT') }) }

  test('changes an input before anything of it is stored', async () => {
    const { store, written } = watched()
    const { session, model, heard } = start([reply.text('Hi')], [shout], {}, store)
    await session.send('my secret').result
    expect(JSON.stringify(model.calls[0]?.prompt)).toContain('my SHOUT')
    expect(heard.of('input-queued', 'run-started', 'input-delivered').map(({ input }) => input)).toEqual(
      Array(3).fill('my SHOUT'),
    )
    expect(written.join()).not.toContain('secret')
    expect(written.join()).toContain('my SHOUT')
  })

  test('changes what steers a run, and what a step and an open run get', async () => {
    const { store, written } = watched()
    const held = door()
    const slow = async () => {
      await held.pass()
      return reply.text('One')
    }
    const { session, model } = start(
      [slow, reply.text('Two'), reply.text('Three'), reply.text('Four')],
      [shout],
      {},
      store,
    )
    const run = session.send('Go')
    await held.reached
    const steered = run.steer('a secret')
    await expect.poll(() => written.join()).toContain('a SHOUT')
    held.open()
    await steered
    await run.result
    await session.step('stepped secret')
    const open = session.open()
    await open.steer('open secret')
    await expect.poll(() => model.calls.length).toBe(4)
    open.abort()
    await open.result.catch(() => {})
    const prompt = JSON.stringify(model.calls.at(-1)?.prompt)
    for (const text of ['a SHOUT', 'stepped SHOUT', 'open SHOUT']) expect(prompt).toContain(text)
    expect(written.join()).not.toContain('secret')
  })

  test.each([
    ['throws', boom, 'boom'],
    ['gives no text', () => ({ text: 5 }), 'text must be a string'],
  ])('that %s refuses the input: nothing is stored', async (_, onInput, words) => {
    const { store, written } = watched()
    const { session, heard } = start([], [broken('onInput', onInput)], {}, store)
    await expect(session.send('Go').result).rejects.toMatchObject(failure('onInput', words))
    expect(heard.of('run-failed')).toHaveLength(1)
    expect(written).toEqual([])
  })

  test('that throws refuses what would steer a run, which goes on', async () => {
    const held = door()
    const fussy: Middleware = { name: 'broken', onInput: ({ text }) => (text === 'no' ? boom() : undefined) }
    const slow = async () => {
      await held.pass()
      return reply.text('One')
    }
    const { session } = start([slow], [fussy])
    const run = session.send('Go')
    await held.reached
    await expect(run.steer('no')).rejects.toMatchObject(failure('onInput', 'boom'))
    held.open()
    expect(await run.result).toMatchObject({ text: 'One' })
  })

  test('keeps the order of what was sent in a row, and tells what the request says', async () => {
    const held = door()
    const metadata: unknown[] = []
    const slow: Middleware = {
      name: 'slow',
      onInput: async ({ text }, context) => {
        metadata.push(context.metadata)
        if (text === 'one') await held.pass()
        return { text: `${text}!` }
      },
    }
    const { session, heard } = start([reply.text('1'), reply.text('2')], [slow])
    const first = session.send('one', { metadata: { n: 1 } })
    const second = session.send('two')
    await held.reached
    held.open()
    await Promise.all([first.result, second.result])
    expect(heard.of('run-started').map(({ input }) => input)).toEqual(['one!', 'two!'])
    expect(metadata).toEqual([{ n: 1 }, undefined])
  })

  test('that leaves nothing of an input has it refused', async () => {
    const { session } = start([], [broken('onInput', () => ({ text: ' ' }))])
    await expect(session.send('Go').result).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('that is late refuses the input', async () => {
    const { session, clock } = start([], [broken('onInput', () => new Promise(() => {}))])
    const { result } = session.send('Go')
    expect(await clock.asleep()).toBe(30_000)
    clock.advance(30_000)
    await expect(result).rejects.toMatchObject(failure('onInput', 'it did not finish within 30000 ms'))
  })

  test('is left at once when the run is aborted, of which nothing is left', async () => {
    const { store, written } = watched()
    const reached = door()
    let signal: AbortSignal | undefined
    const slow: Middleware = {
      name: 'slow',
      onInput: async (_, context) => {
        signal = context.signal
        await reached.pass()
      },
    }
    const { session, heard } = start([], [slow], {}, store)
    const run = session.send('Go')
    await reached.reached
    run.abort()
    await expect(run.result).rejects.toThrow()
    expect(signal?.aborted).toBe(true)
    expect(heard.kinds()).toEqual(['input-withdrawn'])
    expect(written).toEqual([])
  })
})

describe('beforeModel', () => {
  test('changes what the model is asked, and nothing that is stored', async () => {
    const hook: Middleware = {
      name: 'note',
      beforeModel: ({ messages, activeTools, settings }) => {
        for (const { content } of messages) if (typeof content !== 'string') content.length = 0
        expect(activeTools).toEqual(['echo', 'form'])
        expect(settings).toEqual({ temperature: 0.5, seed: 1 })
        return {
          messages: [...messages, { role: 'user', content: [{ type: 'text', text: 'A note' }] }],
          activeTools: ['echo'],
          settings: { temperature: 0 },
        }
      },
    }
    const second: Middleware = {
      name: 'second',
      beforeModel: ({ messages, settings }) => {
        expect(settings).toEqual({ temperature: 0, seed: 1 })
        return { messages: messages.slice(-1) }
      },
    }
    const { session, model } = start([reply.text('Hi'), reply.text('Hi')], [hook, second], {
      settings: { temperature: 0.5, seed: 1 },
    })
    await session.send('Go').result
    expect(model.calls[0]).toMatchObject({ temperature: 0, seed: 1, tools: [{ name: 'echo' }] })
    expect(model.calls[0]?.prompt).toMatchObject([{ role: 'user', content: [{ text: 'A note' }] }])
    expect(await session.history()).toMatchObject([{ parts: [{ text: 'Go' }] }, { parts: [{ text: 'Hi' }] }])
  })
})

describe('what beforeModel leaves out', () => {
  test.each<[string, ReturnType<NonNullable<Middleware['beforeModel']>>]>([
    ['of the active tools', { activeTools: ['form'] }],
    ['of all calls', { settings: { toolChoice: 'none' } }],
  ])('%s is not carried out, whatever the model calls', async (_, left) => {
    const { session, heard } = start(
      [reply.call('echo', { text: 'a' }), reply.text('Hi')],
      [{ name: 'narrow', beforeModel: () => left }],
    )
    await session.send('Go').result
    expect(heard.kinds()).not.toContain('tool-execution-started')
    expect((await session.history())[1]?.parts).toMatchObject([{ toolCallId: 'call-1', state: 'output-error' }])
  })
})

describe('afterModel', () => {
  test('changes the text that is stored and given', async () => {
    const told: unknown[] = []
    const hook: Middleware = {
      name: 'tidy',
      afterModel: (answer) => {
        told.push(answer)
        return answer.text ? { text: answer.text.toUpperCase() } : undefined
      },
    }
    const turns = [
      reply.all(reply.text('Looking'), reply.call('echo', { text: 'hi' }, { toolCallId: 'e' }), reply.text('now')),
      reply.text('Done'),
    ]
    const { session, model, heard } = start(turns, [hook])
    expect(await session.send('Go').result).toMatchObject({ text: 'DONE' })
    expect(told).toMatchObject([
      {
        text: 'Lookingnow',
        calls: [{ toolCallId: 'e', toolName: 'echo', input: { text: 'hi' } }],
        finishReason: 'tool-calls',
      },
      { text: 'Done', calls: [], usage: { inputTokens: 10 } },
    ])
    expect(heard.of('assistant-message-committed')[0]?.message.parts).toMatchObject([
      { text: 'LOOKINGNOW' },
      { type: 'tool-echo' },
      { text: '' },
    ])
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
  })
})

describe('beforeTool', () => {
  test('changes the input, denies, and the strictest wins', async () => {
    const given: unknown[] = []
    const change: Middleware = {
      name: 'change',
      beforeTool: ({ input, toolCallId }) => {
        given.push(input)
        return toolCallId === 'no' ? { ask: 'Sure?' } : { input: { text: 'changed' } }
      },
    }
    const deny: Middleware = {
      name: 'deny',
      beforeTool: ({ input, toolCallId }) => {
        given.push(input)
        return toolCallId === 'no' ? { deny: 'not today' } : undefined
      },
    }
    const turns = [
      reply.all(
        reply.call('echo', { text: 'hi' }, { toolCallId: 'e' }),
        reply.call('echo', { text: 'ho' }, { toolCallId: 'no' }),
      ),
      reply.text('Done'),
    ]
    const { session, heard } = start(turns, [change, deny])
    await session.send('Go').result
    expect(given).toEqual([{ text: 'hi' }, { text: 'changed' }, { text: 'ho' }, { text: 'ho' }])
    expect(heard.of('tool-execution-finished')).toMatchObject([
      { toolCallId: 'no', outcome: 'denied', errorText: expect.stringContaining('not today') },
      { toolCallId: 'e', outcome: 'success', output: 'changed' },
    ])
  })

  test('that gives an input which does not fit the tool ends the run', async () => {
    const { session } = start(echoing, [broken('beforeTool', () => ({ input: { text: 5 } }))])
    await expect(session.send('Go').result).rejects.toMatchObject({
      code: 'middleware-failed',
      message: expect.stringContaining('"broken" failed in beforeTool'),
    })
  })
})

describe('afterTool', () => {
  const outermost: Middleware = {
    name: 'outer',
    afterTool: ({ toolName, input }, { outcome, output, errorText }) => {
      if (outcome === 'failure') return { output: `instead of: ${errorText}` }
      return { output: `${toolName} ${JSON.stringify(input)} gave ${output}` }
    },
  }

  test('takes the place of what a tool gave, for the model and for the interface', async () => {
    const { session, model, heard } = start(echoing, [outermost])
    await session.send('Go').result
    const output = 'echo {"text":"hi"} gave hi'
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output }])
    expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([{ output: { type: 'text', value: output } }])
  })

  test('turns a failure into an output, and an output into a failure', async () => {
    const turns = [
      reply.all(
        reply.call('echo', { text: 'fail' }, { toolCallId: 'f' }),
        reply.call('echo', { text: 'hi' }, { toolCallId: 'e' }),
      ),
      reply.text('Done'),
    ]
    const swap: Middleware = {
      name: 'swap',
      afterTool: (_, { outcome }) => (outcome === 'failure' ? { output: 'fine' } : { errorText: 'not fine' }),
    }
    const { session, heard } = start(turns, [swap])
    await session.send('Go').result
    expect(
      Object.fromEntries(heard.of('tool-execution-finished').map(({ toolCallId, outcome }) => [toolCallId, outcome])),
    ).toEqual({
      f: 'success',
      e: 'failure',
    })
  })

  test('has its say on the answer to a form', async () => {
    const { session, heard } = start([reply.call('form', {}, { toolCallId: 'q' }), reply.text('Done')], [outermost])
    const { result } = session.send('Go')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'form', toolCallId: 'q', output: 'yes' })
    await result
    expect(heard.of('tool-execution-finished')).toMatchObject([{ output: 'form {} gave yes' }])
  })

  test('that fails aborts the tools that are still carried out', async () => {
    const signals: AbortSignal[] = []
    const wait = tool({
      inputSchema: z.object({}),
      execute: (_, { abortSignal }) => {
        signals.push(abortSignal)
        return new Promise<string>(() => {})
      },
    })
    const model = scriptedModel([reply.all(reply.call('wait', {}), reply.call('echo', { text: 'hi' }))])
    const middleware = [broken('afterTool', boom)]
    const agent = defineAgent({ name: 'assistant', model, tools: { echo, wait }, middleware })
    const session = createRuntime(agent, { store: memoryStore() }).session('trip')
    await expect(session.send('Go').result).rejects.toMatchObject(failure('afterTool', 'boom'))
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  test('that is cut by a stop leaves what the tool gave in the ledger', async () => {
    const reached = door()
    const slow: Middleware = { name: 'slow', afterTool: () => reached.pass() }
    const { session, store } = start(echoing, [slow])
    const run = session.send('Go')
    await reached.reached
    await run.stop()
    await expect.poll(() => store.readCalls(run.runId)).toMatchObject([{ late: { output: 'hi' } }])
  })
})

describe('onEvent', () => {
  test('hears every event of the run, as listeners do', async () => {
    const told: string[] = []
    const hook: Middleware = { name: 'log', onEvent: ({ kind }) => void told.push(kind) }
    const { session, heard } = start(echoing, [hook])
    await session.send('Go').result
    const ofRun = heard.events.filter(({ runId, kind }) => runId && kind !== 'input-queued').map(({ kind }) => kind)
    expect(told).toEqual(ofRun)
  })

  test('may say something itself, which it does not hear', async () => {
    const told: string[] = []
    const hook: Middleware = {
      name: 'log',
      onEvent: ({ kind }, { custom }) => {
        told.push(kind)
        custom('seen', { kind })
      },
    }
    const { session, heard } = start([reply.text('Hi')], [hook])
    await session.send('Go').result
    expect(told).not.toContain('custom')
    expect(heard.of('custom').length).toBeGreaterThan(3)
    expectOrder(heard.events)
  })

  test('that throws in mid-answer ends the run with what there is', async () => {
    const hook: Middleware = {
      name: 'broken',
      onEvent: (event) => (event.kind === 'text-delta' && event.start > 0 ? boom() : undefined),
    }
    const { session, heard } = start([reply.text(words(50))], [hook])
    await expect(session.send('Go').result).rejects.toMatchObject(failure('onEvent', 'boom'))
    expect(heard.of('assistant-message-committed')).toMatchObject([{ message: { metadata: { status: 'partial' } } }])
    expectOrder(heard.events)
  })

  test('that fails on the end is reported', async () => {
    const reported = vi.fn((event: ErrorEvent) => event.preventDefault())
    addEventListener('error', reported)
    onTestFinished(() => removeEventListener('error', reported))
    const hook: Middleware = { name: 'broken', onEvent: ({ kind }) => (kind === 'run-completed' ? boom() : undefined) }
    const { session } = start([reply.text('Hi')], [hook])
    expect(await session.send('Go').result).toMatchObject({ text: 'Hi' })
    expect(reported.mock.calls[0]?.[0].error).toMatchObject(failure('onEvent', 'boom'))
  })
})

describe('onError', () => {
  test('hears of a model, a tool, and the run, each failure once', async () => {
    const told: string[] = []
    const hook: Middleware = { name: 'log', onError: ({ code }) => void told.push(code) }
    const turns = [reply.call('echo', { text: 'fail' }), reply.fail(400)]
    const { session } = start(turns, [hook])
    await expect(session.send('Go').result).rejects.toThrow()
    expect(told).toEqual(['tool-failed', 'bad-request'])
  })

  test('hears of what only the run failed with', async () => {
    const told: string[] = []
    const hook: Middleware = { name: 'log', onError: ({ code }) => void told.push(code) }
    const { session } = start([reply.text('Hi')], [hook, broken('afterModel', boom)])
    await expect(session.send('Go').result).rejects.toThrow()
    expect(told).toEqual(['middleware-failed'])
  })
})

describe('compaction', () => {
  test('is left out where a hook says so', async () => {
    const [first, , last] = summarising.turns
    const seen: number[] = []
    const hook: Middleware = {
      name: 'keep',
      beforeCompaction: ({ messages }) => {
        seen.push(messages.length)
        return { skip: true }
      },
    }
    const given = start([first, last] as Turns, [hook], summarising.options)
    await (await lastRun(given, 'beforeCompaction')).result
    expect(seen).toEqual([2])
    expect(given.heard.of('context-compacted')).toEqual([])
  })

  test('stores and tells the summary that a hook gives', async () => {
    const { store, written } = watched()
    const hook: Middleware = { name: 'sum', afterCompaction: ({ summary }) => ({ summary: `${summary}, shorter` }) }
    const given = start(summarising.turns, [hook], summarising.options, store)
    await (await lastRun(given, 'afterCompaction')).result
    expect(JSON.stringify(given.model.calls.at(-1)?.prompt)).toContain('A summary, shorter')
    expect(written.join()).toContain('A summary, shorter')
  })
})

describe('onRunEnd', () => {
  const ends: readonly (readonly [string, Turns, (given: ReturnType<typeof start>) => Promise<unknown>, object])[] = [
    [
      'completed',
      [reply.text('Hi')],
      ({ session }) => session.send('Go').result,
      { status: 'completed', usage: { inputTokens: 10 } },
    ],
    [
      'failed',
      [reply.fail(400)],
      ({ session }) => session.send('Go').result,
      { status: 'failed', error: { code: 'bad-request' } },
    ],
    [
      'stopped',
      [reply.hang()],
      async ({ session, heard }) => {
        const run = session.send('Go')
        await heard.when('model-started')
        await run.stop()
      },
      { status: 'stopped', reason: 'requested' },
    ],
    [
      'cancelled',
      [reply.hang()],
      async ({ session, heard }) => {
        const run = session.send('Go')
        await heard.when('model-started')
        run.abort()
        await run.result
      },
      { status: 'cancelled', reason: 'aborted' },
    ],
  ]

  test.each(ends)('hears once that a run is %s', async (_, turns, task, end) => {
    const told: [object, boolean][] = []
    const hook: Middleware = {
      name: 'log',
      onRunEnd: async (given, { runId, signal }) => {
        expect(signal.aborted).toBe(false)
        told.push([given, (await store.readRun(runId))?.endedAt !== undefined])
      },
    }
    const given = start(turns, [hook])
    const { store } = given
    await task(given).catch(() => {})
    await expect.poll(() => told).toMatchObject([[end, 'status' in end && end.status === 'cancelled']])
    expectOrder(given.heard.events)
  })

  test.each(ends.slice(0, 3))('that throws makes the end of a run that is %s a failure', async (_, turns, task) => {
    const given = start(turns, [broken('onRunEnd', boom)])
    await task(given).catch(() => {})
    const { error } = await given.heard.when('run-failed')
    expect(error).toMatchObject(failure('onRunEnd', 'boom'))
    expect(given.heard.of('run-completed', 'run-stopped')).toEqual([])
    expectOrder(given.heard.events)
  })

  test('that throws keeps the whole answer, and the words of a failure', async () => {
    const whole = start([reply.text('Hi there')], [broken('onRunEnd', boom)])
    await whole.session.send('Go').result.catch(() => {})
    expect(await whole.session.history()).toMatchObject([
      {},
      { parts: [{ text: 'Hi there' }], metadata: { status: 'done' } },
    ])
    const failed = start([reply.fail(400)], [broken('onRunEnd', boom)])
    await expect(failed.session.send('Go').result).rejects.toMatchObject({
      message: expect.stringMatching(/boom \(on: .*HTTP 400/),
    })
  })

  test('that fails after a run was cancelled is reported', async () => {
    const reported = vi.fn((event: ErrorEvent) => event.preventDefault())
    addEventListener('error', reported)
    onTestFinished(() => removeEventListener('error', reported))
    const given = start([reply.hang()], [broken('onRunEnd', boom)])
    const run = given.session.send('Go')
    await given.heard.when('model-started')
    run.abort()
    await expect(run.result).rejects.toThrow()
    await expect.poll(() => reported.mock.calls[0]?.[0].error).toMatchObject(failure('onRunEnd', 'boom'))
  })
})

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const
test.each(stores)('hooks of a call come again where its owner died in them, %s', async (_, makeStore) => {
  const store = makeStore()
  onTestFinished(() => store.close())
  const alive = mortal(store)
  const reached = door()
  let executed = 0
  const count = tool({ inputSchema: z.object({}), idempotent: true, execute: () => ++executed })
  const begin = (on: Store, turns: Turns, afterTool: NonNullable<Middleware['afterTool']>) => {
    const agent = defineAgent({
      name: 'a',
      model: scriptedModel(turns),
      tools: { count },
      middleware: [{ name: 'm', afterTool }],
    })
    return createRuntime(agent, { store: on }).session('trip')
  }
  begin(alive, [reply.call('count', {})], () => reached.pass()).send('Go')
  await reached.reached
  alive.die()
  const session = begin(store, [reply.text('Done')], () => ({ output: 'mine' }))
  const heard = record(session)
  onTestFinished(session.view.subscribe(() => {}))
  await heard.when('run-completed')
  expect(heard.of('tool-execution-finished')).toMatchObject([{ output: 'mine' }])
  expect(executed).toBe(2)
})

describe('defineAgent refuses middleware', () => {
  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ['that is no list', {}, /must be a list/],
    ['that is null', [null], /give each middleware a `name`/],
    ['without a name', [{ onInput: () => {} }], /give each middleware a `name`/],
    ['with an empty name', [{ name: '' }], /give each middleware a `name`/],
    ['whose name is there twice', [{ name: 'a' }, { name: 'a' }], /"a" is there twice/],
    ['with an unknown hook', [{ name: 'a', beforeTools: () => {} }], /"beforeTools" is no hook/],
    ['with a hook that is no function', [{ name: 'a', onInput: 'x' }], /onInput must be a function/],
    ['with a time-out of 0', [{ name: 'a', timeout: 0 }], /timeout must be/],
    ['with a time-out that is no number', [{ name: 'a', timeout: '5' }], /timeout must be/],
  ]
  test.each(refused)('%s', (_, middleware, message) => {
    const definition = { name: 'a', model: scriptedModel([]), middleware: middleware as never }
    expect(() => defineAgent(definition)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringMatching(message) }),
    )
  })
})
