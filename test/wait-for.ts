import { vi } from 'vitest'

/** Tries again until nothing is thrown. The bound is against hanging: a slow machine is no failure. */
export const waitFor = <T>(attempt: () => T | Promise<T>, options: { timeout?: number; interval?: number } = {}) =>
  vi.waitFor(attempt, { timeout: 10_000, ...options })
