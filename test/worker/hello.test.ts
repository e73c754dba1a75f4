import { AgentError, connect } from 'turnloop'
import { serve } from 'turnloop/runtime'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type PortMessage, protocolVersion } from '../../src/protocol/messages.ts'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import { connectedPage, type FedRuntime, fedRuntime, quiet, Tap } from './fixtures/port.ts'

afterEach(() => {
  vi.useRealTimers()
})

/** The far end of a port, for a test to play the worker. */
function actedWorker() {
  const { port1, port2 } = new MessageChannel()
  const heard: PortMessage[] = []
  port2.onmessage = ({ data }) => heard.push(data)
  const page = connect<FedRuntime>(port1)
  onTestFinished(() => page.close())
  return { page, heard, post: (message: unknown) => port2.postMessage(message) }
}

describe('hello', () => {
  it('opens nothing before the first use', async () => {
    const factory = vi.fn(() => new MessageChannel().port1)
    const page = connect(factory)
    page.session('s')
    page.setCredentials('token')
    page.info.getSnapshot()
    page.session('s').view.getSnapshot()
    expect(factory).not.toHaveBeenCalled()
    await page.close()
    expect(factory).not.toHaveBeenCalled()
  })

  it('goes before anything else, on both sides', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap } = connectedPage(runtime, { credentials: 'token' })
    page.on('text-delta', () => {})
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    await run.result
    const first = tap.sent.findIndex(({ type }) => type !== 'hello')
    expect(first).toBeGreaterThan(0)
    expect(tap.sent.slice(0, first).every(({ type }) => type === 'hello')).toBe(true)
    expect(tap.received[0]?.type).toBe('hello')
    expect(tap.received.findIndex(({ type }) => type === 'batch')).toBeGreaterThan(0)
  })

  it('is enough when the worker serves first and the page comes later', async () => {
    const { runtime, model } = fedRuntime()
    const { port1, port2 } = new MessageChannel()
    serve(runtime, port2)
    await quiet()
    const page = connect<FedRuntime>(port1)
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    expect((await run.result).text).toBe('Hello')
    await page.close()
  })

  it('is repeated when the worker serves late and the first one was lost', async () => {
    const { runtime, model } = fedRuntime()
    const { port1, port2 } = new MessageChannel()
    // Drops what comes before `serve`, as a worker does that has no listener yet.
    const early: PortMessage[] = []
    port2.onmessage = ({ data }) => early.push(data)
    const tap = new Tap(port1)
    const page = connect<FedRuntime>(tap as unknown as MessagePort)
    const run = page.session('s').send('Hi')
    await waitFor(() => expect(early.map(({ type }) => type)).toEqual(['hello']))
    await quiet()
    expect(tap.sent.map(({ type }) => type)).toEqual(['hello'])
    port2.onmessage = null
    serve(runtime, port2)
    ;(await model.next()).say('Hello')
    expect((await run.result).text).toBe('Hello')
    await page.close()
  })

  it('said many times connects once', async () => {
    const { runtime, model } = fedRuntime()
    const { port1, port2 } = new MessageChannel()
    serve(runtime, port2)
    const tap = new Tap(port1)
    const page = connect<FedRuntime>(tap as unknown as MessagePort)
    const started: string[] = []
    page.on('run-started', ({ runId }) => void started.push(runId))
    await waitFor(() => expect(tap.received.length).toBeGreaterThan(0))
    const hello = tap.sent[0] as PortMessage
    for (let i = 0; i < 5; i++) tap.postMessage(hello)
    const run = page.session('s').send('Hi')
    ;(await model.next()).say('Hello')
    await run.result
    expect(started).toEqual([run.runId])
    expect(tap.items.filter(({ kind }) => kind === 'run-started')).toHaveLength(1)
    await page.close()
  })

  it('is not said by a second page to a worker that has one, whose answers it would take', async () => {
    const { runtime } = fedRuntime()
    const { port1, port2 } = new MessageChannel()
    serve(runtime, port2)
    const page = connect<FedRuntime>(port1)
    const second = connect<FedRuntime>(port1)
    expect(await page.sessions.list()).toEqual([])
    expect(await failureOf(second.sessions.list())).toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/close/),
    })
    await page.close()
    expect(await second.sessions.list()).toEqual([])
    await second.close()
  })

  it('keeps what the page says until the worker has answered, in order', async () => {
    const { page, heard, post } = actedWorker()
    page.session('s').on('text-delta', () => {})
    const list = page.sessions.list()
    list.catch(() => {})
    await waitFor(() => expect(heard.map(({ type }) => type)).toEqual(['hello']))
    post({ type: 'hello', protocol: protocolVersion, answer: false })
    await waitFor(() => expect(heard.map(({ type }) => type)).toEqual(['hello', 'hello']))
    await quiet()
    post({ type: 'hello', protocol: protocolVersion, answer: true })
    await waitFor(() => expect(heard).toHaveLength(3))
    expect(heard[2]).toMatchObject({
      type: 'say',
      messages: [{ type: 'listen' }, { type: 'call', method: 'sessions' }],
    })
  })
})

describe('another protocol version', () => {
  it.each([
    ['an older worker that answers', { type: 'hello', protocol: protocolVersion - 1, answer: true }],
    ['a newer worker that greets first', { type: 'hello', protocol: protocolVersion + 1, answer: false }],
    ['a worker whose hello has another shape', { type: 'hello', protocol: 99 }],
  ])('of %s rejects what is pending and says to reload', async (_, hello) => {
    const { page, heard, post } = actedWorker()
    const run = page.session('s').send('Hi')
    await waitFor(() => expect(heard).toHaveLength(1))
    post(hello)
    const error = await failureOf(run.result)
    expect(error).toBeInstanceOf(AgentError)
    expect(error.code).toBe('protocol-mismatch')
    expect(error.message).toMatch(/reload the page/i)
    expect(heard.some(({ type }) => type === 'say')).toBe(false)
  })

  it('of a page is answered with the worker’s own, and nothing of the page is heard', async () => {
    const { runtime, model } = fedRuntime()
    const { port1, port2 } = new MessageChannel()
    const heard: PortMessage[] = []
    port1.onmessage = ({ data }) => heard.push(data)
    serve(runtime, port2)
    port1.postMessage({ type: 'hello', protocol: protocolVersion + 1, page: { pageId: 'p', tools: [] } })
    port1.postMessage({
      type: 'say',
      messages: [{ type: 'call', id: 1, method: 'run', params: { runId: 'r', sessionId: 's', input: 'Hi' } }],
    })
    await waitFor(() =>
      expect(heard.some((message) => message.type === 'hello' && 'answer' in message && message.answer)).toBe(true),
    )
    await quiet()
    expect(heard.every((message) => message.type === 'hello' && message.protocol === protocolVersion)).toBe(true)
    expect(model.calls).toHaveLength(0)
  })

  it('shows in a view', async () => {
    const { page, post } = actedWorker()
    const { view } = page.session('s')
    onTestFinished(view.subscribe(() => {}))
    post({ type: 'hello', protocol: 0, answer: false })
    await waitFor(() => expect(view.getSnapshot().error?.code).toBe('protocol-mismatch'))
  })
})

describe('a worker that says nothing', () => {
  it('is lost after 30 seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { page } = actedWorker()
    const run = page.session('s').send('Hi')
    const failed = failureOf(run.result)
    await vi.advanceTimersByTimeAsync(29_999)
    expect(run.finished).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    const error = await failed
    expect(error.code).toBe('worker-lost')
    expect(error.message).toMatch(/serve\(runtime\)/)
  })

  it('is not lost when it has said hello in time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { page, heard, post } = actedWorker()
    const run = page.session('s').send('Hi')
    post({ type: 'hello', protocol: protocolVersion, answer: true })
    await waitFor(() => expect(heard.some(({ type }) => type === 'say')).toBe(true))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(run.finished).toBe(false)
  })

  it('is left at once when the page closes, without an error that nobody asked for', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { page } = actedWorker()
    const run = page.session('s').send('Hi')
    await quiet()
    await page.close()
    expect((await failureOf(run.result)).code).toBe('closed')
    expect(vi.getTimerCount()).toBe(0)
  })
})
