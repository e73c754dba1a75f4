import type { HeardEvent } from './ledger.ts'

/** What a page can be told to do, over its stream. */
export type Command =
  | { readonly command: 'watch'; readonly session: string; readonly agent?: AgentName }
  | {
      readonly command: 'send' | 'edit' | 'open' | 'step' | 'regenerate'
      readonly session: string
      readonly agent?: AgentName
      readonly input: string
      /** Sent again, it is the same request. */
      readonly requestId?: string
      /** Of an edit: the text in whose place it is said. */
      readonly before?: string
    }
  | { readonly command: 'next-step'; readonly session: string }
  /** What the browser says of its network, from now on. */
  | { readonly command: 'network'; readonly online: boolean }
  /** Tokens that were booked for all days. */
  | { readonly command: 'spent' }
  | { readonly command: 'close'; readonly run: string }
  | { readonly command: 'glance' | 'leave'; readonly session: string }
  | { readonly command: 'dump'; readonly session: string; readonly head: number }
  | { readonly command: 'answer'; readonly approval: string; readonly answer: Answer }
  | { readonly command: 'resume'; readonly run: string }
  | { readonly command: 'output'; readonly session: string; readonly call: string; readonly name: string }
  | { readonly command: 'stop'; readonly session: string; readonly after: 'now' | 'turn' }
  | { readonly command: 'abort'; readonly session: string }
  | { readonly command: 'steer'; readonly run: string; readonly input: string }
  | { readonly command: 'take-over' | 'steal'; readonly session: string }
  | { readonly command: 'kill-worker' | 'diagnose' }

/** `careful` may not `buy` without a yes; `capped` asks after every two turns; `small` has room for little more than one message; `twofold` has
 * another model to fall back on; `stateful` tells its model the session's state; `leading` gives tasks to others. */
export type AgentName = 'auto' | 'ask' | 'never' | 'capped' | 'small' | 'twofold' | 'stateful' | 'careful' | 'leading'

export type Answer =
  | { readonly decision: 'retry' | 'abandon' | 'resume' | 'allow-always' }
  | { readonly decision: 'allow-once'; readonly input?: { readonly name: string } }
  | { readonly decision: 'deny'; readonly reason: string }
  | { readonly decision: 'extend'; readonly by: number }
  | { readonly decision: 'supply-result'; readonly output: unknown }

/** A session's view, as far as it is checked. */
export interface Glance {
  readonly status: string
  readonly phase?: string
  readonly runId?: string
  readonly queue: readonly string[]
  readonly messages: readonly {
    readonly id: string
    readonly role: string
    readonly text: string
    readonly status?: string
  }[]
  readonly approvals: number
  readonly error?: string
}

/** A session as a new listener and a new view are told, and as the page's own view shows it. */
export interface Dump {
  /** The last event that was asked for. */
  readonly head: number
  readonly events: readonly HeardEvent[]
  readonly snapshot: Glance
  readonly live: Glance
  /** In the list of sessions. */
  readonly status: string | undefined
}
