import type { Engine } from './engine.ts'

/**
 * Waits for something in the store: looks now and after every change of the session, and resolves with what `look` finds.
 * Rejects with what it throws, with the reason of `signal`, and with `closed` where the runtime is closed.
 */
export async function until<T>(
  engine: Engine,
  sessionId: string,
  look: () => Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T> {
  const { closing } = engine.conductor
  const ended = signal ? AbortSignal.any([closing, signal]) : closing
  // What others commit is followed, so that listeners have heard of it before this resolves.
  const live = engine.hold(sessionId)
  let leave = () => {}
  try {
    return await new Promise<T>((resolve, reject) => {
      let looking = false
      let again = true
      const lookAgain = async () => {
        again = true
        if (looking) return
        looking = true
        try {
          while (again && !ended.aborted) {
            again = false
            const found = await live.exclusive(look)
            if (found !== undefined) return resolve(found)
          }
        } catch (error) {
          reject(error)
        } finally {
          looking = false
        }
      }
      const abort = () => reject(ended.reason)
      if (ended.aborted) return abort()
      ended.addEventListener('abort', abort, { once: true })
      const unwatch = engine.env.store.watch((change) => {
        if (change.sessionId === sessionId && changes.has(change.type)) void lookAgain()
      })
      leave = () => {
        unwatch()
        ended.removeEventListener('abort', abort)
      }
      void live.exclusive(() => engine.follow(live)).then(lookAgain, reject)
    })
  } finally {
    leave()
    engine.release(live)
  }
}

/** Words that say that the store has something new. */
const changes: ReadonlySet<string> = new Set(['committed', 'said', 'deleted'])
