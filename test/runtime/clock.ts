import { expect } from 'vitest'

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** A clock for `createRuntime`'s `now` and `sleep` that stands still until it is advanced. */
export function manualClock(start = Date.UTC(2026, 0, 15, 12)) {
  let time = start
  const sleepers = new Set<Sleeper>()
  return {
    now: () => time,
    sleep: (milliseconds: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper: Sleeper = {
          until: time + milliseconds,
          wake: () => {
            sleepers.delete(sleeper)
            resolve()
          },
        }
        const abort = () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        }
        if (signal.aborted) return abort()
        signal.addEventListener('abort', abort, { once: true })
        sleepers.add(sleeper)
      }),
    /** Time goes on, and wakes who sleeps until then. */
    advance(milliseconds: number) {
      time += milliseconds
      for (const sleeper of [...sleepers].sort((a, b) => a.until - b.until)) if (sleeper.until <= time) sleeper.wake()
    },
    /** Resolves once somebody sleeps; gives the milliseconds that the first to wake has left. */
    async asleep(): Promise<number> {
      await expect.poll(() => sleepers.size).toBeGreaterThan(0)
      return Math.min(...[...sleepers].map(({ until }) => until)) - time
    },
  }
}
