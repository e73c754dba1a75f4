import type { Ancestor } from './delegation-records.ts'
import type { LimitName } from './records.ts'

// Questions that are put to a person, and what is remembered of the answers.

/** What somebody may answer, by the question's reason. */
export interface ApprovalAnswers {
  /**
   * `allow-always` also grants the approval's action key (of an edited call, that of the new input) for the rest of the session,
   * or until `expiresAt`. `input` takes the place of the model's, and is validated again. `deny`: the model gets an error result with the reason, and the run goes on.
   * `abort` cancels the run.
   */
  readonly policy:
    | { readonly decision: 'allow-once'; readonly input?: unknown }
    | {
        readonly decision: 'allow-always'
        readonly input?: unknown
        /** When the grant ends. Unix time in milliseconds. */
        readonly expiresAt?: number
      }
    | { readonly decision: 'deny'; readonly reason?: string }
    | { readonly decision: 'abort'; readonly reason?: string }
  /** `abandon`: the model is told that the outcome is unknown. */
  readonly 'in-doubt':
    | { readonly decision: 'retry' }
    | { readonly decision: 'abandon' }
    | { readonly decision: 'supply-result'; readonly output: unknown }
  /** `abandon` cancels the run. */
  readonly interrupted: { readonly decision: 'resume' } | { readonly decision: 'abandon' }
  /** `extend`: the limit grows by so much, for this run. `stop` stops it, as the limit would have. */
  readonly budget: { readonly decision: 'extend'; readonly by: number } | { readonly decision: 'stop' }
  /** `deny`: the model gets an error result with the reason, and the run goes on. `abort` cancels the run. */
  readonly 'doom-loop':
    | { readonly decision: 'allow-once' }
    | { readonly decision: 'deny'; readonly reason?: string }
    | { readonly decision: 'abort' }
}
export type ApprovalReason = keyof ApprovalAnswers
export type ApprovalAnswer = ApprovalAnswers[ApprovalReason]
/** `person`: somebody, in whichever tab. `expiry`: nobody, in time. `runtime`: the question is moot. */
export type ApprovalActor = 'person' | 'expiry' | 'runtime'
/** How much harm a call can do. `safe` reads; `sensitive` tells something or costs; `destructive` can't be undone. */
export type Risk = 'safe' | 'sensitive' | 'destructive'
/** Nobody answered: the run ended before. */
export interface Withdrawal {
  readonly decision: 'withdrawn'
}

/** `['approval', sessionId, approvalId]`: a question put to a person. */
export type ApprovalRecord = {
  readonly v: 1
  readonly id: string
  readonly sessionId: string
  readonly runId: string
  /** The agents from the top down to the one that asks. */
  readonly path: readonly string[]
  /** Of a delegated run: the runs above it, from the top. */
  readonly ancestors?: readonly Ancestor[]
  readonly title: string
  readonly askedAt: number
  /** When silence becomes a no. Unix time in milliseconds. */
  readonly expiresAt?: number
  /** What it can be answered with. */
  readonly choices?: readonly ApprovalAnswer['decision'][]
  readonly resolved?: {
    readonly at: number
    readonly answer: ApprovalAnswer | Withdrawal
    readonly by?: ApprovalActor
  }
} & (
  | {
      readonly reason: 'policy'
      readonly toolCallId: string
      readonly toolName: string
      readonly dynamic?: boolean
      readonly input: unknown
      /** The input as canonical JSON (keys sorted): what the answer binds. */
      readonly arguments: string
      readonly risk: Risk
      /** What an "always allow" would be remembered for. */
      readonly actionKey: string
      /** Why somebody is asked, where a rule or a middleware said so. */
      readonly why?: string
      /** The session has seen content from outside, and the call sends something out: no grant counts. */
      readonly tainted?: true
    }
  | {
      readonly reason: 'in-doubt'
      readonly toolCallId: string
      readonly toolName: string
      readonly dynamic?: boolean
      readonly input: unknown
      readonly startedAt: number
    }
  | {
      readonly reason: 'doom-loop'
      readonly toolCallId: string
      readonly toolName: string
      readonly dynamic?: boolean
      readonly input: unknown
      readonly repetitions: number
      readonly description: string
    }
  | { readonly reason: 'budget'; readonly limit: LimitName; readonly used: number; readonly cap: number }
  | { readonly reason: 'interrupted'; readonly interruptedAt: number }
)

/** `['grant', sessionId, actionKey]`: a remembered "always allow". */
export interface GrantRecord {
  readonly v: 1
  readonly sessionId: string
  readonly actionKey: string
  readonly toolName: string
  /** Unix times in milliseconds. */
  readonly grantedAt: number
  readonly expiresAt?: number
  /** The approval whose answer it was. */
  readonly approvalId: string
}
