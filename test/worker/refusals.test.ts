import { AgentError, connect } from 'turnloop'
import { serve } from 'turnloop/runtime'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type PortMessage, protocolVersion, type ToPage } from '../../src/protocol/messages.ts'
import { waitFor } from '../wait-for.ts'
import { failureOf, uncaughtErrors } from './fixtures/failures.ts'
import { connectedPage, type FedRuntime, fedRuntime } from './fixtures/port.ts'

/** A page for a test to play, connected. */
async function actedPage() {
  const { runtime, model } = fedRuntime()
  const { port1, port2 } = new MessageChannel()
  const items: ToPage[] = []
  let greeted = false
  port1.onmessage = ({ data }: MessageEvent<PortMessage>) => {
    if (data.type === 'hello') greeted = true
    if (data.type !== 'batch') return
    items.push(...data.items)
    port1.postMessage({ type: 'ack', n: data.n })
  }
  serve(runtime, port2)
  port1.postMessage({ type: 'hello', protocol: protocolVersion, page: { pageId: 'page', tools: [] } })
  await waitFor(() => expect(greeted).toBe(true))
  let id = 1000
  /** Asks something valid: what was posted before has been handled when it is answered. */
  const answered = async () => {
    const own = ++id
    port1.postMessage({ type: 'say', messages: [{ type: 'call', id: own, method: 'info' }] })
    await waitFor(() => expect(items.some((item) => item.kind === '@answer' && item.id === own)).toBe(true))
  }
  return { runtime, model, port: port1, items, answered }
}

describe('what a page may say', () => {
  it.each(['nope', '__proto__', 'constructor', 'toString', 'hasOwnProperty', ''])(
    'refuses the method %j with unknown-method',
    async (method) => {
      const { port, items } = await actedPage()
      port.postMessage({ type: 'say', messages: [{ type: 'call', id: 1, method, params: {} }] })
      await waitFor(() => expect(items).toHaveLength(1))
      expect(items[0]).toMatchObject({ kind: '@refusal', id: 1, error: { code: 'unknown-method' } })
    },
  )

  it('refuses methods that are no strings', async () => {
    const { port, items } = await actedPage()
    const methods = [undefined, null, 7, {}, ['run']]
    for (const [id, method] of methods.entries())
      port.postMessage({ type: 'say', messages: [{ type: 'call', id, method, params: {} }] })
    await waitFor(() => expect(items).toHaveLength(methods.length))
    // `['run']` is the key "run": it is found, and its parameters are refused.
    for (const item of items) expect(item).toMatchObject({ kind: '@refusal', error: { code: expect.any(String) } })
  })

  it.each(['run', 'settled', 'stop', 'abort', 'toolOutput', 'messages', 'sessions', 'rename', 'remove'])(
    'refuses %s without parameters, and goes on',
    async (method) => {
      const uncaught = uncaughtErrors()
      const { port, items, answered } = await actedPage()
      port.postMessage({ type: 'say', messages: [{ type: 'call', id: 1, method }] })
      await waitFor(() => expect(items).toHaveLength(1))
      expect(items[0]).toMatchObject({
        kind: '@refusal',
        id: 1,
        error: { code: expect.any(String), message: expect.any(String) },
      })
      await answered()
      expect(uncaught).toEqual([])
    },
  )

  it('ignores messages of no known type, and goes on', async () => {
    const uncaught = uncaughtErrors()
    const { port, items, answered } = await actedPage()
    const odd: unknown[] = [
      null,
      undefined,
      0,
      'hello',
      [],
      {},
      { type: 'nope' },
      { type: '__proto__' },
      { type: 'constructor' },
      { type: 'batch', n: 1, items: [] },
      { type: 'say' },
      { type: 'say', messages: {} },
      { type: 'say', messages: null },
      { type: 'say', messages: [] },
      { type: 'say', messages: [null] },
      { type: 'say', messages: ['listen'] },
      { type: 'say', messages: [{}] },
      { type: 'say', messages: [{ type: '__proto__' }] },
      { type: 'say', messages: [{ type: 'listen', id: 1 }] },
      { type: 'say', messages: [{ type: 'listen', id: 2, interest: null }] },
      { type: 'say', messages: [{ type: 'listen', id: 3, interest: {} }] },
      { type: 'say', messages: [{ type: 'listen', id: 4, interest: { kinds: 7 } }] },
      { type: 'say', messages: [{ type: 'listen', id: 5, interest: { kinds: [{}] } }] },
      { type: 'say', messages: [{ type: 'listen', id: 6, interest: { kinds: ['any'], sessionId: 7 } }] },
      { type: 'say', messages: [{ type: 'unlisten' }] },
      { type: 'say', messages: [{ type: 'unlisten', id: {} }] },
      { type: 'say', messages: [{ type: 'page-tool-done' }] },
      { type: 'say', messages: [{ type: 'page-tool-done', runId: 'r', toolCallId: 't', result: null }] },
      { type: 'ack' },
      { type: 'ack', n: Number.POSITIVE_INFINITY },
      { type: 'ack', n: -1 },
      { type: 'ack', n: 'x' },
      { type: 'hello' },
      { type: 'hello', protocol: protocolVersion },
      { type: 'hello', protocol: protocolVersion, page: null },
      { type: 'hello', protocol: protocolVersion, page: { pageId: 7, tools: 7 } },
    ]
    for (const message of odd) port.postMessage(message)
    await answered()
    expect(items.filter(({ kind }) => kind !== '@answer' && kind !== '@joined')).toEqual([])
    expect(uncaught).toEqual([])
  })

  it('does not connect for a hello that is none', async () => {
    const uncaught = uncaughtErrors()
    const { runtime } = fedRuntime()
    const { port1, port2 } = new MessageChannel()
    const heard: PortMessage[] = []
    port1.onmessage = ({ data }) => heard.push(data)
    serve(runtime, port2)
    for (const page of [undefined, null, {}, { pageId: 'p' }, { pageId: 7, tools: [] }, { pageId: 'p', tools: 'x' }]) {
      port1.postMessage({ type: 'hello', protocol: protocolVersion, page })
    }
    port1.postMessage({ type: 'say', messages: [{ type: 'call', id: 1, method: 'info' }] })
    port1.postMessage({ type: 'hello', protocol: protocolVersion, page: { pageId: 'p', tools: [] } })
    port1.postMessage({ type: 'say', messages: [{ type: 'call', id: 2, method: 'info' }] })
    await waitFor(() => expect(heard.some(({ type }) => type === 'batch')).toBe(true))
    const items = heard.flatMap((message) => (message.type === 'batch' ? message.items : []))
    expect(items).toMatchObject([{ kind: '@answer', id: 2 }])
    expect(uncaught).toEqual([])
  })
})

describe('what a worker may say', () => {
  it('ignores messages of no known type, and goes on', async () => {
    const uncaught = uncaughtErrors()
    const { port1, port2 } = new MessageChannel()
    const page = connect<FedRuntime>(port1)
    onTestFinished(() => page.close())
    const heard: PortMessage[] = []
    port2.onmessage = ({ data }) => heard.push(data)
    const list = page.sessions.list()
    const odd = [
      null,
      undefined,
      0,
      'hi',
      {},
      { type: 'nope' },
      { type: '__proto__' },
      { type: 'hello' },
      { type: 'batch' },
      { type: 'batch', n: 1, items: null },
      {
        type: 'batch',
        n: 1,
        items: [{ kind: '@answer' }, { kind: '@answer', id: 99 }, { kind: '@joined', id: 97, events: [] }],
      },
      { type: 'batch', n: 2, items: [{ kind: 'nope' }, { kind: '__proto__' }, { kind: 'text-delta' }] },
    ]
    for (const message of odd) port2.postMessage(message)
    port2.postMessage({ type: 'hello', protocol: protocolVersion, answer: true })
    await waitFor(() => expect(heard.some(({ type }) => type === 'say')).toBe(true))
    const said = heard.flatMap((message) => (message.type === 'say' ? message.messages : []))
    const call = said.find((message) => message.type === 'call')
    port2.postMessage({ type: 'batch', n: 3, items: [{ kind: '@answer', id: call?.id, result: [] }] })
    expect(await list).toEqual([])
    await waitFor(() => expect(heard).toContainEqual({ type: 'ack', n: 3 }))
    expect(uncaught).toEqual([])
  })

  it('is taken but for the items that make no sense, which are reported', async () => {
    const uncaught = uncaughtErrors()
    const { port1, port2 } = new MessageChannel()
    const page = connect<FedRuntime>(port1)
    onTestFinished(() => page.close())
    const acknowledged: PortMessage[] = []
    port2.onmessage = ({ data }) => data.type === 'ack' && acknowledged.push(data)
    const notices: string[] = []
    page.on('notice', ({ code }) => void notices.push(code))
    port2.postMessage({ type: 'hello', protocol: protocolVersion, answer: true })
    const notice = { kind: 'notice', sessionId: 's', runId: 'r', seq: 0, code: 'after', message: '' }
    port2.postMessage({
      type: 'batch',
      n: 1,
      items: [null, { kind: 'run-failed' }, { kind: '@refusal', id: 98 }, notice],
    })
    await waitFor(() => expect(acknowledged).toEqual([{ type: 'ack', n: 1 }]))
    expect(notices).toEqual(['after'])
    expect(uncaught.length).toBeGreaterThan(0)
  })
})

describe('errors over the port', () => {
  it('of calls keep class, code and what they say', async () => {
    const { runtime } = fedRuntime()
    const { page } = connectedPage(runtime)
    const cases: [Promise<unknown>, string][] = [
      [page.session('s').send('').result, 'invalid-input'],
      [page.session('s').send('x'.repeat(1001)).result, 'invalid-input'],
      [page.session('s').send('Hi', { agent: 'nobody' as 'assistant' }).result, 'unknown-agent'],
      [page.session('s').send('Hi', { model: 'none' as 'other' }).result, 'unknown-model'],
      [page.session('s').send('Hi', { limits: { maxTurns: 0 } }).result, 'invalid-argument'],
      [page.runs.get('none').result, 'unknown-run'],
      [page.session('s').addToolOutput({ tool: 'ask', toolCallId: 'c', output: { answer: '' } }), 'unknown-tool'],
      [page.session('s').rename(' '), 'invalid-argument'],
      [page.sessions.list({ before: 'none' }), 'unknown-session'],
    ]
    for (const [promise, code] of cases) {
      const error = await failureOf(promise)
      expect(error).toBeInstanceOf(AgentError)
      expect(error).toMatchObject({ name: 'AgentError', code, recoverable: false })
      expect(error.message).not.toBe('')
    }
  })

  it('of events and snapshots keep class, code and whether trying again helps', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap } = connectedPage(runtime)
    const session = page.session('s')
    const failed = new Promise<AgentError>((resolve) => session.on('run-failed', ({ error }) => resolve(error)))
    const run = session.send('Hi')
    ;(await model.next()).break(new TypeError('Failed to fetch'))
    const told = await failed
    const rejected = await failureOf(run.result)
    const { error: shown } = await session.view.ready
    const replayed = await new Promise<AgentError>((resolve) =>
      page.session('s').on('run-failed', ({ error }) => resolve(error), { since: 0 }),
    )
    for (const error of [told, rejected, shown, replayed]) {
      expect(error).toBeInstanceOf(AgentError)
      expect(error).toMatchObject({ code: 'unreachable', recoverable: true, message: rejected.message })
    }
    // As plain data: a clone of an error would have lost its class.
    const crossed = tap.items.flatMap((item) => (item.kind === 'run-failed' ? [item.error] : []))
    expect(crossed[0]).not.toBeInstanceOf(Error)
  })

  it('of a cancelled run is an AbortError', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const run = page.session('s').send('Hi')
    await model.next()
    run.abort()
    const error = await run.result.catch((error) => error)
    expect(error).toBeInstanceOf(DOMException)
    expect(error.name).toBe('AbortError')
  })
})

describe('a request that can’t be cloned', () => {
  it.each([
    ['before the worker has said hello', false],
    ['once it has', true],
  ])('is refused as invalid-argument %s', async (_, greeted) => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    if (greeted) await page.sessions.list()
    const error = await failureOf(page.session('s').send('Hi', { metadata: { go: () => {} } }).result)
    expect(error).toBeInstanceOf(AgentError)
    expect(error.code).toBe('invalid-argument')
    // And nothing else suffers.
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    expect((await run.result).text).toBe('Hello')
    expect(model.calls).toHaveLength(1)
  })

  it('is what it was when it was made, whatever becomes of it', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const metadata = { step: 1 }
    const started = new Promise<unknown>((resolve) => page.on('run-started', (event) => resolve(event.metadata)))
    const run = page.session('s').send('Hi', { metadata })
    metadata.step = 2
    ;(await model.next()).say('Hello')
    await run.result
    expect(await started).toEqual({ step: 1 })
  })
})
