import type { LanguageModelV4FinishReason, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { Usage } from '../api/public-types.ts'

/** What a scripted model answers with. Make it with `reply`; it can be used more than once. */
export interface Reply {
  readonly pieces: readonly Piece[]
}

export type Piece =
  | { readonly type: 'text' | 'reasoning'; readonly text: string }
  | { readonly type: 'call'; readonly name: string; readonly json: string; readonly toolCallId?: string }
  | { readonly type: 'parts'; readonly parts: readonly LanguageModelV4StreamPart[] }
  | { readonly type: 'finish'; readonly reason?: FinishReason; readonly usage?: Partial<Usage> }
  | { readonly type: 'fail'; readonly status: number; readonly headers: Readonly<Record<string, string>> }
  | { readonly type: 'drop' }
  | { readonly type: 'hang' }

export type FinishReason = LanguageModelV4FinishReason['unified']

const of = (...pieces: Piece[]): Reply => ({ pieces })

/**
 * Makes replies for `scriptedModel`. Each streams as a provider's answer does: in small deltas, with an id for each part,
 * and ended by a reason to finish: `tool-calls` where there is a call, else `stop`.
 */
export const reply = {
  /** A text, in deltas of a word each. */
  text: (text: string): Reply => of({ type: 'text', text }),

  /** Reasoning, in deltas of a word each. */
  reasoning: (text: string): Reply => of({ type: 'reasoning', text }),

  /**
   * A call of a tool. `input` is turned into JSON; a string is taken as it is, for input that is no JSON. Calls get ids
   * of their own, `call-1`, `call-2` …, unless one is given.
   */
  call: (name: string, input: unknown, { toolCallId }: { readonly toolCallId?: string } = {}): Reply =>
    of({
      type: 'call',
      name,
      json: typeof input === 'string' ? input : (JSON.stringify(input) ?? ''),
      ...(toolCallId === undefined ? undefined : { toolCallId }),
    }),

  /**
   * Refuses the call with an HTTP status, as providers do: an `APICallError`. After other replies in `reply.all` the
   * error comes in mid-stream, after an HTTP status of 200, and the answer ends with it.
   */
  fail: (status: number, headers: Readonly<Record<string, string>> = {}): Reply =>
    of({ type: 'fail', status, headers }),

  /** Streams the text, then loses the connection, as Chromium tells of it: an `APICallError` with a `TypeError` inside. */
  drop: (after = ''): Reply => (after ? of({ type: 'text', text: after }, { type: 'drop' }) : of({ type: 'drop' })),

  /** Never answers; ends when the call is aborted. After other replies in `reply.all`: falls silent in mid-answer. */
  hang: (): Reply => of({ type: 'hang' }),

  /** Ends the answer for another reason than `stop` or `tool-calls`, and says what it used (nothing by default). */
  finish: (end: { readonly reason?: FinishReason; readonly usage?: Partial<Usage> }): Reply =>
    of({ type: 'finish', ...end }),

  /** One answer made of several, in this order: a text and two calls beside each other, for example. */
  all: (...replies: readonly Reply[]): Reply => of(...replies.flatMap(({ pieces }) => pieces)),

  /**
   * A provider's own stream parts, as they are. Alone they are the whole stream, and nothing is added, not even the end;
   * in `reply.all` they stand among the others.
   */
  parts: (parts: readonly LanguageModelV4StreamPart[]): Reply => of({ type: 'parts', parts }),
}
