import type { WireError } from '../errors.ts'
import type { CancelReason, StopReason, Usage, WaitingFor } from '../sessions/records.ts'

// Durable events as they are stored: by reference. A message stays where it is and is filled in when the event is
// delivered (`deliver.ts`), so that a commit writes nothing twice.

interface Base {
  readonly at: number
  readonly runId: string
  readonly agent: string
  readonly turn: number
}

export type StoredEvent = Base &
  (
    | { readonly kind: 'run-started'; readonly model?: string; readonly input: string; readonly metadata?: unknown }
    | { readonly kind: 'run-waiting'; readonly waitingFor: WaitingFor }
    | { readonly kind: 'run-completed'; readonly finishReason: string; readonly turns: number; readonly usage: Usage }
    | { readonly kind: 'run-stopped'; readonly reason: StopReason; readonly turns: number; readonly usage: Usage }
    | { readonly kind: 'run-failed'; readonly error: WireError; readonly turns: number; readonly usage: Usage }
    | { readonly kind: 'run-cancelled'; readonly reason: CancelReason; readonly turns: number; readonly usage: Usage }
    | { readonly kind: 'user-message-committed'; readonly index: number }
    | { readonly kind: 'assistant-message-committed'; readonly index: number }
    /** `first` to `index`: the assistant message and its tool messages so far. */
    | { readonly kind: 'tool-message-committed'; readonly first: number; readonly index: number }
    | { readonly kind: 'turn-completed'; readonly finishReason: string }
    | { readonly kind: 'usage-recorded'; readonly usage: Usage; readonly run: Usage; readonly session: Usage }
    | { readonly kind: 'tool-execution-started'; readonly toolCallId: string }
    | {
        readonly kind: 'tool-execution-finished'
        readonly toolCallId: string
        readonly duration: number
        readonly cached: boolean
      }
    | { readonly kind: 'input-delivered'; readonly inputId: string; readonly input: string; readonly mode: 'queue' }
  )
