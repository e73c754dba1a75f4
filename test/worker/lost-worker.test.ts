import { AgentError, connect } from 'turnloop'
import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import { Heard } from './fixtures/heard.ts'
import { type WorkerRuntime, workplace } from './fixtures/real-worker.ts'

const scriptWorker = (source: string) => {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  return new Worker(url, { type: 'module' })
}

describe('a worker that dies in mid-run, and that nobody can replace,', () => {
  it('rejects everything pending within a second, and the view shows an interrupted run with an error', async () => {
    const place = workplace()
    const page = place.openOnce()
    const session = page.session('s')
    onTestFinished(session.view.subscribe(() => {}))
    onTestFinished(page.info.subscribe(() => {}))
    const run = session.send('Hi')
    ;(await place.model.next()).text('Half an ans')
    await waitFor(() => expect(session.view.getSnapshot().status).toBe('streaming'))
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
    await waitFor(() =>
      expect(session.view.getSnapshot()).toMatchObject({
        status: 'error',
        error: { code: 'worker-lost' },
        run: { runId: run.runId, phase: 'interrupted' },
      }),
    )
    const [, partial] = session.view.getSnapshot().messages
    expect(partial).toMatchObject({ metadata: { status: 'partial' }, parts: [{ type: 'text', text: 'Half an ans' }] })
    await waitFor(() => expect(page.info.getSnapshot().worker).toBe('lost'))
  })

  it('leaves nothing but refusals: calls say at once that it is gone', async () => {
    const place = workplace()
    const page = place.openOnce()
    await page.sessions.list()
    const run = page.session('s').send('Hi')
    await place.model.next()
    place.kill()
    expect((await failureOf(run.result)).code).toBe('worker-lost')
    const at = performance.now()
    expect((await failureOf(page.sessions.list())).code).toBe('worker-lost')
    expect(performance.now() - at).toBeLessThan(1000)
  })
})

describe('a worker that dies in mid-run, and that a factory replaces,', () => {
  it('leaves the result to the next one, which goes on with the run', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi')
    ;(await place.model.next()).text('Half')
    place.kill()
    const call = await place.model.next()
    expect(call.prompt.map(({ role }) => role)).toEqual(['user'])
    call.say('Whole')
    expect(await run.result).toMatchObject({ runId: run.runId, status: 'completed', text: 'Whole', turns: 1 })
    expect(place.workers).toHaveLength(2)
  })

  it('leaves no gap and no repeat to views and listeners, of whatever they listen to', async () => {
    const place = workplace()
    const page = place.open()
    const session = page.session('s')
    const wrong: unknown[] = []
    onTestFinished(
      session.view.subscribe(() => {
        const { error, run } = session.view.getSnapshot()
        if (error || run?.phase === 'interrupted') wrong.push(error ?? run)
      }),
    )
    const since = new Heard()
    session.on('any', since.hear, { since: 0 })
    const everywhere = new Heard()
    page.on('any', everywhere.hear)
    const first = session.send('First')
    ;(await place.model.next()).say('One.')
    await first.result
    const plain = new Heard()
    session.on('any', plain.hear)
    const run = session.send('Second')
    const ofRun = new Heard()
    run.on('any', ofRun.hear)
    const call = await place.model.next()
    call.toolCall('c1', 'add', { a: 1, b: 2 })
    call.finish()
    const next = await place.model.next()
    next.text('Tw')
    await waitFor(() => expect(session.view.getSnapshot().status).toBe('streaming'))
    place.kill()
    ;(await place.model.next()).say('Two.')
    expect((await run.result).text).toBe('Two.')
    const third = session.send('Third')
    ;(await place.model.next()).say('Three.')
    await third.result
    await waitFor(() => expect(since.durable.at(-1)).toMatchObject({ kind: 'run-completed', runId: third.runId }))
    const numbers = since.durable.map(({ seq }) => seq)
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
    const kindsFrom = (runId: string) =>
      since.durable.filter((event) => event.runId === runId).map(({ seq, kind }) => `${seq} ${kind}`)
    const told = (heard: Heard, runId: string) =>
      heard.durable.filter((event) => event.runId === runId).map(({ seq, kind }) => `${seq} ${kind}`)
    for (const { runId } of [first, run, third]) expect(told(everywhere, runId)).toEqual(kindsFrom(runId))
    for (const { runId } of [run, third]) expect(told(plain, runId)).toEqual(kindsFrom(runId))
    expect(told(ofRun, run.runId)).toEqual(kindsFrom(run.runId))
    expect(kindsFrom(run.runId).filter((line) => line.includes('run-started'))).toHaveLength(2)
    expect(wrong).toEqual([])
    await waitFor(() => expect(session.view.getSnapshot()).toMatchObject({ status: 'ready', queue: [] }))
    const texts = () =>
      session.view
        .getSnapshot()
        .messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])))
    await waitFor(() => expect(texts()).toEqual(['First', 'One.', 'Second', 'Two.', 'Third', 'Three.']))
  })

  it('does not have a page tool carried out twice: the page says again what came of it', async () => {
    const place = workplace()
    const started: string[] = []
    let finish = (_: { count: number }) => {}
    const page = place.open({
      pageTools: {
        highlight: (_, { toolCallId }) => {
          started.push(toolCallId)
          return new Promise((resolve) => {
            finish = resolve
          })
        },
      },
    })
    const run = page.session('s').send('Hi')
    const call = await place.model.next()
    call.toolCall('c1', 'highlight', { selector: 'h1' })
    call.finish()
    await waitFor(() => expect(started).toEqual(['c1']))
    place.kill()
    finish({ count: 3 })
    const next = await place.model.next()
    expect(next.prompt.at(-1)).toMatchObject({ content: [{ output: { type: 'json', value: { count: 3 } } }] })
    next.say('Done')
    expect((await run.result).text).toBe('Done')
    expect(started).toEqual(['c1'])
  })

  it('is replaced as often as it dies while runs come on', async () => {
    const place = workplace()
    const page = place.open()
    for (let round = 0; round < 3; round++) {
      const run = page.session('s').send(`Round ${round}`)
      ;(await place.model.next()).text('…')
      place.kill()
      ;(await place.model.next()).say(`Answer ${round}`)
      expect((await run.result).text).toBe(`Answer ${round}`)
    }
    const { messages } = await page.session('s').view.ready
    expect(messages.filter(({ role }) => role === 'user')).toHaveLength(3)
    expect(place.workers).toHaveLength(4)
  })

  it('is asked again what it had not answered', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi')
    await place.model.next()
    const lists = [page.sessions.list(), page.sessions.list()]
    place.kill()
    ;(await place.model.next()).say('Done')
    await run.result
    expect((await Promise.all(lists)).map((list) => list.length)).toEqual([1, 1])
    expect(place.workers).toHaveLength(2)
  })

  it('that was told to abort does not go on', async () => {
    const place = workplace()
    const page = place.open()
    const run = page.session('s').send('Hi')
    await place.model.next()
    place.kill()
    run.abort()
    expect((await failureOf(run.result)).name).toBe('AbortError')
    await waitFor(async () => expect(await page.sessions.list()).toMatchObject([{ status: 'ready' }]))
  })

  it('is not replaced for ever where it dies over and over', async () => {
    const place = workplace()
    const page = place.open()
    onTestFinished(page.info.subscribe(() => {}))
    const { view } = page.session('s')
    onTestFinished(view.subscribe(() => {}))
    const run = page.session('s').send('Hi')
    // Each one comes further, so that this is no loop of the run's.
    for (let death = 1; death <= 5; death++) {
      const call = await place.model.next()
      call.toolCall(`c${death}`, 'add', { a: 1, b: death })
      call.finish()
      await place.model.next()
      place.kill()
    }
    expect((await failureOf(run.result)).code).toBe('worker-lost')
    await waitFor(() => expect(page.info.getSnapshot().worker).toBe('lost'))
    await waitFor(() =>
      expect(view.getSnapshot()).toMatchObject({
        status: 'error',
        error: { code: 'worker-lost' },
        run: { runId: run.runId, phase: 'interrupted' },
      }),
    )
    expect(place.workers).toHaveLength(5)
  })

  it('is replaced at the next use where nobody waits for anything', async () => {
    const place = workplace()
    const page = place.open()
    await page.sessions.list()
    place.kill()
    await place.ended()
    expect(place.workers).toHaveLength(1)
    expect(await page.sessions.list()).toEqual([])
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
    await waitFor(() => expect(view.getSnapshot()).toMatchObject({ status: 'error', error: { code: 'worker-lost' } }))
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
    await waitFor(() => expect(view.getSnapshot().error?.code).toBe('worker-lost'))
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
