import type { WireError } from '../errors.ts'
import type {
  ApprovalActor,
  ApprovalAnswer,
  CancelReason,
  CheckpointStep,
  ChildStatus,
  FileRecord,
  StopReason,
  Usage,
  WaitingFor,
  Withdrawal,
} from '../sessions/records.ts'

// Durable events as they are stored: by reference. A message stays where it is and is filled in when the event is
// delivered (`deliver.ts`), so that a commit writes nothing twice.

interface Base {
  readonly at: number
  readonly runId: string
  readonly agent: string
  readonly turn: number
  readonly parentRunId?: string
}

/** What a run came to. */
export interface Totals {
  readonly turns: number
  readonly usage: Usage
  /** In the unit of the agent's `prices`; absent where a model has none. */
  readonly cost?: number
}

/** One call of a model, and what its run and its session have used with it. Costs are absent where a model has no price. */
export interface RecordedUsage {
  readonly usage: Usage
  readonly run: Usage
  readonly session: Usage
  readonly cost?: number
  readonly runCost?: number
  readonly sessionCost?: number
  /** The provider did not say what the call used: it was cut. */
  readonly estimated?: boolean
  /** None of its own calls: what the runs below it have used, and told already, counts here from now on. */
  readonly below?: true
  /** Tokens that the model's context holds with this answer; absent for a call that was none of the conversation's. */
  readonly contextTokens?: number
}

export interface Compacted {
  readonly messagesBefore: number
  readonly messagesAfter: number
  /** Estimates. */
  readonly tokensBefore: number
  readonly tokensAfter: number
}

export interface DoomLoop {
  /** The tool that is called over and over; absent where the model neither speaks nor calls. */
  readonly toolName?: string
  readonly repetitions: number
  readonly description: string
}

export type StoredEvent = Base &
  (
    | {
        readonly kind: 'run-started'
        readonly model?: string
        readonly input: string
        readonly files?: readonly FileRecord[]
        readonly metadata?: unknown
        readonly resumed?: boolean
        readonly usage?: Usage
        readonly cost?: number
      }
    | { readonly kind: 'run-waiting'; readonly waitingFor: WaitingFor }
    | (Totals & { readonly kind: 'run-completed'; readonly finishReason: string })
    | (Totals & { readonly kind: 'run-stopped'; readonly reason: StopReason; readonly error?: WireError })
    | (Totals & { readonly kind: 'run-failed'; readonly error: WireError })
    | (Totals & { readonly kind: 'run-cancelled'; readonly reason: CancelReason })
    | { readonly kind: 'user-message-committed'; readonly index: number }
    | { readonly kind: 'assistant-message-committed'; readonly index: number }
    /** `first` to `index`: the assistant message and its tool messages so far. */
    | { readonly kind: 'tool-message-committed'; readonly first: number; readonly index: number }
    | { readonly kind: 'turn-completed'; readonly finishReason: string }
    | ({ readonly kind: 'usage-recorded' } & RecordedUsage)
    | { readonly kind: 'model-switched'; readonly from: string; readonly to: string; readonly error: WireError }
    | ({ readonly kind: 'context-compacted' } & Compacted)
    | { readonly kind: 'compaction-circuit-opened'; readonly consecutiveFailures: number }
    | ({ readonly kind: 'doom-loop-detected' } & DoomLoop)
    | { readonly kind: 'history-rewound'; readonly messageId: string }
    | { readonly kind: 'tool-execution-started'; readonly toolCallId: string }
    | {
        readonly kind: 'tool-execution-finished'
        readonly toolCallId: string
        /** The run whose call it is, where the one that took its place closes it. */
        readonly ofRun?: string
        readonly duration: number
        readonly cached: boolean
      }
    | {
        readonly kind: 'input-delivered'
        readonly inputId: string
        readonly input: string
        readonly files?: readonly FileRecord[]
        readonly mode: 'queue' | 'steer'
      }
    | {
        readonly kind: 'delegation-started'
        readonly childRunId: string
        readonly childSessionId: string
        readonly childAgent: string
        readonly background?: true
        /** It had stopped, and goes on. */
        readonly resumed?: true
      }
    | {
        readonly kind: 'delegation-finished'
        readonly childRunId: string
        readonly childSessionId: string
        readonly childAgent: string
        readonly outcome: Exclude<ChildStatus, 'queued' | 'running'>
      }
    | {
        readonly kind: 'delegation-refused'
        readonly childRunId: string
        readonly childAgent: string
        readonly error: WireError
      }
    | { readonly kind: 'checkpoint-saved'; readonly step: CheckpointStep }
    | { readonly kind: 'approval-requested'; readonly approvalId: string }
    | {
        readonly kind: 'approval-resolved'
        readonly approvalId: string
        readonly answer: ApprovalAnswer | Withdrawal
        /** Absent in records of earlier versions. */
        readonly by?: ApprovalActor
      }
  )
