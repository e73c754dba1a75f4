import { indexedDbStore } from 'turnloop/runtime'
import type { Claim, Store } from '../../src/sessions/store.ts'

type Asked = Exclude<keyof Store, 'watch' | 'announce'>
/** Stands before every method but `watch` and `announce`; `call` goes on to the store. */
export type Hook = (method: Asked, args: readonly unknown[], call: () => Promise<unknown>) => Promise<unknown>

/** A store in which the test can hold up, fail or watch every call. */
export function hooked(store: Store, hook: Hook): Store {
  return new Proxy(store, {
    get: (target, method: keyof Store) => {
      const own = target[method] as (...args: unknown[]) => Promise<unknown>
      if (method === 'watch' || method === 'announce') return own.bind(target)
      return (...args: unknown[]) => hook(method, args, () => own.apply(target, args))
    },
  })
}

/** `work` with a store in a database of its own, which goes with it. */
export async function inIndexedDb(work: (store: Store) => Promise<unknown>): Promise<void> {
  const name = crypto.randomUUID()
  const store = indexedDbStore({ name })
  await work(store)
  await store.close()
  indexedDB.deleteDatabase(name)
}

/** A door in the test's hand: who passes waits until it opens. */
export function door() {
  let open = () => {}
  let arrive = () => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  /** Resolves when somebody waits before the door. */
  const reached = new Promise<void>((resolve) => (arrive = resolve))
  /** Resolves with `value` once the door is open. */
  const pass = async <T = void>(value?: T) => {
    arrive()
    await opened
    return value as T
  }
  return { open, reached, pass }
}

export type MortalStore = Store & {
  /** The runtime on it is dead from now on: nothing answers, and its locks are free. */
  die(): void
}

/** One runtime's access to a store that others use too: closing it leaves the store open. */
export function mortal(store: Store): MortalStore {
  let dead = false
  const claims = new Set<Claim>()
  const undo = new Set<() => void>()
  const answered = (call: Promise<unknown>) =>
    new Promise<unknown>((resolve, reject) =>
      call.then(
        (value) => dead || resolve(value),
        (error) => dead || reject(error),
      ),
    )
  const access = hooked(store, (method, _, call) => {
    if (dead) return new Promise(() => {})
    if (method === 'close') return Promise.resolve()
    if (method !== 'claim') return answered(call())
    return answered(
      call().then((given) => {
        const claim = given as Claim | undefined
        if (dead) claim?.release()
        if (!claim || dead) return undefined
        claims.add(claim)
        const release = () => {
          if (claims.delete(claim)) claim.release()
        }
        return { ...claim, release }
      }),
    )
  })
  return new Proxy(access, {
    get: (target, key: keyof MortalStore) => {
      if (key === 'die') return die
      if (key === 'announce') return (word: Parameters<Store['announce']>[0]) => dead || store.announce(word)
      if (key !== 'watch') return target[key]
      return (listener: Parameters<Store['watch']>[0]) => {
        const leave = store.watch(listener)
        undo.add(leave)
        return leave
      }
    },
  }) as MortalStore
  function die() {
    dead = true
    for (const leave of undo) leave()
    for (const claim of [...claims]) claim.release()
    claims.clear()
  }
}

/** Parts of the answer that is being written, as far as they are saved. */
export const drafted = async (store: Store): Promise<number> =>
  (await store.readSession('trip', { messages: 0 }))?.draft?.message.parts.length ?? 0
