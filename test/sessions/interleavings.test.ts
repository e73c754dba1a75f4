import fc from 'fast-check'
import { describe, test, vi } from 'vitest'
import { indexedDbStore } from '../../src/sessions/indexeddb-store.ts'
import { memoryStore } from '../../src/sessions/memory-store.ts'
import type { Store } from '../../src/sessions/store.ts'
import { mortal } from '../runtime/stores.ts'
import { check, play, scripts, sessionId, type World } from './random-owners.ts'

// Whatever several owners do to one session at once, whoever of them is stale and whoever dies: what was acknowledged is
// there, in order and whole, and nothing else is.

describe('any interleaving of owners leaves what was acknowledged, and nothing else', () => {
  test('in memory', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (scripts) => {
        const store = memoryStore({ now: () => 1 })
        const world: World = {
          open: () => mortal(store),
          kill: async (access) => (access as ReturnType<typeof mortal>).die(),
        }
        await check(store, await play(world, scripts))
        await store.close()
      }),
      { numRuns: 300 },
    )
  })

  test('in IndexedDB, with stolen locks and lost connections', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (scripts) => {
        const name = crypto.randomUUID()
        const stores: Store[] = []
        const connection = loseConnections(name)
        const world: World = {
          open: () => {
            const store = indexedDbStore({ name })
            stores.push(store)
            return store
          },
          kill: (store) => store.close(),
          steal: () =>
            navigator.locks.request(`turnloop:${name}:${sessionId}`, { steal: true }, async () => {}).catch(() => {}),
          lose: connection.lose,
          losses: connection.count,
        }
        try {
          const book = await play(world, scripts)
          await check(world.open(), book)
        } finally {
          connection.restore()
          await Promise.all(stores.map((store) => store.close()))
          indexedDB.deleteDatabase(name)
        }
      }),
      { numRuns: 25, interruptAfterTimeLimit: 10_000 },
    )
  })
})

/** Ends connections at a write: before it is committed, or after that and before the page hears of it, by turns. */
function loseConnections(name: string) {
  const original = IDBDatabase.prototype.transaction
  const writes = new WeakMap<IDBDatabase, number>()
  let due = false
  let count = 0
  let committed = true
  const spy = vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
    const transaction = original.apply(this, args)
    if (this.name !== name || args[1] !== 'readwrite') return transaction
    const written = (writes.get(this) ?? 0) + 1
    writes.set(this, written)
    // The first two of a connection are its opening, and what is tried again over it: that is lost for good.
    if (!due || written < 3) return transaction
    due = false
    committed = !committed
    count++
    if (!committed) transaction.commit = () => transaction.abort()
    else {
      let abort = () => {}
      Object.defineProperty(transaction, 'oncomplete', { set: () => {} })
      Object.defineProperty(transaction, 'onabort', { set: (listener) => (abort = listener) })
      transaction.addEventListener('complete', () => abort())
    }
    return transaction
  })
  return {
    lose: () => {
      due = true
    },
    count: () => count,
    restore: () => spy.mockRestore(),
  }
}
