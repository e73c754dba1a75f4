import { AgentError } from '../errors.ts'
import type { StoreChange } from './store.ts'

// Who may advance a session, and how owners hear of each other. The lock only says whose turn it is: the epoch that is
// checked in every commit is what keeps a stale owner out.

export interface Lock {
  /** Aborts when somebody took the lock away. */
  readonly lost: AbortSignal
  /** Idempotent. */
  release(): void
}

export interface LockOptions {
  /** Ends the waiting; the request rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Gives `undefined` instead of waiting for the holder. */
  readonly ifAvailable?: boolean | undefined
}

export interface Ownership {
  lock(sessionId: string, options: LockOptions): Promise<Lock | undefined>
  /** Tells the other stores on the same database. Never throws. */
  ping(change: StoreChange): void
  /** Hears the others' pings. Returns its undo. */
  listen(listener: (change: StoreChange) => void): () => void
  /** Releases every lock; requests that wait reject with `closed`. */
  close(): void
}

export const closedError = () => new AgentError('closed', 'The store was closed: make a new one')

/**
 * A page that is frozen in the back/forward cache still holds its locks, and only a real request evicts it (measured: 4–8
 * ms in Chromium). So a lock counts as held once a request has waited this long, in milliseconds.
 */
const patience = 100

/** For one store in one thread. Locks are granted in the order of the requests. */
export function localOwnership(): Ownership {
  // Present while the lock is held; the functions grant it to those who wait.
  const queues = new Map<string, (() => void)[]>()
  const closing = new AbortController()

  return {
    lock: (sessionId, { signal, ifAvailable }) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const release = () => {
          const next = queues.get(sessionId)?.shift()
          if (next) next()
          else queues.delete(sessionId)
        }
        const grant = () => {
          signal?.removeEventListener('abort', abort)
          closing.signal.removeEventListener('abort', close)
          resolve({ lost: new AbortController().signal, release: once(release) })
        }
        const leave = (reason: unknown) => {
          const queue = queues.get(sessionId)
          queue?.splice(queue.indexOf(grant), 1)
          signal?.removeEventListener('abort', abort)
          reject(reason)
        }
        const abort = () => leave(signal?.reason)
        const close = () => leave(closedError())

        const queue = queues.get(sessionId)
        if (!queue) {
          queues.set(sessionId, [])
          return grant()
        }
        if (ifAvailable) return resolve(undefined)
        queue.push(grant)
        signal?.addEventListener('abort', abort)
        closing.signal.addEventListener('abort', close)
      }),
    ping: () => {},
    listen: () => () => {},
    close: () => {
      closing.abort()
      queues.clear()
    },
  }
}

/** For all threads and tabs of an origin: Web Locks, and a BroadcastChannel for pings. */
export function webOwnership(database: string): Ownership {
  const prefix = `turnloop:${escapeName(database, /[%:]|\p{Surrogate}/gu)}`
  const held = new Set<() => void>()
  const closing = new AbortController()
  let channel: BroadcastChannel | undefined
  const open = () => {
    // Without channels nobody is told in time, but nothing is written wrongly.
    if (closing.signal.aborted || typeof BroadcastChannel !== 'function') return undefined
    channel ??= new BroadcastChannel(prefix)
    return channel
  }

  const lock = (sessionId: string, { signal, ifAvailable }: LockOptions) =>
    new Promise<Lock | undefined>((resolve, reject) => {
      assertLocks()
      if (signal?.aborted) return reject(signal.reason)
      const waiting = new AbortController()
      const abort = () => waiting.abort()
      const timer = ifAvailable ? setTimeout(abort, patience) : undefined
      signal?.addEventListener('abort', abort)
      closing.signal.addEventListener('abort', abort)
      const stopWaiting = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        closing.signal.removeEventListener('abort', abort)
      }

      let lost: AbortController | undefined
      let release = () => {}
      const hold = () =>
        new Promise<void>((end) => {
          stopWaiting()
          lost = new AbortController()
          release = once(() => {
            held.delete(release)
            end()
          })
          held.add(release)
          resolve({ lost: lost.signal, release })
        })
      const refused = (error: unknown) => {
        stopWaiting()
        if (lost) {
          if (held.delete(release)) lost.abort(new AgentError('ownership-lost', 'Another owner took over the session'))
        } else if (signal?.aborted) reject(signal.reason)
        else if (closing.signal.aborted) reject(closedError())
        else if (waiting.signal.aborted) resolve(undefined)
        else reject(unavailable('Web Locks refused the request', error))
      }
      // Escaped, so that different sessions have different locks: engines turn lone surrogates into one character.
      const name = `${prefix}:${escapeName(sessionId, /%|\p{Surrogate}/gu)}`
      navigator.locks.request(name, { signal: waiting.signal }, hold).catch(refused)
    })

  return {
    lock,
    ping: (change) => open()?.postMessage(change),
    listen: (listener) => {
      const port = open()
      const hear = ({ data }: MessageEvent) => {
        if (isStoreChange(data)) listener(data)
      }
      port?.addEventListener('message', hear)
      return () => port?.removeEventListener('message', hear)
    },
    close: () => {
      closing.abort()
      for (const release of [...held]) release()
      channel?.close()
    },
  }
}

/** Throws where there are no Web Locks: two tabs could then advance the same session. */
export function assertLocks(): void {
  if (globalThis.navigator?.locks) return
  throw unavailable('There are no Web Locks here: they need https or localhost')
}

export const unavailable = (problem: string, cause?: unknown) =>
  new AgentError('storage-unavailable', `${problem}. To keep sessions in memory only, pass { store: memoryStore() }`, {
    ...(cause !== undefined && { cause }),
  })

const changes: ReadonlySet<unknown> = new Set<StoreChange['type']>(['committed', 'said', 'settings', 'deleted'])

/** Any script of the origin can post to the channel. */
function isStoreChange(data: unknown): data is StoreChange {
  if (typeof data !== 'object' || data === null) return false
  const { type, sessionId, seq, status } = data as Record<string, unknown>
  if (!changes.has(type) || typeof sessionId !== 'string') return false
  return type !== 'committed' || (typeof seq === 'number' && (status === undefined || typeof status === 'string'))
}

const escapeName = (name: string, pattern: RegExp) =>
  name.replace(pattern, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}
