import type { HeardEvent } from './ledger.ts'
import type { OpenApproval } from './pages.ts'

/** The open approvals that a page shows, and how often it said so before: beacons may overtake each other. */
export interface ShownApprovals {
  readonly fact: 'approvals'
  readonly nth: number
  readonly approvals: readonly OpenApproval[]
}

/** What a page tells the world of a session, as soon as it was told itself. */
export type Fact =
  | { readonly fact: 'event'; readonly session: string; readonly event: HeardEvent }
  | { readonly fact: 'queued' | 'withdrawn'; readonly session: string; readonly input: string }
  | {
      readonly fact: 'settled'
      readonly session: string
      readonly runId: string
      readonly status: string
      readonly text?: string
    }
  /** There will be no run. */
  | { readonly fact: 'refused'; readonly session: string; readonly input: string; readonly code: string }
  | { readonly fact: 'released'; readonly session: string; readonly reason: string }
  | ShownApprovals
  | { readonly fact: 'problem'; readonly session?: string; readonly message: string }
