import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

const date = z.object({ date: z.string() })
const pickDate = tool({ inputSchema: z.object({ from: z.string() }), outputSchema: date })
const pickColor = tool({ inputSchema: z.object({}), outputSchema: z.enum(['red', 'green']) })
const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })

type Turns = Parameters<typeof scriptedModel>[0]

function start(
  turns: Turns,
  { store = memoryStore(), more = {} }: { store?: Store; more?: { work?: typeof echo } } = {},
) {
  const model = scriptedModel(turns)
  const agent = defineAgent({ name: 'assistant', model, tools: { pickDate, pickColor, echo, ...more } })
  const runtime = createRuntime(agent, { store })
  const session = runtime.session('trip')
  return { model, agent, runtime, session, heard: record(session) }
}

const askDate = reply.call('pickDate', { from: 'today' }, { toolCallId: 'date' })
const askColor = reply.call('pickColor', {}, { toolCallId: 'color' })
const answer = { tool: 'pickDate', toolCallId: 'date', output: { date: '2026-11-20' } } as const

describe('a call that no page carries out', () => {
  test('waits for an answer, and the run goes on with it', async () => {
    const { session, heard, model } = start([askDate, reply.text('Booked')])
    const run = session.send('When?')
    const waiting = await heard.when('run-waiting')
    expect(waiting).toMatchObject({ waitingFor: 'tool-results', runId: run.runId, turn: 1 })
    await session.addToolOutput(answer)
    expect(await run.result).toMatchObject({ status: 'completed', text: 'Booked', turns: 2 })
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'success', output: { date: '2026-11-20' } }])
    expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([
      { toolCallId: 'date', output: { type: 'json', value: { date: '2026-11-20' } } },
    ])
    expectOrder(heard.events)
  })

  test('may be answered with an error', async () => {
    const { session, heard, model } = start([askDate, reply.text('Then not')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'pickDate', toolCallId: 'date', errorText: 'The user closed the form.' })
    expect(await run.result).toMatchObject({ text: 'Then not' })
    expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([
      { output: { type: 'error-text', value: 'The user closed the form.' } },
    ])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'failure' }])
  })

  test('holds up no other call of the turn', async () => {
    const { session, heard } = start([reply.all(askDate, reply.call('echo', { n: 7 })), reply.text('Done')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    expect(heard.of('tool-execution-finished')).toMatchObject([{ toolName: 'echo', output: 7 }])
    await session.addToolOutput(answer)
    await run.result
    expectOrder(heard.events)
  })

  test('can be answered while another one still runs: then the run does not wait at all', async () => {
    const working = door()
    const work = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => working.pass(n) })
    const { session, heard } = start([reply.all(askDate, reply.call('work', { n: 7 })), reply.text('Done')], {
      more: { work },
    })
    const run = session.send('When?')
    await working.reached
    await session.addToolOutput(answer)
    await heard.when('tool-execution-finished', ({ toolCallId }) => toolCallId === 'date')
    working.open()
    expect(await run.result).toMatchObject({ text: 'Done' })
    expect(heard.of('run-waiting')).toEqual([])
    expectOrder(heard.events)
  })

  test('can be answered right when the run is about to wait', async () => {
    const { session, heard } = start([reply.all(askDate, reply.call('echo', { n: 7 })), reply.text('Done')])
    const run = session.send('When?')
    session.on('tool-execution-finished', ({ toolName }) => {
      if (toolName === 'echo') void session.addToolOutput(answer)
    })
    expect(await run.result).toMatchObject({ text: 'Done' })
    expectOrder(heard.events)
  })

  test('waits with others, and each is answered by itself', async () => {
    const { session, heard, model } = start([reply.all(askDate, askColor), reply.text('Done')])
    const run = session.send('When, and which?')
    await heard.when('run-waiting')
    await session.addToolOutput({ tool: 'pickColor', toolCallId: 'color', output: 'red' })
    await heard.when('tool-execution-finished', ({ toolCallId }) => toolCallId === 'color')
    expect(run.finished).toBe(false)
    expect(model.calls).toHaveLength(1)
    await session.addToolOutput(answer)
    expect(await run.result).toMatchObject({ text: 'Done' })
    expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([{ toolCallId: 'date' }, { toolCallId: 'color' }])
    expectOrder(heard.events)
  })

  test('and the others may be answered at once', async () => {
    const { session, heard } = start([reply.all(askDate, askColor), reply.text('Done')])
    const run = session.send('When, and which?')
    await heard.when('run-waiting')
    await Promise.all([
      session.addToolOutput(answer),
      session.addToolOutput({ tool: 'pickColor', toolCallId: 'color', output: 'green' }),
    ])
    expect(await run.result).toMatchObject({ text: 'Done' })
    expectOrder(heard.events)
  })

  test('waits again in the next turn', async () => {
    const { session, heard } = start([askDate, askColor, reply.text('Done')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    await session.addToolOutput(answer)
    await heard.nth(2, 'run-waiting')
    await session.addToolOutput({ tool: 'pickColor', toolCallId: 'color', output: 'green' })
    expect(await run.result).toMatchObject({ text: 'Done', turns: 3 })
    expectOrder(heard.events)
  })

  test('shows in the view and the list as waiting', async () => {
    const { session, runtime, heard } = start([askDate, reply.text('Done')])
    session.send('When?')
    await heard.when('run-waiting')
    expect((await session.view.ready).run).toMatchObject({ phase: 'waiting', waitingFor: 'tool-results' })
    expect((await session.view.ready).messages.at(-1)?.parts).toMatchObject([
      { type: 'tool-pickDate', state: 'input-available' },
    ])
    expect(await runtime.sessions.list()).toMatchObject([{ id: 'trip', status: 'waiting' }])
  })
})

describe('addToolOutput refuses', () => {
  const refused = (code: string, message = /./) => ({
    name: 'AgentError',
    code,
    message: expect.stringMatching(message),
  })

  test('a call that does not exist, or that nobody waits for', async () => {
    const { session, heard } = start([askDate, reply.text('Done')])
    await expect(session.addToolOutput(answer)).rejects.toMatchObject(refused('unknown-tool'))
    const run = session.send('When?')
    await heard.when('run-waiting')
    await expect(session.addToolOutput({ ...answer, toolCallId: 'other' })).rejects.toMatchObject(
      refused('unknown-tool'),
    )
    await session.addToolOutput(answer)
    await run.result
    await expect(session.addToolOutput(answer)).rejects.toMatchObject(refused('unknown-tool'))
  })

  test('the name of another tool', async () => {
    const { session, heard } = start([askDate, reply.text('Done')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    const wrong = { tool: 'pickColor', toolCallId: 'date', output: 'red' } as const
    await expect(session.addToolOutput(wrong)).rejects.toMatchObject(refused('unknown-tool'))
    await session.addToolOutput(answer)
    await run.result
  })

  test('a second answer, also one at the same time', async () => {
    const { session, heard, model } = start([askDate, reply.text('Done')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    const second = { ...answer, output: { date: 'never' } }
    const answers = await Promise.allSettled([session.addToolOutput(answer), session.addToolOutput(second)])
    expect(answers).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: refused('duplicate-tool-output') },
    ])
    await run.result
    expect(JSON.stringify(model.calls[1]?.prompt)).not.toContain('never')
  })

  test("what is not of the tool's outputSchema, and the call goes on waiting", async () => {
    const { session, heard } = start([askDate, reply.text('Done')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    for (const output of [{ date: 1 }, 'tomorrow', undefined, () => {}])
      await expect(session.addToolOutput({ ...answer, output: output as never })).rejects.toMatchObject({
        name: 'AgentError',
        code: expect.stringMatching(/^invalid-(input|argument)$/),
      })
    await session.addToolOutput(answer)
    expect(await run.result).toMatchObject({ text: 'Done' })
  })

  test('an answer to a tool that runs in the worker', async () => {
    const working = door()
    const work = tool({ inputSchema: z.object({ n: z.number() }), serial: true, execute: ({ n }) => working.pass(n) })
    const { session } = start(
      [
        reply.all(reply.call('work', { n: 1 }, { toolCallId: 'a' }), reply.call('work', { n: 2 }, { toolCallId: 'b' })),
        reply.text('Done'),
      ],
      { more: { work } },
    )
    const run = session.send('Go')
    await working.reached
    for (const toolCallId of ['a', 'b'])
      await expect(session.addToolOutput({ tool: 'work', toolCallId, output: 9 } as never)).rejects.toMatchObject(
        refused('unknown-tool'),
      )
    working.open()
    await run.result
  })

  test('an answer to an invalid call', async () => {
    const { session, heard, model } = start([
      reply.all(reply.call('pickDate', { from: 7 }, { toolCallId: 'bad' }), askColor),
      reply.text('Done'),
    ])
    const run = session.send('Go')
    await heard.when('run-waiting')
    await expect(session.addToolOutput({ ...answer, toolCallId: 'bad' })).rejects.toMatchObject(refused('unknown-tool'))
    await session.addToolOutput({ tool: 'pickColor', toolCallId: 'color', output: 'red' })
    await run.result
    expect(model.calls[1]?.prompt.at(-1)?.content).toMatchObject([
      { output: { type: 'error-text' } },
      { output: { value: 'red' } },
    ])
  })

  test('an answer after many messages as it does after few', async () => {
    const { session, heard } = start([
      ...Array.from({ length: 12 }, (_, n) => reply.text(`answer ${n}`)),
      reply.all(askDate, askColor),
      reply.text('Done'),
    ])
    for (let n = 0; n < 12; n++) await session.send(`question ${n}`).result
    const run = session.send('Go')
    await heard.when('run-waiting')
    await session.addToolOutput(answer)
    await heard.when('tool-execution-finished')
    await expect(session.addToolOutput(answer)).rejects.toMatchObject(refused('duplicate-tool-output'))
    await session.addToolOutput({ tool: 'pickColor', toolCallId: 'color', output: 'red' })
    expect(await run.result).toMatchObject({ text: 'Done' })
  })
})

describe('a run that waits', () => {
  test('outlives its runtime', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start([askDate], { store: alive })
    const { runId } = first.session.send('When?')
    await first.heard.when('run-waiting')
    alive.die()
    const second = start([reply.text('Booked')], { store: mortal(store) })
    const run = second.runtime.runs.get(runId)
    await second.session.addToolOutput(answer)
    expect(await run.result).toMatchObject({ text: 'Booked', turns: 2, sessionId: 'trip' })
    expect(problemsOf(second.model.calls[0]?.prompt ?? [])).toEqual([])
    const all = record(second.session, { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
    expect(all.of('run-started')).toHaveLength(1)
  })

  test('is taken up by whichever runtime gets the answer', async () => {
    const store = memoryStore()
    const first = start([askDate], { store })
    const run = first.session.send('When?')
    await first.heard.when('run-waiting')
    const second = start([reply.text('Booked there')], { store })
    await second.session.addToolOutput(answer)
    expect(await run.result).toMatchObject({ text: 'Booked there' })
    await first.heard.when('run-completed')
    expectOrder(first.heard.events)
  })

  test('can be stopped; the next run closes its call', async () => {
    const { session, heard, model } = start([askDate, reply.text('Fresh')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    expect(await run.stop()).toMatchObject({ status: 'stopped', reason: 'requested' })
    await expect(session.addToolOutput(answer)).rejects.toMatchObject({ code: 'unknown-tool' })
    expect(await session.send('Never mind').result).toMatchObject({ text: 'Fresh' })
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    expectOrder(heard.events)
  })

  test('can be stopped after the turn: nothing of that has started, and the resume has its call', async () => {
    const { runtime, session, heard, model } = start([askDate, reply.text('Fresh')])
    const run = session.send('When?')
    await heard.when('run-waiting')
    expect(await run.stop({ after: 'turn' })).toMatchObject({ status: 'stopped', reason: 'requested', turns: 1 })
    const resumed = runtime.runs.resume(run.runId)
    await heard.nth(2, 'run-waiting')
    await session.addToolOutput(answer)
    expect(await resumed.result).toMatchObject({ status: 'completed', text: 'Fresh' })
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    expect(model.calls[1]?.prompt[2]?.content).toMatchObject([{ output: { value: { date: '2026-11-20' } } }])
    expectOrder(heard.events)
  })

  test('keeps an answer that was stored while its stop was being written: the resume has it', async () => {
    const stopping = door()
    const store = hooked(memoryStore(), async (method, [change], call) => {
      const { run } = (change ?? {}) as { run?: { status: string } }
      if (method === 'commit' && run?.status === 'stopped') await stopping.pass()
      return call()
    })
    const { runtime, session, heard } = start([askDate, reply.text('Booked')], { store })
    const run = session.send('When?')
    await heard.when('run-waiting')
    await session.stop()
    await stopping.reached
    await session.addToolOutput(answer)
    stopping.open()
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'requested' })
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed', text: 'Booked' })
    expect(heard.of('run-waiting')).toHaveLength(1)
    expect(await store.readInbox('trip')).toEqual([])
    expectOrder(heard.events)
  })

  test('has an answer at the resume, too, that was accepted right before its stop and stored after it', async () => {
    const late = door()
    let answering = true
    const store = hooked(memoryStore(), async (method, [, , said], call) => {
      const isAnswer = method === 'say' && (said as { type: string }).type === 'tool-output'
      if (answering && (isAnswer || method === 'readRun')) await late.pass()
      return call()
    })
    const { runtime, session, heard } = start([askDate, reply.text('Booked')], { store })
    const run = session.send('When?')
    await heard.when('run-waiting')
    const answered = session.addToolOutput(answer)
    await late.reached
    answering = false
    expect(await run.stop()).toMatchObject({ status: 'stopped' })
    late.open()
    await answered
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed', text: 'Booked' })
    expectOrder(heard.events)
  })

  test('drops such an answer when another run takes its place', async () => {
    const stopping = door()
    const store = hooked(memoryStore(), async (method, [change], call) => {
      const { run } = (change ?? {}) as { run?: { status: string } }
      if (method === 'commit' && run?.status === 'stopped') await stopping.pass()
      return call()
    })
    const { session, heard, model } = start([askDate, reply.text('Something else')], { store })
    const run = session.send('When?')
    await heard.when('run-waiting')
    await session.stop()
    await stopping.reached
    await session.addToolOutput(answer)
    stopping.open()
    await run.result
    expect(await session.send('Never mind').result).toMatchObject({ text: 'Something else' })
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    await expect.poll(() => store.readInbox('trip')).toEqual([])
    expectOrder(heard.events)
  })

  test('can be aborted, by its handle or by its session', async () => {
    for (const by of ['handle', 'session'] as const) {
      const { session, heard, model } = start([askDate, reply.text('Fresh')])
      const run = session.send('When?')
      await heard.when('run-waiting')
      if (by === 'handle') run.abort()
      else session.abort()
      await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
      expect(heard.of('tool-message-committed')).toMatchObject([
        { message: { parts: [{ toolCallId: 'date', state: 'output-error', errorText: /not started/i }] } },
      ])
      await session.send('Never mind').result
      expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
      expectOrder(heard.events)
    }
  })

  test('is aborted on disposal of its handle', async () => {
    const { session, heard } = start([askDate])
    {
      await using _run = session.send('When?')
      await heard.when('run-waiting')
    }
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'disposed' }])
  })

  test('keeps a new input waiting', async () => {
    const { session, heard } = start([askDate, reply.text('Booked'), reply.text('Second')])
    const first = session.send('When?')
    await heard.when('run-waiting')
    const second = session.send('And then?')
    await heard.nth(2, 'input-queued')
    const third = session.send('Now!', { whenBusy: 'reject' })
    await expect(third.result).rejects.toMatchObject({ code: 'session-busy' })
    expect(heard.of('run-started')).toHaveLength(1)
    await session.addToolOutput(answer)
    expect(await first.result).toMatchObject({ text: 'Booked' })
    expect(await second.result).toMatchObject({ text: 'Second' })
    expectOrder(heard.events)
  })

  test('holds no lock', async () => {
    const store = memoryStore()
    const { session, heard } = start([askDate], { store })
    session.send('When?')
    await heard.when('run-waiting')
    const claim = await store.claim('trip')
    expect(claim?.sessionId).toBe('trip')
    claim?.release()
  })
})
