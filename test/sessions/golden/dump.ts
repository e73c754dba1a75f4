/** A database, key by key. Its values are JSON but for `undefined`, which stands as `{ "$undefined": true }`. */
export interface Dump {
  /** The database's version. */
  readonly version: number
  readonly entries: readonly (readonly [key: readonly unknown[], value: unknown])[]
}

const objectStore = 'turnloop'

const settled = <T>(request: IDBRequest<T>) =>
  new Promise<T>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** Everything that the database holds. */
export async function dump(name: string): Promise<Dump> {
  const db = await settled(indexedDB.open(name))
  try {
    const store = db.transaction(objectStore).objectStore(objectStore)
    const [keys, values] = await Promise.all([settled(store.getAllKeys()), settled(store.getAll())])
    const entries = keys.map((key, i) => [key as unknown[], replaceUndefined(values[i])] as const)
    return { version: db.version, entries }
  } finally {
    db.close()
  }
}

/** Makes the database that `dump` read. */
export async function load(name: string, { version, entries }: Dump): Promise<void> {
  const request = indexedDB.open(name, version)
  request.onupgradeneeded = () => {
    const store = request.result.createObjectStore(objectStore)
    for (const [key, value] of entries) store.put(restoreUndefined(value), key as IDBValidKey)
  }
  const db = await settled(request)
  db.close()
}

const replaceUndefined = (value: unknown): unknown =>
  value === undefined ? { $undefined: true } : mapValues(value, replaceUndefined)

const restoreUndefined = (value: unknown): unknown =>
  isUndefinedMark(value) ? undefined : mapValues(value, restoreUndefined)

const isUndefinedMark = (value: unknown) => typeof value === 'object' && value !== null && '$undefined' in value

function mapValues(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, change(own)]))
}
