// STOPGAP by the lead, to unblock others: replace freely.
import type { View } from '../api/types.ts'
export function createView<T>({ initial, attach }: { initial: T; attach(set: (next: T | ((now: T) => T)) => void, fail: (error: unknown) => void): () => void }): View<T> {
  let now = initial
  let leave: (() => void) | undefined
  const subscribers = new Set<() => void>()
  let loaded!: (value: T) => void
  let failed!: (error: unknown) => void
  const ready = new Promise<T>((resolve, reject) => {
    loaded = resolve
    failed = reject
  })
  ready.catch(() => {})
  const start = () => {
    leave ??= attach((next) => {
      now = typeof next === 'function' ? (next as (now: T) => T)(now) : next
      loaded(now)
      for (const changed of subscribers) changed()
    }, failed)
  }
  return {
    getSnapshot: () => now,
    subscribe: (changed) => {
      subscribers.add(changed)
      start()
      return () => void subscribers.delete(changed)
    },
    get ready() {
      start()
      return ready
    },
  }
}
