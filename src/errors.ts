/** Every way in which turnloop refuses or fails, as one closed list. */
export type AgentErrorCode =
  // misuse: the message says what to write instead
  | 'invalid-argument'
  | 'invalid-input'
  | 'unknown-agent'
  | 'unknown-model'
  | 'unknown-tool'
  | 'unknown-session'
  | 'unknown-run'
  | 'unknown-approval'
  | 'approval-mismatch'
  | 'approval-expired'
  | 'unknown-message'
  | 'unknown-file'
  | 'file-too-large'
  | 'invalid-document'
  | 'unknown-price'
  | 'state-too-large'
  | 'unknown-method'
  | 'unsupported-model'
  | 'unsupported-tool'
  | 'session-busy'
  | 'not-resumable'
  | 'missing-tool-output'
  | 'duplicate-tool-output'
  | 'stopped'
  | 'delegation-refused'
  // the model's endpoint
  | 'unauthorized'
  | 'rate-limited'
  | 'overloaded'
  | 'bad-request'
  | 'context-overflow'
  | 'unreachable'
  | 'model-timeout'
  | 'model-interrupted'
  | 'model-failed'
  | 'invalid-output'
  // the agent's own code
  | 'middleware-failed'
  | 'tool-failed'
  // the store
  | 'storage-unavailable'
  | 'storage-full'
  | 'storage-lost'
  | 'storage-outdated'
  | 'ownership-lost'
  // the worker and its port
  | 'protocol-mismatch'
  | 'worker-lost'
  | 'closed'
  | 'aborted'
  | 'timeout'
  | 'internal'

/** An error as it is stored, and as it crosses a port: plain data, without stack, headers or bodies. */
export interface WireError {
  readonly code: AgentErrorCode
  readonly message: string
  readonly recoverable: boolean
  readonly status?: number
  readonly retryAfter?: number
}

/** Codes after which the same request may succeed when it is made again. */
const recoverableCodes: ReadonlySet<AgentErrorCode> = new Set([
  'session-busy',
  'rate-limited',
  'overloaded',
  'unreachable',
  'unauthorized',
  'model-timeout',
  'model-interrupted',
  'storage-full',
  'ownership-lost',
  'worker-lost',
  'timeout',
])

/** Codes that say that the store can't go on: what happened can't be written down. */
export const storeCodes: ReadonlySet<AgentErrorCode> = new Set([
  'ownership-lost',
  'storage-full',
  'storage-unavailable',
  'storage-lost',
  'storage-outdated',
  'closed',
])

export interface AgentErrorOptions {
  /** HTTP status of the model's endpoint, where it gave one. */
  readonly status?: number
  /** Milliseconds after which the endpoint wants to be asked again, where it said so. */
  readonly retryAfter?: number | undefined
  readonly recoverable?: boolean
  readonly cause?: unknown
}

/** The one error class of turnloop. Tell errors apart by `code`; `recoverable` says whether trying again can help. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentErrorCode
  readonly recoverable: boolean
  readonly status?: number
  /** Milliseconds after which the model's endpoint wants to be asked again. */
  readonly retryAfter?: number

  constructor(code: AgentErrorCode, message: string, options: AgentErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.recoverable = options.recoverable ?? recoverableCodes.has(code)
    if (options.status !== undefined) this.status = options.status
    if (options.retryAfter !== undefined) this.retryAfter = options.retryAfter
  }
}

/** What a thrown value says of itself, bounded: a hostile message can't flood a log. Never throws. */
export function messageOf(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
    return text.length > 2000 ? `${text.slice(0, 2000)}…` : text
  } catch {
    return 'an error that cannot be shown'
  }
}

/** The thrown value as an `AgentError`: itself, or wrapped under `code`. */
export function toAgentError(thrown: unknown, code: AgentErrorCode = 'internal'): AgentError {
  return thrown instanceof AgentError ? thrown : new AgentError(code, messageOf(thrown), { cause: thrown })
}

/** Plain data for the store or a port. `structuredClone` of an error would lose its class and code. */
export function toWire(thrown: unknown): WireError {
  const { code, message, recoverable, status, retryAfter } = toAgentError(thrown)
  return {
    code,
    message,
    recoverable,
    ...(status === undefined ? undefined : { status }),
    ...(retryAfter === undefined ? undefined : { retryAfter }),
  }
}

/** The error again, from what `toWire` made of it. */
export function fromWire({ code, message, ...options }: WireError): AgentError {
  return new AgentError(code, message, options)
}

/** Tells the page of an error that is nobody's to catch. Node has no `reportError`. */
export function report(error: unknown): void {
  ;(globalThis.reportError ?? console.error)(error)
}

/** What `result` rejects with when a run was cancelled: a `DOMException` named `AbortError`, as `fetch` gives it. */
export function abortError(message = 'The run was aborted'): DOMException {
  return new DOMException(message, 'AbortError')
}
