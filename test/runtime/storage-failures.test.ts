import { AgentError, createRuntime, defineAgent, memoryStore, type Store } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { manualModel } from './manual-model.ts'
import { record } from './record.ts'
import { type Hook, hooked } from './stores.ts'

type Asked = Parameters<Hook>[0]

/** A store whose methods fail from the moment on at which the test says so. */
function failing() {
  const broken = new Map<Asked, AgentError>()
  /** Fail once an input was written. */
  const afterSay = new Map<Asked, AgentError>()
  const store: Store = hooked(memoryStore(), async (method, _, call) => {
    const error = broken.get(method)
    if (error) throw error
    const given = await call()
    if (method === 'say') for (const [name, failure] of afterSay) broken.set(name, failure)
    return given
  })
  const repair = () => {
    broken.clear()
    afterSay.clear()
  }
  return { store, broken, afterSay, repair }
}

async function start() {
  const { store, ...failures } = failing()
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store })
  const session = runtime.session('trip')
  onTestFinished(session.view.subscribe(() => {}))
  await session.view.ready
  return { ...failures, store, model, runtime, session, heard: record(session) }
}

const full = new AgentError('storage-full', 'No more room.')
const gone = new AgentError('storage-unavailable', 'No database.')

const places = [
  ['take the session', 'claim'],
  ['read the session', 'readSession'],
  ['write the start', 'commit'],
] as const

describe.each(places)('a store that fails to %s before a run starts', (_, method) => {
  test('rejects the result with its code, and takes the input back', async () => {
    const { session, afterSay, heard, store } = await start()
    afterSay.set(method, full)
    const { result, runId } = session.send('Hi')
    await expect(result).rejects.toMatchObject({ name: 'AgentError', code: 'storage-full' })
    expect(heard.kinds()).toEqual(['input-queued', 'input-withdrawn', 'run-failed'])
    expect(heard.events.every((event) => event.runId === runId)).toBe(true)
    expect(heard.of('run-failed')).toMatchObject([{ error: { code: 'storage-full' }, turns: 0 }])
    expect(await store.readInbox('trip')).toEqual([])
  })

  test('shows in the view as an error', async () => {
    const { session, afterSay } = await start()
    afterSay.set(method, full)
    await session.send('Hi').result.catch(() => {})
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({ status: 'error', error: { code: 'storage-full' }, queue: [], messages: [] })
    expect(session.view.getSnapshot().run).toBeUndefined()
  })

  test('lets the next send run, and only that', async () => {
    const { session, afterSay, repair, model, heard } = await start()
    afterSay.set(method, full)
    await Promise.allSettled([session.send('first').result, session.send('second').result])
    expect(heard.of('run-failed')).toHaveLength(2)
    repair()
    const run = session.send('third')
    const call = await model.next()
    expect(call.options.prompt).toMatchObject([{ role: 'user', content: [{ text: 'third' }] }])
    call.finish()
    await run.result
    expect(heard.of('run-started')).toMatchObject([{ input: 'third' }])
    expect(model.calls).toHaveLength(1)
    await expect.poll(() => session.view.getSnapshot().status).toBe('ready')
  })

  test('and to take the input back, too, releases the run', async () => {
    const { session, afterSay, heard } = await start()
    for (const name of [method, 'withdraw'] as const) afterSay.set(name, gone)
    const { result, runId } = session.send('Hi')
    await expect(result).rejects.toMatchObject({ code: 'storage-unavailable' })
    expect(heard.kinds()).toEqual(['input-queued', 'run-released'])
    expect(heard.of('run-released')).toMatchObject([
      { runId, reason: 'storage-unavailable', error: { code: 'storage-unavailable' } },
    ])
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({ status: 'error', error: { code: 'storage-unavailable' } })
  })
})

test('an input that could not be taken back is run once the store works, before the next one', async () => {
  const { session, afterSay, repair, model } = await start()
  for (const name of ['claim', 'withdraw'] as const) afterSay.set(name, gone)
  await session.send('first').result.catch(() => {})
  repair()
  const second = session.send('second')
  const call = await model.next()
  expect(call.options.prompt).toMatchObject([{ content: [{ text: 'first' }] }])
  call.finish()
  const next = await model.next()
  next.finish()
  expect(await second.result).toMatchObject({ status: 'completed' })
  await expect.poll(() => session.view.getSnapshot()).toMatchObject({ status: 'ready', queue: [] })
})

test('a run that waits in the queue is refused alone where the store fails at its start', async () => {
  const { session, broken, model, heard } = await start()
  const first = session.send('first')
  const call = await model.next()
  const second = session.send('second')
  await heard.nth(2, 'input-queued')
  heard.when('run-completed').then(() => broken.set('commit', full))
  call.finish()
  expect(await first.result).toMatchObject({ status: 'completed' })
  await expect(second.result).rejects.toMatchObject({ code: 'storage-full' })
  expect(heard.of('input-withdrawn')).toMatchObject([{ runId: second.runId }])
  expect(heard.of('run-started')).toHaveLength(1)
})

describe('a run whose end can not be written', () => {
  async function underWay() {
    const started = await start()
    const run = started.session.send('Hi')
    const call = await started.model.next()
    call.text('Half')
    await started.heard.when('text-delta')
    return { ...started, run, call }
  }
  const lost = new AgentError('storage-lost', 'The data is gone.')

  const ends = {
    'it was aborted': ({ run }) => run.abort(),
    'its handle was disposed': ({ run }) => run[Symbol.dispose](),
    'its session was aborted': ({ session }) => session.abort(),
    'it was stopped': ({ run }) => void run.stop().catch(() => {}),
    'it was completed': ({ call }) => call.finish(),
  } satisfies Record<string, (started: Awaited<ReturnType<typeof underWay>>) => void>

  test.each(Object.keys(ends) as (keyof typeof ends)[])(
    'after %s is released, and rejects with the code',
    async (how) => {
      const started = await underWay()
      const { run, broken, heard, session, call } = started
      broken.set('commit', lost)
      ends[how](started)
      await expect(run.result).rejects.toMatchObject({ name: 'AgentError', code: 'storage-lost' })
      expect(heard.of('run-released')).toMatchObject([
        { runId: run.runId, reason: 'storage-lost', error: { code: 'storage-lost' } },
      ])
      expect(heard.kinds().at(-1)).toBe('run-released')
      await expect
        .poll(() => session.view.getSnapshot())
        .toMatchObject({ status: 'error', run: { phase: 'interrupted' }, error: { code: 'storage-lost' } })
      await waitFor(() => expect(call.cancelled || how === 'it was completed').toBe(true))
    },
  )

  test('tells a listener of the run, too', async () => {
    const { run, broken } = await underWay()
    const heard = record(run)
    broken.set('commit', lost)
    run.abort()
    await run.result.catch(() => {})
    expect(heard.kinds()).toEqual(['run-released'])
  })

  test('is ended as it was told once the store works, before the next input runs', async () => {
    const { run, session, broken, repair, model, heard } = await underWay()
    broken.set('commit', full)
    run.abort()
    await run.result.catch(() => {})
    repair()
    const next = session.send('again')
    const call = await model.next()
    call.finish()
    expect(await next.result).toMatchObject({ status: 'completed' })
    expect(heard.of('run-cancelled')).toMatchObject([{ runId: run.runId, reason: 'aborted' }])
  })
})
