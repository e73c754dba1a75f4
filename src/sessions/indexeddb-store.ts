import { promisifyRequest, type UseStore } from 'idb-keyval'
import { AgentError } from '../errors.ts'
import { newId } from '../new-id.ts'
import { createStore } from './create-store.ts'
import type { Database, Durability, Key, Range, Transaction } from './database.ts'
import { assertLocks, closedError, unavailable, webOwnership } from './ownership.ts'
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
/** Raised with every change of the records that this code would misread. */
const schemaVersion = 1
const schemaKey = ['meta', 'schema']
/** `id` is random: after the origin was cleared, another tab may have made the database anew. */
interface Schema {
  readonly version: number
  readonly id: string
}

/** WebKit has had releases in which opening never answered. Milliseconds. */
const openTimeout = 5000

const reload = 'reload the page'

function indexedDatabase(name: string): Database {
  let opening: Promise<IDBDatabase> | undefined
  let current: IDBDatabase | undefined
  /** The schema's id, once this page has seen it: from then on its absence means loss. */
  let identity: string | undefined
  let closed = false

  const lost = () =>
    new AgentError('storage-lost', `The database ${JSON.stringify(name)} was deleted under this page: ${reload}`)
  const outdated = () =>
    new AgentError(
      'storage-outdated',
      `A newer version of turnloop wrote the database ${JSON.stringify(name)}: ${reload}`,
    )

  const forget = (db: IDBDatabase) => {
    if (current === db) opening = undefined
    db.close()
  }

  const verify = (schema: Schema | undefined) => {
    if (schema === undefined) throw lost()
    // Whatever else stands there, later code put it.
    if (schema?.version !== schemaVersion || typeof schema.id !== 'string') throw outdated()
    if (schema.id !== (identity ?? schema.id)) throw lost()
  }

  const request = () =>
    new Promise<IDBDatabase>((resolve, reject) => {
      const open = indexedDB.open(name, schemaVersion)
      let late = false
      const timer = setTimeout(() => {
        late = true
        reject(new DOMException(`IndexedDB did not open within ${openTimeout} ms`, 'TimeoutError'))
      }, openTimeout)
      open.onupgradeneeded = () => {
        // Never an empty account in place of a lost one.
        if (late || identity !== undefined) open.transaction?.abort()
        else open.result.createObjectStore(objectStore)
        if (identity !== undefined) reject(lost())
      }
      const done = () => clearTimeout(timer)
      promisifyRequest(open)
        .then((db) => (late ? db.close() : resolve(db)), reject)
        .finally(done)
    })

  const open = async () => {
    const db = await request()
    try {
      if (!db.objectStoreNames.contains(objectStore)) {
        throw identity === undefined
          ? unavailable(`The database ${JSON.stringify(name)} is not turnloop's: use another name`)
          : lost()
      }
      const store = db.transaction(objectStore, 'readwrite').objectStore(objectStore)
      let schema: Schema | undefined = await promisifyRequest(store.get(schemaKey))
      if (schema === undefined && identity === undefined) {
        schema = { version: schemaVersion, id: newId() }
        store.put(schema, schemaKey)
        await promisifyRequest(store.transaction)
      }
      verify(schema)
      identity = schema?.id
    } catch (error) {
      db.close()
      throw error
    }
    db.onclose = () => forget(db)
    // Another tab upgrades or deletes the database, and waits for this.
    db.onversionchange = () => forget(db)
    current = db
    return db
  }

  const connect = async (): Promise<IDBDatabase> => {
    if (closed) throw closedError()
    assertLocks()
    if (!globalThis.indexedDB) throw unavailable('There is no IndexedDB here')
    opening ??= open()
      .catch((error) => (isFinal(error) ? Promise.reject(error) : open()))
      .catch((error) => {
        opening = undefined
        throw error
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
      const verified = promisifyRequest<Schema | undefined>(store.get(schemaKey)).then(verify)
      const [result] = await Promise.all([callback(store), verified])
      if (mode === 'readwrite') {
        attemptTo(() => transaction.commit())
        await complete
      }
      return result as T
    } catch (thrown) {
      attemptTo(() => transaction.abort())
      const error = transaction.error ?? thrown
      // A transaction that ended for no reason of its own gives an AbortError, an UnknownError or null.
      const own =
        error instanceof Error && (!(error instanceof DOMException) || isFinal(error) || isNamed(error, ...mistakes))
      throw own ? error : new LostConnection(db, error)
    }
  }

  const useStore =
    (durability: Durability): UseStore =>
    async (mode, callback) => {
      try {
        return await attempt(mode, durability, callback)
      } catch (error) {
        if (!(error instanceof LostConnection)) throw error
        forget(error.db)
        return attempt(mode, durability, callback)
      }
    }

  return {
    transact: async (mode, work, durability = 'relaxed') => {
      try {
        return await useStore(durability)(mode, (store) => work(transactionOn(store)))
      } catch (error) {
        throw toStorageError(error)
      }
    },
    close: () => {
      closed = true
      opening?.then((db) => db.close()).catch(() => {})
    },
  }
}

/** What ended a transaction was none of its own doing; whether it was committed is unknown. */
class LostConnection extends Error {
  readonly db: IDBDatabase
  constructor(db: IDBDatabase, cause: unknown) {
    super('Lost connection', { cause })
    this.db = db
  }
}

/** A transaction that has ended by itself refuses to be ended. */
function attemptTo(end: () => void): void {
  try {
    end()
  } catch {}
}

/** Of the values and keys that were to be stored. */
const mistakes = ['DataCloneError', 'DataError']

const isNamed = (error: unknown, ...names: string[]) => error instanceof DOMException && names.includes(error.name)

/** Trying again changes nothing. */
const isFinal = (error: unknown) => error instanceof AgentError || isNamed(error, 'QuotaExceededError', 'VersionError')

function toStorageError(error: unknown): unknown {
  if (error instanceof AgentError || isNamed(error, ...mistakes)) return error
  if (isNamed(error, 'QuotaExceededError')) {
    return new AgentError(
      'storage-full',
      'The browser has no more room for this site: delete sessions, or free disk space',
      { cause: error },
    )
  }
  if (isNamed(error, 'VersionError')) {
    return new AgentError('storage-outdated', `A newer version of turnloop wrote the database: ${reload}`, {
      cause: error,
    })
  }
  if (error instanceof LostConnection) {
    const message = `The connection to IndexedDB was lost and could not be restored: ${reload}`
    return new AgentError('storage-unavailable', message, { cause: error.cause })
  }
  return unavailable(`IndexedDB could not be opened (${error instanceof Error ? error.message : String(error)})`, error)
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
