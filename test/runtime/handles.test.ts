import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualModel } from './manual-model.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked } from './stores.ts'

const aborted = { name: 'AbortError' }

function scripted(...turns: Parameters<typeof scriptedModel>[0]) {
  const model = scriptedModel(turns)
  return { model, ...around(defineAgent({ name: 'assistant', model })) }
}

function manual(tools: NonNullable<Parameters<typeof defineAgent>[0]['tools']> = {}) {
  const model = manualModel()
  return { model, ...around(defineAgent({ name: 'assistant', model, tools })) }
}

function around(agent: ReturnType<typeof defineAgent>, store = memoryStore()) {
  const runtime = createRuntime(agent, { store })
  return { runtime, store, session: runtime.session('trip'), heard: record(runtime) }
}

/** A tool that never ends and ignores its signal, which it gives to the test. */
function deafTool() {
  const signals: AbortSignal[] = []
  const begun = door()
  const deaf = tool({
    inputSchema: z.object({}),
    execute: (_, { abortSignal }) => {
      signals.push(abortSignal)
      begun.pass()
      return new Promise<never>(() => {})
    },
  })
  return { deaf, signals, begun: begun.reached }
}

describe('result', () => {
  test('resolves with the output of a completed run', async () => {
    const { session } = scripted(reply.text('Hello'))
    const run = session.send('Hi')
    expect(run).toMatchObject({ sessionId: 'trip', finished: false })
    expect(await run.result).toEqual({
      runId: run.runId,
      sessionId: 'trip',
      status: 'completed',
      finishReason: 'stop',
      text: 'Hello',
      usage: { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 },
      turns: 1,
    })
    expect(run.finished).toBe(true)
  })

  test('resolves for a stopped run, with the reason and the text so far', async () => {
    const { session, model, heard } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    call.text('Half a')
    await heard.when('text-delta')
    expect(await run.stop()).toMatchObject({ status: 'stopped', reason: 'requested', text: 'Half a' })
    expect(await run.result).toMatchObject({ status: 'stopped' })
  })

  test('rejects with an AgentError for a failed run, and says what failed', async () => {
    const { session } = scripted(reply.fail(400))
    await expect(session.send('Hi').result).rejects.toMatchObject({
      name: 'AgentError',
      code: 'bad-request',
      status: 400,
    })
  })

  test('rejects with an AbortError for a cancelled run', async () => {
    const { session, model } = manual()
    const run = session.send('Hi')
    await model.next()
    run.abort()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(run.finished).toBe(true)
  })

  // The browser project fails on any unhandled rejection; this one makes sure that there were some to be had.
  test('is no unhandled rejection where nobody awaits it', async () => {
    const unhandled: unknown[] = []
    const note = (event: PromiseRejectionEvent) => unhandled.push(event.reason)
    addEventListener('unhandledrejection', note)
    const { session, heard } = scripted(reply.fail(400), reply.hang())
    session.send('fails')
    await heard.when('run-failed')
    session.send('')
    await heard.nth(2, 'run-failed')
    const run = session.send('is cancelled')
    await heard.nth(2, 'model-started')
    run.abort()
    await heard.when('run-cancelled')
    await new Promise((resolve) => setTimeout(resolve))
    removeEventListener('unhandledrejection', note)
    expect(unhandled).toEqual([])
  })

  test('settles after the last event was delivered', async () => {
    const { session, heard } = scripted(reply.text('Hello'))
    await session.send('Hi').result
    expect(heard.kinds().at(-1)).toBe('run-completed')
  })
})

describe('stop', () => {
  test('ends the model call at once and keeps the partial text', async () => {
    const { session, model, heard } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    call.text('Half a sen')
    await heard.when('text-delta')
    await run.stop()
    expect(call.cancelled).toBe(true)
    expect(call.options.abortSignal?.aborted).toBe(true)
    const [committed] = heard.of('assistant-message-committed')
    expect(committed?.message).toMatchObject({
      metadata: { status: 'partial' },
      parts: [{ type: 'text', text: 'Half a sen' }],
    })
    expect(heard.kinds().at(-1)).toBe('run-stopped')
    expectOrder(heard.events)
  })

  test('after the turn lets the model and the tools of the turn finish', async () => {
    const working = door()
    const { session, model, heard } = manual({
      work: tool({ inputSchema: z.object({}), execute: () => working.pass('worked') }),
    })
    const run = session.send('Hi')
    const call = await model.next()
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    await working.reached
    const stopped = run.stop({ after: 'turn' })
    working.open()
    expect(await stopped).toMatchObject({ status: 'stopped', reason: 'requested', turns: 1 })
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'success', output: 'worked' }])
    expect(heard.of('tool-message-committed')).toHaveLength(1)
    expect(model.calls).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('after the turn lets a run that ends with this turn complete', async () => {
    const { session, model } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    const stopped = run.stop({ after: 'turn' })
    call.text('All of it')
    call.finish()
    expect(await stopped).toMatchObject({ status: 'completed', text: 'All of it' })
  })

  test('does not wait for a tool that ignores its signal', async () => {
    const { deaf, signals, begun } = deafTool()
    const { session, model, heard } = manual({ deaf })
    const run = session.send('Hi')
    const call = await model.next()
    call.toolCall('deaf', {}, 'a')
    call.finish('tool-calls')
    await begun
    expect(await run.stop()).toMatchObject({ status: 'stopped' })
    expect(signals[0]?.aborted).toBe(true)
    expect(heard.of('tool-execution-finished')).toMatchObject([{ outcome: 'failure', errorText: /unknown/ }])
    expectOrder(heard.events)
  })

  test('takes back an input that still waits', async () => {
    const { session, model, heard } = manual()
    const first = session.send('first')
    const call = await model.next()
    const second = session.send('second')
    await heard.nth(2, 'input-queued')
    await expect(second.stop()).rejects.toMatchObject(aborted)
    expect(heard.of('input-withdrawn')).toMatchObject([{ inputId: second.runId }])
    call.text('Done')
    call.finish()
    await first.result
    expect(heard.of('run-started')).toHaveLength(1)
  })

  test('right after the send is not lost', async () => {
    const { session, model } = manual()
    const run = session.send('Hi')
    const stopped = run.stop()
    await expect(stopped.catch((error) => error.name)).resolves.toSatisfy(
      (outcome) => outcome === 'AbortError' || outcome?.status === 'stopped',
    )
    expect(model.calls).toHaveLength(0)
  })

  test('before the request was made is not lost', async () => {
    const { runtime, model } = manual()
    const asked = door()
    const run = runtime.run(() => asked.pass({ input: 'Hi' }))
    await asked.reached
    const stopped = run.stop()
    asked.open()
    await expect(stopped.catch((error) => error.name)).resolves.toSatisfy(
      (outcome) => outcome === 'AbortError' || outcome?.status === 'stopped',
    )
    expect(model.calls).toHaveLength(0)
  })

  test('of a session stops what is under way', async () => {
    const { session, model, heard } = manual()
    const run = session.send('Hi')
    await model.next()
    await session.stop()
    expect(await run.result).toMatchObject({ status: 'stopped' })
    await session.stop()
    expect(heard.of('run-stopped')).toHaveLength(1)
  })

  test('of a session right after a send is not lost', async () => {
    const { session, model } = manual()
    const run = session.send('Hi')
    await session.stop()
    await run.result.catch(() => {})
    expect(model.calls).toHaveLength(0)
  })

  test('of a finished run gives its result', async () => {
    const { session, heard } = scripted(reply.text('Done'))
    const run = session.send('Hi')
    await run.result
    expect(await run.stop()).toMatchObject({ status: 'completed', text: 'Done' })
    expect(heard.of('run-stopped')).toEqual([])
  })
})

describe('abort and disposal', () => {
  test('reach the model, and end the run as cancelled for good', async () => {
    for (const [end, reason] of [
      ['abort', 'aborted'],
      ['dispose', 'disposed'],
    ] as const) {
      const { session, model, heard } = manual()
      const run = session.send('Hi')
      const call = await model.next()
      call.text('Half')
      await heard.when('text-delta')
      if (end === 'abort') run.abort()
      else run[Symbol.dispose]()
      await heard.when('run-cancelled')
      expect(call.options.abortSignal?.aborted).toBe(true)
      expect(call.cancelled).toBe(true)
      expect(heard.of('run-cancelled')).toMatchObject([{ reason }])
      expect(heard.of('assistant-message-committed')[0]?.message.metadata.status).toBe('partial')
      expectOrder(heard.events)
    }
  })

  test('give the model and the tools an AbortError as reason', async () => {
    const { deaf, signals, begun } = deafTool()
    const { session, model } = manual({ deaf })
    const first = session.send('Hi')
    const call = await model.next()
    call.toolCall('deaf', {}, 'a')
    call.finish('tool-calls')
    await begun
    first.abort()
    await first.result.catch(() => {})
    expect(signals[0]?.reason).toMatchObject(aborted)
    const second = session.send('Hi again')
    const { options } = await model.next()
    second.abort()
    await second.result.catch(() => {})
    expect(options.abortSignal?.reason).toMatchObject(aborted)
  })

  test('reach every running tool at once', async () => {
    const { deaf, signals, begun } = deafTool()
    const { session, model, heard } = manual({ deaf })
    const run = session.send('Hi')
    const call = await model.next()
    call.toolCall('deaf', {}, 'a')
    call.toolCall('deaf', {}, 'b')
    call.finish('tool-calls')
    await begun
    await heard.nth(2, 'tool-execution-started')
    run.abort()
    await heard.when('run-cancelled')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
    expectOrder(heard.events)
  })

  test('deliver nothing live afterwards', async () => {
    const { session, model, heard } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    call.text('one')
    await heard.when('text-delta')
    const before = heard.events.length
    run.abort()
    call.text('two')
    call.finish()
    await heard.when('run-cancelled')
    const after = heard.events.slice(before).map(({ kind }) => kind)
    expect(after).toEqual(['assistant-message-committed', 'usage-recorded', 'run-cancelled'])
    expect(heard.of('assistant-message-committed')[0]?.message.parts).toMatchObject([{ text: 'one' }])
  })

  test('end a tool call before it starts where they come while its intent is written', async () => {
    const model = manualModel()
    let executed = 0
    const work = tool({ inputSchema: z.object({}), execute: () => void executed++ })
    const writing = door()
    const store = hooked(memoryStore(), async (method, [change], call) => {
      const events = (change as { events?: readonly { kind: string }[] } | undefined)?.events ?? []
      if (method === 'commit' && events.some(({ kind }) => kind === 'tool-execution-started')) await writing.pass()
      return call()
    })
    const { session, heard } = around(defineAgent({ name: 'assistant', model, tools: { work } }), store)
    const run = session.send('Hi')
    const call = await model.next()
    call.toolCall('work', {}, 'a')
    call.finish('tool-calls')
    await writing.reached
    run.abort()
    await new Promise((resolve) => setTimeout(resolve))
    writing.open()
    await heard.when('run-cancelled')
    expect(executed).toBe(0)
    expectOrder(heard.events)
  })

  test('withdraw an input that still waits', async () => {
    const { session, model, heard } = manual()
    const first = session.send('first')
    const call = await model.next()
    const second = session.send('second')
    const third = session.send('third')
    await heard.nth(3, 'input-queued')
    second.abort()
    await expect(second.result).rejects.toMatchObject(aborted)
    call.finish()
    await first.result
    const next = await model.next()
    expect(next.options.prompt.at(-1)?.content).toMatchObject([{ text: 'third' }])
    next.finish()
    await third.result
    expect(heard.of('input-withdrawn')).toMatchObject([{ runId: second.runId }])
    expect(heard.of('run-started').map(({ input }) => input)).toEqual(['first', 'third'])
    expectOrder(heard.events)
  })

  test('withdraw an input that still waits when its block is left', async () => {
    const { session, model, heard } = manual()
    const first = session.send('first')
    const call = await model.next()
    {
      await using _second = session.send('second')
      await heard.nth(2, 'input-queued')
    }
    expect(heard.of('input-withdrawn')).toHaveLength(1)
    call.finish()
    await first.result
    expect(heard.of('run-started')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('right after the send leave nothing behind', async () => {
    const { session, model, heard, store } = manual()
    const run = session.send('Hi')
    run.abort()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(
      await session
        .send('And now')
        .stop()
        .catch(() => {}),
    ).toBe(undefined)
    expect(model.calls).toHaveLength(0)
    expect(heard.of('run-started')).toEqual([])
    expect(await store.readInbox('trip')).toEqual([])
  })

  test('at the moment at which an input becomes a run harm no other input', async () => {
    const model = scriptedModel([reply.text('one'), reply.text('three')])
    const starting = door()
    let reads = 0
    // The second read after the first run is the one between finding the input and starting it.
    const store = hooked(memoryStore(), async (method, [, options], call) => {
      if (method === 'readSession' && armed && (options as { messages: number }).messages === 0 && ++reads === 2)
        await starting.pass()
      return call()
    })
    let armed = false
    const { session, heard } = around(defineAgent({ name: 'assistant', model }), store)
    await session.send('first').result
    const second = session.send('second')
    await heard.nth(2, 'input-queued')
    armed = true
    const third = session.send('third')
    await Promise.race([starting.reached, heard.nth(2, 'run-started')])
    second.abort()
    await new Promise((resolve) => setTimeout(resolve))
    starting.open()
    await expect(second.result).rejects.toMatchObject(aborted)
    expect(await third.result).toMatchObject({ status: 'completed' })
    expectOrder(heard.events)
  })

  test('of a finished run change nothing', async () => {
    const { session, heard } = scripted(reply.text('Done'))
    const run = session.send('Hi')
    await run.result
    run.abort()
    await run[Symbol.asyncDispose]()
    expect(await run.result).toMatchObject({ status: 'completed' })
    expect(heard.kinds().at(-1)).toBe('run-completed')
  })

  test('work with `using`', async () => {
    const { session, model, heard } = manual()
    {
      using run = session.send('Hi')
      await model.next()
      expect(run.finished).toBe(false)
    }
    expect(await heard.when('run-cancelled')).toMatchObject({ reason: 'disposed' })
  })

  test('with `await using` leave the block once the run has ended', async () => {
    const { session, model, heard } = manual()
    {
      await using _run = session.send('Hi')
      await model.next()
    }
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'disposed' }])
  })

  test('spare a detached run', async () => {
    const { session, model, heard } = manual()
    {
      using run = session.send('Hi')
      expect(run.detach()).toBe(run)
    }
    const call = await model.next()
    call.text('Still here')
    call.finish()
    expect(await heard.when('run-completed')).toBeTruthy()
  })

  test('of a session cancel what is under way', async () => {
    const { session, model, heard } = manual()
    const run = session.send('Hi')
    await model.next()
    session.abort()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-cancelled')).toMatchObject([{ reason: 'aborted' }])
  })

  test('leave a valid prompt for the next run, without the metadata of what was cut', async () => {
    const { session, model, heard } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    call.write({ type: 'reasoning-start', id: 'r', providerMetadata: { acme: { item: 'rs_1' } } })
    call.write({ type: 'reasoning-delta', id: 'r', delta: 'Hm' })
    call.write({ type: 'text-start', id: 't', providerMetadata: { acme: { item: 'msg_1' } } })
    call.text('Half', 't2')
    call.write({ type: 'text-delta', id: 't', delta: 'Other half' })
    call.write(
      { type: 'tool-input-start', id: 'a', toolName: 'x' },
      { type: 'tool-input-delta', id: 'a', delta: '{"n"' },
    )
    await heard.when('tool-call-delta')
    run.abort()
    await heard.when('run-cancelled')
    session.send('Go on')
    const { options } = await model.next()
    expect(problemsOf(options.prompt)).toEqual([])
    expect(JSON.stringify(options.prompt)).not.toContain('acme')
    expect(options.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    expect(options.prompt[1]?.content).toEqual([
      { type: 'text', text: 'Other half' },
      { type: 'text', text: 'Half' },
    ])
  })
})

describe('a signal in the options', () => {
  test('aborts the run', async () => {
    const { session, model, heard } = manual()
    const controller = new AbortController()
    const run = session.send('Hi', { signal: controller.signal })
    await model.next()
    controller.abort()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-cancelled')).toHaveLength(1)
  })

  test('that has aborted before starts nothing', async () => {
    const { session, heard, model } = manual()
    const run = session.send('Hi', { signal: AbortSignal.abort() })
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-started')).toEqual([])
    expect(model.calls).toEqual([])
  })
})

describe('a request as a callback', () => {
  test('gets the context and its control, and starts the run', async () => {
    const { runtime } = scripted(reply.text('Hello'))
    const seen: unknown[] = []
    const run = runtime.run(
      (context, control) => {
        seen.push(context.sessionId, context.runId, control.cancelled, control.signal.aborted)
        return { input: 'Hi' }
      },
      { session: 'trip' },
    )
    expect(await run.result).toMatchObject({ text: 'Hello', sessionId: 'trip' })
    expect(seen).toEqual(['trip', run.runId, false, false])
  })

  test('cancels the run before it began', async () => {
    const { runtime, heard } = scripted(reply.text('Hello'))
    const run = runtime.run((_, { cancel }) => {
      cancel()
      return { input: 'Hi' }
    })
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-started')).toEqual([])
  })

  test('cancels the run while it runs', async () => {
    const { runtime, model, heard } = manual()
    let cancel = () => {}
    const run = runtime.run(async (_, control) => {
      cancel = () => control.cancel()
      return { input: 'Hi' }
    })
    await model.next()
    cancel()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-cancelled')).toHaveLength(1)
  })

  test('hears of an abort of its handle', async () => {
    const { runtime, model } = manual()
    const given: AbortSignal[] = []
    const run = runtime.run((_, { signal }) => {
      given.push(signal)
      return { input: 'Hi' }
    })
    await model.next()
    run.abort()
    await run.result.catch(() => {})
    expect(given[0]?.aborted).toBe(true)
  })

  test('that never answers ends with an abort', async () => {
    const { runtime, heard } = manual()
    const run = runtime.run(() => new Promise<never>(() => {}))
    run.abort()
    await expect(run.result).rejects.toMatchObject(aborted)
    expect(heard.of('run-started')).toEqual([])
  })

  test('that throws rejects the result', async () => {
    const { runtime } = manual()
    const run = runtime.run(() => {
      throw new RangeError('No idea what to ask')
    })
    await expect(run.result).rejects.toThrow('No idea what to ask')
  })
})

describe('a looked-up handle', () => {
  test('gives the result of a run that has ended', async () => {
    const { session, runtime } = scripted(reply.text('Done'), reply.fail(400))
    const done = session.send('Hi')
    await done.result
    const looked = runtime.runs.get(done.runId)
    expect(await looked.result).toMatchObject({ text: 'Done', sessionId: 'trip' })
    expect(looked.sessionId).toBe('trip')
    const failed = session.send('Hi')
    await failed.result.catch(() => {})
    await expect(runtime.runs.get(failed.runId).result).rejects.toMatchObject({ code: 'bad-request', status: 400 })
  })

  test('follows a run that is under way, and one that waits', async () => {
    const { session, runtime, model, heard } = manual()
    const first = session.send('first')
    const second = session.send('second')
    const call = await model.next()
    await heard.nth(2, 'input-queued')
    const results = Promise.all([first, second].map(({ runId }) => runtime.runs.get(runId).result))
    call.text('one')
    call.finish()
    const next = await model.next()
    next.text('two')
    next.finish()
    expect((await results).map(({ text }) => text)).toEqual(['one', 'two'])
  })

  test('of a run that was just asked for follows it', async () => {
    const { session, runtime } = scripted(reply.text('Done'))
    const run = session.send('Hi')
    expect(await runtime.runs.get(run.runId).result).toMatchObject({ text: 'Done' })
  })

  test('does not own the run', async () => {
    const { session, runtime, model, heard } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    {
      using _looked = runtime.runs.get(run.runId)
    }
    call.finish()
    await run.result
    expect(heard.of('run-completed')).toHaveLength(1)
  })

  test('can abort and stop all the same', async () => {
    const { session, runtime, model } = manual()
    const run = session.send('Hi')
    await model.next()
    expect(await runtime.runs.get(run.runId).stop()).toMatchObject({ status: 'stopped' })
    const other = session.send('Hi')
    await model.next()
    runtime.runs.get(other.runId).abort()
    await expect(other.result).rejects.toMatchObject(aborted)
  })

  test('of an unknown run rejects its result', async () => {
    const { runtime } = manual()
    const handle = runtime.runs.get('nothing')
    await expect(handle.result).rejects.toMatchObject({ code: 'unknown-run' })
    await expect(handle.stop()).rejects.toMatchObject({ code: 'unknown-run' })
    handle.abort()
  })
})

describe('the queue', () => {
  test('runs what was sent in a row in its order', async () => {
    const { session, heard, model } = scripted(reply.text('1'), reply.text('2'), reply.text('3'))
    const runs = ['a', 'b', 'c'].map((input) => session.send(input))
    expect((await Promise.all(runs.map(({ result }) => result))).map(({ text }) => text)).toEqual(['1', '2', '3'])
    expect(heard.of('run-started').map(({ input }) => input)).toEqual(['a', 'b', 'c'])
    expect(model.calls[2]?.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user'])
    expectOrder(heard.events)
  })

  test('goes on after a run that failed', async () => {
    const { session } = scripted(reply.fail(400), reply.text('Fine'))
    const [first, second] = [session.send('a'), session.send('b')]
    await expect(first.result).rejects.toMatchObject({ code: 'bad-request' })
    expect(await second.result).toMatchObject({ text: 'Fine' })
  })

  test('lets sessions run beside each other', async () => {
    const { runtime, model, heard } = manual()
    const runs = ['a', 'b', 'c'].map((id) => runtime.session(id).send(id))
    const calls = [await model.next(), await model.next(), await model.next()]
    for (const call of calls) call.finish()
    await Promise.all(runs.map(({ result }) => result))
    for (const id of ['a', 'b', 'c']) expectOrder(heard.events.filter(({ sessionId }) => sessionId === id))
  })

  test('refuses with session-busy where the run is not to wait', async () => {
    const { session, model, heard } = manual()
    const first = session.send('first')
    const call = await model.next()
    const refused = session.send('second', { whenBusy: 'reject' })
    await expect(refused.result).rejects.toMatchObject({ code: 'session-busy', recoverable: true })
    expect(heard.of('run-failed')).toMatchObject([{ runId: refused.runId, error: { code: 'session-busy' } }])
    call.finish()
    await first.result
    const allowed = session.send('third', { whenBusy: 'reject' })
    const next = await model.next()
    next.finish()
    expect(await allowed.result).toMatchObject({ status: 'completed' })
  })

  test('counts what was sent right before as busy', async () => {
    const { session, model } = manual()
    const first = session.send('first')
    const second = session.send('second', { whenBusy: 'reject' })
    await expect(second.result).rejects.toMatchObject({ code: 'session-busy' })
    const call = await model.next()
    call.finish()
    expect(await first.result).toMatchObject({ status: 'completed' })
  })

  test('keeps the order where the first one would not have waited', async () => {
    const { session, heard } = scripted(reply.text('1'), reply.text('2'))
    const runs = [session.send('first', { whenBusy: 'reject' }), session.send('second')]
    await Promise.all(runs.map(({ result }) => result))
    expect(heard.of('run-started').map(({ input }) => input)).toEqual(['first', 'second'])
  })
})

describe('a refused request', () => {
  test('rejects the result and gives a live run-failed', async () => {
    const { session, heard } = manual()
    const run = session.send('   ')
    await expect(run.result).rejects.toMatchObject({ code: 'invalid-input' })
    expect(heard.events).toMatchObject([
      { kind: 'run-failed', runId: run.runId, sessionId: 'trip', agent: 'assistant', error: { code: 'invalid-input' } },
    ])
  })

  test('leaves the session as it was', async () => {
    const { session, runtime, heard } = scripted(reply.text('Fine'))
    await session.send('').result.catch(() => {})
    expect(await runtime.sessions.list()).toEqual([])
    expect(await session.send('Hi').result).toMatchObject({ text: 'Fine' })
    expect(heard.of('turn-started')).toMatchObject([{ turn: 1 }])
  })
})

describe('closing', () => {
  test('ends what is pending, and leaves the run as it stands', async () => {
    const { session, runtime, model } = manual()
    const run = session.send('Hi')
    const call = await model.next()
    call.text('Half')
    await runtime.close()
    await expect(run.result).rejects.toMatchObject({ code: 'closed' })
    expect(call.options.abortSignal?.aborted).toBe(true)
  })

  test('refuses what comes afterwards', async () => {
    const { session, runtime } = manual()
    await runtime.close()
    await expect(session.send('Hi').result).rejects.toMatchObject({ code: 'closed' })
    await expect(session.stop()).rejects.toMatchObject({ code: 'closed' })
    expect(() => session.abort()).not.toThrow()
    await runtime.close()
  })
})
