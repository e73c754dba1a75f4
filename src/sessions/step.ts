import type { StoredEvent } from '../events/stored.ts'
import type { CallRecord, MessageRecord, RunRecord, SessionRecord } from './records.ts'

type WithoutEnvelope<T> = T extends unknown ? Omit<T, 'at' | 'runId' | 'agent' | 'turn'> : never

/** What one commit of a run changes. */
export interface Step {
  readonly events?: readonly WithoutEnvelope<StoredEvent>[]
  readonly messages?: readonly MessageRecord[]
  readonly calls?: readonly CallRecord[]
  readonly run?: Partial<RunRecord>
  readonly session?: Partial<SessionRecord>
  readonly applied?: readonly number[]
  readonly durability?: 'strict' | 'relaxed'
}
