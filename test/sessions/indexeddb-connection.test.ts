import { createRuntime, defineAgent, indexedDbStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { problemsOf } from '../runtime/check-prompt.ts'
import { manualModel } from '../runtime/manual-model.ts'
import { expectOrder, record } from '../runtime/record.ts'
import { problemsIn } from './check-dump.ts'
import { changeOf, claimed, messagesChange } from './fixtures.ts'
import { dump } from './golden/dump.ts'

// The browser closes the database under the page: Safari when its storage process dies, others when it is repaired.

let name: string
const stores: Store[] = []
const open = () => {
  const store = indexedDbStore({ name })
  stores.push(store)
  return store
}

beforeEach(() => {
  name = crypto.randomUUID()
})
afterEach(async () => {
  vi.restoreAllMocks()
  vi.useRealTimers()
  await Promise.all(stores.splice(0).map((store) => store.close()))
  indexedDB.deleteDatabase(name)
})

/** What a browser does: whatever is under way aborts without an error, and the connection hears of it. */
function forceClose(db: IDBDatabase, underWay: Iterable<IDBTransaction> = []) {
  for (const transaction of underWay) {
    try {
      transaction.abort()
    } catch {}
  }
  db.close()
  db.dispatchEvent(new Event('close'))
}

/** Watches connections; `act` is called with every new transaction of this test's database. */
function connections(act: (transaction: IDBTransaction) => void = () => {}) {
  const open = new Map<IDBDatabase, Set<IDBTransaction>>()
  const original = IDBDatabase.prototype.transaction
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
    const transaction = original.apply(this, args)
    if (this.name !== name) return transaction
    const underWay = open.get(this) ?? new Set()
    open.set(this, underWay.add(transaction))
    const over = () => underWay.delete(transaction)
    transaction.addEventListener('complete', over)
    transaction.addEventListener('abort', over)
    act(transaction)
    return transaction
  })
  return {
    closeAll: () => {
      for (const [db, underWay] of open) forceClose(db, underWay)
      open.clear()
    },
  }
}

const notRestored = { code: 'storage-unavailable', message: expect.stringContaining('reload') }

/** A database that can't be opened again, from now on. */
const failToOpen = () =>
  vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(() => {
    throw new DOMException('Connection to Indexed Database server lost', 'UnknownError')
  })

describe('a connection that the browser closes', () => {
  test('is opened anew once, while nothing is under way', async () => {
    const { closeAll } = connections()
    const store = open()
    const claim = await claimed(store, 's')
    const opened = vi.spyOn(IDBFactory.prototype, 'open')
    closeAll()
    const calls = [0, 1, 2].map((index) => store.commit(messagesChange(claim, index, index)))
    expect(await Promise.all(calls)).toEqual([{ seq: 1 }, { seq: 2 }, { seq: 3 }])
    expect(opened).toHaveBeenCalledTimes(1)
  })

  test('is opened anew once, for all that was under way', async () => {
    const { closeAll } = connections()
    const store = open()
    const claim = await claimed(store, 's')
    const opened = vi.spyOn(IDBFactory.prototype, 'open')
    const calls = [0, 1, 2].map((index) => store.commit(messagesChange(claim, index, index)))
    const listed = store.listSessions({ limit: 1 })
    await Promise.resolve()
    closeAll()
    expect(await Promise.all(calls)).toEqual([{ seq: 1 }, { seq: 2 }, { seq: 3 }])
    await listed
    expect(opened).toHaveBeenCalledTimes(1)
    expect((await dump(name)).entries.filter(([[kind]]) => kind === 'message')).toHaveLength(3)
  })

  test('and can not be opened again asks for a reload, after one attempt for each call', async () => {
    const { closeAll } = connections()
    const store = open()
    const claim = await claimed(store, 's')
    await store.commit(messagesChange(claim, 0, 0))
    const opened = failToOpen()
    closeAll()
    await expect(store.commit(messagesChange(claim, 1, 1))).rejects.toMatchObject(notRestored)
    expect(opened).toHaveBeenCalledTimes(1)
    await expect(store.listSessions({ limit: 1 })).rejects.toMatchObject(notRestored)
    expect(opened).toHaveBeenCalledTimes(2)
    opened.mockRestore()
    expect(await store.commit(messagesChange(claim, 1, 1))).toEqual({ seq: 2 })
  })

  test('and never answers again is given up after five seconds', async () => {
    const { closeAll } = connections()
    const store = open()
    const claim = await claimed(store, 's')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const opened = vi
      .spyOn(IDBFactory.prototype, 'open')
      .mockImplementation(() => new EventTarget() as IDBOpenDBRequest)
    closeAll()
    const refused = expect(store.commit(changeOf(claim))).rejects.toMatchObject(notRestored)
    await vi.advanceTimersByTimeAsync(5000)
    await refused
    expect(opened).toHaveBeenCalledTimes(1)
  })
})

describe('a run whose connection the browser closes', () => {
  const any = z.object({})

  /** Plays a run with two tools, and does something to its n-th transaction. Resolves with how many there were. */
  async function play(harm?: {
    readonly n: number
    readonly when: 'as it begins' | 'as it commits' | 'before its answer'
  }) {
    let count = 0
    const { closeAll } = connections((transaction) => {
      if (++count !== harm?.n) return
      if (harm.when === 'as it begins') queueMicrotask(closeAll)
      else if (harm.when === 'as it commits') transaction.commit = closeAll
      else {
        // Committed, and the page hears only of the end of the connection.
        let abort = () => {}
        Object.defineProperty(transaction, 'oncomplete', { set: () => {} })
        Object.defineProperty(transaction, 'onabort', { set: (listener) => (abort = listener) })
        transaction.addEventListener('complete', () => {
          closeAll()
          abort()
        })
      }
    })
    const execute = vi.fn(() => 'done')
    const tools = {
      alone: tool({ inputSchema: any, serial: true, execute }),
      other: tool({ inputSchema: any, execute }),
    }
    const model = scriptedModel([
      reply.all(reply.text('Let me see.'), reply.call('alone', {}), reply.call('other', {})),
      reply.text('Done.'),
    ])
    const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools }), { store: open() })
    const session = runtime.session('trip')
    const heard = record(session)
    expect(await session.send('Work').result).toMatchObject({ status: 'completed', text: 'Done.' })
    expectOrder(heard.events)
    expect(execute).toHaveBeenCalledTimes(2)
    expect(model.calls).toHaveLength(2)
    expect(heard.of('run-started', 'run-completed')).toHaveLength(2)
    for (const { prompt } of model.calls) expect(problemsOf(prompt)).toEqual([])
    await runtime.close()
    vi.restoreAllMocks()
    expect(problemsIn(await dump(name))).toEqual([])
    indexedDB.deleteDatabase(name)
    return count
  }

  test.each(['as it begins', 'as it commits', 'before its answer'] as const)(
    'goes on as if nothing had happened, whichever transaction it hits %s',
    async (when) => {
      const count = await play()
      expect(count).toBeGreaterThan(8)
      for (let n = 1; n <= count; n++) {
        name = crypto.randomUUID()
        await play({ n, when })
      }
    },
  )

  test('for ever is released, and starts no further tool', async () => {
    const { closeAll } = connections()
    const model = manualModel()
    const execute = vi.fn(() => 'done')
    const work = tool({ inputSchema: any, execute })
    const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work } }), { store: open() })
    const session = runtime.session('trip')
    const heard = record(session)
    const run = session.send('Work')
    const call = await model.next()
    call.text('I will.')
    await heard.when('text-delta')
    const before = await dump(name)
    const opened = failToOpen()
    closeAll()
    call.toolCall('work', {}, 'one')
    call.finish('tool-calls')
    await expect(run.result).rejects.toMatchObject(notRestored)
    expect(heard.of('run-released')).toMatchObject([{ reason: 'storage-unavailable' }])
    expect(execute).not.toHaveBeenCalled()
    await expect(runtime.sessions.list()).rejects.toMatchObject(notRestored)
    await expect(runtime.session('trip').view.ready).rejects.toMatchObject(notRestored)
    opened.mockRestore()
    expect(await dump(name)).toEqual(before)
  })
})
