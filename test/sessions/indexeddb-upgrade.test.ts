import { createRuntime, defineAgent, indexedDbStore, type Store, tool } from 'turnloop/runtime'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { schemaVersion } from '../../src/sessions/migrations.ts'
import { manualModel } from '../runtime/manual-model.ts'
import { record } from '../runtime/record.ts'
import { allEvents, changeOf, claimed, messagesChange } from './fixtures.ts'
import { dump } from './golden/dump.ts'

// A tab with a later version of turnloop wants the database, and this tab's code is the older one.

let name: string
const stores: Store[] = []
const connections: IDBDatabase[] = []
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
  await Promise.all(stores.splice(0).map((store) => store.close()))
  for (const db of connections.splice(0)) db.close()
  indexedDB.deleteDatabase(name)
})

const outdated = { name: 'AgentError', code: 'storage-outdated', message: expect.stringContaining('reload') }
const nextVersion = schemaVersion + 1

/** What a later version does, over a connection of its own; resolves once it has the database. */
function upgrade(version = nextVersion) {
  const begun = performance.now()
  return new Promise<{ readonly took: number }>((resolve, reject) => {
    const request = indexedDB.open(name, version)
    request.onupgradeneeded = () => {
      request.transaction?.objectStore('turnloop').put({ version, id: 'later' }, ['meta', 'schema'])
    }
    request.onblocked = () => reject(new Error('The upgrade was held up'))
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      connections.push(request.result)
      resolve({ took: performance.now() - begun })
    }
  })
}

describe('a tab that another one upgrades under', () => {
  test('yields within a second while it is idle, and every later call asks for a reload', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    await store.commit(messagesChange(claim, 0, 0))
    expect((await upgrade()).took).toBeLessThan(1000)
    const before = await dump(name)
    const calls: Record<string, () => Promise<unknown>> = {
      claim: () => store.claim('other'),
      commit: () => store.commit(changeOf(claim)),
      say: () => store.say('s', 'run', { type: 'stop', after: 'now' }),
      withdraw: () => store.withdraw('s', 'run'),
      readInbox: () => store.readInbox('s'),
      changeSettings: () => store.changeSettings('s', { title: 'Mine' }),
      deleteSession: () => store.deleteSession('s'),
      readSession: () => store.readSession('s', { messages: 1 }),
      readMessages: () => store.readMessages('s', {}),
      readEvents: () => store.readEvents('s', { since: 0 }),
      readRun: () => store.readRun('run'),
      readCalls: () => store.readCalls('run'),
      readActiveRuns: () => store.readActiveRuns(),
      listSessions: () => store.listSessions({ limit: 1 }),
    }
    for (const [method, call] of Object.entries(calls)) await expect(call(), method).rejects.toMatchObject(outdated)
    expect(await dump(name)).toEqual(before)
  })

  test('yields in the midst of its own transactions, and what it acknowledged of them is there', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    const written: number[] = []
    const begun: Promise<void>[] = []
    for (let index = 0; index < 40; index++) {
      const commit = store.commit({ ...messagesChange(claim, index, index), durability: 'strict' })
      begun.push(
        commit.then(
          () => void written.push(index),
          (error) => expect(error).toMatchObject(outdated),
        ),
      )
      if (index !== 20) continue
      await begun[0]
      begun.push(upgrade().then(({ took }) => expect(took).toBeLessThan(1000)))
    }
    await Promise.all(begun)
    const messages = (await dump(name)).entries.filter(([[kind]]) => kind === 'message')
    expect(messages.map(([key]) => key[2])).toEqual(written)
    expect(written.length).toBeGreaterThan(0)
  })

  test('yields while it opens', async () => {
    await open().listSessions({ limit: 1 })
    // The database is busy until the other tab's wish is there, so that the one that opens can't look into it before.
    const busy = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open(name)
      request.onsuccess = () => resolve(request.result)
    })
    const records = busy.transaction('turnloop', 'readwrite').objectStore('turnloop')
    let wanted = false
    const work = () => {
      if (!wanted) records.count().onsuccess = work
    }
    work()
    busy.onversionchange = () => {
      wanted = true
      busy.close()
    }
    const original = IDBDatabase.prototype.transaction
    let upgraded: ReturnType<typeof upgrade> | undefined
    vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
      upgraded ??= upgrade()
      return original.apply(this, args)
    })
    await expect(open().listSessions({ limit: 1 })).rejects.toMatchObject(outdated)
    expect((await upgraded)?.took).toBeLessThan(1000)
  })

  test('goes on where the other tab gave its upgrade up', async () => {
    const store = open()
    const claim = await claimed(store, 's')
    await new Promise((resolve) => {
      const request = indexedDB.open(name, nextVersion)
      request.onupgradeneeded = () => request.transaction?.abort()
      request.onerror = resolve
    })
    expect(await store.commit(messagesChange(claim, 0, 0))).toEqual({ seq: 1 })
    expect(await allEvents(store, 's')).toHaveLength(1)
  })

  test('yields while a run is under way, which is released, and no further tool starts', async () => {
    const model = manualModel()
    const worked = vi.fn(() => 'done')
    const work = tool({ inputSchema: z.object({}), execute: worked })
    const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools: { work } }), { store: open() })
    const session = runtime.session('trip')
    const heard = record(session)
    const list = runtime.sessions.view()
    const run = session.send('Work')
    const call = await model.next()
    call.text('I will.')
    await heard.when('text-delta')

    expect((await upgrade()).took).toBeLessThan(1000)
    const before = await dump(name)
    call.toolCall('work', {}, 'one')
    call.finish('tool-calls')
    await expect(run.result).rejects.toMatchObject(outdated)
    expect(heard.of('run-released')).toMatchObject([{ runId: run.runId, error: { code: 'storage-outdated' } }])
    expect(heard.kinds().at(-1)).toBe('run-released')
    expect(worked).not.toHaveBeenCalled()
    expect(await dump(name)).toEqual(before)

    await expect(session.send('Again').result).rejects.toMatchObject(outdated)
    await expect(runtime.sessions.list()).rejects.toMatchObject(outdated)
    await expect(list.ready).rejects.toMatchObject(outdated)
    await expect(runtime.session('trip').view.ready).rejects.toMatchObject(outdated)
    // The later version's tab can take the session over at once.
    const locked = await navigator.locks.request(
      `turnloop:${name}:trip`,
      { ifAvailable: true },
      (lock) => lock !== null,
    )
    expect(locked).toBe(true)
  })
})

describe('a database that a later version wrote', () => {
  test.each([nextVersion, 100])('is refused where its version is %i, and left untouched', async (version) => {
    const store = open()
    const claim = await claimed(store, 's')
    await store.commit(messagesChange(claim, 0, 2))
    await store.close()
    await upgrade(version)
    for (const db of connections.splice(0)) db.close()
    const before = await dump(name)
    expect(before.version).toBe(version)

    const late = open()
    for (const call of [
      () => late.listSessions({ limit: 1 }),
      () => late.claim('s'),
      () => late.say('s', 'run', { type: 'stop', after: 'now' }),
      () => late.deleteSession('s'),
    ]) {
      await expect(call()).rejects.toMatchObject(outdated)
    }
    expect(await dump(name)).toEqual(before)
  })
})
