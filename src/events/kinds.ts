import type { AgentName, App, Call, CallOutcome } from '../api/app.ts'
import type { Message, MessagePart } from '../api/message.ts'
import type { Approval } from '../api/types.ts'
import type { AgentError } from '../errors.ts'
import type {
  Ancestor,
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
import type { Compacted, DoomLoop, RecordedUsage, Totals } from './stored.ts'

interface SaidInput {
  readonly inputId: string
  /** Its text; empty where it is files alone. */
  readonly input: string
  readonly files?: readonly FileRecord[]
  readonly mode: 'queue' | 'steer'
}

/**
 * What each kind of event carries. Kinds in `durableKinds` are written to the store, in order and without gaps; all
 * others are live only.
 */
export interface EventPayloads<A extends App = App> {
  // the run
  'run-started': {
    readonly model?: string
    readonly input: string
    readonly files?: readonly FileRecord[]
    readonly metadata?: unknown
    /** A further leg of a run that was interrupted or stopped. */
    readonly resumed?: boolean
    /** Of the legs before. */
    readonly usage?: Usage
    readonly cost?: number
  }
  'run-waiting': { readonly waitingFor: WaitingFor }
  'run-completed': Totals & { readonly finishReason: string }
  'run-stopped': Totals & {
    readonly reason: StopReason
    /** What the model's endpoint said, where the reason is `credentials`. */
    readonly error?: AgentError
  }
  'run-failed': Totals & { readonly error: AgentError }
  'run-cancelled': Totals & { readonly reason: CancelReason }
  /** The owner lost the session or the store; it writes nothing more. */
  'run-released': {
    readonly reason: 'ownership-lost' | 'storage-full' | 'storage-unavailable' | 'storage-lost'
    readonly error: AgentError
  }
  /** Another runtime advances the run, or doesn't answer any more. A run that starts or waits is `here` until then. */
  'owner-changed': { readonly owner: 'elsewhere' | 'not-responding' }
  /** Where the run goes on from, should its owner die, was stored with the step before. */
  'checkpoint-saved': { readonly step: CheckpointStep }

  // questions to a person
  'approval-requested': { readonly approval: Approval<A> }
  /** `withdrawn`: the run ended before anybody answered. `by`: a person, time (`expiry`), or the runtime. */
  'approval-resolved': {
    readonly approvalId: string
    readonly answer: ApprovalAnswer | Withdrawal
    readonly by: ApprovalActor
  }

  // its messages
  'user-message-committed': { readonly message: Message<A> }
  'assistant-message-committed': { readonly message: Message<A> }
  /** The assistant message again, with the results of its calls in place. */
  'tool-message-committed': { readonly message: Message<A> }

  // its turns
  'turn-started': {}
  'turn-completed': { readonly finishReason: string }
  'usage-recorded': RecordedUsage
  /** The same call is made over and over; told before it is executed. */
  'doom-loop-detected': DoomLoop

  // its context
  /** What the model is about to be asked. */
  'context-built': {
    readonly messageCount: number
    readonly estimatedTokens: number
    /** Messages that were left out so that the rest fits. */
    readonly trimmedCount: number
    /** The model's window in tokens, where it is known. */
    readonly window?: number
  }
  /** A summary takes the place of older messages in what the model is asked; the history keeps them. */
  'context-compacted': Compacted
  /** Summaries failed so often in a row that this run makes no more of them by itself. */
  'compaction-circuit-opened': { readonly consecutiveFailures: number }
  /** This message and all after it are hidden from now on. */
  'history-rewound': { readonly messageId: string }

  // the model
  'model-started': {
    readonly provider: string
    readonly model: string
    readonly attempt: number
    readonly messageId: string
  }
  /** An attempt failed; the next one comes after `delay` milliseconds. */
  'model-retried': {
    readonly attempt: number
    readonly delay: number
    readonly error: AgentError
    /** The message of the attempt that failed. */
    readonly messageId: string
  }
  /** All attempts of a model failed: the next one takes the turn. */
  'model-switched': { readonly from: string; readonly to: string; readonly error: AgentError }
  /** The answer that was being written is dropped; another one takes its place. */
  'message-voided': { readonly messageId: string }
  'text-delta': Delta
  'reasoning-delta': Delta
  'message-part': { readonly messageId: string; readonly partId: string; readonly part: MessagePart<A> }
  'tool-call-started': WrittenCall & {
    readonly dynamic?: boolean
    readonly title?: string
    readonly providerExecuted?: boolean
  }
  'tool-call-delta': WrittenCall & { readonly delta: string }
  'tool-call-completed': {
    readonly messageId: string
    readonly partId: string
    readonly title?: string
    readonly providerExecuted?: boolean
    /** Set for a call that can't be carried out; says why. */
    readonly invalid?: string
  } & Call<A>

  // the tools
  'tool-execution-started': Call<A>
  'tool-execution-progress': {
    readonly toolCallId: string
    readonly toolName: string
    readonly data: unknown
    /** `data` is an intermediate output of a tool that streams, not what it said with `progress`. */
    readonly preliminary?: boolean
  }
  'tool-execution-finished': CallOutcome<A>

  // what is said to a run
  'input-queued': SaidInput
  'input-withdrawn': { readonly inputId: string }
  'input-delivered': SaidInput

  // runs that it starts
  'delegation-started': {
    readonly childRunId: string
    readonly childSessionId: string
    readonly childAgent: AgentName<A>
    /** No call waits for it. */
    readonly background?: boolean
    /** It had stopped, and goes on. */
    readonly resumed?: boolean
  }
  /** A leg of it has ended, and this run has heard so. */
  'delegation-finished': {
    readonly childRunId: string
    readonly childSessionId: string
    readonly childAgent: AgentName<A>
    readonly outcome: Exclude<ChildStatus, 'queued' | 'running'>
  }

  /** Code asked for a run that this one may not start. */
  'delegation-refused': {
    readonly childRunId: string
    readonly childAgent: AgentName<A>
    readonly error: AgentError
  }

  // from tools and the runtime
  custom: { readonly name: string; readonly data: unknown }
  notice: { readonly code: string; readonly message: string }

  // sessions; these have no run
  'session-created': { readonly title?: string }
  'session-updated': {
    readonly title?: string
    /** The name that `setModel` chose. */
    readonly model?: string
  }
  'session-deleted': {}

  // the provider's own stream, below the run; not part of `any`
  'chat-started': { readonly provider: string; readonly model: string }
  'chat-text-delta': { readonly id: string; readonly delta: string }
  'chat-tool-call-started': { readonly id: string; readonly toolName: string }
  'chat-tool-call-arguments-delta': { readonly id: string; readonly delta: string }
  'chat-tool-call-completed': { readonly id: string; readonly toolName: string; readonly input: string }
  'chat-finished': { readonly finishReason: string }
}

interface Delta {
  readonly delta: string
  readonly messageId: string
  /** The part's index in the message's `parts`, as a string. */
  readonly partId: string
  /** The delta's UTF-16 position in the part's text. */
  readonly start: number
}

interface WrittenCall {
  readonly messageId: string
  readonly partId: string
  readonly toolCallId: string
  readonly toolName: string
}

export type EventKind = keyof EventPayloads

export interface Envelope<A extends App = App> {
  /** Durable events: the event's own number, gap-free per session from 1. Live ones: the last durable event's. */
  readonly seq: number
  /** Unix time in milliseconds. */
  readonly at: number
  readonly sessionId: string
  /** Empty for the `session-*` kinds. */
  readonly runId: string
  /** Of a delegated run: the run that started it. */
  readonly parentRunId?: string
  /** Of a delegated run: all runs above it, from the top. */
  readonly ancestors?: readonly Ancestor[]
  readonly agent: AgentName<A>
  /** Turns are numbered continuously within a session, from 1; 0 before the first. */
  readonly turn: number
}

/** The event of one kind, of several, or of `any` (all but the `chat-*` kinds). */
export type EventOf<A extends App, K extends EventKind | 'any'> = K extends EventKind
  ? Envelope<A> & { readonly kind: K } & EventPayloads<A>[K]
  : { [E in Exclude<EventKind, `chat-${string}`>]: EventOf<A, E> }[Exclude<EventKind, `chat-${string}`>]

export type AnyEvent<A extends App = App> = { [E in EventKind]: EventOf<A, E> }[EventKind]

/** Kinds that a commit writes. */
export const durableKinds = [
  'run-started',
  'run-waiting',
  'run-completed',
  'run-stopped',
  'run-failed',
  'run-cancelled',
  'user-message-committed',
  'assistant-message-committed',
  'tool-message-committed',
  'turn-completed',
  'usage-recorded',
  'tool-execution-started',
  'tool-execution-finished',
  'input-delivered',
  'checkpoint-saved',
  'approval-requested',
  'approval-resolved',
  'model-switched',
  'context-compacted',
  'compaction-circuit-opened',
  'doom-loop-detected',
  'history-rewound',
  'delegation-started',
  'delegation-finished',
  'delegation-refused',
] as const satisfies readonly EventKind[]

export type DurableKind = (typeof durableKinds)[number]

/** Kinds that end a leg of a run; exactly one does, and it is the leg's last. */
export const endKinds = [
  'run-completed',
  'run-stopped',
  'run-failed',
  'run-cancelled',
] as const satisfies readonly DurableKind[]

/** All kinds: a listener for an unknown one is a mistake, and is refused. */
export const eventKinds: ReadonlySet<string> = new Set<EventKind>([
  ...durableKinds,
  'run-released',
  'owner-changed',
  'message-voided',
  'turn-started',
  'context-built',
  'model-started',
  'model-retried',
  'text-delta',
  'reasoning-delta',
  'message-part',
  'tool-call-started',
  'tool-call-delta',
  'tool-call-completed',
  'tool-execution-progress',
  'input-queued',
  'input-withdrawn',
  'custom',
  'notice',
  'session-created',
  'session-updated',
  'session-deleted',
  'chat-started',
  'chat-text-delta',
  'chat-tool-call-started',
  'chat-tool-call-arguments-delta',
  'chat-tool-call-completed',
  'chat-finished',
])

const durable: ReadonlySet<string> = new Set(durableKinds)
const ends: ReadonlySet<string> = new Set(endKinds)
export const isDurable = (kind: string): kind is DurableKind => durable.has(kind)
/** What is told of a run even after it was aborted here: what lasts, and that it came to nothing. */
export const outlastsAbort = (kind: string) => isDurable(kind) || kind === 'run-released' || kind === 'input-withdrawn'
export const isEnd = (kind: string): kind is (typeof endKinds)[number] => ends.has(kind)
export const isChat = (kind: string) => kind.startsWith('chat-')
