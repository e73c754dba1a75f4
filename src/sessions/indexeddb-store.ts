import { promisifyRequest, type UseStore } from 'idb-keyval'
import { newId } from '../new-id.ts'
import { createStore } from './create-store.ts'
import type { Database, Durability, Key, Range, Transaction } from './database.ts'
import { migrate, type Schema, schemaKey, schemaVersion } from './migrations.ts'
import { assertLocks, closedError, unavailable, webOwnership } from './ownership.ts'
import {
  isFinal,
  isNamed,
  isOwn,
  LostConnection,
  lostError,
  notRestoredError,
  outdatedError,
  toStorageError,
} from './storage-errors.ts'
import { storageStatus } from './storage-status.ts'
import type { Store } from './store.ts'

/**
 * Keeps sessions in the browser's IndexedDB, for all tabs of the origin. Opens nothing before its first use; without
 * IndexedDB or Web Locks every method rejects with `storage-unavailable`. `name` is the database's.
 */
export function indexedDbStore({
  name = 'turnloop',
  now = () => Date.now(),
}: {
  readonly name?: string
  readonly now?: () => number
} = {}): Store {
  return createStore(indexedDatabase(name), webOwnership(name), now)
}

const objectStore = 'turnloop'

/** WebKit has had releases in which opening never answered. Milliseconds. */
const openTimeout = 5000

function indexedDatabase(name: string): Database {
  let opening: Promise<IDBDatabase> | undefined
  let current: IDBDatabase | undefined
  /** The schema's id, once this page has seen it: from then on its absence means loss. */
  let identity: string | undefined
  let closed = false
  /** Settles with the end of the last transaction: a read has its result before that. */
  let ended: Promise<unknown> = Promise.resolve()

  const lost = () => lostError(name)
  const foreign = () => unavailable(`The database ${JSON.stringify(name)} is not turnloop's: use another name`)

  const forget = (db: IDBDatabase) => {
    // Once: others that had it notice later, when the next connection is being opened.
    if (current === db) current = opening = undefined
    db.close()
  }

  const verify = (schema: Schema | undefined) => {
    if (schema === undefined) throw lost()
    // Whatever else stands there, later code put it.
    if (schema?.version !== schemaVersion || typeof schema.id !== 'string') throw outdatedError(name)
    if (schema.id !== (identity ?? schema.id)) throw lost()
  }

  const upgrade = async (db: IDBDatabase, transaction: IDBTransaction, from: number) => {
    // Never an empty account in place of a lost one.
    if (identity !== undefined) throw lost()
    if (from === 0) return void db.createObjectStore(objectStore)
    if (!db.objectStoreNames.contains(objectStore)) throw foreign()
    await migrate(transactionOn(transaction.objectStore(objectStore)), from)
  }

  const request = () =>
    new Promise<IDBDatabase>((resolve, reject) => {
      const open = indexedDB.open(name, schemaVersion)
      let late = false
      let blocked = false
      let failure: unknown
      const giveUp = () => {
        late = true
        if (blocked)
          reject(unavailable(`Another tab holds an older version of ${JSON.stringify(name)} open: close that tab`))
        else reject(new DOMException(`It did not answer within ${openTimeout} ms`, 'TimeoutError'))
      }
      const timer = setTimeout(giveUp, openTimeout)
      open.onblocked = () => {
        blocked = true
      }
      open.onupgradeneeded = ({ oldVersion }) => {
        const { transaction } = open
        if (!transaction) return
        // It has answered. A migration takes the time that it takes.
        clearTimeout(timer)
        transaction.onabort = () => {
          failure ??= transaction.error
        }
        const work = late ? Promise.reject(new Error('Too late')) : upgrade(open.result, transaction, oldVersion)
        work.catch((error) => {
          attemptTo(() => transaction.abort())
          failure = transaction.error ?? error
        })
      }
      const done = () => clearTimeout(timer)
      promisifyRequest(open)
        .then((db) => (late ? db.close() : resolve(db)))
        .catch((error) => reject(failure ?? error))
        .finally(done)
    })

  const open = async () => {
    const db = await request()
    db.onclose = () => forget(db)
    // Another tab upgrades or deletes the database, and waits for this.
    db.onversionchange = () => forget(db)
    try {
      if (!db.objectStoreNames.contains(objectStore)) throw identity === undefined ? foreign() : lost()
      const store = db.transaction(objectStore, 'readwrite').objectStore(objectStore)
      let schema: Schema | undefined = await promisifyRequest(store.get(schemaKey as IDBValidKey))
      if (schema === undefined && identity === undefined) {
        schema = { version: schemaVersion, id: newId() }
        store.put(schema, schemaKey as IDBValidKey)
        await promisifyRequest(store.transaction)
      }
      verify(schema)
      identity = schema?.id
    } catch (error) {
      db.close()
      throw error
    }
    current = db
    return db
  }

  const connect = async (): Promise<IDBDatabase> => {
    if (closed) throw closedError()
    assertLocks()
    if (!globalThis.indexedDB) throw unavailable('There is no IndexedDB here')
    // A lost connection is restored at the first attempt or not at all: until the page reloads, in some browsers.
    opening ??= open()
      .catch((error) => (isFinal(error) || identity !== undefined ? Promise.reject(error) : open()))
      .catch((error) => {
        opening = undefined
        throw isFinal(error) || identity === undefined ? error : notRestoredError(error)
      })
    return opening
  }

  const attempt = async <T>(
    mode: IDBTransactionMode,
    durability: Durability,
    callback: Parameters<UseStore>[1],
  ): Promise<T> => {
    const db = await connect()
    let transaction: IDBTransaction
    try {
      transaction = db.transaction(objectStore, mode, { durability })
    } catch (error) {
      throw isNamed(error, 'NotFoundError') ? lost() : new LostConnection(db, error)
    }
    const store = transaction.objectStore(objectStore)
    // Quota errors come only with the transaction's abort: no request fails.
    const complete = promisifyRequest(transaction)
    complete.catch(() => {})
    try {
      const verified = promisifyRequest<Schema | undefined>(store.get(schemaKey as IDBValidKey)).then(verify)
      const [result] = await Promise.all([callback(store), verified])
      ended = complete.catch(() => {})
      if (mode === 'readwrite') {
        attemptTo(() => transaction.commit())
        await complete
      }
      return result as T
    } catch (thrown) {
      attemptTo(() => transaction.abort())
      const error = transaction.error ?? thrown
      throw isOwn(error) ? error : new LostConnection(db, error)
    }
  }

  /**
   * One transaction at a time: where a worker is terminated that has two of them open, WebKitGTK 2.50 never lets anybody of
   * that process into the database again. The next one begins once the one before has ended.
   */
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const result = turn.then(task)
    turn = result.catch(() => {}).then(() => ended)
    return result
  }

  const useStore =
    (durability: Durability): UseStore =>
    async (mode, callback) => {
      // All who wait for a connection learn at once that there is none.
      await connect()
      return inTurn(async () => {
        try {
          return await attempt(mode, durability, callback)
        } catch (error) {
          if (!(error instanceof LostConnection)) throw error
          forget(error.db)
          return attempt(mode, durability, callback)
        }
      })
    }

  return {
    transact: async (mode, work, durability = 'relaxed') => {
      try {
        return await useStore(durability)(mode, (store) => work(transactionOn(store)))
      } catch (error) {
        throw toStorageError(error, name)
      }
    },
    status: storageStatus,
    close: () => {
      closed = true
      opening?.then((db) => db.close()).catch(() => {})
    },
  }
}

/** A transaction that has ended by itself refuses to be ended. */
function attemptTo(end: () => void): void {
  try {
    end()
  } catch {}
}

function transactionOn(store: IDBObjectStore): Transaction {
  return {
    get: (key) => promisifyRequest(store.get(key as IDBValidKey)),
    getAll: (range, limit) =>
      limit > 0 ? promisifyRequest(store.getAll(toKeyRange(range), limit)) : Promise.resolve([]),
    getLast: async (range) => (await promisifyRequest(store.openCursor(toKeyRange(range), 'prev')))?.value,
    put: (key, value) => {
      store.put(value, key as IDBValidKey)
    },
    delete: (key: Key) => {
      store.delete(key as IDBValidKey)
    },
    deleteRange: (range) => {
      store.delete(toKeyRange(range))
    },
  }
}

const toKeyRange = ({ from, before }: Range) => IDBKeyRange.bound(from, before, false, true)
