import type { Envelope } from '../events/kinds.ts'
import type { MessageRecord } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import { Mirror } from './mirror.ts'
import type { Run } from './run.ts'
import { SessionSettings } from './session-settings.ts'

/** A person's word that the lock is to be taken from whoever holds it; settles once it is, or can't be. */
export interface TakeOver {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** What names a run in its events. */
type Naming = Pick<Envelope, 'runId' | 'agent' | 'turn'>

/** What names a session's run that has not ended. */
export const namingOf = (state: SessionState | undefined): Naming | undefined =>
  state?.run && state.run.endedAt === undefined
    ? { runId: state.run.runId, agent: state.session.agent, turn: state.session.turn }
    : undefined

/** What was said in a session, for a run that goes on from there. */
export interface History {
  readonly messages: MessageRecord[]
  /** Ids of all its calls. */
  readonly usedCallIds: Set<string>
}

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
  history: (History & { readonly commitId: string }) | undefined
  /** Something may have come into the inbox since it was last read. */
  inboxChanged = true

  readonly #indexes = new Map<string, number>()
  #tail: Promise<unknown> = Promise.resolve()

  /** Tells other runtimes what is live and waits to be told: before what is committed next. */
  readonly flush: () => void
  readonly settings = new SessionSettings()
  /** The answer that another runtime writes, as far as it told of it. */
  readonly mirror = new Mirror()
  /** The highest epoch that an owner was heard with. */
  epoch = 0
  /** The lock is to be taken from whoever holds it: a person said so. */
  takeOver: TakeOver | undefined
  /** Who advances its run, as listeners here were told. */
  owner: 'here' | 'elsewhere' | 'not-responding' = 'here'
  /** The run that another runtime advances, as it was last heard of: an owner that hangs may keep the store from answering. */
  runElsewhere: Naming | undefined
  /** Ends the waiting for the lock. */
  waiting: AbortController | undefined

  constructor(id: string, flush: () => void = () => {}) {
    this.id = id
    this.flush = flush
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
