import type { Message } from '../api/message.ts'
import { AgentError } from '../errors.ts'

export interface SummariseContext {
  /** Aborts with the run, and when the time is over. */
  readonly signal: AbortSignal
  /** The summary of what came before the messages, to be folded in. */
  readonly previous?: string
}

/** How a conversation is kept within the model's context. The stored history keeps every message. */
export interface ContextOptions {
  /**
   * Tokens that the model takes, in and out together; or by model id. Without it nothing is left out before the provider
   * complains.
   */
  readonly window?: number | Readonly<Record<string, number>>
  /** The share of the window from which on older messages are summarised. 0.8 by default. */
  readonly compactAt?: number
  /** Tokens of the newest messages that stay word for word. A quarter of `compactAt × window` by default. */
  readonly keep?: number
  /**
   * Makes the summary in the model's place. What it throws counts as a failed summary, and never ends a run; so does one that
   * takes longer than `modelTimeout.total`, or `firstPart` where there is no total: 60 seconds by default.
   */
  readonly summarise?: (messages: readonly Message[], context: SummariseContext) => string | Promise<string>
  /** `false`: older messages are left out instead of summarised. */
  readonly compaction?: false
}

/** Throws `invalid-argument` for what can't work. */
export function checkContext(agent: string, { window, compactAt = 1, keep = 1, summarise }: ContextOptions = {}) {
  const refuse = (what: string) => {
    throw new AgentError('invalid-argument', `Agent "${agent}": context.${what}.`)
  }
  const windows = typeof window === 'object' ? Object.values(window) : [window ?? 1]
  if (!windows.every((tokens) => typeof tokens === 'number' && tokens >= 1))
    refuse('window must be a number of tokens, or an object with one for each model id')
  if (!(compactAt > 0 && compactAt <= 1)) refuse('compactAt must be a share of the window, above 0 and up to 1')
  if (!(keep >= 1)) refuse('keep must be a number of tokens, 1 or more')
  if (summarise !== undefined && typeof summarise !== 'function') refuse('summarise must be a function')
}
