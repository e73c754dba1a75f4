import { AgentError, connect } from 'turnloop'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { failureOf } from './fixtures/failures.ts'
import { type WorkerRuntime, workplace } from './fixtures/real-worker.ts'

const scriptWorker = (source: string) => {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  return new Worker(url, { type: 'module' })
}

describe('a worker that dies in mid-run', () => {
  it('rejects everything pending within a second, and the view shows an interrupted run with an error', async () => {
    const place = workplace()
    const page = place.open()
    const session = page.session('s')
    onTestFinished(session.view.subscribe(() => {}))
    onTestFinished(page.info.subscribe(() => {}))
    const run = session.send('Hi')
    ;(await place.model.next()).text('Half an ans')
    await vi.waitFor(() => expect(session.view.getSnapshot().status).toBe('streaming'))
    const pending = [run.result, page.runs.get(run.runId).result]
    // Both have reached the worker.
    await page.sessions.list()
    const at = performance.now()
    place.kill()
    const errors = await Promise.all([...pending, session.stop().then(() => run.result)].map(failureOf))
    expect(performance.now() - at).toBeLessThan(1000)
    for (const error of errors) {
      expect(error).toBeInstanceOf(AgentError)
      expect(error).toMatchObject({ code: 'worker-lost', recoverable: true })
    }
    await vi.waitFor(() =>
      expect(session.view.getSnapshot()).toMatchObject({
        status: 'error',
        error: { code: 'worker-lost' },
        run: { runId: run.runId, phase: 'interrupted' },
      }),
    )
    const [, partial] = session.view.getSnapshot().messages
    expect(partial).toMatchObject({ metadata: { status: 'partial' }, parts: [{ type: 'text', text: 'Half an ans' }] })
    await vi.waitFor(() => expect(page.info.getSnapshot().worker).toBe('lost'))
  })

  it('is replaced at the next call where a factory makes workers, and views and listeners go on without gap or repeat', async () => {
    const place = workplace()
    const page = place.open()
    const session = page.session('s')
    onTestFinished(session.view.subscribe(() => {}))
    const durable: number[] = []
    const kinds: string[] = []
    session.on(
      ['run-started', 'run-cancelled', 'run-completed', 'user-message-committed', 'assistant-message-committed'],
      ({ kind, seq }) => {
        durable.push(seq)
        kinds.push(kind)
      },
      { since: 0 },
    )
    const plain: string[] = []
    page.on(['run-started', 'run-completed'], ({ kind, runId }) => void plain.push(`${kind} ${runId}`))
    const first = session.send('First')
    ;(await place.model.next()).say('One.')
    await first.result
    const cut = session.send('Second')
    ;(await place.model.next()).text('Tw')
    await vi.waitFor(() => expect(session.view.getSnapshot().status).toBe('streaming'))
    place.kill()
    expect((await failureOf(cut.result)).code).toBe('worker-lost')
    expect(place.workers).toHaveLength(1)

    const third = session.send('Third')
    ;(await place.model.next()).say('Three.')
    expect((await third.result).text).toBe('Three.')
    expect(place.workers).toHaveLength(2)
    await vi.waitFor(() => expect(kinds.at(-1)).toBe('run-completed'))
    expect(kinds).toEqual([
      ...['run-started', 'user-message-committed', 'assistant-message-committed', 'run-completed'],
      ...['run-started', 'user-message-committed', 'run-cancelled'],
      ...['run-started', 'user-message-committed', 'assistant-message-committed', 'run-completed'],
    ])
    expect(durable).toEqual([...new Set(durable)].sort((a, b) => a - b))
    expect(plain).toEqual([
      `run-started ${first.runId}`,
      `run-completed ${first.runId}`,
      `run-started ${cut.runId}`,
      `run-started ${third.runId}`,
      `run-completed ${third.runId}`,
    ])
    await vi.waitFor(() => expect(session.view.getSnapshot().messages).toHaveLength(5))
    await vi.waitFor(() => expect(session.view.getSnapshot().run).toBeUndefined())
    const { messages, error } = session.view.getSnapshot()
    expect(error).toBeUndefined()
    expect(messages.map(({ parts: [part] }) => part?.type === 'text' && part.text)).toEqual([
      'First',
      'One.',
      'Second',
      'Third',
      'Three.',
    ])
  })

  it('is not replaced where the page was given the worker itself: calls say at once that it is gone', async () => {
    const place = workplace()
    const worker = place.startWorker()
    const page = connect<WorkerRuntime>(worker)
    onTestFinished(() => page.close())
    await page.sessions.list()
    const run = page.session('s').send('Hi')
    await place.model.next()
    worker.terminate()
    expect((await failureOf(run.result)).code).toBe('worker-lost')
    const at = performance.now()
    expect((await failureOf(page.sessions.list())).code).toBe('worker-lost')
    expect(performance.now() - at).toBeLessThan(1000)
  })

  it('shows in the list of sessions as interrupted as soon as a worker is there again', async () => {
    const place = workplace()
    const page = place.open()
    const list = page.sessions.view()
    onTestFinished(list.subscribe(() => {}))
    const run = page.session('s').send('Hi')
    await place.model.next()
    await vi.waitFor(() => expect(list.getSnapshot()[0]?.status).toBe('running'))
    place.kill()
    await failureOf(run.result)
    await page.session('s').rename('Renamed')
    await vi.waitFor(() => expect(list.getSnapshot()).toMatchObject([{ status: 'interrupted', title: 'Renamed' }]))
  })

  it('gives its session free for the next one', async () => {
    const place = workplace()
    const page = place.open()
    for (let round = 0; round < 3; round++) {
      const run = page.session('s').send(`Round ${round}`)
      ;(await place.model.next()).text('…')
      place.kill()
      expect((await failureOf(run.result)).code).toBe('worker-lost')
    }
    const run = page.session('s').send('Last')
    ;(await place.model.next()).say('Done')
    expect((await run.result).text).toBe('Done')
    const { messages } = await page.session('s').view.ready
    expect(messages.filter(({ role }) => role === 'user')).toHaveLength(4)
  })

  it('does not reject what is asked of its successor', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi')
    await place.model.next()
    place.kill()
    await failureOf(run.result)
    const lists = [page.sessions.list(), page.sessions.list()]
    expect((await Promise.all(lists)).map((list) => list.length)).toEqual([1, 1])
    expect(place.workers).toHaveLength(2)
  })
})

describe('a worker that does not load', () => {
  it.each([
    ['its module throws', () => scriptWorker('throw new Error("broken module")')],
    [
      'its module rejects late',
      () => scriptWorker('await new Promise((resolve) => setTimeout(resolve, 20)); throw new Error("broken late")'),
    ],
    ['its module has an import that is not there', () => scriptWorker('import "/there/is/no/such/module.js"')],
    ['its module is no JavaScript', () => scriptWorker('}{')],
    ['its address is not there', () => new Worker('/there/is/no/such/worker.js', { type: 'module' })],
  ])('is lost at once when %s', async (_, makeWorker) => {
    const page = connect<WorkerRuntime>(makeWorker)
    onTestFinished(() => page.close())
    const { view } = page.session('s')
    onTestFinished(view.subscribe(() => {}))
    const error = await failureOf(page.session('s').send('Hi').result)
    expect(error).toBeInstanceOf(AgentError)
    expect(error.code).toBe('worker-lost')
    expect(error.message).toMatch(/could not be loaded/)
    await vi.waitFor(() =>
      expect(view.getSnapshot()).toMatchObject({ status: 'error', error: { code: 'worker-lost' } }),
    )
  })

  it('is tried again at the next call', async () => {
    const place = workplace()
    let broken = true
    const page = connect<WorkerRuntime>(() =>
      broken ? scriptWorker('throw new Error("broken")') : place.startWorker(),
    )
    onTestFinished(() => page.close())
    expect((await failureOf(page.sessions.list())).code).toBe('worker-lost')
    broken = false
    expect(await page.sessions.list()).toEqual([])
  })

  it('rejects with a typed error when the factory itself throws, and is tried again', async () => {
    const place = workplace()
    let broken = true
    const page = connect<WorkerRuntime>(() => {
      if (broken) throw new TypeError('This document requires TrustedScriptURL')
      return place.startWorker()
    })
    onTestFinished(() => page.close())
    const error = await failureOf(page.session('s').send('Hi').result)
    expect(error).toBeInstanceOf(AgentError)
    expect(error).toMatchObject({ code: 'worker-lost', message: expect.stringContaining('TrustedScriptURL') })
    const { view } = page.session('s')
    const leave = view.subscribe(() => {})
    await vi.waitFor(() => expect(view.getSnapshot().error?.code).toBe('worker-lost'))
    broken = false
    expect(await page.sessions.list()).toEqual([])
    leave()
  })

  it('is not taken for lost when it throws later, and serves on', async () => {
    const place = workplace(
      (name) => new Worker(new URL('./fixtures/throwing.worker.ts', import.meta.url), { type: 'module', name }),
    )
    const page = place.open()
    await page.sessions.list()
    const [worker] = place.workers
    const thrown = new Promise<void>((resolve) =>
      worker?.addEventListener('error', (event) => {
        event.preventDefault()
        resolve()
      }),
    )
    worker?.postMessage('throw')
    const run = page.session('s').send('Hi')
    const call = await place.model.next()
    await thrown
    call.say('Still here')
    expect((await run.result).text).toBe('Still here')
  })
})

describe('a worker that serves late', () => {
  it('is waited for over its top-level await', async () => {
    const place = workplace(
      (name) => new Worker(new URL('./fixtures/late.worker.ts', import.meta.url), { type: 'module', name }),
    )
    const page = place.open()
    const run = page.session('s').send('Hi')
    ;(await place.model.next()).say('At last')
    expect((await run.result).text).toBe('At last')
  })
})
