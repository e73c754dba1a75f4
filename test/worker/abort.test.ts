import { describe, expect, it, onTestFinished } from 'vitest'
import { isDurable } from '../../src/events/kinds.ts'
import type { PortMessage } from '../../src/protocol/messages.ts'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import { Heard } from './fixtures/heard.ts'
import { connectedPage, fedRuntime, quiet } from './fixtures/port.ts'
import { workplace } from './fixtures/real-worker.ts'
import { slowCalls } from './fixtures/tools.ts'

const isBatch = ({ type }: PortMessage) => type === 'batch'

/** A run of which three batches of deltas are on the way, held back before the page. */
async function underWay() {
  const { runtime, model } = fedRuntime()
  const { page, tap } = connectedPage(runtime)
  const heard = new Heard()
  page.on('any', heard.hear)
  const controller = new AbortController()
  const run = page.session('s').send('Hi', { signal: controller.signal })
  const feed = await model.next()
  feed.text('heard ')
  await waitFor(() => expect(heard.text).toBe('heard '))
  tap.withholds = isBatch
  const before = tap.batches.length
  feed.text('on the way ')
  await waitFor(() => expect(tap.batches.length).toBeGreaterThan(before))
  return { runtime, model, page, tap, heard, run, feed, controller }
}

describe('a run that is aborted over the port', () => {
  it.each([
    ['abort()', ({ run }: Awaited<ReturnType<typeof underWay>>) => run.abort()],
    ['its disposal', ({ run }: Awaited<ReturnType<typeof underWay>>) => run[Symbol.dispose]()],
    ['its signal', ({ controller }: Awaited<ReturnType<typeof underWay>>) => controller.abort()],
  ])('tells nothing live after %s, even where batches were on the way', async (_, end) => {
    const place = await underWay()
    const { tap, heard, run, feed, runtime } = place
    const before = heard.events.length
    end(place)
    tap.release()
    await waitFor(() => expect(feed.signal.aborted).toBe(true))
    feed.text('too late')
    const error = await failureOf(run.result)
    expect(error.name).toBe('AbortError')
    await quiet()
    expect(heard.events.slice(before).filter(({ kind }) => !isDurable(kind))).toEqual([])
    expect(heard.kinds.at(-1)).toBe('run-cancelled')
    expect(heard.text).toBe('heard ')
    // What had been written is kept, also what was on the way.
    const { messages } = await runtime.session('s').view.ready
    expect(messages[1]).toMatchObject({
      metadata: { status: 'partial' },
      parts: [{ type: 'text', text: 'heard on the way ' }],
    })
  })

  it('tells a slow async listener nothing more of what it has not begun with', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const begun: string[] = []
    let go = () => {}
    page.on(
      ['text-delta', 'turn-started', 'run-cancelled'],
      async (event) => {
        begun.push(event.kind)
        await new Promise<void>((resolve) => {
          go = resolve
        })
      },
      { concurrency: 1 },
    )
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    feed.text('one ')
    await waitFor(() => expect(begun).toEqual(['turn-started']))
    go()
    await waitFor(() => expect(begun).toEqual(['turn-started', 'text-delta']))
    feed.text('two ')
    await quiet()
    run.abort()
    go()
    await waitFor(() => expect(begun.length).toBe(3))
    expect(begun).toEqual(['turn-started', 'text-delta', 'run-cancelled'])
  })

  it('tells one who joins nothing of it that was on the way', async () => {
    const { page, tap, run, feed } = await underWay()
    const late = new Heard()
    page.session('s').on('any', late.hear, { since: 0 })
    await waitFor(() => expect(tap.items.some(({ kind }) => kind === '@joined')).toBe(true))
    run.abort()
    tap.release()
    await failureOf(run.result)
    await waitFor(() => expect(late.kinds.at(-1)).toBe('run-cancelled'))
    expect(late.events.filter(({ kind }) => !isDurable(kind))).toEqual([])
    expect(feed.signal.aborted).toBe(true)
  })

  it('leaves other runs alone', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const one = page.session('one').send('Hi')
    const first = await model.next()
    const two = page.session('two').send('Hi')
    const second = await model.next()
    const heard = new Heard()
    two.on('text-delta', heard.hear)
    await quiet()
    one.abort()
    second.say('Still here')
    expect((await two.result).text).toBe('Still here')
    expect(heard.text).toBe('Still here')
    await failureOf(one.result)
    expect(first.signal.aborted).toBe(true)
  })

  it('reaches every running tool', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const progress = new Heard()
    page.on('tool-execution-progress', progress.hear)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    feed.toolCall('c1', 'slow', {})
    feed.toolCall('c2', 'slow', {})
    feed.finish('tool-calls')
    await waitFor(() => expect(progress.events).toHaveLength(2))
    const aborted = slowCalls.aborted
    run.abort()
    await failureOf(run.result)
    expect(slowCalls.aborted).toBe(aborted + 2)
    // The history stays a valid prompt.
    const next = page.session('s').send('Again')
    const { call } = await model.next()
    expect(call.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
    next.abort()
  })

  it('before it began takes its input back', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const first = page.session('s').send('First')
    const feed = await model.next()
    const second = page.session('s').send('Second')
    await waitFor(async () => expect((await page.session('s').view.ready).queue).toHaveLength(1))
    second.abort()
    expect((await failureOf(second.result)).name).toBe('AbortError')
    feed.say('Done')
    await first.result
    expect((await page.session('s').view.ready).messages).toHaveLength(2)
    expect(model.calls).toHaveLength(1)
  })

  it('in the same task as it was sent never reaches the model', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    await page.sessions.list()
    const run = page.session('s').send('Hi')
    run.abort()
    expect((await failureOf(run.result)).name).toBe('AbortError')
    await quiet()
    expect(model.calls).toHaveLength(0)
    expect(await page.sessions.list()).toEqual([])
  })

  it('aborts a real worker’s model at once while that is fed without pause', async () => {
    const place = workplace()
    const page = place.open()
    const heard = new Heard()
    page.on('text-delta', heard.hear)
    const run = page.session('s').send('Hi')
    const call = await place.model.next()
    const at = performance.now()
    call.text('word ', 1_000_000)
    await waitFor(() => expect(heard.text.length).toBeGreaterThan(0), { timeout: 5000 })
    // Only against hanging: the worker yields every 8 ms, but here nothing promises it a core.
    expect(performance.now() - at).toBeLessThan(5000)
    run.abort()
    const told = heard.events.length
    await call.aborted
    expect((await failureOf(run.result)).name).toBe('AbortError')
    expect(heard.events.length).toBe(told)
    expect(heard.text.length).toBeLessThan(5_000_000)
  })
})

describe('session.abort and session.stop over the port', () => {
  it('end what is under way', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const session = page.session('s')
    const one = session.send('One')
    ;(await model.next()).text('a')
    session.abort()
    expect((await failureOf(one.result)).name).toBe('AbortError')
    const two = session.send('Two')
    ;(await model.next()).text('b')
    await session.stop()
    expect(await two.result).toMatchObject({ status: 'stopped', reason: 'requested', text: 'b' })
  })

  it('stop after the turn lets the answer be written, and leaves calls that have not started to the resume', async () => {
    const { runtime, model } = fedRuntime()
    const { page } = connectedPage(runtime)
    const run = page.session('s').send('Hi')
    const feed = await model.next()
    const stopped = run.stop({ after: 'turn' })
    await quiet()
    feed.toolCall('c1', 'add', { a: 1, b: 2 })
    feed.finish('tool-calls')
    expect(await stopped).toMatchObject({ status: 'stopped', reason: 'requested', turns: 1 })
    expect(model.calls).toHaveLength(1)
    const { messages } = await page.session('s').view.ready
    expect(messages[1]?.parts).toMatchObject([{ type: 'tool-add', state: 'input-available' }])
    const resumed = page.runs.resume(run.runId)
    const next = await model.next()
    next.say('Three.')
    expect(await resumed.result).toMatchObject({ status: 'completed', text: 'Three.' })
  })

  it('of a page that did not start the run do so, too', async () => {
    const { runtime, model } = fedRuntime()
    const one = connectedPage(runtime)
    const two = connectedPage(runtime)
    const { view } = two.page.session('s')
    onTestFinished(view.subscribe(() => {}))
    const run = one.page.session('s').send('Hi')
    await model.next()
    await waitFor(() => expect(view.getSnapshot().run?.runId).toBe(run.runId))
    await two.page.runs.get(run.runId).stop()
    expect((await run.result).status).toBe('stopped')
  })
})
