/**
 * What a scripted endpoint can answer: plain data, so that a test in a browser sends it over HTTP.
 * A script is a list of turns; each model request takes the next one.
 */
export type Turn = Answer | Raw | Endless | HttpError | Hang | Destroy

export type Protocol = 'responses' | 'chat'

/** A place in a stream; `event` and the others count from 0. */
export type Place =
  | number // after so many bytes
  | { event: number } // before this event, so after so many whole ones
  | { line: number } // in the middle of this event's data line
  | { character: number } // inside the first multi-byte character at or after this event

/** How the bytes leave the server. Times in milliseconds. */
export interface Delivery {
  /** Before the status line. */
  delay?: number
  /** Between two events; without it the whole stream is one write. */
  pace?: number
  /** Bytes per write, whatever the events' ends are. */
  split?: number
  /** The stream waits here until `release()`, at most the server's cap. */
  holdAt?: Place
  /** The stream goes no further than this. */
  cutAt?: Place
  /**
   * What happens at `cutAt`: the socket is destroyed (default), the body ends cleanly, nothing more ever comes, or
   * bytes without a line's end follow.
   */
  cutBy?: 'destroy' | 'end' | 'hang' | 'endless-line'
}

export interface Answer extends Delivery {
  kind: 'answer'
  parts: Part[]
  /** Default: `tool_calls` where a call was asked for (Chat Completions only), else `stop`. */
  finish?: 'length' | 'content_filter'
  /** Default: 20 in, one per delta out; null: the endpoint tells no usage. */
  usage?: Partial<TokenCounts> | null
  /** An error event after HTTP 200. The last part stays open, nothing completes. */
  error?: StreamError
}

/** Recorded `data:` payloads, served as they are. */
export interface Raw extends Delivery {
  kind: 'raw'
  payloads: string[]
}

/** Text deltas without end: until the client closes, or the server's cap (then the answer completes). */
export interface Endless {
  kind: 'endless'
  delta: string
  /** Milliseconds between deltas; 0: as fast as the client reads. */
  pace: number
}

export interface HttpError {
  kind: 'http-error'
  status: number
  headers?: Record<string, string>
  /** An object is sent as JSON, a string as HTML. `{key}` becomes the key of the request's `authorization` header. */
  body: unknown
  delay?: number
}

/** The request is read and never answered, not even with headers. */
export interface Hang {
  kind: 'hang'
}

/** The socket is destroyed before any header. */
export interface Destroy {
  kind: 'destroy'
}

export interface TokenCounts {
  input: number
  cached: number
  output: number
  reasoning: number
}

export interface StreamError {
  message: string
  type?: string
  code?: string | null
  /**
   * Responses only: `nested` as recorded (`error` with an error object, then `response.failed`; default), `flat` as
   * documented, `failed` without an `error` event.
   */
  form?: 'nested' | 'flat' | 'failed'
}

export type Part = TextPart | RefusalPart | ReasoningPart | CallPart | WebSearchPart | McpCallPart

export interface Citation {
  url: string
  title: string
  /** Offsets in the text. */
  start: number
  end: number
}

export interface TextPart {
  type: 'text'
  deltas: string[]
  citations?: Citation[]
}

export interface RefusalPart {
  type: 'refusal'
  deltas: string[]
}

/** Summary parts, each a list of deltas. Chat Completions tell nothing of it: `@ai-sdk/openai` reads no reasoning there. */
export interface ReasoningPart {
  type: 'reasoning'
  summary: string[][]
  /** As with `include: ['reasoning.encrypted_content']`: an opaque content, another one when the item is done. */
  encrypted?: boolean
}

export interface CallPart {
  type: 'call'
  name: string
  /** The arguments, in the pieces in which they arrive. */
  deltas: string[]
  /** The call's id; made when missing, and given as it is when it is blank or used twice. */
  id?: string
}

/** Executed by the provider. Responses only; Chat Completions show nothing but the citations of the text. */
export interface WebSearchPart {
  type: 'web-search'
  query: string
  sources: string[]
}

/** A tool of an MCP server that the provider calls itself. Responses only. */
export interface McpCallPart {
  type: 'mcp-call'
  server: string
  name: string
  arguments: string
  output?: string
  error?: string
}

const byWord = (value: string): string[] => value.match(/\s*\S+|\s+$/g) ?? []
const byEight = (value: string): string[] => value.match(/.{1,8}/gsu) ?? []

/** Text; a string is split before its words' spaces, an array gives the deltas as they are. */
export const text = (value: string | string[], citations?: Citation[]): TextPart => ({
  type: 'text',
  deltas: typeof value === 'string' ? byWord(value) : value,
  ...(citations && { citations }),
})

export const refusal = (value: string): RefusalPart => ({ type: 'refusal', deltas: byWord(value) })

/** One string per summary part; none: an item without a summary, as OpenAI sends it by default. */
export const reasoning = (summary: string[] = [], options: { encrypted?: boolean } = {}): ReasoningPart => ({
  type: 'reasoning',
  summary: summary.map(byWord),
  ...options,
})

/** A tool call; a string as input is sent as it is (blank or broken JSON), `deltas` says how it is split. */
export const call = (name: string, input: unknown, options: { id?: string; deltas?: string[] } = {}): CallPart => {
  const { deltas = byEight(typeof input === 'string' ? input : JSON.stringify(input)), ...rest } = options
  return { type: 'call', name, deltas, ...rest }
}

export const webSearch = (query: string, sources: string[]): WebSearchPart => ({ type: 'web-search', query, sources })

export const mcpCall = (part: Omit<McpCallPart, 'type'>): McpCallPart => ({ type: 'mcp-call', ...part })

export type AnswerOptions = Omit<Answer, 'kind' | 'parts'>

export const answer = (parts: Part[], options: AnswerOptions = {}): Answer => ({ kind: 'answer', parts, ...options })

/** An answer that is one text. */
export const say = (value: string | string[], options: AnswerOptions = {}): Answer => answer([text(value)], options)

/** Recorded payloads, one per line or item; Chat Completions get their `[DONE]` where it is missing. */
export const raw = (recording: string | string[], options: Delivery = {}): Raw => ({
  kind: 'raw',
  payloads: (typeof recording === 'string' ? recording.split('\n') : recording).filter((line) => line.trim() !== ''),
  ...options,
})

export const endless = (options: { delta?: string; pace?: number } = {}): Endless => ({
  kind: 'endless',
  delta: 'again ',
  pace: 5,
  ...options,
})

/** A line that never ends, within the first text delta. */
export const endlessLine = (): Answer => say('x', { cutAt: { line: 4 }, cutBy: 'endless-line' })

export const hangBeforeHeaders = (): Hang => ({ kind: 'hang' })

export const hangAfterHeaders = (): Answer => answer([], { cutAt: 0, cutBy: 'hang' })

export const destroyBeforeHeaders = (): Destroy => ({ kind: 'destroy' })
