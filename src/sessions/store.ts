import type { JSONValue } from '@ai-sdk/provider'
import type { StoredEvent } from '../events/stored.ts'
import type { Withdrawable } from './inbox.ts'
import type {
  Ancestor,
  ApprovalRecord,
  AuditRecord,
  BlobRecord,
  CallRecord,
  ChildRecord,
  DraftRecord,
  GrantRecord,
  InboxItem,
  MessageRecord,
  RunRecord,
  Said,
  SessionRecord,
  SettingsRecord,
  SpendRecord,
  StateRecord,
  SummaryRecord,
  ToolResultRecord,
  TreeSpend,
} from './records.ts'

import type { StorageStatus } from './storage-status.ts'

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
   * `ownership-lost` where the lock is taken away before the claim is through. `steal` takes it from whoever holds it,
   * who is told by his claim's `lost`, and refused by his epoch.
   */
  claim(
    sessionId: string,
    options?: { readonly signal?: AbortSignal; readonly ifAvailable?: boolean; readonly steal?: boolean },
  ): Promise<Claim | undefined>

  /** Resolves once nobody holds the session's lock, and takes nothing; rejects with the signal's reason. */
  whenFree(sessionId: string, options?: { readonly signal?: AbortSignal }): Promise<void>
  /** Whether nobody holds the session's lock. Asks for it, for up to 100 ms: what browsers say of locks can't be trusted. */
  isFree(sessionId: string): Promise<boolean>

  /**
   * One step of a session, whole or not at all. A repeat of the commit that was the session's last does nothing and
   * answers the same. One that starts a run or delivers an input is refused with `aborted` where an item that it applies was
   * withdrawn.
   */
  commit(change: Change): Promise<Committed>

  /** Keeps the answer that is being written. Does nothing where its epoch is not the current one. */
  saveDraft(sessionId: string, draft: DraftRecord): Promise<void>
  /** Notes in the ledger what a call came to that nobody waits for any more. Does nothing where its epoch is not the current one. */
  saveLate(sessionId: string, late: LateResult): Promise<void>

  /**
   * Appends to the session's inbox and resolves with the item as it was written. An answer to an approval that is not open,
   * or has an answer already, is refused with `unknown-approval`; a second result of a call with `duplicate-tool-output`. An input
   * with a `clientRequestId` whose run is there, or whose input waits, is not said again: `undefined`. `blobs`: what its files
   * refer to.
   */
  say(sessionId: string, runId: string, said: Said, blobs?: readonly BlobRecord[]): Promise<InboxItem | undefined>
  /**
   * Takes an input back that no owner has applied yet, with all that was said to its run; false where it is too late. With
   * `resume`: the requests to go on with the run, and nothing else. With `steer`: an input that was said to a run, by its id. With
   * `delegate`: the request to start that run.
   */
  withdraw(sessionId: string, id: string, type?: Withdrawable): Promise<boolean>
  readInbox(sessionId: string): Promise<readonly InboxItem[]>

  /** Also of a session that does not exist yet. */
  readSettings(sessionId: string): Promise<SettingsRecord | undefined>
  changeSettings(sessionId: string, change: Partial<Omit<SettingsRecord, 'v'>>): Promise<void>
  /**
   * Makes a session of these records, which nobody sees anything of before all of it is there: in transactions of bounded
   * size, and a death in the midst of them leaves nothing. Rejects with `invalid-argument` where there is one of that id.
   */
  createSession(made: NewSession): Promise<void>
  /** Deletes everything of the session and of those under it, its owner's fence included: the old owner can't write any more. */
  deleteSession(sessionId: string): Promise<void>

  /** The session, the newest messages that are to be seen, its latest run and its inbox, all as of one moment. */
  readSession(sessionId: string, options: { readonly messages: number }): Promise<SessionState | undefined>
  /**
   * Messages with `from <= index < before`, ascending; at most `limit`, the newest of them. Those that were rewound only
   * with `hidden`. Reads no more than 500 a transaction.
   */
  readMessages(
    sessionId: string,
    options: {
      readonly from?: number
      readonly before?: number
      readonly limit?: number
      readonly hidden?: boolean
    },
  ): Promise<readonly MessageRecord[]>
  /** Durable events after `since`, with what they refer to: at least one commit's, where there is one, and not many more than `limit`. */
  readEvents(sessionId: string, options: { readonly since: number; readonly limit?: number }): Promise<EventPage>
  readSummary(sessionId: string, n: number): Promise<SummaryRecord | undefined>
  readRun(runId: string): Promise<RunRecord | undefined>
  readCalls(runId: string): Promise<readonly CallRecord[]>
  /** What became of a run's calls, in order. */
  readAudit(runId: string): Promise<readonly AuditRecord[]>
  /** The session's grants, expired ones too. */
  readGrants(sessionId: string): Promise<readonly GrantRecord[]>
  /** Anybody's; false where there is none. */
  revokeGrant(sessionId: string, actionKey: string): Promise<boolean>
  readBlob(sessionId: string, blobId: string): Promise<BlobRecord | undefined>
  /** What all sessions used on a day (`YYYY-MM-DD`), as far as their commits said so. */
  readSpend(day: string): Promise<SpendRecord | undefined>
  /** The runs that a run has started, in the order of their ids. */
  readChildren(parentRunId: string): Promise<readonly ChildRecord[]>
  /** What the runs below a run have used. */
  readTreeSpend(runId: string): Promise<TreeSpend | undefined>
  /** Runs that have begun and not ended. */
  readActiveRuns(): Promise<readonly RunRecord[]>
  /** What was said in all sessions, and not applied. */
  readSaid(): Promise<readonly InboxItem[]>
  /** The open approvals of all sessions, in the order in which they were asked. */
  readApprovals(): Promise<readonly ApprovalRecord[]>
  /**
   * Sessions, newest first, after the one named by `before`: from where it stood when a page ended with it. Those of delegated
   * runs are not among them, but listed under their `parent`. `messages` and `calls` are left empty, `run` out. Rejects with
   * `unknown-session` where nothing is known of `before`.
   */
  listSessions(options: {
    readonly limit: number
    readonly before?: string
    readonly parent?: string
  }): Promise<readonly SessionState[]>

  /** Tells of every change that any runtime on this store wrote or announced, this one's included. Returns its undo. */
  watch(listener: (change: StoreChange) => void): () => void
  /** Tells the other runtimes on this store, in order with the changes, and writes nothing. */
  announce(word: RuntimeWord): void

  /** Whether the store can be used, and what the browser says of its room. Rejects where it can't be opened. */
  status(): Promise<StorageStatus>

  /** Releases connections and locks; further calls reject with `closed`. */
  close(): Promise<void>
}

/** A session that comes whole: a copy of another one, or a document. */
export interface NewSession {
  readonly session: Omit<SessionRecord, 'seq' | 'commitId' | 'run'>
  readonly settings?: SettingsRecord | undefined
  readonly state?: StateRecord | undefined
  /** From index 0 on, without gaps. */
  readonly messages: readonly MessageRecord[]
  readonly summaries: readonly SummaryRecord[]
  readonly blobs: readonly BlobRecord[]
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
  readonly approvals?: readonly ApprovalRecord[]
  readonly grants?: readonly GrantRecord[]
  readonly audit?: readonly AuditRecord[]
  readonly blobs?: readonly BlobRecord[]
  /** What its day's spending grows by, with this very commit. */
  readonly spend?: Omit<SpendRecord, 'v'>
  /** The session's state as it is from now on; `undefined` inside clears it. */
  readonly state?: { readonly value: JSONValue | undefined }
  /** Inbox items that this step applied; they are deleted with it. */
  readonly applied?: readonly number[]
  readonly summary?: SummaryRecord
  /** Runs that this one has started, as it knows them from now on. */
  readonly children?: readonly ChildRecord[]
  /** What is said to other sessions' runs with this very commit. An input whose run is there, or which waits, is not said again. */
  readonly tells?: readonly Tell[]
  /** What it adds to what was used below these runs. */
  readonly upward?: TreeSpend & { readonly runIds: readonly string[] }
  /** `strict` where an effect follows that must not precede the record of it. Relaxed by default. */
  readonly durability?: 'strict' | 'relaxed'
}

export interface Tell {
  readonly sessionId: string
  readonly runId: string
  readonly said: Said
}

export interface LateResult {
  readonly epoch: number
  readonly runId: string
  readonly toolCallId: string
  readonly result: ToolResultRecord
}

export interface Committed {
  /** The number of the change's last event, or the head where it had none. */
  readonly seq: number
  /**
   * The change would have completed a run to which something was said meanwhile, or answered by silence a question that somebody
   * has answered meanwhile: nothing of it was written.
   */
  readonly heldUp?: boolean
}

export interface SessionState {
  readonly session: SessionRecord
  readonly settings?: SettingsRecord
  /** Ascending by index, the newest ones. */
  readonly messages: readonly MessageRecord[]
  readonly run?: RunRecord
  readonly calls: readonly CallRecord[]
  readonly inbox: readonly InboxItem[]
  /** The open ones. */
  readonly approvals: readonly ApprovalRecord[]
  /** What the latest run was writing when it was last saved; absent once that was committed or given up. */
  readonly draft?: DraftRecord
  readonly state?: StateRecord
}

export interface EventPage {
  /** Ascending. */
  readonly events: readonly (StoredEvent & { readonly seq: number })[]
  readonly messages: ReadonlyMap<number, MessageRecord>
  /** By `callKey(runId, toolCallId)`. */
  readonly calls: ReadonlyMap<string, CallRecord>
  /** Those that were asked, by id. */
  readonly approvals: ReadonlyMap<string, ApprovalRecord>
  /** The runs above the session's, where it is a delegated one's. */
  readonly ancestors?: readonly Ancestor[]
  /** Nothing durable came after these. */
  readonly end: boolean
}

export type StoreChange =
  | {
      readonly type: 'committed'
      readonly sessionId: string
      readonly seq: number
      readonly status?: string
      /** When the wait of its run ends by itself. */
      readonly wakeAt?: number
    }
  | { readonly type: 'said' | 'settings' | 'grants' | 'deleted'; readonly sessionId: string }
  | RuntimeWord

/** What runtimes on one store tell each other of a session; `from` is the speaker's id, which no other has. */
export type RuntimeWord = { readonly sessionId: string; readonly from: string } & (
  | {
      /** I advance the session from now on. */
      readonly type: 'claimed'
      readonly epoch: number
    }
  /** Somebody here looks at the session: who advances it answers with `live`, and goes on telling. */
  | { readonly type: 'listening' | 'left' }
  | {
      readonly type: 'live'
      /** The owner's; absent on what others tell. */
      readonly epoch?: number
      readonly events: readonly unknown[]
      /** The answer to `listening`: all that is under way, from its beginning. */
      readonly opening?: boolean
    }
  /** I gave the session up since it can't be written: nobody goes on with it by himself. */
  | { readonly type: 'stranded' }
)

/** An event that is about a call. */
export interface CallEvent {
  readonly runId: string
  readonly ofRun?: string
  readonly toolCallId: string
}

/** The run whose ledger has the call. */
export const runOf = ({ ofRun, runId }: CallEvent) => ofRun ?? runId

export const callKeyOf = (event: CallEvent) => callKey(runOf(event), event.toolCallId)

export const callKey = (runId: string, toolCallId: string) => `${runId}\n${toolCallId}`
