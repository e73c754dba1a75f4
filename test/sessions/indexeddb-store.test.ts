import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { indexedDbStore } from '../../src/sessions/indexeddb-store.ts'
import { schemaVersion } from '../../src/sessions/migrations.ts'
import type { Store } from '../../src/sessions/store.ts'
import { allEvents, changeOf, claimed, messagesChange, runRecord, runStarted, userMessage } from './fixtures.ts'

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
  vi.unstubAllGlobals()
  vi.useRealTimers()
  await Promise.all(stores.splice(0).map((store) => store.close()))
  indexedDB.deleteDatabase(name)
})

const settled = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

const schemaKey = ['meta', 'schema']

/** Works on the database behind the store's back. */
async function raw<T>(work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await settled(indexedDB.open(name))
  const transaction = db.transaction('turnloop', 'readwrite')
  const result = await settled(work(transaction.objectStore('turnloop')))
  await new Promise((resolve) => {
    transaction.oncomplete = resolve
  })
  db.close()
  return result
}

/** Does something with the next `count` writing transactions, before the store gets them. */
function meddle(count: number, change: (transaction: IDBTransaction) => void) {
  const original = IDBDatabase.prototype.transaction
  let left = count
  return vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
    const transaction = original.apply(this, args)
    if (args[1] === 'readwrite' && left-- > 0) change(transaction)
    return transaction
  })
}

/** The browser refuses at commit: the transaction aborts, and no request of a write has failed. */
function runOutOfSpace(transaction: IDBTransaction) {
  transaction.commit = () => {
    Object.defineProperty(transaction, 'error', { value: new DOMException('Full', 'QuotaExceededError') })
    transaction.abort()
  }
}

/** The connection goes before the commit. */
function lose(transaction: IDBTransaction) {
  transaction.commit = () => transaction.abort()
}

/** The connection goes after the commit, before the page hears of it. */
function loseAnswer(transaction: IDBTransaction) {
  let abort = () => {}
  Object.defineProperty(transaction, 'oncomplete', { set: () => {} })
  Object.defineProperty(transaction, 'onabort', {
    set: (listener) => {
      abort = listener
    },
  })
  transaction.addEventListener('complete', () => abort())
}

test('opens nothing before its first use', async () => {
  const opened = vi.spyOn(IDBFactory.prototype, 'open')
  const requested = vi.spyOn(LockManager.prototype, 'request')
  const channel = vi.fn()
  vi.stubGlobal('BroadcastChannel', channel)
  const store = open()
  expect([opened, requested, channel].map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0])
  await store.close()
  expect([opened, requested, channel].map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0])
})

describe('where something is missing', () => {
  const unavailable = { code: 'storage-unavailable', message: expect.stringContaining('memoryStore()') }

  test('says so when there is no IndexedDB', async () => {
    vi.stubGlobal('indexedDB', undefined)
    const store = open()
    await expect(store.readSession('s', { messages: 1 })).rejects.toMatchObject(unavailable)
    await expect(store.listSessions({ limit: 1 })).rejects.toMatchObject(unavailable)
    await expect(store.claim('s')).rejects.toMatchObject(unavailable)
    vi.unstubAllGlobals()
    // The refused claim kept no lock.
    expect(await open().claim('s', { ifAvailable: true })).toBeDefined()
  })

  test('says so when there are no Web Locks', async () => {
    vi.spyOn(Navigator.prototype, 'locks', 'get').mockReturnValue(undefined as unknown as LockManager)
    const store = open()
    await expect(store.say('s', 'run', { type: 'stop', after: 'now' })).rejects.toMatchObject(unavailable)
    await expect(store.claim('s')).rejects.toMatchObject(unavailable)
    expect((await indexedDB.databases()).map((database) => database.name)).not.toContain(name)
  })

  test('says so when IndexedDB may not be used', async () => {
    const refused = vi.spyOn(IDBFactory.prototype, 'open').mockImplementation(() => {
      throw new DOMException('The user denied permission', 'SecurityError')
    })
    const store = open()
    await expect(store.listSessions({ limit: 1 })).rejects.toMatchObject(unavailable)
    expect(refused).toHaveBeenCalledTimes(2)
    // A failed open is not kept for ever.
    refused.mockRestore()
    expect(await store.listSessions({ limit: 1 })).toEqual([])
  })

  test('says so when the database belongs to something else, and leaves it as it is', async () => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('keyval')
    ;(await settled(request)).close()
    await expect(open().listSessions({ limit: 1 })).rejects.toMatchObject({ code: 'storage-unavailable' })
    const db = await settled(indexedDB.open(name))
    expect([...db.objectStoreNames]).toEqual(['keyval'])
    db.close()
  })
})

describe('opening', () => {
  test('is tried once more when it fails', async () => {
    const opened = vi.spyOn(IDBFactory.prototype, 'open').mockImplementationOnce(() => {
      throw new DOMException('Internal error', 'UnknownError')
    })
    expect(await open().listSessions({ limit: 1 })).toEqual([])
    expect(opened).toHaveBeenCalledTimes(2)
  })

  test('does not wait for ever for an answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const opened = vi
      .spyOn(IDBFactory.prototype, 'open')
      .mockImplementation(() => new EventTarget() as IDBOpenDBRequest)
    const refused = expect(open().listSessions({ limit: 1 })).rejects.toMatchObject({ code: 'storage-unavailable' })
    await vi.advanceTimersByTimeAsync(10_000)
    await refused
    expect(opened).toHaveBeenCalledTimes(2)
  })

  test('happens once for calls at the same time', async () => {
    const opened = vi.spyOn(IDBFactory.prototype, 'open')
    const store = open()
    await Promise.all([store.listSessions({ limit: 1 }), store.readActiveRuns(), store.claim('s')])
    expect(opened).toHaveBeenCalledTimes(1)
  })
})

describe('a full disk', () => {
  test('is `storage-full`, and nothing is half written', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    await store.commit(messagesChange(claim, 0, 0))
    meddle(1, runOutOfSpace)
    const change = messagesChange(claim, 1, 5, { run: runRecord('s') })
    await expect(store.commit(change)).rejects.toMatchObject({ code: 'storage-full', recoverable: true })
    expect(await open().readSession('s', { messages: 10 })).toMatchObject({
      session: { seq: 1, messageCount: 1 },
      messages: [{ index: 0 }],
    })
    expect(await store.readRun('run')).toBeUndefined()
    expect(await store.commit(change)).toEqual({ seq: 6 })
  })

  test('is noticed where a request fails too', async () => {
    const store = open()
    await store.listSessions({ limit: 1 })
    meddle(1, (transaction) => {
      const objectStore = transaction.objectStore
      transaction.objectStore = (name) => {
        const store = objectStore.call(transaction, name)
        store.put = () => {
          throw new DOMException('Full', 'QuotaExceededError')
        }
        return store
      }
    })
    await expect(store.say('s', 'run', { type: 'stop', after: 'now' })).rejects.toMatchObject({ code: 'storage-full' })
    expect(await store.readInbox('s')).toEqual([])
  })
})

describe('a lost connection', () => {
  test('is opened anew once, for whatever was under way', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    const opened = vi.spyOn(IDBFactory.prototype, 'open')
    meddle(1, lose)
    expect(await store.commit(changeOf(claim))).toEqual({ seq: 1 })
    expect(opened).toHaveBeenCalledTimes(1)
    expect(await allEvents(store, 's')).toHaveLength(1)
  })

  test('does not repeat a commit that was kept', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    meddle(1, loseAnswer)
    expect(await store.commit(messagesChange(claim, 0, 1))).toEqual({ seq: 2 })
    expect(await store.commit(messagesChange(claim, 2, 2))).toEqual({ seq: 3 })
    expect((await allEvents(store, 's')).map(({ seq }) => seq)).toEqual([1, 2, 3])
  })

  test('does not say a thing twice, nor say again what was applied', async () => {
    const store = open()
    await store.listSessions({ limit: 1 })
    const loss = meddle(1, loseAnswer)
    const item = await store.say('s', 'run', { type: 'input', request: { input: 'Hello' } })
    loss.mockRestore()
    expect(await store.readInbox('s')).toEqual([item])

    // The other tab is so fast that it applies the input before this one is back.
    const other = open()
    const claim = await claimed(other, 's')
    await other.commit(changeOf(claim, { events: [runStarted()], run: runRecord('s'), applied: item ? [item.n] : [] }))
    const next = { ...runRecord('s'), runId: 'next' }
    const originalOpen = IDBFactory.prototype.open
    let applied: Promise<unknown> | undefined
    meddle(1, loseAnswer)
    vi.spyOn(IDBFactory.prototype, 'open').mockImplementationOnce(function (this: IDBFactory, ...args) {
      applied = other
        .readInbox('s')
        .then((inbox) =>
          other.commit(changeOf(claim, { events: [runStarted('next')], run: next, applied: inbox.map(({ n }) => n) })),
        )
      const slow = originalOpen.apply(this, args)
      const late = new EventTarget() as IDBOpenDBRequest
      slow.onsuccess = async () => {
        await applied
        Object.defineProperty(late, 'result', { value: slow.result })
        late.onsuccess?.call(late, new Event('success'))
      }
      return late
    })
    expect(await store.say('s', 'next', { type: 'input', request: { input: 'Hello' } })).toMatchObject({
      runId: 'next',
    })
    expect(applied).toBeDefined()
    expect(await store.readInbox('s')).toEqual([])
  })

  test('does not forget that it took an input back', async () => {
    const store = open()
    await store.say('s', 'run', { type: 'input', request: { input: 'Hello' } })
    meddle(1, loseAnswer)
    expect(await store.withdraw('s', 'run')).toBe(true)
    expect(await store.withdraw('s', 'run')).toBe(false)
  })

  test('that cannot be restored asks for a reload', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    const loss = meddle(2, (transaction) => {
      if (transaction.mode === 'readwrite') lose(transaction)
    })
    // The second one is the first of the new connection.
    await expect(store.commit(changeOf(claim))).resolves.toEqual({ seq: 1 })
    loss.mockRestore()
    meddle(10, lose)
    await expect(store.commit(changeOf(claim))).rejects.toMatchObject({
      code: 'storage-unavailable',
      message: expect.stringContaining('reload'),
    })
  })

  test('is noticed while nothing is under way', async () => {
    const store = open()
    const opened = vi.spyOn(IDBFactory.prototype, 'open')
    const claim = await claimed(store, 's')
    const db: IDBDatabase = opened.mock.results[0]?.value.result
    db.close()
    expect(await store.commit(changeOf(claim))).toEqual({ seq: 1 })
    const next: IDBDatabase = opened.mock.results[1]?.value.result
    next.close()
    next.dispatchEvent(new Event('close'))
    expect(await store.commit(changeOf(claim))).toEqual({ seq: 2 })
    expect(opened).toHaveBeenCalledTimes(3)
  })
})

describe('another version of turnloop', () => {
  test('can upgrade at once, and this one refuses to touch what it made', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    await store.commit(changeOf(claim))
    const upgrade = indexedDB.open(name, schemaVersion + 1)
    const blocked = vi.fn()
    upgrade.onblocked = blocked
    const db = await settled(upgrade)
    expect(blocked).not.toHaveBeenCalled()
    db.close()
    const outdated = { code: 'storage-outdated', message: expect.stringContaining('reload') }
    await expect(store.commit(changeOf(claim))).rejects.toMatchObject(outdated)
    await expect(open().listSessions({ limit: 1 })).rejects.toMatchObject(outdated)
  })

  test.each([{ version: schemaVersion + 1, id: 'x' }, schemaVersion, null])(
    'whose schema is %o is refused, and left untouched',
    async (schema) => {
      const store = open()
      await store.say('s', 'run', { type: 'stop', after: 'now' })
      await raw((objectStore) => objectStore.put(schema, schemaKey))
      const before = await raw((objectStore) => objectStore.getAll())
      for (const refused of [store, open()]) {
        await expect(refused.say('s', 'run', { type: 'stop', after: 'now' })).rejects.toMatchObject({
          code: 'storage-outdated',
        })
        await expect(refused.claim('s')).rejects.toMatchObject({ code: 'storage-outdated' })
      }
      expect(await raw((objectStore) => objectStore.getAll())).toEqual(before)
    },
  )
})

describe('an origin that is cleared under a live page', () => {
  const lost = { code: 'storage-lost', message: expect.stringContaining('reload') }

  const allRefuse = async (store: Store, epoch: number) => {
    await expect(store.listSessions({ limit: 1 })).rejects.toMatchObject(lost)
    await expect(store.readSession('s', { messages: 1 })).rejects.toMatchObject(lost)
    await expect(store.commit(changeOf({ sessionId: 's', epoch }))).rejects.toMatchObject(lost)
    await expect(store.say('s', 'run', { type: 'stop', after: 'now' })).rejects.toMatchObject(lost)
    await expect(store.claim('other')).rejects.toMatchObject(lost)
  }

  test('is lost, not empty, and is not made anew', async () => {
    const store = open()
    const { epoch } = await claimed(store, 's')
    await settled(indexedDB.deleteDatabase(name))
    await allRefuse(store, epoch)
    expect((await indexedDB.databases()).map((database) => database.name)).not.toContain(name)
  })

  test('is lost where another tab has made the database anew', async () => {
    const store = open()
    const { epoch } = await claimed(store, 's')
    await settled(indexedDB.deleteDatabase(name))
    const other = open()
    expect(await other.listSessions({ limit: 1 })).toEqual([])
    await allRefuse(store, epoch)
    expect(await other.listSessions({ limit: 1 })).toEqual([])
  })

  test('is lost where only the records are gone', async () => {
    const store = open()
    const { epoch } = await claimed(store, 's')
    await raw((objectStore) => objectStore.clear())
    await allRefuse(store, epoch)
    expect(await raw((objectStore) => objectStore.getAll())).toEqual([])
    // A page that is loaded now begins anew.
    expect(await open().listSessions({ limit: 1 })).toEqual([])
  })

  test('is lost where the object store is gone', async () => {
    const store = open()
    const { epoch } = await claimed(store, 's')
    await settled(indexedDB.deleteDatabase(name))
    ;(await settled(indexedDB.open(name, 1))).close()
    await allRefuse(store, epoch)
  })
})

describe('locks', () => {
  const heldNames = async () => (await navigator.locks.query()).held?.map((lock) => lock.name)

  test('are named by database and session', async () => {
    const claim = await claimed(open(), 'trip')
    expect(await heldNames()).toContain(`turnloop:${name}:trip`)
    claim.release()
  })

  test('that are stolen abort the claim, and the thief is the only one to write', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    expect(claim.lost.aborted).toBe(false)
    const lost = new Promise((resolve) => claim.lost.addEventListener('abort', resolve))
    const stolen = new Promise<() => void>((granted) => {
      void navigator.locks.request(
        `turnloop:${name}:s`,
        { steal: true },
        () => new Promise<void>((end) => granted(() => end())),
      )
    })
    await lost
    expect(claim.lost.reason).toMatchObject({ name: 'AgentError', code: 'ownership-lost' })
    claim.release()
    const giveBack = await stolen
    expect(await open().claim('s', { ifAvailable: true })).toBeUndefined()
    giveBack()
    const next = await claimed(open(), 's')
    await expect(store.commit(changeOf(claim))).rejects.toMatchObject({ code: 'ownership-lost' })
    expect(await store.commit(changeOf(next))).toEqual({ seq: 1 })
  })

  test('are released by their claim without a loss', async () => {
    const claim = await claimed(open(), 's')
    claim.release()
    await expect.poll(heldNames).not.toContain(`turnloop:${name}:s`)
    expect(claim.lost.aborted).toBe(false)
  })

  test('that are held leave no request behind after ifAvailable', async () => {
    await claimed(open(), 's')
    expect(await open().claim('s', { ifAvailable: true })).toBeUndefined()
    expect((await navigator.locks.query()).pending?.map((lock) => lock.name)).not.toContain(`turnloop:${name}:s`)
  })
})

test('writes strictly only where a commit asks for it', async () => {
  const store = open()
  const claim = await claimed(store, 's')
  const transactions = vi.spyOn(IDBDatabase.prototype, 'transaction')
  await store.commit(changeOf(claim))
  await store.commit(changeOf(claim, { durability: 'strict' }))
  await store.say('s', 'run', { type: 'stop', after: 'now' })
  const writing = transactions.mock.calls.filter(([, mode]) => mode === 'readwrite')
  expect(writing.map(([, , options]) => options?.durability)).toEqual(['relaxed', 'strict', 'relaxed'])
})

test('ignores what others post to its channel', async () => {
  const store = open()
  const heard = vi.fn()
  store.watch(heard)
  const channel = new BroadcastChannel(`turnloop:${name}`)
  for (const data of [
    null,
    'committed',
    { type: '__proto__', sessionId: 's' },
    { type: 'said' },
    { type: 'committed', sessionId: 's' },
  ]) {
    channel.postMessage(data)
  }
  channel.postMessage({ type: 'said', sessionId: 'last' })
  await expect.poll(() => heard.mock.calls).toEqual([[{ type: 'said', sessionId: 'last' }]])
  channel.close()
})

test('a listener that throws reaches neither the commit nor other listeners', async () => {
  const reported = vi.spyOn(globalThis, 'reportError').mockImplementation(() => {})
  const store = open()
  const heard = vi.fn()
  const mistake = new Error('mine')
  store.watch(() => {
    throw mistake
  })
  store.watch(heard)
  const claim = await claimed(store, 's')
  expect(await store.commit(messagesChange(claim, 0, 0))).toEqual({ seq: 1 })
  expect(heard).toHaveBeenCalledTimes(1)
  expect(reported).toHaveBeenCalledExactlyOnceWith(mistake)
  expect(await store.readMessages('s', {})).toEqual([userMessage(0)])
})
