import type { Database, Key, KeyElement, Range, Transaction } from './database.ts'

interface Entry {
  readonly key: Key
  readonly value: unknown
}

/** Sorted by key. Clones on the way in and out, so that nobody can change what is stored. */
export function memoryDatabase(): Database {
  const entries: Entry[] = []
  let undo: (() => void)[] = []

  /** Where the first entry stands that is not before `key`. */
  const find = (key: Key) => {
    let low = 0
    let high = entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKeys((entries[middle] as Entry).key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
  const has = (at: number, key: Key) => {
    const entry = entries[at]
    return entry !== undefined && compareKeys(entry.key, key) === 0
  }
  const replace = (at: number, count: number, ...added: Entry[]) => {
    const removed = entries.splice(at, count, ...added)
    undo.push(() => entries.splice(at, added.length, ...removed))
  }
  const cloneAt = <T>(at: number) => structuredClone(entries[at]?.value) as T

  const transaction: Transaction = {
    get: async <T>(key: Key<T>) => {
      const at = find(key)
      return has(at, key) ? cloneAt<T>(at) : undefined
    },
    getAll: async <T>({ from, before }: Range<T>, limit: number) => {
      const first = find(from)
      const length = Math.max(0, Math.min(limit, find(before) - first))
      return Array.from({ length }, (_, i) => cloneAt<T>(first + i))
    },
    getLast: async <T>({ from, before }: Range<T>) => {
      const at = find(before) - 1
      return at >= find(from) ? cloneAt<T>(at) : undefined
    },
    put: (key, value) => {
      const at = find(key)
      replace(at, has(at, key) ? 1 : 0, { key, value: structuredClone(value) })
    },
    delete: (key) => {
      const at = find(key)
      if (has(at, key)) replace(at, 1)
    },
    deleteRange: ({ from, before }) => {
      const first = find(from)
      replace(first, Math.max(0, find(before) - first))
    },
  }

  let last: Promise<unknown> = Promise.resolve()
  return {
    transact: (_mode, work) => {
      const result = last.then(async () => {
        undo = []
        try {
          return await work(transaction)
        } catch (error) {
          for (const step of undo.reverse()) step()
          throw error
        }
      })
      last = result.catch(() => {})
      return result
    },
    // It ends with the page, whatever the browser thinks of the rest.
    status: async () => ({ persisted: false }),
    close: () => {},
  }
}

const rank = (element: KeyElement) => (typeof element === 'number' ? 0 : typeof element === 'string' ? 1 : 2)

function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a[i] as KeyElement
    const y = b[i] as KeyElement
    if (x === y) continue
    const order = rank(x) - rank(y)
    if (order !== 0) return order
    if (x < y) return -1
    if (x > y) return 1
  }
  return a.length - b.length
}
