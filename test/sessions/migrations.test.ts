import { indexedDbStore, type Store } from 'turnloop/runtime'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { schemaVersion } from '../../src/sessions/migrations.ts'
import { allEvents, claimed, messagesChange } from './fixtures.ts'
import { type Dump, dump, load } from './golden/dump.ts'
import version1 from './golden/fixtures/version-1.json'
import version2 from './golden/fixtures/version-2.json'

const golden = version1 as unknown as Dump

let name: string
const stores: Store[] = []
const open = () => {
  const store = indexedDbStore({ name })
  stores.push(store)
  return store
}

beforeEach(async () => {
  name = crypto.randomUUID()
})
afterEach(async () => {
  vi.restoreAllMocks()
  vi.useRealTimers()
  await Promise.all(stores.splice(0).map((store) => store.close()))
  indexedDB.deleteDatabase(name)
})

const settled = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

type Entry = Dump['entries'][number]
const isRun = ([[kind]]: Entry) => kind === 'run'
const isSchema = ([[kind, what]]: Entry) => kind === 'meta' && what === 'schema'
const runCount = golden.entries.filter(isRun).length
const withSchema = (schema: unknown): Dump => ({
  ...golden,
  entries: golden.entries.map((entry) => (isSchema(entry) ? [entry[0], schema] : entry)),
})

/** Does something at the n-th write of the next upgrades, before it is asked of the browser. */
function atUpgradeWrite(n: number, act: (transaction: IDBTransaction) => void, { upgrades = 10 } = {}) {
  const put = IDBObjectStore.prototype.put
  const counts = new Map<IDBTransaction, number>()
  return vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
    const { transaction } = this
    const count = (counts.get(transaction) ?? 0) + 1
    counts.set(transaction, count)
    if (transaction.mode === 'versionchange' && count === n && counts.size <= upgrades) act(transaction)
    return put.apply(this, args)
  })
}

describe('data of the first version', () => {
  beforeEach(() => load(name, golden))

  test('is all there after the migration, and runs know where they stand', async () => {
    await open().listSessions({ limit: 1 })
    const migrated = await dump(name)
    expect(migrated.version).toBe(schemaVersion)
    expect(migrated.entries.map(([key]) => key)).toEqual(golden.entries.map(([key]) => key))
    const others = (entry: Entry) => !isRun(entry) && !isSchema(entry)
    expect(migrated.entries.filter(others)).toEqual(golden.entries.filter(others))
    expect(migrated.entries.find(isSchema)?.[1]).toEqual({
      ...(golden.entries.find(isSchema)?.[1] as object),
      version: schemaVersion,
    })
    expect(migrated.entries.filter(isRun)).toEqual(
      golden.entries.filter(isRun).map(([key, run]) => [
        key,
        {
          ...(run as object),
          leg: 1,
          resumes: 0,
          checkpoint: {
            step: expect.any(String),
            turn: expect.any(Number),
            messageCount: expect.any(Number),
            at: expect.any(Number),
          },
        },
      ]),
    )
  })

  test.each([
    ['interrupted in the first answer 1', 'user-input', 0, 1],
    ['interrupted in a later answer 1', 'after-tool-calls', 1, 3],
    ['interrupted in a tool 7', 'before-tool-calls', 2, 4],
    ['interrupted with a queue 1', 'user-input', 0, 1],
    ['stopped while nobody was there 1', 'user-input', 0, 1],
    ['waiting 1', 'before-tool-calls', 1, 2],
    ['answered while nobody was there 1', 'before-tool-calls', 1, 2],
    ['stopped at its turns 1', 'after-tool-calls', 1, 3],
    ['stopped with an open call 1', 'before-tool-calls', 1, 2],
    ['stopped in mid-answer 1', 'before-model', 1, 2],
  ])('the run %o stands at %o of turn %i, after %i messages', async (runId, step, turn, messageCount) => {
    const store = open()
    const run = await store.readRun(runId)
    const last = (await store.readMessages(run?.sessionId ?? '', {})).at(-1)
    expect(run).toMatchObject({ leg: 1, resumes: 0, checkpoint: { step, turn, messageCount, at: last?.at } })
  })

  test('lists its sessions, with their messages and a log without gaps', async () => {
    const store = open()
    const listed = await store.listSessions({ limit: 100 })
    expect(listed.map(({ session }) => session.id)).toEqual([
      'cancelled',
      'failed',
      'stopped in mid-answer',
      'stopped with an open call',
      'stopped at its turns',
      'stopped while nobody was there',
      'answered while nobody was there',
      'waiting',
      'interrupted with a queue',
      'interrupted in a tool',
      'interrupted in a later answer',
      'interrupted in the first answer',
      'renamed',
      'completed',
    ])
    for (const { session } of listed) {
      const messages = await store.readMessages(session.id, {})
      expect(messages.map(({ index }) => index)).toEqual(Array.from({ length: session.messageCount }, (_, i) => i))
      const events = await allEvents(store, session.id)
      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: session.seq }, (_, i) => i + 1))
    }
    expect(await store.readSession('renamed', { messages: 0 })).toMatchObject({ settings: { title: 'Portuguese' } })
    expect(await store.readInbox('interrupted with a queue')).toMatchObject([
      { request: { input: 'second' } },
      { request: { input: 'third' } },
    ])
  })

  test('finishes the deletion that was begun', async () => {
    const store = open()
    expect(await store.readRun('half deleted 1')).toBeUndefined()
    const claim = await claimed(store, 'half deleted')
    expect(await store.commit(messagesChange(claim, 0, 0))).toEqual({ seq: 1 })
    expect(await store.readMessages('half deleted', {})).toMatchObject([{ id: 'm0' }])
    await expect.poll(async () => (await dump(name)).entries.map(([[kind]]) => kind)).not.toContain('deleted')
  })
})

describe('data of the second version', () => {
  test('is there as it was', async () => {
    const second = version2 as unknown as Dump
    await load(name, second)
    expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
    const migrated = await dump(name)
    expect(migrated.version).toBe(schemaVersion)
    const others = (entry: Entry) => !isSchema(entry)
    expect(migrated.entries.filter(others)).toEqual(second.entries.filter(others))
  })
})

describe('a migration', () => {
  test('happens once, for stores that open at the same time and later', async () => {
    await load(name, golden)
    const put = vi.spyOn(IDBObjectStore.prototype, 'put')
    await Promise.all([open().listSessions({ limit: 1 }), open().readActiveRuns()])
    await open().listSessions({ limit: 1 })
    // Each run, and the schema.
    expect(put).toHaveBeenCalledTimes(runCount + 1)
  })

  test('reaches every run of many', async () => {
    const run = golden.entries.find(isRun)?.[1] as { readonly status: string }
    const many = Array.from(
      { length: 450 },
      (_, i) => [['run', `a run ${i}`], { ...run, runId: `a run ${i}` }] as const,
    )
    await load(name, { ...golden, entries: [...golden.entries, ...many] })
    const read = vi.spyOn(IDBObjectStore.prototype, 'getAll')
    await open().listSessions({ limit: 1 })
    const runs = (await dump(name)).entries.filter(isRun)
    expect(runs).toHaveLength(runCount + 450)
    for (const [key, run] of runs) expect(run, String(key)).toMatchObject({ leg: 1, runId: key[1] })
    for (const [, limit] of read.mock.calls.slice(0, -1)) expect(limit).toBeLessThanOrEqual(500)
  })

  test('of a database whose page died before it wrote a record leaves an empty one', async () => {
    await load(name, { version: 1, entries: [] })
    expect(await open().listSessions({ limit: 1 })).toEqual([])
    expect(await dump(name)).toMatchObject({
      version: schemaVersion,
      entries: [[['meta', 'schema'], { version: schemaVersion }]],
    })
  })

  test.each([1, 2, runCount, runCount + 1])(
    'that fails at its write %i leaves the old version untouched',
    async (n) => {
      await load(name, golden)
      atUpgradeWrite(n, () => {
        throw new DOMException('Internal error', 'UnknownError')
      })
      await expect(open().listSessions({ limit: 1 })).rejects.toMatchObject({ code: 'storage-unavailable' })
      expect(await dump(name)).toEqual(golden)
      vi.restoreAllMocks()
      expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
    },
  )

  test('that finds the disk full says so, and leaves the old version untouched', async () => {
    await load(name, golden)
    atUpgradeWrite(runCount, (transaction) => {
      Object.defineProperty(transaction, 'error', { value: new DOMException('Full', 'QuotaExceededError') })
      transaction.abort()
    })
    await expect(open().listSessions({ limit: 1 })).rejects.toMatchObject({ code: 'storage-full', recoverable: true })
    expect(await dump(name)).toEqual(golden)
  })

  test.each([1, runCount, runCount + 1])('that the browser aborts at its write %i is made anew, whole', async (n) => {
    await load(name, golden)
    atUpgradeWrite(n, (transaction) => transaction.abort(), { upgrades: 1 })
    expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
    const migrated = await dump(name)
    expect(migrated.entries.map(([key]) => key)).toEqual(golden.entries.map(([key]) => key))
    for (const [, run] of migrated.entries.filter(isRun)) expect(run).toMatchObject({ leg: 1 })
  })

  test('that dies with its worker leaves the old version untouched, and the next page makes it', async () => {
    await load(name, golden)
    const worker = new Worker(new URL('./migrating.worker.ts', import.meta.url), { type: 'module' })
    const reached = new Promise((resolve) => worker.addEventListener('message', resolve))
    worker.postMessage(name)
    await reached
    worker.terminate()
    expect(await dump(name)).toEqual(golden)
    expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
    expect(await dump(name)).toMatchObject({ version: schemaVersion })
  })

  test('makes an older tab give the database up, and does not wait for it', async () => {
    await load(name, golden)
    const old = await settled(indexedDB.open(name, 1))
    const yielded = new Promise<void>((resolve) => {
      old.onversionchange = () => {
        old.close()
        resolve()
      }
    })
    expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
    await yielded
  })

  test('that an older tab holds up for seconds says what to do, and changes nothing', async () => {
    await load(name, golden)
    const old = await settled(indexedDB.open(name, 1))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const opened = vi.spyOn(IDBFactory.prototype, 'open')
    const refused = expect(open().listSessions({ limit: 1 })).rejects.toMatchObject({
      code: 'storage-unavailable',
      message: expect.stringContaining('close that tab'),
    })
    const request: IDBOpenDBRequest = opened.mock.results[0]?.value
    await new Promise((resolve) => request.addEventListener('blocked', resolve))
    await vi.advanceTimersByTimeAsync(5000)
    await refused
    old.close()
    vi.useRealTimers()
    opened.mockRestore()
    expect(await dump(name)).toEqual(golden)
    expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
  })

  test('takes the time that it takes', async () => {
    await load(name, golden)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    atUpgradeWrite(runCount, () => void vi.advanceTimersByTime(60_000))
    expect(await open().listSessions({ limit: 100 })).toHaveLength(14)
  })

  test.each([{ version: schemaVersion, id: 'x' }, { version: 7, id: 'x' }, null, 1])(
    'is refused where the schema is %o: later code wrote that, and it stays untouched',
    async (schema) => {
      const newer = withSchema(schema)
      await load(name, newer)
      await expect(open().listSessions({ limit: 1 })).rejects.toMatchObject({ code: 'storage-outdated' })
      await expect(open().claim('new')).rejects.toMatchObject({ code: 'storage-outdated' })
      expect(await dump(name)).toEqual(newer)
    },
  )
})
