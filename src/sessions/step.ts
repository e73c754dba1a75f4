import type { JSONValue } from '@ai-sdk/provider'
import type { StoredEvent } from '../events/stored.ts'
import type {
  ApprovalRecord,
  AuditEntry,
  AuditRecord,
  BlobRecord,
  CallRecord,
  CheckpointStep,
  ChildRecord,
  GrantRecord,
  MessageRecord,
  RunRecord,
  SessionRecord,
  SummaryRecord,
} from './records.ts'

import type { Change } from './store.ts'

type WithoutEnvelope<T> = T extends unknown ? Omit<T, 'at' | 'runId' | 'agent' | 'turn'> : never

/** What one commit of a run changes. */
export interface Step {
  readonly events?: readonly WithoutEnvelope<StoredEvent>[]
  readonly messages?: readonly MessageRecord[]
  readonly calls?: readonly CallRecord[]
  readonly run?: Partial<RunRecord>
  readonly session?: Partial<SessionRecord>
  /** What its day's spending grows by. */
  readonly spend?: Change['spend']
  /** The session's state as it is from now on; `undefined` inside clears it. */
  readonly state?: { readonly value: JSONValue | undefined }
  readonly approvals?: readonly ApprovalRecord[]
  readonly grants?: readonly GrantRecord[]
  /** What it does with calls, for the audit trail. */
  readonly audit?: readonly Omit<AuditEntry, 'at' | 'turn'>[]
  /** What becomes of calls that the run before it left. */
  readonly auditOfLast?: AuditRecord
  readonly blobs?: readonly BlobRecord[]
  readonly applied?: readonly number[]
  readonly summary?: SummaryRecord
  readonly children?: readonly ChildRecord[]
  readonly tells?: Change['tells']
  readonly upward?: Change['upward']
  /** The run stands at this boundary once the step is committed. */
  readonly checkpoint?: CheckpointStep
  /** Opens a leg of a run that had ended. */
  readonly opensLeg?: boolean
  readonly durability?: 'strict' | 'relaxed'
}
