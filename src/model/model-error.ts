import { APICallError } from '@ai-sdk/provider'
import { AgentError, type AgentErrorCode, messageOf, storeCodes } from '../errors.ts'
import { isContextOverflow } from './context-overflow.ts'
import { redact } from './redact.ts'
import { retryAfterOf } from './retry.ts'

/**
 * What a model call failed with, by code. Nothing of the request or the response's headers is kept but when to ask again:
 * they hold keys, and an answer to a 401 may echo one, so that its words are not passed on either. `now` is Unix time in
 * milliseconds.
 */
export function toModelError(thrown: unknown, credentials?: unknown, now = Date.now()): AgentError {
  // A model function may throw one that isn't its to throw: it must not pass for the store's, or for an abort.
  if (thrown instanceof AgentError && !storeCodes.has(thrown.code) && thrown.code !== 'aborted') return thrown
  const words = redact(messageOf(isStreamError(thrown) ? thrown.message : thrown), credentials)
  if (APICallError.isInstance(thrown)) return fromApiError(thrown, words, now)
  if (isStreamError(thrown)) return fromStatus(thrown.statusCode, words, thrown.isRetryable, 'in mid-answer')
  // A browser tells of a refused or lost connection with a bare TypeError; so does a CORS refusal.
  if (thrown instanceof TypeError) {
    return new AgentError(
      'unreachable',
      `The model's endpoint can't be reached (offline, refused, or not allowed by CORS): ${words}`,
    )
  }
  return new AgentError(isContextOverflow(0, words) ? 'context-overflow' : 'model-failed', `The model failed: ${words}`)
}

function fromApiError(error: APICallError, words: string, now: number): AgentError {
  const { statusCode: status, isRetryable, cause, responseBody, responseHeaders } = error
  if (status === undefined || (status === 200 && cause instanceof TypeError)) {
    const code = status === 200 ? 'model-interrupted' : 'unreachable'
    return new AgentError(code, `The connection to the model was lost: ${words}`, { status })
  }
  const options = { status, retryAfter: retryAfterOf(responseHeaders ?? {}, now) }
  return fromStatus(status, words, isRetryable, `HTTP ${status}`, options, responseBody)
}

interface StreamError {
  readonly message: string
  /** What the error's words come to, where the answer itself began with a 200. */
  readonly statusCode?: number
  readonly isRetryable?: boolean
}

/** An error event within a stream: providers tell of it as plain data. */
const isStreamError = (thrown: unknown): thrown is StreamError =>
  typeof thrown === 'object' &&
  thrown !== null &&
  !(thrown instanceof Error) &&
  typeof (thrown as StreamError).message === 'string'

function fromStatus(
  status: number | undefined,
  words: string,
  recoverable: boolean | undefined,
  how: string,
  options: { readonly status?: number; readonly retryAfter?: number | undefined } = {},
  body = '',
): AgentError {
  if (status === 401 || status === 403) {
    const problem = `The model's endpoint refused the credentials (${how}). Check the key or the proxy.`
    return new AgentError('unauthorized', problem, options)
  }
  if (isContextOverflow(status, words, body)) {
    const problem = `This is more than the model's context takes (${how}): ${words}`
    return new AgentError('context-overflow', problem, options)
  }
  const retry = recoverable === undefined ? options : { ...options, recoverable }
  return new AgentError(codeOf(status ?? 0), `The model's endpoint answered with an error (${how}): ${words}`, retry)
}

function codeOf(status: number): AgentErrorCode {
  if (status === 429) return 'rate-limited'
  if (status >= 500 || status === 408 || status === 409) return 'overloaded'
  return status >= 400 ? 'bad-request' : 'model-failed'
}
