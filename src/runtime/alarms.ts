import type { Sleep } from '../events/sleep.ts'

interface AlarmsOptions {
  readonly now: () => number
  readonly sleep: Sleep
  /** The session's wait is over. */
  readonly ring: (sessionId: string) => void
  /** Aborts when the runtime is closed. */
  readonly closing: AbortSignal
}

/** Rings when a session's wait is over. Every open runtime has the alarms of all sessions: whoever is there goes on. */
export class Alarms {
  readonly #options: AlarmsOptions
  readonly #set = new Map<string, { readonly wakeAt: number; readonly controller: AbortController }>()

  constructor(options: AlarmsOptions) {
    this.#options = options
  }

  /** Takes the place of the session's alarm; without a time there is none. */
  set(sessionId: string, wakeAt: number | undefined): void {
    const earlier = this.#set.get(sessionId)
    if (earlier?.wakeAt === wakeAt) return
    earlier?.controller.abort()
    this.#set.delete(sessionId)
    const { now, sleep, ring, closing } = this.#options
    if (wakeAt === undefined || closing.aborted) return
    const controller = new AbortController()
    this.#set.set(sessionId, { wakeAt, controller })
    const signal = AbortSignal.any([controller.signal, closing])
    sleep(Math.max(wakeAt - now(), 0), signal)
      .then(() => {
        this.#set.delete(sessionId)
        ring(sessionId)
      })
      .catch(() => {})
  }
}
