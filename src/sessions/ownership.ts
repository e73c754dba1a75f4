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
  /** Takes the lock away from its holder. */
  readonly steal?: boolean | undefined
}

export interface Ownership {
  lock(sessionId: string, options: LockOptions): Promise<Lock | undefined>
  /** Waits as `lock` does, and takes nothing: those who wait so don't wait for each other. False where it was held. */
  whenFree(sessionId: string, options: Omit<LockOptions, 'steal'>): Promise<boolean>
  /** Tells the other stores on the same database. Never throws. */
  ping(change: StoreChange): void
  /** Hears the others' pings. Returns its undo. */
  listen(listener: (change: StoreChange) => void): () => void
  /** Releases every lock; requests that wait reject with `closed`. */
  close(): void
}

interface Holder {
  readonly lost: AbortController
}

const lostError = () => new AgentError('ownership-lost', 'Another owner took over the session')

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
  const holders = new Map<string, Holder>()
  const closing = new AbortController()

  const lock = (sessionId: string, { signal, ifAvailable, steal }: LockOptions) =>
    new Promise<Lock | undefined>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const grant = () => {
        signal?.removeEventListener('abort', abort)
        closing.signal.removeEventListener('abort', close)
        const holder: Holder = { lost: new AbortController() }
        holders.set(sessionId, holder)
        const release = () => {
          if (holders.get(sessionId) !== holder) return
          holders.delete(sessionId)
          const next = queues.get(sessionId)?.shift()
          if (next) next()
          else queues.delete(sessionId)
        }
        resolve({ lost: holder.lost.signal, release: once(release) })
      }
      const leave = (reason: unknown) => {
        const queue = queues.get(sessionId)
        const at = queue?.indexOf(grant) ?? -1
        if (at >= 0) queue?.splice(at, 1)
        signal?.removeEventListener('abort', abort)
        closing.signal.removeEventListener('abort', close)
        reject(reason)
      }
      const abort = () => leave(signal?.reason)
      const close = () => leave(closedError())

      const queue = queues.get(sessionId)
      if (!queue) {
        queues.set(sessionId, [])
        return grant()
      }
      if (steal) {
        holders.get(sessionId)?.lost.abort(lostError())
        return grant()
      }
      if (ifAvailable) return resolve(undefined)
      queue.push(grant)
      signal?.addEventListener('abort', abort)
      closing.signal.addEventListener('abort', close)
    })

  return {
    lock,
    whenFree: async (sessionId, options) => {
      const held = await lock(sessionId, options)
      held?.release()
      return held !== undefined
    },
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

  /** Calls `hold` with the lock; what that gives keeps it. Resolves with `undefined` where `patience` ran out. */
  const request = <T>(
    sessionId: string,
    { signal, ifAvailable, steal }: LockOptions,
    mode: LockMode,
    begin: (resolve: (value: T) => void) => Begun,
  ) =>
    new Promise<T | undefined>((resolve, reject) => {
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

      let begun: Begun | undefined
      const hold = () => {
        stopWaiting()
        begun = begin(resolve)
        return begun.held
      }
      const refused = (error: unknown) => {
        stopWaiting()
        if (begun) begun.taken?.()
        else if (signal?.aborted) reject(signal.reason)
        else if (closing.signal.aborted) reject(closedError())
        else if (waiting.signal.aborted) resolve(undefined)
        else reject(unavailable('Web Locks refused the request', error))
      }
      // Escaped, so that different sessions have different locks: engines turn lone surrogates into one character.
      const name = `${prefix}:${escapeName(sessionId, /%|\p{Surrogate}/gu)}`
      navigator.locks.request(name, steal ? { steal } : { mode, signal: waiting.signal }, hold).catch(refused)
    })

  const lock = (sessionId: string, options: LockOptions) =>
    request<Lock>(sessionId, options, 'exclusive', (resolve) => {
      const lost = new AbortController()
      let release = () => {}
      const until = new Promise<void>((end) => {
        release = once(() => {
          held.delete(release)
          end()
        })
      })
      held.add(release)
      resolve({ lost: lost.signal, release })
      return { held: until, taken: () => held.delete(release) && lost.abort(lostError()) }
    })

  return {
    lock,
    whenFree: async (sessionId, options) => {
      const free = await request<true>(sessionId, options, 'shared', (resolve) => {
        resolve(true)
        return { held: Promise.resolve() }
      })
      return free === true
    },
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

/** A lock that was granted: it is held until `held` settles; `taken` is called where somebody stole it before. */
interface Begun {
  readonly held: Promise<void>
  readonly taken?: () => unknown
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

type Fields = Readonly<Record<string, unknown>>
const isNumber = (value: unknown) => typeof value === 'number'
const hasSpeaker = ({ from }: Fields) => typeof from === 'string'

/** Any script of the origin can post to the channel: a closed table of what is heard. */
const changes: { readonly [T in StoreChange['type']]: (fields: Fields) => boolean } = {
  committed: ({ seq, status }) => isNumber(seq) && (status === undefined || typeof status === 'string'),
  said: () => true,
  settings: () => true,
  grants: () => true,
  deleted: () => true,
  claimed: (fields) => hasSpeaker(fields) && isNumber(fields.epoch),
  listening: hasSpeaker,
  left: hasSpeaker,
  stranded: hasSpeaker,
  live: (fields) =>
    hasSpeaker(fields) && Array.isArray(fields.events) && (fields.epoch === undefined || isNumber(fields.epoch)),
}

function isStoreChange(data: unknown): data is StoreChange {
  if (typeof data !== 'object' || data === null) return false
  const fields = data as Fields
  const { type, sessionId } = fields
  return (
    typeof sessionId === 'string' &&
    typeof type === 'string' &&
    Object.hasOwn(changes, type) &&
    changes[type as StoreChange['type']](fields)
  )
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
