import { connect } from 'turnloop'
import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { modelFeeder } from './fixtures/far-model.ts'
import type { openPage } from './fixtures/framed-page.ts'
import { Heard } from './fixtures/heard.ts'
import type { WorkerRuntime } from './fixtures/real-worker.ts'
import sharedWorker from './fixtures/shared.worker.ts?worker&url'

// The frames' own address can't be resolved against.
const workerUrl = new URL(sharedWorker, location.href).href

/** A name for a shared worker, its database and the feeding of its model; and pages on it. */
function workplace() {
  const name = `test-${crypto.randomUUID()}`
  const model = modelFeeder(name)
  onTestFinished(() => {
    model.close()
    indexedDB.deleteDatabase(name)
  })
  const open = () => {
    const page = connect<WorkerRuntime>(() => new SharedWorker(workerUrl, { type: 'module', name }))
    onTestFinished(() => page.close())
    return page
  }
  /** A page in a frame, which a test can take away as a person closes a tab. */
  const openFramed = async (tools: 'with tools' | 'without tools' = 'without tools') => {
    const frame = document.createElement('iframe')
    const module = new URL('./fixtures/framed-page.ts', import.meta.url).href
    const opened = new Promise<ReturnType<typeof openPage>>((resolve) => {
      Object.assign(globalThis, { [`opened ${name}`]: resolve })
    })
    frame.srcdoc = `<script type="module">
      import { openPage } from ${JSON.stringify(module)}
      parent[${JSON.stringify(`opened ${name}`)}](openPage(...${JSON.stringify([workerUrl, name, tools])}))
    </script>`
    document.body.append(frame)
    onTestFinished(() => frame.remove())
    return { ...(await opened), frame }
  }
  return { name, model, open, openFramed }
}

describe('a shared worker', () => {
  it('serves two pages at once, which see the same', async () => {
    const place = workplace()
    const one = place.open()
    const two = place.open()
    const heard = { one: new Heard(), two: new Heard() }
    one.session('s').on('any', heard.one.hear)
    two.session('s').on('any', heard.two.hear)
    await Promise.all([one.sessions.list(), two.sessions.list()])
    const run = one.session('s').send('Hi')
    const call = await place.model.next()
    call.text('Hello ')
    const { view } = two.session('s')
    onTestFinished(view.subscribe(() => {}))
    await waitFor(() => expect(view.getSnapshot().status).toBe('streaming'))
    call.say('both')
    expect((await run.result).text).toBe('Hello both')
    await waitFor(() => expect(heard.two.kinds.at(-1)).toBe('run-completed'))
    expect(heard.two.events).toEqual(heard.one.events)
    heard.one.expectExact(0, heard.one.durable.length)
    await waitFor(() =>
      expect(view.getSnapshot()).toMatchObject({
        status: 'ready',
        messages: [{}, { parts: [{ text: 'Hello both' }] }],
      }),
    )
  })

  it('goes on for one page when the other closes', async () => {
    const place = workplace()
    const one = place.open()
    const two = place.open()
    await two.sessions.list()
    const run = one.session('s').send('Hi').detach()
    const call = await place.model.next()
    await one.close()
    call.say('Still here')
    expect((await two.runs.get(run.runId).result).text).toBe('Still here')
  })

  it('notices a page that was closed without a goodbye: its run goes on, its listeners are gone', async () => {
    const place = workplace()
    const stays = place.open()
    // Without another page the worker would end with the frame.
    await stays.sessions.list()
    const { page, frame } = await place.openFramed()
    const run = page.session('s').send('Hi')
    const call = await place.model.next()
    call.text('a')
    frame.remove()
    call.say('b')
    expect((await stays.runs.get(run.runId).result).text).toBe('ab')
  })

  it('asks a person about a call whose page went away, and takes the result that the person gives', async () => {
    const place = workplace()
    const stays = place.open()
    // Without another page the worker would end with the frame.
    await stays.sessions.list()
    const { page, started, frame } = await place.openFramed('with tools')
    const run = page.session('s').send('Hi')
    const call = await place.model.next()
    call.toolCall('c1', 'highlight', { selector: 'h1' })
    call.finish()
    await waitFor(() => expect(started).toEqual(['c1']))
    const { runId } = run
    frame.remove()
    await waitFor(async () => expect(await stays.approvals.ready).toMatchObject([{ reason: 'in-doubt', runId }]))
    const [question] = await stays.approvals.ready
    await stays.approvals.answer(question as NonNullable<typeof question>, {
      decision: 'supply-result',
      output: { count: 7 },
    })
    const next = await place.model.next()
    expect(next.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [{ output: { type: 'json', value: { count: 7 } } }],
    })
    next.say('Hm')
    expect((await stays.runs.get(runId).result).text).toBe('Hm')
  })

  it('lets a call wait for another page once the one that offered it was closed without a goodbye', async () => {
    const place = workplace()
    const stays = place.open()
    await stays.sessions.list()
    const { page, started, frame } = await place.openFramed('with tools')
    const { runId } = page.session('s').send('Hi')
    const call = await place.model.next()
    frame.remove()
    const lifelines = async () =>
      (await navigator.locks.query()).held?.filter(({ name }) => name?.startsWith('turnloop:page:'))
    await waitFor(async () => expect(await lifelines()).toHaveLength(1))
    call.toolCall('c1', 'highlight', { selector: 'h1' })
    call.finish()
    const session = stays.session('s')
    const waiting = await new Promise((resolve) =>
      session.on('run-waiting', (event) => resolve(event.waitingFor), { since: 0 }),
    )
    expect(waiting).toBe('page')
    expect(started).toEqual([])
    session.abort()
    await expect(stays.runs.get(runId).result).rejects.toMatchObject({ name: 'AbortError' })
  })
})
