import { createStore } from './create-store.ts'
import { memoryDatabase } from './memory-database.ts'
import { localOwnership } from './ownership.ts'
import type { Store } from './store.ts'

/** Keeps sessions for as long as the store lives, for this thread only: for tests, Node, and pages without IndexedDB. */
export function memoryStore({ now = () => Date.now() }: { readonly now?: () => number } = {}): Store {
  return createStore(memoryDatabase(), localOwnership(), now)
}
