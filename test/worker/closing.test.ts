import { describe, expect, it, vi } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import { connectedPage, fedRuntime, quiet } from './fixtures/port.ts'
import { workplace } from './fixtures/real-worker.ts'

describe('a page that closes', () => {
  it('rejects what is pending as closed, and refuses what comes after', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const session = page.session('s')
    const run = session.send('Hi')
    await model.next()
    const closing = page.close()
    expect((await failureOf(run.result)).code).toBe('closed')
    await closing
    await page.close()
    expect((await failureOf(page.sessions.list())).code).toBe('closed')
    expect((await failureOf(session.send('Again').result)).code).toBe('closed')
  })

  it('detaches its runs: they go on in the worker', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    await page.close()
    await failureOf(run.result)
    await quiet()
    expect(feed.signal.aborted).toBe(false)
    feed.say('Done')
    expect((await runtime.runs.get(run.runId).result).text).toBe('Done')
  })

  it('hears and is told nothing more', async () => {
    const { runtime, model } = fedRuntime()
    const { page, tap, posted } = connectedPage(runtime)
    const heard: string[] = []
    page.on('any', ({ kind }) => void heard.push(kind))
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    await waitFor(() => expect(heard).toContain('model-started'))
    await page.close()
    await quiet()
    const before = { heard: heard.length, posted: posted.length, sent: tap.sent.length }
    feed.say('Done')
    await runtime.runs.get(run.runId).result
    await quiet()
    expect({ heard: heard.length, posted: posted.length, sent: tap.sent.length }).toEqual(before)
  })

  it('starts no worker that it never needed', async () => {
    const place = workplace()
    const page = place.open()
    await page.close()
    expect(place.workers).toEqual([])
  })
})

describe('the worker of a page that made it', () => {
  it('closes itself where no run is active', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi')
    ;(await place.model.next()).say('Hello')
    await run.result
    await page.close()
    await place.ended()
  })

  it('lets its runs come to their end first', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi')
    const call = await place.model.next()
    await page.close()
    call.text('Long after ')
    call.toolCall('c1', 'add', { a: 1, b: 2 })
    call.finish()
    ;(await place.model.next()).say('Done')
    await place.ended()
    const next = place.open()
    expect((await next.runs.get(run.runId).result).text).toBe('Done')
    expect((await next.session('s').view.ready).messages).toHaveLength(3)
  })

  it('starts a run whose input was on its way, and lets it come to its end', async () => {
    const place = workplace()
    const page = place.open()
    await page.sessions.list()
    page.session('s').send('Just before')
    await page.close()
    ;(await place.model.next()).say('Got it')
    await place.ended()
    const next = place.open()
    expect((await next.session('s').view.ready).messages.map(({ role }) => role)).toEqual(['user', 'assistant'])
  })

  it('ends when the page closes before it has said hello', async () => {
    const place = workplace()
    const page = place.open()
    const list = failureOf(page.sessions.list())
    await page.close()
    expect((await list).code).toBe('closed')
    const [worker] = place.workers
    const hello = vi.fn()
    worker?.addEventListener('message', hello)
    // Long enough for the worker to have said hello, had it lived.
    const other = place.open()
    await other.sessions.list()
    expect(hello).not.toHaveBeenCalled()
  })

  it('does not wait for a run that waits for somebody', async () => {
    const place = workplace()
    const page = place.open()
    page.session('s').send('Hi')
    const call = await place.model.next()
    call.toolCall('c1', 'ask', { question: 'Why?' })
    call.finish()
    await waitFor(async () => expect((await page.session('s').view.ready).run?.phase).toBe('waiting'))
    await page.close()
    await place.ended()
  })
})

describe('a worker that the page was given', () => {
  it('serves on when the page closes', async () => {
    const place = workplace()
    const worker = place.startWorker()
    const { connect } = await import('turnloop')
    const first = connect(worker)
    await first.sessions.list()
    await first.close()
    const second = connect(worker)
    expect(await second.sessions.list()).toEqual([])
    await second.close()
  })
})
