import type { Store } from 'turnloop/runtime'

/** A span of time in which one of the store's methods was at work, in milliseconds of `performance.now()`. */
export interface Span {
  readonly method: keyof Store
  readonly begin: number
  readonly end: number
  /** A commit's turn; 0 for the one that starts the session's first run. */
  readonly turn?: number
}

/** The store, each call of it noted in `spans`. */
export function measuredStore(store: Store, spans: Span[]): Store {
  const measured = Object.entries(store).map(([name, method]) => {
    const around = (...args: unknown[]) => {
      const begin = performance.now()
      const result: unknown = (method as (...args: unknown[]) => unknown).apply(store, args)
      if (!(result instanceof Promise)) return result
      const turn = name === 'commit' ? (args as Parameters<Store['commit']>)[0].session.turn : undefined
      return result.finally(() => {
        spans.push({ method: name as keyof Store, begin, end: performance.now(), ...(turn !== undefined && { turn }) })
      })
    }
    return [name, around]
  })
  return Object.fromEntries(measured) as Store
}

/** Milliseconds in which at least one of them was going on. */
export function unionOf(spans: readonly Span[]): number {
  let total = 0
  let until = Number.NEGATIVE_INFINITY
  for (const { begin, end } of spans.toSorted((a, b) => a.begin - b.begin)) {
    total += Math.max(0, end - Math.max(begin, until))
    until = Math.max(until, end)
  }
  return total
}
