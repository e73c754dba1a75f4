import { newId } from '../new-id.ts'

// A thread that ends fires no event on the other side, and a port that it held none either. But its locks come free.

/**
 * Holds a Web Lock for as long as this thread lives, or until `signal` aborts: whoever waits for it knows of its end.
 * Gives its name once it is held; `undefined` where there are no locks.
 */
export function holdLifeline(of: 'page' | 'worker', signal?: AbortSignal): Promise<string | undefined> {
  const locks = lockManager()
  if (!locks) return Promise.resolve(undefined)
  const name = `turnloop:${of}:${newId()}`
  return new Promise((resolve) => {
    const held = () => {
      resolve(name)
      return new Promise<void>((release) => signal?.addEventListener('abort', () => release(), { once: true }))
    }
    locks.request(name, held).catch(() => resolve(undefined))
  })
}

/** Calls `ended` when the thread is gone that holds the lifeline. */
export function watchLifeline(name: string, signal: AbortSignal, ended: () => void): void {
  lockManager()
    ?.request(name, { signal }, ended)
    .catch(() => {})
}

/** Missing outside secure contexts, and in some places that are no browser. */
const lockManager = () => globalThis.navigator?.locks as LockManager | undefined
