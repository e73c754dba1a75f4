import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { failureOf } from './fixtures/failures.ts'
import { Heard } from './fixtures/heard.ts'
import { workplace } from './fixtures/real-worker.ts'

/** Two tabs with a worker each, on one database. The run of the first is under way. */
async function twoTabs() {
  const place = workplace()
  // Nobody replaces its worker: when that dies, the tab is gone.
  const one = place.openOnce()
  const two = place.open()
  await Promise.all([one.sessions.list(), two.sessions.list()])
  const [first, second] = [one.session('s'), two.session('s')]
  const run = first.send('Hi')
  const call = await place.model.next()
  call.text('Hello ')
  await waitFor(async () => expect((await first.view.ready).status).toBe('streaming'))
  return { place, one, two, first, second, run, call }
}

describe('a second tab', () => {
  it('sees what the first one commits, each event once and in order', async () => {
    const { two, second, run, call, place } = await twoTabs()
    const heard = new Heard()
    second.on('any', heard.hear, { since: 0 })
    onTestFinished(second.view.subscribe(() => {}))
    await waitFor(() =>
      expect(second.view.getSnapshot()).toMatchObject({
        status: 'streaming',
        run: { runId: run.runId, owner: 'elsewhere' },
        messages: [{}, { parts: [{ text: 'Hello ' }] }],
      }),
    )
    call.toolCall('c1', 'add', { a: 1, b: 2 })
    call.finish()
    ;(await place.model.next()).say('3')
    await run.result
    await waitFor(() => expect(second.view.getSnapshot().status).toBe('ready'))
    expect(second.view.getSnapshot().messages.map(({ parts }) => parts.length)).toEqual([1, 2, 1])
    await waitFor(() => expect(heard.durable.at(-1)?.kind).toBe('run-completed'))
    heard.expectExact(0, heard.durable.length)
    expect((await two.runs.get(run.runId).result).text).toBe('3')
  })

  it('stops the first one’s run', async () => {
    const { second, run } = await twoTabs()
    await second.stop()
    expect(await run.result).toMatchObject({ status: 'stopped', text: 'Hello ' })
  })

  it('aborts the first one’s run', async () => {
    const { second, run, call } = await twoTabs()
    second.abort()
    expect((await failureOf(run.result)).name).toBe('AbortError')
    await call.aborted
  })

  it('queues its input behind the first one’s run, and runs it then', async () => {
    const { second, first, run, call, place } = await twoTabs()
    const next = second.send('Me too')
    await waitFor(async () => expect((await first.view.ready).queue).toMatchObject([{ text: 'Me too' }]))
    call.say('one')
    expect((await run.result).text).toBe('Hello one')
    const after = await place.model.next()
    expect(after.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
    after.say('Hello two')
    expect((await next.result).text).toBe('Hello two')
  })

  it('is refused with whenBusy: reject', async () => {
    const { second } = await twoTabs()
    expect(await failureOf(second.send('Me too', { whenBusy: 'reject' }).result)).toMatchObject({
      code: 'session-busy',
    })
  })

  it('goes on with the run of the first one when that dies, and shows what it writes', async () => {
    const { place, second, run } = await twoTabs()
    onTestFinished(second.view.subscribe(() => {}))
    await waitFor(() => expect(second.view.getSnapshot()).toMatchObject({ run: { owner: 'elsewhere' } }))
    place.workers[0]?.terminate()
    const call = await place.model.next()
    expect(call.prompt.map(({ role }) => role)).toEqual(['user'])
    call.text('Still ')
    await waitFor(() =>
      expect(second.view.getSnapshot()).toMatchObject({
        status: 'streaming',
        run: { runId: run.runId, owner: 'here' },
        messages: [{}, { parts: [{ text: 'Still ' }] }],
      }),
    )
    call.say('here')
    await waitFor(() => expect(second.view.getSnapshot().status).toBe('ready'))
  })

  it('takes the session over that the first one owned when it died, with an input that waited', async () => {
    const { place, second, run } = await twoTabs()
    const next = second.send('Me too')
    await waitFor(async () => expect((await second.view.ready).queue).toHaveLength(1))
    place.workers[0]?.terminate()
    ;(await place.model.next()).say('One')
    ;(await place.model.next()).say('Two')
    expect((await next.result).text).toBe('Two')
    const { messages } = await second.view.ready
    expect(messages.map(({ metadata }) => metadata.runId === run.runId)).toEqual([true, true, false, false])
  })

  it('deletes the session under the first one’s run, which ends', async () => {
    const { one, two, second, run, call } = await twoTabs()
    await second.delete()
    const error = await failureOf(run.result)
    expect((error as Error).name === 'AbortError' || ['unknown-session', 'ownership-lost'].includes(error.code)).toBe(
      true,
    )
    await call.aborted
    expect(await one.sessions.list()).toEqual([])
    expect(await two.sessions.list()).toEqual([])
  })
})
