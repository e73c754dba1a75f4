import { describe, expect, test } from 'vitest'
import { createStore } from '../../src/sessions/create-store.ts'
import type { Database, Transaction } from '../../src/sessions/database.ts'
import { memoryDatabase } from '../../src/sessions/memory-database.ts'
import { localOwnership } from '../../src/sessions/ownership.ts'
import type { NewSession, Store } from '../../src/sessions/store.ts'
import {
  allEvents,
  changeOf,
  claimed,
  messagesChange,
  runRecord,
  runStarted,
  sessionRecord,
  userMessage,
} from './fixtures.ts'

// What only shows from below the store: what a transaction costs, and what a death between two of them leaves.

interface Cost {
  mode: string
  reads: number
  records: number
  writes: number
}

/** Counts what each transaction does. */
function counting(database: Database, costs: Cost[]): Database {
  return {
    ...database,
    transact: (mode, work, durability) =>
      database.transact(
        mode,
        (tx) => {
          const cost: Cost = { mode, reads: 0, records: 0, writes: 0 }
          costs.push(cost)
          const read = async <T>(result: Promise<T>): Promise<T> => {
            cost.reads++
            const value = await result
            cost.records += Array.isArray(value) ? value.length : 1
            return value
          }
          const write =
            <A extends unknown[]>(method: (...args: A) => void) =>
            (...args: A) => {
              cost.writes++
              method(...args)
            }
          const counted: Transaction = {
            get: (key) => read(tx.get(key)),
            getAll: (range, limit) => read(tx.getAll(range, limit)),
            getLast: (range) => read(tx.getLast(range)),
            put: write(tx.put),
            delete: write(tx.delete),
            deleteRange: write(tx.deleteRange),
          }
          return work(counted)
        },
        durability,
      ),
  }
}

/** Lets some transactions that write through, then waits for `gate` before each one. */
function gated(database: Database, free: number, gate: Promise<void>): Database {
  let left = free
  return {
    ...database,
    transact: async (mode, work, durability) => {
      if (mode === 'readwrite' && left-- <= 0) await gate
      return database.transact(mode, work, durability)
    },
  }
}

const over = (database: Database, ownership = localOwnership()) => createStore(database, ownership, () => 1)

/** Three runs with calls, and messages for several steps of a deletion. */
async function fill(store: Store, sessionId: string) {
  const claim = await claimed(store, sessionId)
  const fillRun = (runId: string, status: 'running' | 'completed', messageCount: number) =>
    changeOf(claim, {
      events: [runStarted(runId)],
      run: runRecord(sessionId, runId, { status }),
      calls: [{ v: 1, runId, toolCallId: 'c', toolName: 't', input: {}, state: 'started', startedAt: 1 }],
      session: sessionRecord(sessionId, { messageCount, run: { runId, status } }),
    })
  await store.commit(fillRun('run 1', 'completed', 0))
  for (let from = 0; from < 1100; from += 5) await store.commit(messagesChange(claim, from, from + 4))
  await store.commit(fillRun('run 2', 'running', 1100))
  await store.commit(fillRun('run 3', 'running', 1100))
  claim.release()
}

const everything = (database: Database) =>
  database.transact('readonly', (tx) => tx.getAll({ from: [], before: [[]] }, Number.POSITIVE_INFINITY))

describe('cost', () => {
  test('of a commit is the same at message 10 and at message 2,000, and it scans nothing', async () => {
    const costs: Cost[] = []
    const store = over(counting(memoryDatabase(), costs))
    const claim = await claimed(store, 's')
    await store.commit(messagesChange(claim, 0, 9))
    costs.length = 0
    await store.commit(messagesChange(claim, 10, 10))
    await store.commit(messagesChange(claim, 11, 1999))
    await store.commit(messagesChange(claim, 2000, 2000))
    expect(costs[0]).toEqual({ mode: 'readwrite', reads: 2, records: 2, writes: 3 })
    expect(costs[2]).toEqual(costs[0])
  })

  test('of a reading transaction stays within 500 records', async () => {
    const costs: Cost[] = []
    const store = over(counting(memoryDatabase(), costs))
    await fill(store, 's')
    for (let i = 0; i < 60; i++) {
      const claim = await claimed(store, `s${i}`)
      await store.commit(changeOf(claim, { run: runRecord(`s${i}`, `r${i}`) }))
      for (let n = 0; n < 20; n++) await store.say(`s${i}`, 'run', { type: 'stop', after: 'now' })
    }
    costs.length = 0
    expect(await store.readMessages('s', {})).toHaveLength(1100)
    expect(await store.listSessions({ limit: 1000 })).toHaveLength(61)
    expect(await allEvents(store, 's')).toHaveLength(1103)
    expect(await store.readActiveRuns()).toHaveLength(62)
    await store.deleteSession('s')
    expect(Math.max(...costs.map(({ records }) => records))).toBeLessThanOrEqual(500)
  })

  test('of reading what is to be seen counts nothing of what is hidden', async () => {
    const costs: Cost[] = []
    const store = over(counting(memoryDatabase(), costs))
    const claim = await claimed(store, 's')
    const session = sessionRecord('s', {
      messageCount: 2000,
      hidden: [
        [100, 700],
        [900, 1990],
      ],
    })
    await store.commit(messagesChange(claim, 0, 1999, { session }))
    costs.length = 0
    expect(await store.readMessages('s', {})).toHaveLength(310)
    expect((await store.readSession('s', { messages: 20 }))?.messages).toHaveLength(20)
    expect(costs.map(({ records }) => records)).toEqual([1, 310, expect.any(Number)])
    expect(costs[2]?.records).toBeLessThan(30)
    costs.length = 0
    expect(await store.readMessages('s', { hidden: true })).toHaveLength(2000)
    expect(costs.map(({ records }) => records)).toEqual([1, 500, 500, 500, 500])
  })
})

describe('a deletion that stopped half-way', () => {
  const never = new Promise<void>(() => {})

  test.each([1, 2, 3, 4])(
    'after %i transactions leaves nothing that can be seen, and a later session starts clean',
    async (steps) => {
      const database = memoryDatabase()
      const ownership = localOwnership()
      const store = over(database, ownership)
      await fill(store, 's')
      void over(gated(database, steps, never), ownership).deleteSession('s')
      await expect.poll(() => store.readSession('s', { messages: 1 })).toBeUndefined()

      expect(await store.readMessages('s', {})).toEqual([])
      expect(await store.readEvents('s', { since: 0 })).toMatchObject({ events: [], end: true })
      expect(await store.listSessions({ limit: 10 })).toEqual([])
      expect(await store.readActiveRuns()).toEqual([])
      for (const runId of ['run 1', 'run 2', 'run 3']) {
        expect(await store.readRun(runId)).toBeUndefined()
        expect(await store.readCalls(runId)).toEqual([])
      }

      const claim = await claimed(store, 's')
      await store.commit(messagesChange(claim, 0, 0))
      expect(await store.readSession('s', { messages: 10 })).toMatchObject({
        session: { seq: 1 },
        messages: [userMessage(0)],
      })
      expect(await store.readMessages('s', {})).toHaveLength(1)
      expect(await allEvents(store, 's')).toHaveLength(1)
      expect(await store.readRun('run 1')).toBeUndefined()
      // epoch, owner, session, recent, message, events
      expect(await everything(database)).toHaveLength(6)
    },
  )

  test('is finished by the owner of any other session, and by the next deletion', async () => {
    for (const finish of [
      async (store: Store) => claimed(store, 'other'),
      async (store: Store) => store.deleteSession('other'),
    ]) {
      const database = memoryDatabase()
      await fill(over(database), 's')
      void over(gated(database, 1, never)).deleteSession('s')
      const store = over(database)
      await expect.poll(() => store.readSession('s', { messages: 1 })).toBeUndefined()
      await finish(store)
      await expect.poll(async () => (await everything(database)).length).toBeLessThanOrEqual(2)
    }
  })

  test('and goes on late takes nothing from a session that was made anew', async () => {
    const database = memoryDatabase()
    const ownership = localOwnership()
    const store = over(database, ownership)
    await fill(store, 's')
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const deleting = over(gated(database, 2, gate), ownership).deleteSession('s')
    await expect.poll(() => store.readSession('s', { messages: 1 })).toBeUndefined()
    const claim = await claimed(store, 's')
    await store.commit(messagesChange(claim, 0, 9, { run: runRecord('s', 'new') }))
    open()
    await deleting
    expect(await store.readMessages('s', {})).toHaveLength(10)
    expect(await allEvents(store, 's')).toHaveLength(10)
    expect(await store.readRun('new')).toBeDefined()
    expect(await store.commit(messagesChange(claim, 10, 10))).toEqual({ seq: 11 })
  })
})

describe('a session that comes whole, whose writer dies on the way', () => {
  const made = (id: string): NewSession => ({
    session: sessionRecord(id, { messageCount: 250, updatedAt: 5 }),
    settings: { v: 1, title: 'Mine' },
    state: { v: 1, value: 1 },
    messages: Array.from({ length: 250 }, (_, index) => userMessage(index)),
    summaries: [{ v: 1, n: 1, at: 1, text: 'All', before: 1, covers: 1 }],
    blobs: [{ v: 1, blobId: 'b', mediaType: 'a/b', data: new Blob(['x']) }],
  })
  const never = new Promise<void>(() => {})

  // The mark, three steps of messages, one of summaries, one of blobs; the seventh would make it seen.
  test.each([1, 2, 4, 5, 6])(
    'after %i steps, is never seen, and swept by the next owner of any session',
    async (steps) => {
      const database = memoryDatabase()
      const store = over(database)
      void over(gated(database, steps, never)).createSession(made('s'))
      const ofSession = async () => (await everything(database)).length
      await expect.poll(ofSession).toBeGreaterThan(0)
      for (let before = -1; before !== (await ofSession()); ) before = await ofSession()
      expect(await store.readSession('s', { messages: 1 })).toBeUndefined()
      expect(await store.listSessions({ limit: 10 })).toEqual([])
      await claimed(store, 'other')
      // The epoch and the owner of the other one.
      await expect.poll(ofSession).toBe(2)
    },
  )

  test('is left alone by others while it is being written', async () => {
    const database = memoryDatabase()
    const ownership = localOwnership()
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const making = over(gated(database, 3, gate), ownership).createSession(made('s'))
    const store = over(database, ownership)
    await claimed(store, 'other')
    await store.deleteSession('other')
    open()
    await making
    expect(await store.readMessages('s', {})).toHaveLength(250)
  })

  test('and goes on late finds that it was swept', async () => {
    const database = memoryDatabase()
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const making = over(gated(database, 3, gate)).createSession(made('s'))
    making.catch(() => {})
    await expect.poll(async () => (await everything(database)).length).toBeGreaterThan(200)
    // Its lock was taken from it meanwhile: this one has locks of its own.
    const store = over(database)
    await claimed(store, 'other')
    await expect.poll(async () => (await everything(database)).length).toBe(2)
    open()
    await expect(making).rejects.toMatchObject({ code: 'ownership-lost' })
    expect(await everything(database)).toHaveLength(2)
  })
})
