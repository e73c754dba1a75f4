import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import type { Feed } from './fixtures/fed-model.ts'
import { Heard } from './fixtures/heard.ts'
import { connectedPage, fedRuntime, quiet } from './fixtures/port.ts'
import { workplace } from './fixtures/real-worker.ts'

/** What the model is told of the calls of its last turn. */
const resultsIn = ({ call }: Pick<Feed, 'call'>) => {
  const last = call.prompt.at(-1)
  return last?.role === 'tool' ? last.content.map((part) => (part.type === 'tool-result' ? part.output : part)) : []
}

const calls = (feed: Feed, toolName: string, input: unknown = {}, toolCallId = 'c1') => {
  feed.toolCall(toolCallId, toolName, input)
  feed.finish('tool-calls')
}

describe('a page tool', () => {
  it('is carried out by the page, with its input and where it belongs', async () => {
    const { runtime, model } = fedRuntime()
    const highlight = vi.fn(async ({ selector }: { selector: string }) => ({ count: selector.length }))
    const { page } = connectedPage(runtime, { pageTools: { highlight } })
    const heard = new Heard()
    page.on('any', heard.hear)
    const run = page.session('s').send('Hi')
    calls(await model.next(), 'highlight', { selector: 'h1' })
    const next = await model.next()
    expect(resultsIn(next)).toEqual([{ type: 'json', value: { count: 2 } }])
    next.say('Done')
    await run.result
    expect(highlight).toHaveBeenCalledExactlyOnceWith(
      { selector: 'h1' },
      { signal: expect.any(AbortSignal), toolCallId: 'c1', sessionId: 's', runId: run.runId },
    )
    expect(heard.events).toContainEqual(
      expect.objectContaining({
        kind: 'tool-execution-finished',
        toolName: 'highlight',
        outcome: 'success',
        output: { count: 2 },
      }),
    )
  })

  it('gets the input as its schema made it, not as the model wrote it', async () => {
    const { runtime, model } = fedRuntime()
    const remind = vi.fn(({ when }: { when: Date }) => ({ year: when.getUTCFullYear() }))
    const { page } = connectedPage(runtime, { pageTools: { remind } })
    page.session('s').send('Hi')
    calls(await model.next(), 'remind', { when: '2031-05-06T07:08:09Z' })
    expect(resultsIn(await model.next())).toEqual([{ type: 'json', value: { year: 2031 } }])
    expect(remind.mock.calls[0]?.[0].when).toBeInstanceOf(Date)
  })

  it('is not called with an input that does not fit its schema', async () => {
    const { runtime, model } = fedRuntime()
    const highlight = vi.fn(() => ({ count: 0 }))
    const { page } = connectedPage(runtime, { pageTools: { highlight } })
    page.session('s').send('Hi')
    calls(await model.next(), 'highlight', { selector: 7 })
    expect(resultsIn(await model.next())).toMatchObject([
      { type: 'error-text', value: expect.stringContaining('selector') },
    ])
    expect(highlight).not.toHaveBeenCalled()
  })

  it('that throws, gives something that can’t be cloned or does not exist is an error that the model is told', async () => {
    const { runtime, model } = fedRuntime()
    let behave = (): unknown => undefined
    const { page } = connectedPage(runtime, { pageTools: { highlight: () => behave() as { count: number } } })
    const cases: [() => unknown, unknown][] = [
      [
        () => {
          throw new Error('No such element')
        },
        { type: 'error-text', value: 'No such element' },
      ],
      [() => Promise.reject(new TypeError('later')), { type: 'error-text', value: 'later' }],
      [
        () => {
          throw 'a string'
        },
        { type: 'error-text', value: 'a string' },
      ],
      // Five failures in a row would stop the run.
      [() => undefined, { type: 'json', value: null }],
      [() => ({ count: () => {} }), { type: 'error-text', value: expect.stringMatching(/clone/) }],
      [() => document.body, { type: 'error-text', value: expect.stringMatching(/clone/) }],
      [() => ({ count: 1n }), { type: 'error-text', value: expect.stringMatching(/bigint/) }],
    ]
    const run = page.session('s').send('Hi')
    let feed = await model.next()
    for (const [index, [behaviour, result]] of cases.entries()) {
      behave = behaviour
      calls(feed, 'highlight', { selector: `h${index}` }, `c${index}`)
      feed = await model.next()
      expect(resultsIn(feed)).toEqual([result])
    }
    feed.say('Done')
    expect((await run.result).text).toBe('Done')
  })

  it('has its signal aborted with the run', async () => {
    const { runtime, model } = fedRuntime()
    const signals: AbortSignal[] = []
    const highlight = (_: unknown, { signal }: { signal: AbortSignal }) => {
      signals.push(signal)
      return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const { page } = connectedPage(runtime, { pageTools: { highlight } })
    const run = page.session('s').send('Hi')
    calls(await model.next(), 'highlight', { selector: 'h1' })
    await waitFor(() => expect(signals).toHaveLength(1))
    run.abort()
    await failureOf(run.result)
    await waitFor(() => expect(signals[0]?.aborted).toBe(true))
  })

  it('has its signal aborted at its time-out, and the model is told', async () => {
    const { runtime, model } = fedRuntime()
    const signals: AbortSignal[] = []
    const { page } = connectedPage(runtime, {
      pageTools: {
        hurried: (_, { signal }) => {
          signals.push(signal)
          return new Promise(() => {})
        },
      },
    })
    page.session('s').send('Hi')
    calls(await model.next(), 'hurried')
    expect(resultsIn(await model.next())).toMatchObject([{ type: 'error-text', value: expect.stringMatching(/30 ms/) }])
    await waitFor(() => expect(signals[0]?.aborted).toBe(true))
  })

  it('is not started once its run was aborted', async () => {
    const { runtime, model } = fedRuntime()
    const highlight = vi.fn(() => ({ count: 0 }))
    const { page, tap } = connectedPage(runtime, { pageTools: { highlight } })
    const run = page.session('s').send('Hi')
    page.on('tool-execution-started', () => {})
    const feed = await model.next()
    // The call and the abort are on the way at the same time.
    tap.withholds = ({ type }) => type === 'batch'
    calls(feed, 'highlight', { selector: 'h1' })
    await waitFor(() => expect(tap.items.some(({ kind }) => kind === '@page-tool')).toBe(true))
    run.abort()
    await waitFor(() => expect(tap.items.some(({ kind }) => kind === '@page-tool-abort')).toBe(true))
    tap.release()
    await failureOf(run.result)
    expect(highlight).not.toHaveBeenCalled()
  })

  it('runs a call once, whatever the worker repeats', async () => {
    const { runtime, model } = fedRuntime()
    const highlight = vi.fn(() => ({ count: 1 }))
    const { page, tap } = connectedPage(runtime, { pageTools: { highlight } })
    const run = page.session('s').send('Hi')
    calls(await model.next(), 'highlight', { selector: 'h1' })
    const feed = await model.next()
    const batch = tap.batches.find(({ items }) => items.some(({ kind }) => kind === '@page-tool'))
    tap.dispatchEvent(new MessageEvent('message', { data: { ...batch, n: 0 } }))
    feed.say('Done')
    await run.result
    expect(highlight).toHaveBeenCalledOnce()
  })

  it('that this page does not offer is refused, also where its name is that of a property of objects', async () => {
    const { runtime } = fedRuntime()
    const { page, tap } = connectedPage(runtime, { pageTools: { highlight: () => ({ count: 0 }) } })
    await page.sessions.list()
    for (const toolName of ['nope', '__proto__', 'constructor', 'toString']) {
      const item = { kind: '@page-tool', sessionId: 's', runId: 'r', toolCallId: toolName, toolName, input: {} }
      tap.dispatchEvent(new MessageEvent('message', { data: { type: 'batch', n: 1, items: [item] } }))
    }
    await waitFor(() => expect(tap.said.filter(({ type }) => type === 'page-tool-done')).toHaveLength(4))
    for (const said of tap.said) {
      if (said.type === 'page-tool-done') expect(said.result).toMatchObject({ error: { code: 'unknown-tool' } })
    }
  })

  it('goes beside others, in the worker and on the page', async () => {
    const { runtime, model } = fedRuntime()
    let finish: (output: { count: number }) => void = () => {}
    const { page } = connectedPage(runtime, {
      pageTools: {
        highlight: () =>
          new Promise((resolve) => {
            finish = resolve
          }),
        ask: ({ question }) => ({ answer: `${question}!` }),
      },
    })
    const heard = new Heard()
    page.on('tool-execution-finished', heard.hear)
    page.session('s').send('Hi')
    const feed = await model.next()
    feed.toolCall('c1', 'highlight', { selector: 'h1' })
    feed.toolCall('c2', 'add', { a: 1, b: 2 })
    feed.toolCall('c3', 'ask', { question: 'Why' })
    feed.finish('tool-calls')
    await waitFor(() => expect(heard.events).toHaveLength(2))
    finish({ count: 9 })
    expect(resultsIn(await model.next())).toEqual([
      { type: 'json', value: { count: 9 } },
      { type: 'json', value: 3 },
      { type: 'json', value: { answer: 'Why!' } },
    ])
  })
})

describe('with several pages', () => {
  const nameTool = (calledBy: string[], name: string) => ({
    highlight: () => {
      calledBy.push(name)
      return { count: 1 }
    },
  })

  it('the one whose input started the run carries it out', async () => {
    const { runtime, model } = fedRuntime()
    const calledBy: string[] = []
    const one = connectedPage(runtime, { pageTools: nameTool(calledBy, 'one') })
    const two = connectedPage(runtime, { pageTools: nameTool(calledBy, 'two') })
    await Promise.all([one.page.sessions.list(), two.page.sessions.list()])
    dispatchEvent(new Event('focus'))
    for (const [name, { page }] of Object.entries({ one, two })) {
      const run = page.session(name).send('Hi')
      calls(await model.next(), 'highlight', { selector: 'h1' })
      ;(await model.next()).say('Done')
      await run.result
    }
    expect(calledBy).toEqual(['one', 'two'])
  })

  it('else the last focused one that offers it does', async () => {
    const { runtime, model } = fedRuntime()
    const calledBy: string[] = []
    const asker = connectedPage(runtime)
    const one = connectedPage(runtime, { pageTools: nameTool(calledBy, 'one') })
    const two = connectedPage(runtime, { pageTools: nameTool(calledBy, 'two') })
    for (const { page } of [asker, one, two]) await page.sessions.list()
    const round = async () => {
      const run = asker.page.session('s').send('Hi')
      calls(await model.next(), 'highlight', { selector: 'h1' })
      ;(await model.next()).say('Done')
      await run.result
    }
    await round()
    one.tap.postMessage({ type: 'say', messages: [{ type: 'focus' }] })
    await round()
    expect(calledBy).toEqual(['two', 'one'])
  })
})

describe('a page that goes away', () => {
  it('before the start makes the call wait for another page, which then carries it out', async () => {
    const { runtime, model } = fedRuntime()
    const one = connectedPage(runtime, { pageTools: { highlight: () => ({ count: 1 }) } })
    const heard = new Heard()
    runtime.on('any', heard.hear)
    const run = one.page.session('s').send('Hi')
    const feed = await model.next()
    await one.page.close()
    await failureOf(run.result)
    await quiet()
    calls(feed, 'highlight', { selector: 'h1' })
    await waitFor(() => expect(heard.kinds).toContain('run-waiting'))
    expect(heard.events.find(({ kind }) => kind === 'run-waiting')).toMatchObject({ waitingFor: 'page' })
    expect(heard.kinds).not.toContain('tool-execution-started')
    expect(await runtime.sessions.list()).toMatchObject([{ status: 'waiting' }])

    const two = connectedPage(runtime, { pageTools: { highlight: () => ({ count: 2 }) } })
    await two.page.sessions.list()
    const next = await model.next()
    expect(resultsIn(next)).toEqual([{ type: 'json', value: { count: 2 } }])
    next.say('Done')
    expect((await runtime.runs.get(run.runId).result).text).toBe('Done')
    expect(heard.kinds.filter((kind) => kind === 'run-started')).toHaveLength(1)
  })

  it('does not go on for a page that offers something else', async () => {
    const { runtime, model } = fedRuntime()
    const one = connectedPage(runtime, { pageTools: { highlight: () => ({ count: 1 }) } })
    const heard = new Heard()
    runtime.on('any', heard.hear)
    one.page.session('s').send('Hi')
    const feed = await model.next()
    await one.page.close()
    await quiet()
    calls(feed, 'highlight', { selector: 'h1' })
    await waitFor(() => expect(heard.kinds).toContain('run-waiting'))
    const two = connectedPage(runtime, { pageTools: { ask: () => ({ answer: '' }) } })
    await two.page.sessions.list()
    await quiet(20)
    expect(heard.kinds).not.toContain('tool-execution-started')
    expect(heard.kinds.filter((kind) => kind === 'run-waiting')).toHaveLength(1)
    expect(await two.page.sessions.list()).toMatchObject([{ status: 'waiting' }])
  })

  it('after the start leaves the call in doubt, and a person decides', async () => {
    const { runtime, model } = fedRuntime()
    const started = vi.fn()
    const one = connectedPage(runtime, {
      pageTools: {
        highlight: () => {
          started()
          return new Promise<never>(() => {})
        },
      },
    })
    const run = one.page.session('s').send('Hi').detach()
    calls(await model.next(), 'highlight', { selector: 'h1' })
    await waitFor(() => expect(started).toHaveBeenCalledOnce())
    await one.page.close()
    await waitFor(async () => expect(await runtime.approvals.ready).toHaveLength(1))
    const [question] = await runtime.approvals.ready
    expect(question).toMatchObject({
      reason: 'in-doubt',
      runId: run.runId,
      toolName: 'highlight',
      input: { selector: 'h1' },
    })
    await runtime.approvals.answer(question as NonNullable<typeof question>, { decision: 'abandon' })
    const next = await model.next()
    expect(resultsIn(next)).toMatchObject([
      { type: 'error-text', value: expect.stringMatching(/page went away.*outcome is unknown/) },
    ])
    next.say('Hm')
    expect((await runtime.runs.get(run.runId).result).text).toBe('Hm')
  })
})

describe('an idempotent page tool whose page goes away', () => {
  it('waits for a page that offers it, and is carried out there under the same id', async () => {
    const { runtime, model } = fedRuntime()
    const ids: string[] = []
    const one = connectedPage(runtime, {
      pageTools: {
        remind: (_, { toolCallId }) => {
          ids.push(toolCallId)
          return new Promise<never>(() => {})
        },
      },
    })
    const heard = new Heard()
    runtime.on('any', heard.hear)
    const run = one.page.session('s').send('Hi').detach()
    calls(await model.next(), 'remind', { when: '2026-01-01T00:00:00Z' })
    await waitFor(() => expect(ids).toHaveLength(1))
    await one.page.close()
    await waitFor(() => expect(heard.kinds).toContain('run-waiting'))
    expect(heard.events.find(({ kind }) => kind === 'run-waiting')).toMatchObject({ waitingFor: 'page' })
    expect(heard.kinds.filter((kind) => kind === 'tool-message-committed')).toEqual([])
    const two = connectedPage(runtime, {
      pageTools: {
        remind: (_, { toolCallId }) => {
          ids.push(toolCallId)
          return { year: 2026 }
        },
      },
    })
    await two.page.sessions.list()
    const next = await model.next()
    expect(resultsIn(next)).toEqual([{ type: 'json', value: { year: 2026 } }])
    expect(new Set(ids).size).toBe(1)
    next.say('Done')
    expect((await runtime.runs.get(run.runId).result).text).toBe('Done')
  })
})

describe('a page tool that no page implements', () => {
  it('waits for addToolOutput, which may come over any page', async () => {
    const { runtime, model } = fedRuntime()
    const one = connectedPage(runtime)
    const two = connectedPage(runtime)
    const { view } = two.page.session('s')
    onTestFinished(view.subscribe(() => {}))
    const run = one.page.session('s').send('Hi')
    calls(await model.next(), 'ask', { question: 'Why?' })
    await waitFor(() => expect(view.getSnapshot().run).toMatchObject({ phase: 'waiting', waitingFor: 'tool-results' }))
    const part = view.getSnapshot().messages.at(-1)?.parts[0]
    expect(part).toMatchObject({ type: 'tool-ask', state: 'input-available', input: { question: 'Why?' } })
    await two.page.session('s').addToolOutput({ tool: 'ask', toolCallId: 'c1', output: { answer: 'Because' } })
    const next = await model.next()
    expect(resultsIn(next)).toEqual([{ type: 'json', value: { answer: 'Because' } }])
    next.say('Done')
    expect((await run.result).text).toBe('Done')
  })

  it('refuses an output that does not fit, a second one, and one for a call that there is not', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const session = page.session('s')
    session.send('Hi')
    calls(await model.next(), 'ask', { question: 'Why?' })
    await waitFor(async () => expect((await page.sessions.list())[0]?.status).toBe('waiting'))
    const answer = (output: unknown, toolCallId = 'c1') =>
      session.addToolOutput({ tool: 'ask', toolCallId, output: output as { answer: string } })
    expect(await failureOf(answer({ answer: 7 }))).toMatchObject({ code: 'invalid-input' })
    expect(await failureOf(answer({ answer: 'x' }, 'c2'))).toMatchObject({ code: 'unknown-tool' })
    expect(await failureOf(answer(() => {}))).toMatchObject({ code: 'invalid-argument' })
    await answer({ answer: 'Because' })
    expect(await failureOf(answer({ answer: 'Because' }))).toMatchObject({ code: 'unknown-tool' })
    await model.next()
  })

  it('may be answered with an error', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    page.session('s').send('Hi')
    calls(await model.next(), 'ask', { question: 'Why?' })
    await waitFor(async () => expect((await page.sessions.list())[0]?.status).toBe('waiting'))
    await page.session('s').addToolOutput({ tool: 'ask', toolCallId: 'c1', errorText: 'They left' })
    expect(resultsIn(await model.next())).toEqual([{ type: 'error-text', value: 'They left' }])
  })
})

describe('in a real worker', () => {
  it('a question is still there after a reload, and its answer goes on with the run', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi').detach()
    const call = await place.model.next()
    call.toolCall('c1', 'ask', { question: 'Why?' })
    call.finish()
    await waitFor(async () => expect((await page.session('s').view.ready).run?.phase).toBe('waiting'))
    await page.close()
    place.kill()

    const reloaded = place.open()
    const session = reloaded.session('s')
    const { run: waiting, messages } = await session.view.ready
    expect(waiting).toMatchObject({ runId: run.runId, phase: 'waiting', waitingFor: 'tool-results' })
    expect(messages.at(-1)?.parts).toMatchObject([{ type: 'tool-ask', state: 'input-available' }])
    await session.addToolOutput({ tool: 'ask', toolCallId: 'c1', output: { answer: 'Because' } })
    const next = await place.model.next()
    expect(next.prompt.at(-1)).toMatchObject({ role: 'tool', content: [{ output: { value: { answer: 'Because' } } }] })
    next.say('Done')
    expect((await reloaded.runs.get(run.runId).result).text).toBe('Done')
  })

  it('a call that had not started when its page went away is carried out after the reload', async () => {
    const place = workplace()
    const page = place.open({ pageTools: { highlight: () => ({ count: 1 }) } })
    const run = page.session('s').send('Hi').detach()
    const call = await place.model.next()
    await page.close()
    call.toolCall('c1', 'highlight', { selector: 'h1' })
    call.finish()

    const highlight = vi.fn(() => ({ count: 2 }))
    const reloaded = place.open({ pageTools: { highlight } })
    const result = reloaded.runs.get(run.runId).result
    const next = await place.model.next()
    next.say('Done')
    expect((await result).text).toBe('Done')
    expect(highlight).toHaveBeenCalledOnce()
  })
})
