import { AgentError, createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Change } from '../../src/sessions/store.ts'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked } from './stores.ts'

const full = () => new AgentError('storage-full', 'The disk is full: delete some sessions')

/** A store that fails where `fails` says so. */
function failing(fails: (method: string, argument: unknown) => boolean, error: () => unknown = full) {
  const state = { broken: true }
  const store = hooked(memoryStore(), (method, [argument, , said], call) =>
    state.broken && fails(method, method === 'say' ? said : argument) ? Promise.reject(error()) : call(),
  )
  const repair = () => {
    state.broken = false
  }
  return { store, repair }
}

/** Whether a call is the commit of an event of that kind. */
const commits = (kind: string) => (method: string, change: unknown) =>
  method === 'commit' && (change as Change).events.some((event) => event.kind === kind)

function start(
  store: Store,
  model = scriptedModel([reply.text('One'), reply.text('Two'), reply.text('Three'), reply.text('Four')]),
) {
  const started: string[] = []
  const signals: AbortSignal[] = []
  const work = tool({
    inputSchema: z.object({}),
    execute: (_, { toolCallId, abortSignal }) => {
      started.push(toolCallId)
      signals.push(abortSignal)
      return 'worked'
    },
  })
  const hang = tool({
    inputSchema: z.object({}),
    execute: (_, { toolCallId, abortSignal }) => {
      started.push(toolCallId)
      signals.push(abortSignal)
      return new Promise<string>(() => {})
    },
  })
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work, hang, form } }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(runtime), started, signals }
}

const isFull = { name: 'AgentError', code: 'storage-full', recoverable: true }

describe('a full disk', () => {
  test('refuses an input that can not be written, and takes the next one', async () => {
    const { store, repair } = failing((method, said) => method === 'say' && (said as { type: string }).type === 'input')
    const { session, heard } = start(store)
    await expect(session.send('Hi').result).rejects.toMatchObject(isFull)
    expect(heard.kinds()).toEqual(['run-failed'])
    expect(heard.of('run-failed')[0]?.error).toMatchObject(isFull)
    expect((await session.view.ready).queue).toEqual([])
    repair()
    expect(await session.send('Hi').result).toMatchObject({ text: 'One' })
    expectOrder(heard.events)
  })

  test('at the start of a run takes its input back, so that it does not run later', async () => {
    const { store, repair } = failing(commits('run-started'))
    const { session, heard, model } = start(store)
    await expect(session.send('lost').result).rejects.toMatchObject(isFull)
    expect(heard.kinds()).toEqual(['input-queued', 'input-withdrawn', 'run-failed'])
    expect(heard.of('run-failed')).toMatchObject([{ error: isFull }])
    expect((await session.view.ready).queue).toEqual([])
    repair()
    expect(await session.send('Hi').result).toMatchObject({ text: 'One' })
    expect(model.calls[0]?.prompt).toMatchObject([{ content: [{ text: 'Hi' }] }])
  })

  test('when the session is claimed rejects whatever waits', async () => {
    const { store, repair } = failing((method) => method === 'claim')
    const { session, model, heard } = start(store)
    const runs = [session.send('a'), session.send('b')]
    for (const { result } of runs) await expect(result).rejects.toMatchObject(isFull)
    expect(heard.of('run-failed')).toHaveLength(2)
    repair()
    expect(await session.send('Hi').result).toMatchObject({ text: 'One' })
    expect(model.calls).toHaveLength(1)
  })

  test('that takes nothing back either leaves the input to whoever comes next', async () => {
    const { store, repair } = failing(
      (method, change) => commits('run-started')(method, change) || method === 'withdraw',
    )
    const { session, heard, model } = start(store)
    await expect(session.send('first').result).rejects.toMatchObject(isFull)
    expect(heard.of('run-released')).toMatchObject([{ reason: 'storage-full', error: isFull }])
    expect((await session.view.ready).queue).toMatchObject([{ text: 'first' }])
    repair()
    await session.send('second').result
    expect(model.calls.map(({ prompt }) => prompt.at(-1)?.content)).toMatchObject([
      [{ text: 'first' }],
      [{ text: 'second' }],
    ])
  })

  test('at the answer releases the run, which then shows as interrupted; the next input goes on', async () => {
    const { store, repair } = failing(commits('assistant-message-committed'))
    const { session, heard, runtime, model } = start(store)
    await expect(session.send('Hi').result).rejects.toMatchObject(isFull)
    expect(heard.kinds().at(-1)).toBe('run-released')
    expect(heard.of('run-released')).toMatchObject([{ reason: 'storage-full', error: isFull }])
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'interrupted' }])
    expect(await session.view.ready).toMatchObject({ run: { phase: 'interrupted' } })
    repair()
    expect(await session.send('And now').result).toMatchObject({ text: 'Two' })
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'superseded' }])
  })

  test('before a tool keeps it from starting', async () => {
    const { store, repair } = failing(commits('tool-execution-started'))
    const model = scriptedModel([reply.call('work', {}, { toolCallId: 'a' }), reply.text('Fine')])
    const { session, heard, started } = start(store, model)
    await expect(session.send('Hi').result).rejects.toMatchObject(isFull)
    expect(started).toEqual([])
    expect(heard.kinds().at(-1)).toBe('run-released')
    repair()
    expect(await session.send('And now').result).toMatchObject({ text: 'Fine' })
    expect(started).toEqual([])
    expect(problemsOf(model.calls[1]?.prompt ?? [])).toEqual([])
  })

  test('after a tool stops the others, and starts nothing more', async () => {
    const { store, repair } = failing(commits('tool-execution-finished'))
    const model = scriptedModel([
      reply.all(reply.call('hang', {}, { toolCallId: 'a' }), reply.call('work', {}, { toolCallId: 'b' })),
      reply.text('Fine'),
    ])
    const { session, started, signals, heard } = start(store, model)
    await expect(session.send('Hi').result).rejects.toMatchObject(isFull)
    expect(started).toEqual(['a', 'b'])
    expect(signals[0]?.aborted).toBe(true)
    expect(model.calls).toHaveLength(1)
    repair()
    expect(await session.send('And now').result).toMatchObject({ text: 'Fine' })
    expect(model.calls[1]?.prompt[2]?.content).toMatchObject([
      { toolCallId: 'a', output: { type: 'error-text', value: expect.stringMatching(/unknown/) } },
      { toolCallId: 'b', output: { type: 'error-text', value: expect.stringMatching(/unknown/) } },
    ])
    expectOrder(heard.events.filter(({ kind }) => kind !== 'run-released'))
  })

  test('at an answer that a person gave releases the run, and does not fail it', async () => {
    let refused = 0
    const { store } = failing((...call) => commits('tool-execution-finished')(...call) && refused++ === 0)
    const model = scriptedModel([
      reply.all(reply.call('form', {}, { toolCallId: 'a' }), reply.call('hang', {}, { toolCallId: 'b' })),
    ])
    const { session, runtime, signals, heard } = start(store, model)
    const run = session.send('Hi')
    await heard.when('tool-execution-started')
    await session.addToolOutput({ tool: 'form', toolCallId: 'a', output: 'filled in' })
    await expect(run.result).rejects.toMatchObject(isFull)
    expect(heard.kinds().at(-1)).toBe('run-released')
    expect(signals[0]?.aborted).toBe(true)
    expect((await store.readRun(run.runId))?.status).toBe('running')
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'interrupted' }])
  })

  test('leaves a session that is deleted, and used again, as any other: inputs wait behind a run that waits', async () => {
    const { store, repair } = failing(commits('assistant-message-committed'))
    const model = manualModel()
    const { session, runtime, heard } = start(store, model as never)
    const lost = session.send('lost')
    ;(await model.next()).finish()
    await expect(lost.result).rejects.toMatchObject(isFull)
    repair()
    await session.delete()
    const run = session.send('anew')
    const call = await model.next()
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'running' }])
    const second = session.send('second')
    await heard.when('input-queued', ({ runId }) => runId === second.runId)
    call.toolCall('form', {}, 'a')
    call.finish('tool-calls')
    await heard.when('run-waiting')
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'waiting' }])
    await session.addToolOutput({ tool: 'form', toolCallId: 'a', output: 'filled in' })
    ;(await model.next()).finish()
    expect(await run.result).toMatchObject({ status: 'completed' })
    ;(await model.next()).finish()
    expect(await second.result).toMatchObject({ status: 'completed' })
    expect(heard.of('run-cancelled')).toEqual([])
  })

  test('when a run is aborted ends it all the same, for those who hold it', async () => {
    const { store } = failing(commits('run-cancelled'))
    const model = manualModel()
    const { session, heard } = start(store, model as never)
    const run = session.send('Hi')
    const call = await model.next()
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: expect.stringMatching(/AbortError|AgentError/) })
    expect(call.options.abortSignal?.aborted).toBe(true)
    expect(heard.of('run-released')).toHaveLength(1)
  })

  test('with inputs waiting holds none of them up', async () => {
    const { store, repair } = failing(commits('run-completed'))
    const { session } = start(store)
    const results = await Promise.allSettled(['a', 'b', 'c'].map((input) => session.send(input).result))
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    repair()
    expect(await session.send('d').result).toMatchObject({ status: 'completed' })
  })
})

describe('a store that is broken', () => {
  test.each([
    ['storage-unavailable', 'storage-unavailable'],
    ['storage-lost', 'storage-lost'],
    ['storage-outdated', 'storage-unavailable'],
  ] as const)('by %s releases the run as %s', async (code, reason) => {
    const { store } = failing(commits('run-completed'), () => new AgentError(code, 'Reload the page'))
    const { session, heard } = start(store)
    await expect(session.send('Hi').result).rejects.toMatchObject({ code, message: 'Reload the page' })
    expect(heard.of('run-released')).toMatchObject([{ reason, error: { code } }])
  })

  test('by an error of its own kind gives a typed one', async () => {
    for (const method of ['say', 'claim', 'commit', 'readSession'] as const) {
      const { store, repair } = failing(
        (called) => called === method,
        () => new Error('database is on fire'),
      )
      const { session } = start(store)
      await expect(session.send('Hi').result).rejects.toMatchObject({
        name: 'AgentError',
        message: 'database is on fire',
      })
      repair()
      expect(await session.send('Hi').result).toMatchObject({ status: 'completed' })
    }
  })

  test('tells so whoever asks for its sessions', async () => {
    const { store } = failing((method) => method === 'listSessions' || method === 'readRun')
    const { runtime } = start(store)
    await expect(runtime.sessions.list()).rejects.toMatchObject(isFull)
    await expect(runtime.runs.get('x').result).rejects.toMatchObject(isFull)
  })

  test('and does not answer leaves stop and abort to act at once', async () => {
    const writing = door()
    let armed = false
    const store = hooked(memoryStore(), async (_, __, call) => {
      if (armed) await writing.pass()
      return call()
    })
    const model = scriptedModel([reply.call('hang', {}, { toolCallId: 'a' })])
    const { session, signals, heard } = start(store, model)
    const run = session.send('Hi')
    await heard.when('tool-execution-started')
    await new Promise((resolve) => setTimeout(resolve))
    armed = true
    run.abort()
    await new Promise((resolve) => setTimeout(resolve))
    expect(signals[0]?.aborted).toBe(true)
    writing.open()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
  })
})
