import type { StoredEvent } from '../events/stored.ts'
import type { CallRecord, InboxItem, MessageRecord, RunRecord, Said, SessionRecord, SettingsRecord } from './records.ts'

/**
 * Where sessions live. `memoryStore()` and `indexedDbStore()` keep this contract; one suite of tests runs over both.
 *
 * Writes of a session's owner go through `commit` alone and carry the claim's epoch; whoever holds no current claim is
 * refused with `ownership-lost`. Anybody may write the inbox and the settings, and delete a session whole.
 *
 * Every method may reject with an `AgentError` of code `storage-unavailable`, `storage-full` or `storage-lost`; nothing
 * of a rejected write is kept.
 */
export interface Store {
  /**
   * Takes the session's lock and commits a new epoch. Waits while another owner holds the lock, until `signal` aborts
   * (rejects with its reason); with `ifAvailable` it gives `undefined` within 100 ms instead of waiting. Rejects with
   * `ownership-lost` where the lock is taken away before the claim is through.
   */
  claim(
    sessionId: string,
    options?: { readonly signal?: AbortSignal; readonly ifAvailable?: boolean },
  ): Promise<Claim | undefined>

  /**
   * One step of a session, whole or not at all. A repeat of the commit that was the session's last does nothing and
   * answers the same. One that starts a run is refused with `aborted` where an item that it applies was withdrawn.
   */
  commit(change: Change): Promise<Committed>

  /** Appends to the session's inbox and resolves with the item as it was written. */
  say(sessionId: string, runId: string, said: Said): Promise<InboxItem>
  /** Takes an input back that no owner has applied yet, with all that was said to its run; false where it is too late. */
  withdraw(sessionId: string, runId: string): Promise<boolean>
  readInbox(sessionId: string): Promise<readonly InboxItem[]>

  changeSettings(sessionId: string, change: Partial<Omit<SettingsRecord, 'v'>>): Promise<void>
  /** Deletes everything of the session, its owner's fence included: the old owner can't write any more. */
  deleteSession(sessionId: string): Promise<void>

  /** The session, its newest messages, its latest run and its inbox, all as of one moment. */
  readSession(sessionId: string, options: { readonly messages: number }): Promise<SessionState | undefined>
  /**
   * Messages with `from <= index < before`, ascending; at most `limit`, the newest of them. Reads no more than 500 a transaction.
   */
  readMessages(
    sessionId: string,
    options: { readonly from?: number; readonly before?: number; readonly limit?: number },
  ): Promise<readonly MessageRecord[]>
  /** Durable events after `since`, with what they refer to: at least one commit's, where there is one, and not many more than `limit`. */
  readEvents(sessionId: string, options: { readonly since: number; readonly limit?: number }): Promise<EventPage>
  readRun(runId: string): Promise<RunRecord | undefined>
  readCalls(runId: string): Promise<readonly CallRecord[]>
  /** Runs that have begun and not ended. */
  readActiveRuns(): Promise<readonly RunRecord[]>
  /**
   * Sessions, newest first, after the one named by `before`: from where it stood when a page ended with it. `messages` and
   * `calls` are left empty, `run` out. Rejects with `unknown-session` where nothing is known of `before`.
   */
  listSessions(options: { readonly limit: number; readonly before?: string }): Promise<readonly SessionState[]>

  /** Tells of every change that any runtime on this store wrote, this one's included. Returns its undo. */
  watch(listener: (change: StoreChange) => void): () => void

  /** Releases connections and locks; further calls reject with `closed`. */
  close(): Promise<void>
}

/** The right to advance a session, until `release` or until it is lost. */
export interface Claim {
  readonly sessionId: string
  readonly epoch: number
  /** Aborts when the lock was taken away (`ownership-lost`). */
  readonly lost: AbortSignal
  release(): void
}

export interface Change {
  /** Unique per commit. */
  readonly id: string
  readonly sessionId: string
  readonly epoch: number
  /** The session's record as it will be; `seq` and `commitId` are set by the commit. */
  readonly session: Omit<SessionRecord, 'seq' | 'commitId'>
  readonly events: readonly StoredEvent[]
  /** Written at their `index`. */
  readonly messages?: readonly MessageRecord[]
  readonly run?: RunRecord
  readonly calls?: readonly CallRecord[]
  /** Inbox items that this step applied; they are deleted with it. */
  readonly applied?: readonly number[]
  /** `strict` where an effect follows that must not precede the record of it. Relaxed by default. */
  readonly durability?: 'strict' | 'relaxed'
}

export interface Committed {
  /** The number of the change's last event, or the head where it had none. */
  readonly seq: number
}

export interface SessionState {
  readonly session: SessionRecord
  readonly settings?: SettingsRecord
  /** Ascending by index, the newest ones. */
  readonly messages: readonly MessageRecord[]
  readonly run?: RunRecord
  readonly calls: readonly CallRecord[]
  readonly inbox: readonly InboxItem[]
}

export interface EventPage {
  /** Ascending. */
  readonly events: readonly (StoredEvent & { readonly seq: number })[]
  readonly messages: ReadonlyMap<number, MessageRecord>
  /** By `callKey(runId, toolCallId)`. */
  readonly calls: ReadonlyMap<string, CallRecord>
  /** Nothing durable came after these. */
  readonly end: boolean
}

export type StoreChange =
  | { readonly type: 'committed'; readonly sessionId: string; readonly seq: number; readonly status?: string }
  | { readonly type: 'said' | 'settings' | 'deleted'; readonly sessionId: string }

export const callKey = (runId: string, toolCallId: string) => `${runId}\n${toolCallId}`
