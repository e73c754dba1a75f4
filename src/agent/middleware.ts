import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import type { Message } from '../api/message.ts'
import type { AgentError } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import type { CallSettings, Outcome, Usage } from '../sessions/records.ts'
import type { PolicyCall } from './policy.ts'

/** What every hook gets beside what it is about. */
export interface HookContext {
  readonly sessionId: string
  readonly runId: string
  readonly agent: string
  readonly turn: number
  readonly metadata?: unknown
  /** Aborts with the run, and at the middleware's time-out. While the run ends, only then. */
  readonly signal: AbortSignal
  /** Emits a `custom` event, until the run is to end. `data` is told as JSON, and not stored. */
  custom(name: string, data: unknown): void
}

export interface InputHook {
  readonly text: string
}

export interface ModelHook {
  readonly messages: LanguageModelV4Prompt
  /** Names of the tools that the model is told of. */
  readonly activeTools: readonly string[]
  readonly settings: CallSettings
}

export interface AnswerHook {
  readonly text: string
  readonly calls: readonly { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }[]
  readonly finishReason: string
  readonly usage?: Usage
}

/** A call that was carried out. */
export type ToolCallHook = Pick<PolicyCall, 'toolCallId' | 'toolName' | 'input'>

/** What it came to: an `output` where it went well, else an `errorText`. */
export interface ToolResultHook {
  readonly outcome: Outcome
  readonly output?: unknown
  readonly errorText?: string
}

export interface CompactionHook {
  readonly messages: readonly Message[]
}

export interface RunEndHook {
  readonly status: 'completed' | 'stopped' | 'failed' | 'cancelled'
  readonly reason?: string
  readonly error?: AgentError
  /** Of the run, as far as it is booked. */
  readonly usage: Usage
}

// biome-ignore lint/suspicious/noConfusingVoidType: a hook without a return fits
type Hooked<T> = T | undefined | void | Promise<T | undefined | void>

/**
 * Hooks around an agent's runs. They come in the order of the agent's list, `after…` in reverse. What one gives takes the
 * place of what it got; nothing leaves it as it is. One that throws, gives what it may not, or takes longer than `timeout`, ends
 * the run as failed (`middleware-failed`), naming middleware and hook.
 *
 * A hook may be called again for the same thing: where a worker dies between the call and the commit that it leads to, and
 * with each further attempt of a model. What it does elsewhere has to bear that.
 */
export interface Middleware {
  /** Its own among the agent's middleware. */
  readonly name: string
  /** Milliseconds that one call of a hook may take. 30,000 by default. */
  readonly timeout?: number
  /** An input of the run or one that steers it, before it is stored. Where it fails, the input is refused. */
  onInput?(input: InputHook, context: HookContext): Hooked<InputHook>
  /** What the model is about to be asked; nothing of it is stored. `settings` are taken over field by field. */
  beforeModel?(request: ModelHook, context: HookContext): Hooked<Partial<ModelHook>>
  /** A whole answer, before it is stored; listeners have heard its deltas by then. */
  afterModel?(answer: AnswerHook, context: HookContext): Hooked<Partial<Pick<AnswerHook, 'text'>>>
  /**
   * A call before it is decided. The strictest word wins, `deny` before `ask`; an `input` takes the place of the model's, and
   * is validated again.
   */
  beforeTool?(
    call: PolicyCall,
    context: HookContext,
  ): Hooked<{ readonly input?: unknown; readonly deny?: string; readonly ask?: string }>
  /**
   * The result of a call that was carried out, before it is stored, also one of a page or from outside. An `output`, or an
   * `errorText`, takes its place.
   */
  afterTool?(
    call: ToolCallHook,
    result: ToolResultHook,
    context: HookContext,
  ): Hooked<{ readonly output?: unknown } | { readonly errorText?: string }>
  /** Every event of the run, as listeners hear it. A promise is not waited for. */
  onEvent?(event: AnyEvent, context: HookContext): void | Promise<void>
  /** What an attempt of a model, a tool (`tool-failed`, `timeout`) or the run failed with. */
  onError?(error: AgentError, context: HookContext): void | Promise<void>
  /** Before older messages are summarised; `skip` leaves them as they are. */
  beforeCompaction?(given: CompactionHook, context: HookContext): Hooked<{ readonly skip?: boolean }>
  /** A summary before it is stored. */
  afterCompaction?(given: { readonly summary: string }, context: HookContext): Hooked<{ readonly summary?: string }>
  /**
   * How the run ends, before that is stored: where it fails, the run ends as failed instead. Of a cancelled run, afterwards;
   * what fails then is reported.
   */
  onRunEnd?(end: RunEndHook, context: HookContext): void | Promise<void>
  /**
   * Every text on its way into the store or to a model, whole or in part: inputs, prompts, answers and their drafts, outputs,
   * errors, summaries. Gives what takes its place, at once. Not the inputs of calls in the history, which the tools get; nor
   * what listeners hear while it is written.
   */
  onText?(text: string): string
}
