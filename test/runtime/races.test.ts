import { AgentError, createRuntime, defineAgent, memoryStore, type Store } from 'turnloop/runtime'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import type { Change } from '../../src/sessions/store.ts'
import { manualModel } from './manual-model.ts'
import { answer, record } from './record.ts'
import { door, type Hook, hooked, mortal } from './stores.ts'

function start(store: Store, options: Pick<AgentDefinition, 'resume'> = {}) {
  const model = manualModel()
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, ...options }), { store })
  const session = runtime.session('trip')
  return { model, runtime, session }
}

/** A run whose owner died while the model answered. */
async function interrupted(store: Store) {
  const alive = mortal(store)
  const { session, model } = start(alive)
  const { runId } = session.send('first')
  await model.next()
  alive.die()
  return runId
}

/** A store in which one method fails for as long as the test says so. */
function breakable(store: Store, broken: Parameters<Hook>[0]) {
  const failed = door()
  const state = { broken: false }
  const access = hooked(store, (method, _, call) => {
    if (method !== broken || !state.broken) return call()
    void failed.pass()
    return Promise.reject(new AgentError('storage-unavailable', 'No database'))
  })
  return { store: access, state, failed: failed.reached }
}

/** As many tasks as whatever would happen by itself takes. */
async function tasks() {
  for (let task = 0; task < 20; task++) await new Promise((resolve) => setTimeout(resolve))
}

const commits = (kind: string, method: string, change: unknown) =>
  method === 'commit' && (change as Change).events.some((event) => event.kind === kind)

describe('a run whose owner died', () => {
  test('is stopped where that is said while the question about it is being written', async () => {
    const store = memoryStore()
    const runId = await interrupted(store)
    const asking = door()
    const held = hooked(store, async (method, [change], call) => {
      if (commits('approval-requested', method, change)) await asking.pass()
      return call()
    })
    const { session, runtime, model } = start(held, { resume: 'ask' })
    const heard = record(session, { since: 0 })
    await asking.reached
    await session.stop()
    asking.open()
    await heard.when('run-stopped')
    expect((await store.readRun(runId))?.status).toBe('stopped')
    expect(await runtime.approvals.ready).toEqual([])
    expect(model.calls).toEqual([])
  })

  test('before it had written the stop that it was told of is stopped, and does not go on', async () => {
    const store = memoryStore()
    const slow = hooked(store, (method, [change], call) =>
      commits('run-stopped', method, change) ? new Promise(() => {}) : call(),
    )
    const alive = mortal(slow)
    const first = start(alive)
    const { runId } = first.session.send('first')
    const call = await first.model.next()
    call.text('Half')
    await first.session.stop()
    alive.die()
    const { runtime, model } = start(store)
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'stopped' })
    expect(model.calls).toEqual([])
  })

  test('goes on where the answer to its question could not be applied at first, and takes no second answer', async () => {
    const store = memoryStore()
    const runId = await interrupted(store)
    const full = breakable(store, 'commit')
    const { session, runtime, model } = start(full.store, { resume: 'ask' })
    const { approval } = await record(session, { since: 0 }).when('approval-requested')
    full.state.broken = true
    await answer(runtime, approval, { decision: 'resume' })
    await full.failed
    await tasks()
    expect(model.calls).toEqual([])
    full.state.broken = false
    await expect(answer(runtime, approval, { decision: 'resume' })).rejects.toMatchObject({ code: 'unknown-approval' })
    ;(await model.next()).finish()
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'completed' })
    expect(await store.readApprovals()).toEqual([])
  })
})

describe('in the course of time', () => {
  const fake = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
  afterEach(() => void vi.useRealTimers())

  test('a run goes on although the store could not be read when its runtime began', async () => {
    const store = memoryStore()
    const runId = await interrupted(store)
    const unread = breakable(store, 'readActiveRuns')
    const { runtime, model } = start(unread.store)
    fake()
    unread.state.broken = true
    await runtime.sessions.list()
    await unread.failed
    await vi.advanceTimersByTimeAsync(1500)
    expect(model.calls).toEqual([])
    unread.state.broken = false
    await vi.advanceTimersByTimeAsync(5000)
    ;(await model.next()).finish()
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'completed' })
  })

  test.each(['its own', 'another'])(
    'a run whose resume was refused is not resumed later by %s runtime',
    async (whose) => {
      const store = memoryStore()
      const locked = breakable(store, 'claim')
      const own = start(locked.store)
      const run = own.session.send('first')
      ;(await own.model.next()).text('Half')
      await run.stop()
      locked.state.broken = true
      await expect(own.runtime.runs.resume(run.runId).result).rejects.toMatchObject({ code: 'storage-unavailable' })
      locked.state.broken = false
      const { runtime, model } = whose === 'its own' ? own : start(store)
      const before = model.calls.length
      fake()
      await runtime.sessions.list()
      await vi.advanceTimersByTimeAsync(5000)
      expect(model.calls).toHaveLength(before)
      expect((await store.readRun(run.runId))?.status).toBe('stopped')
      expect(await store.readInbox('trip')).toEqual([])
    },
  )
})
