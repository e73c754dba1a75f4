import { APICallError } from '@ai-sdk/provider'
import { AgentError, type AgentErrorCode, messageOf } from '../errors.ts'

/**
 * What a model call failed with, by code. Nothing of the request or the response's headers is kept: they hold keys, and
 * an answer to a 401 may echo one, so that its words are not passed on either.
 */
export function toModelError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown
  if (APICallError.isInstance(thrown)) return fromApiError(thrown)
  // A browser tells of a refused or lost connection with a bare TypeError; so does a CORS refusal.
  if (thrown instanceof TypeError) {
    return new AgentError(
      'unreachable',
      `The model's endpoint can't be reached (offline, refused, or not allowed by CORS): ${messageOf(thrown)}`,
    )
  }
  return new AgentError('model-failed', `The model failed: ${messageOf(thrown)}`)
}

function fromApiError(error: APICallError): AgentError {
  const status = error.statusCode
  if (status === undefined || (status === 200 && error.cause instanceof TypeError)) {
    const code = status === 200 ? 'model-interrupted' : 'unreachable'
    return new AgentError(code, `The connection to the model was lost: ${messageOf(error)}`, { status })
  }
  if (status === 401 || status === 403) {
    return new AgentError(
      'unauthorized',
      `The model's endpoint refused the credentials (HTTP ${status}). Check the key or the proxy.`,
      { status },
    )
  }
  const code = codeOf(status)
  return new AgentError(code, `The model's endpoint answered HTTP ${status}: ${messageOf(error)}`, {
    status,
    recoverable: error.isRetryable,
  })
}

function codeOf(status: number): AgentErrorCode {
  if (status === 429) return 'rate-limited'
  if (status >= 500 || status === 408 || status === 409) return 'overloaded'
  return status >= 400 ? 'bad-request' : 'model-failed'
}
