import type { StorageStatus } from './storage-status.ts'

// What the store's logic needs of a database; `createStore` is written once over this.

declare const type: unique symbol

export type KeyElement = string | number | readonly []

/**
 * An array key. Keys compare as in IndexedDB: element by element, numbers before strings (by UTF-16 code unit) before
 * arrays, a prefix before what it begins. `T` is the type of the value stored there.
 */
export type Key<T = unknown> = readonly KeyElement[] & { readonly [type]?: T }

/** Keys with `from <= key < before`. */
export interface Range<T = unknown> {
  readonly from: Key
  readonly before: Key
  readonly [type]?: T
}

export type Durability = 'strict' | 'relaxed'

export interface Transaction {
  get<T>(key: Key<T>): Promise<T | undefined>
  /** Ascending, at most `limit`. */
  getAll<T>(range: Range<T>, limit: number): Promise<T[]>
  getLast<T>(range: Range<T>): Promise<T | undefined>
  /** Takes a structured clone; throws `DataCloneError` where there is none. */
  put<T>(key: Key<T>, value: T): void
  delete(key: Key): void
  deleteRange(range: Range): void
}

/**
 * A piece of work inside a transaction. It awaits nothing but the transaction's own reads. It is done once more where the
 * connection was lost under it, and then nobody knows whether the first time was committed.
 */
export type Work<T> = (transaction: Transaction) => Promise<T>

export interface Database {
  /** Whole or not at all: where `work` throws, nothing of it is kept. Writing ones run one after the other. */
  transact<T>(mode: 'readonly' | 'readwrite', work: Work<T>, durability?: Durability): Promise<T>
  /** What the browser says of the room for it. */
  status(): Promise<StorageStatus>
  close(): void
}
