import type { MessageRecord } from '../sessions/records.ts'
import type { Run } from './run.ts'

/** A session that is in use here: somebody listens to it, or a run of it is under way. */
export class LiveSession {
  readonly id: string
  /** The number of the last durable event that listeners were told of. */
  seq = 0
  /** The run that this runtime advances. */
  run: Run | undefined
  /** Whether `seq` is the store's. */
  known = false
  /** Settles when nobody here advances the session, or waits for its lock, any more. */
  driving: Promise<void> | undefined
  /** This runtime holds the session's lock, and tells its listeners itself what it commits. */
  owned = false
  /** Listeners and views that hold on to it. */
  listeners = 0
  /** The history as the last owner here left it, of use for as long as the session's last commit is the same. */
  history: { readonly commitId: string; readonly messages: MessageRecord[] } | undefined
  /** Something may have come into the inbox since it was last read. */
  inboxChanged = true

  readonly #indexes = new Map<string, number>()
  #tail: Promise<unknown> = Promise.resolve()

  constructor(id: string) {
    this.id = id
  }

  /** Notes where a window begins, so that a page can ask for what is before it by the message's id alone. */
  remember(window: readonly MessageRecord[] | undefined) {
    const first = window?.find(({ role }) => role !== 'tool')
    if (first) this.#indexes.set(first.id, first.index)
  }

  indexOf(messageId: string): number | undefined {
    return this.#indexes.get(messageId)
  }

  /**
   * Runs one at a time what must not mix: a commit with the telling of its events, a listener's joining. So a listener
   * neither misses an event nor hears one twice.
   */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task)
    this.#tail = result.catch(() => {})
    return result
  }
}
