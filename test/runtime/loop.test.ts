import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { finish, manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door } from './stores.ts'

const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => ({ n }) })

function start(
  turns: Parameters<typeof scriptedModel>[0],
  tools: Parameters<typeof defineAgent>[0]['tools'] = { echo },
) {
  const model = scriptedModel(turns)
  const agent = defineAgent({ name: 'assistant', model, tools: tools as { echo: typeof echo }, doomLoop: false })
  const runtime = createRuntime(agent, { store: memoryStore() })
  return { model, runtime, session: runtime.session('trip'), heard: record(runtime) }
}

describe('the events of a run', () => {
  test('of one turn without tools come in the order of the turn', async () => {
    const { session, heard } = start([reply.all(reply.reasoning('Hm.'), reply.text('Hello there'))])
    const output = await session.send('Hi').result
    expect(output).toMatchObject({ status: 'completed', text: 'Hello there', turns: 1, finishReason: 'stop' })
    expect(heard.kinds()).toEqual([
      'input-queued',
      'session-created',
      'run-started',
      'input-delivered',
      'user-message-committed',
      'checkpoint-saved',
      'turn-started',
      'context-built',
      'model-started',
      'reasoning-delta',
      'text-delta',
      'text-delta',
      'assistant-message-committed',
      'usage-recorded',
      'turn-completed',
      'run-completed',
    ])
    expectOrder(heard.events)
  })

  test('with parallel calls start together, finish as they finish, and are committed in the order of the calls', async () => {
    const slow = door()
    const { session, heard, model } = start(
      [
        reply.all(
          reply.call('wait', {}, { toolCallId: 'a' }),
          reply.call('echo', { n: 2 }, { toolCallId: 'b' }),
          reply.call('echo', { n: 3 }, { toolCallId: 'c' }),
        ),
        reply.text('Done'),
      ],
      { echo, wait: tool({ inputSchema: z.object({}), execute: () => slow.pass('waited') }) },
    )
    heard.when('tool-execution-finished', ({ toolCallId }) => toolCallId === 'c').then(slow.open)
    await session.send('Go').result
    const tools = heard.events.flatMap((event) =>
      event.kind === 'tool-execution-started' || event.kind === 'tool-execution-finished'
        ? [`${event.kind.slice('tool-execution-'.length)} ${event.toolCallId}`]
        : [],
    )
    expect(tools).toEqual(['started a', 'started b', 'started c', 'finished b', 'finished c', 'finished a'])
    const results = model.calls[1]?.prompt.at(-1)?.content
    expect(results).toMatchObject([{ toolCallId: 'a' }, { toolCallId: 'b' }, { toolCallId: 'c' }])
    expect(heard.of('turn-completed').map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop'])
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    expectOrder(heard.events)
  })

  test('carry the call, its input and its outcome', async () => {
    const { session, heard } = start([reply.call('echo', { n: 1 }, { toolCallId: 'a' }), reply.text('Done')])
    await session.send('Go').result
    expect(heard.of('tool-call-started')).toMatchObject([{ toolCallId: 'a', toolName: 'echo', partId: '0' }])
    expect(
      heard
        .of('tool-call-delta')
        .map(({ delta }) => delta)
        .join(''),
    ).toBe('{"n":1}')
    expect(heard.of('tool-call-completed')).toMatchObject([{ toolCallId: 'a', toolName: 'echo', input: { n: 1 } }])
    expect(heard.of('tool-execution-started')).toMatchObject([{ toolCallId: 'a', toolName: 'echo', input: { n: 1 } }])
    const [finished] = heard.of('tool-execution-finished')
    expect(finished).toMatchObject({
      toolCallId: 'a',
      outcome: 'success',
      input: { n: 1 },
      output: { n: 1 },
      cached: false,
    })
    expect(finished?.duration).toBeGreaterThanOrEqual(0)
    const [folded] = heard.of('tool-message-committed')
    expect(folded?.message.parts).toMatchObject([{ type: 'tool-echo', state: 'output-available', output: { n: 1 } }])
    expect(folded?.message.id).toBe(heard.of('assistant-message-committed')[0]?.message.id)
  })

  test('name the run, the session, the agent and the turn', async () => {
    const { session, heard } = start([reply.call('echo', { n: 1 }), reply.text('Done')])
    const run = session.send('Go')
    await run.result
    for (const event of heard.events) {
      expect(event).toMatchObject({ sessionId: 'trip', at: expect.any(Number) })
      expect(event.runId, event.kind).toBe(event.kind.startsWith('session-') ? '' : run.runId)
      expect(event.agent, event.kind).toBe('assistant')
    }
    expect(heard.of('turn-started').map(({ turn }) => turn)).toEqual([1, 2])
    expect(heard.of('tool-execution-finished').map(({ turn }) => turn)).toEqual([1])
    expect(heard.of('run-completed')[0]?.turn).toBe(2)
  })

  test('number turns on over runs, and durable events without a gap', async () => {
    const { session, heard } = start([
      reply.call('echo', { n: 1 }),
      reply.text('One'),
      reply.text('Two'),
      reply.text('Three'),
    ])
    for (const input of ['a', 'b', 'c']) await session.send(input).result
    expect(heard.of('turn-started').map(({ turn }) => turn)).toEqual([1, 2, 3, 4])
    expect(heard.of('run-completed').map(({ turns }) => turns)).toEqual([2, 1, 1])
    expectOrder(heard.events)
  })

  test('sum usage up for the turn, the run and the session', async () => {
    const used = (inputTokens: number, outputTokens: number) =>
      reply.finish({ usage: { inputTokens, outputTokens, cachedInputTokens: 1, reasoningTokens: 1 } })
    const { session, heard } = start([
      reply.all(reply.call('echo', { n: 1 }), used(10, 4)),
      reply.all(reply.text('One'), used(20, 5)),
      reply.all(reply.text('Two'), used(40, 6)),
    ])
    const first = await session.send('a').result
    expect(first.usage).toEqual({ inputTokens: 30, outputTokens: 9, cachedInputTokens: 2, reasoningTokens: 2 })
    const second = await session.send('b').result
    expect(second.usage).toEqual({ inputTokens: 40, outputTokens: 6, cachedInputTokens: 1, reasoningTokens: 1 })
    expect(heard.of('usage-recorded')).toMatchObject([
      { usage: { inputTokens: 10 }, run: { inputTokens: 10 }, session: { inputTokens: 10 } },
      { usage: { inputTokens: 20 }, run: { inputTokens: 30 }, session: { inputTokens: 30 } },
      { usage: { inputTokens: 40 }, run: { inputTokens: 40 }, session: { inputTokens: 70 } },
    ])
    expect(heard.of('run-completed')[1]?.usage).toEqual(second.usage)
  })

  test('end with the one end of the run, whichever it is', async () => {
    const { session, heard } = start([reply.text('Fine'), reply.fail(400), reply.hang(), reply.hang()])
    await session.send('completed').result
    await expect(session.send('failed').result).rejects.toThrow()
    const stopped = session.send('stopped')
    await heard.nth(3, 'model-started')
    await stopped.stop()
    const cancelled = session.send('cancelled')
    await heard.nth(4, 'model-started')
    cancelled.abort()
    await heard.when('run-cancelled')
    const ends = heard.events.filter(({ kind }) => /^run-(completed|failed|stopped|cancelled)$/.test(kind))
    expect(ends.map(({ kind }) => kind)).toEqual(['run-completed', 'run-failed', 'run-stopped', 'run-cancelled'])
    for (const end of ends) expect(heard.events.findLast(({ runId }) => runId === end.runId)).toBe(end)
    expectOrder(heard.events)
  })

  test('tell of sources, files and custom parts as they arrive', async () => {
    const { session, heard } = start([
      reply.all(
        reply.text('See'),
        reply.parts([
          { type: 'source', sourceType: 'url', id: 's1', url: 'https://example.org/', title: 'Example' },
          { type: 'file', mediaType: 'image/png', data: { type: 'data', data: new Uint8Array([1, 2, 3]) } },
          { type: 'custom', kind: 'acme.thing' },
        ]),
      ),
    ])
    await session.send('Go').result
    expect(heard.of('message-part').map(({ partId, part }) => [partId, part])).toEqual([
      ['1', { type: 'source-url', sourceId: 's1', url: 'https://example.org/', title: 'Example' }],
      ['2', { type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,AQID' }],
      ['3', { type: 'custom', kind: 'acme.thing' }],
    ])
    expect(heard.of('assistant-message-committed')[0]?.message.parts).toHaveLength(4)
  })

  test("tell the provider's own stream to those who ask for it", async () => {
    const { session, runtime } = start([
      reply.all(reply.text('Hi'), reply.call('echo', { n: 1 }, { toolCallId: 'a' })),
      reply.text('Done'),
    ])
    const told: string[] = []
    const kinds = [
      'chat-started',
      'chat-text-delta',
      'chat-tool-call-started',
      'chat-tool-call-arguments-delta',
      'chat-tool-call-completed',
      'chat-finished',
    ] as const
    runtime.on(kinds, ({ kind }) => void told.push(kind))
    await session.send('Go').result
    expect(told).toEqual([...kinds, 'chat-started', 'chat-text-delta', 'chat-finished'])
  })
})

describe('serial tools', () => {
  test('run alone, in their place', async () => {
    const log: string[] = []
    const logged = (name: string, serial: boolean) =>
      tool({
        inputSchema: z.object({ id: z.string() }),
        serial,
        execute: async ({ id }) => {
          log.push(`${name} ${id} begins`)
          await new Promise((resolve) => setTimeout(resolve))
          log.push(`${name} ${id} ends`)
        },
      })
    const { session, heard } = start(
      [
        reply.all(
          reply.call('together', { id: '1' }),
          reply.call('together', { id: '2' }),
          reply.call('alone', { id: '3' }),
          reply.call('alone', { id: '4' }),
          reply.call('together', { id: '5' }),
          reply.call('together', { id: '6' }),
        ),
        reply.text('Done'),
      ],
      { together: logged('together', false), alone: logged('alone', true) },
    )
    await session.send('Go').result
    expect(log).toEqual([
      'together 1 begins',
      'together 2 begins',
      'together 1 ends',
      'together 2 ends',
      'alone 3 begins',
      'alone 3 ends',
      'alone 4 begins',
      'alone 4 ends',
      'together 5 begins',
      'together 6 begins',
      'together 5 ends',
      'together 6 ends',
    ])
    expectOrder(heard.events)
  })

  test('are made so by the agent, too', async () => {
    let running = 0
    let most = 0
    const counted = tool({
      inputSchema: z.object({}),
      execute: async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve))
        running--
      },
    })
    const model = scriptedModel([reply.all(reply.call('counted', {}), reply.call('counted', {})), reply.text('Done')])
    const agent = defineAgent({ name: 'a', model, tools: { counted }, toolPolicy: { counted: { serial: true } } })
    await createRuntime(agent, { store: memoryStore() }).run({ input: 'Go' }).result
    expect(most).toBe(1)
  })
})

describe('the cap on turns', () => {
  const forever = () => reply.call('echo', { n: 1 })

  test('is 50 from the start', async () => {
    const { session, heard, model } = start(Array.from({ length: 60 }, () => forever))
    const output = await session.send('Go').result
    expect(output).toMatchObject({ status: 'stopped', reason: 'max-turns', turns: 50 })
    expect(model.calls).toHaveLength(50)
    expectOrder(heard.events)
  })

  test('is what the agent or the run says, whichever is less', async () => {
    const model = scriptedModel(Array.from({ length: 9 }, () => forever))
    const agent = defineAgent({ name: 'a', model, tools: { echo }, limits: { maxTurns: 3 }, doomLoop: false })
    const runtime = createRuntime(agent, { store: memoryStore() })
    expect(await runtime.run({ input: 'Go' }).result).toMatchObject({ turns: 3, reason: 'max-turns' })
    expect(await runtime.run({ input: 'Go', limits: { maxTurns: 2 } }).result).toMatchObject({ turns: 2 })
    expect(await runtime.run({ input: 'Go', limits: { maxTurns: 80 } }).result).toMatchObject({ turns: 3 })
  })

  test('counts anew in every run, and leaves a valid prompt', async () => {
    const { session, model } = start([forever, forever, reply.text('Fresh')])
    expect(await session.send('Go', { limits: { maxTurns: 2 } }).result).toMatchObject({ turns: 2, status: 'stopped' })
    expect(await session.send('And now').result).toMatchObject({ status: 'completed', text: 'Fresh' })
    expect(problemsOf(model.calls[2]?.prompt ?? [])).toEqual([])
  })
})

test('an abort gets through while the model streams without pause', async () => {
  let parts = 0
  const endless = {
    ...manualModel(),
    doStream: async () => ({
      stream: new ReadableStream({
        start: (controller) => controller.enqueue({ type: 'text-start', id: '1' }),
        pull: (controller) => {
          controller.enqueue(++parts < 5_000_000 ? { type: 'text-delta', id: '1', delta: 'x' } : finish('stop'))
        },
      }),
    }),
  }
  const runtime = createRuntime(defineAgent({ name: 'a', model: endless }), { store: memoryStore() })
  const run = runtime.run({ input: 'Go' })
  const first = new Promise<void>((resolve) => {
    run.on('text-delta', (_, __, { cancel }) => {
      cancel()
      resolve()
    })
  })
  await first
  setTimeout(() => run.abort())
  await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
  expect(parts).toBeLessThan(5_000_000)
})
