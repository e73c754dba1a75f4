import { APICallError } from '@ai-sdk/provider'

const url = 'https://model.invalid/v1/responses'

/** What a provider throws for an answer of its endpoint that is no success. Retryable by the AI SDK's own rule. */
export function httpError(status: number, headers: Readonly<Record<string, string>>): APICallError {
  return new APICallError({
    message: `Scripted failure: HTTP ${status}`,
    url,
    requestBodyValues: {},
    statusCode: status,
    responseHeaders: { ...headers },
    responseBody: JSON.stringify({ error: { message: `Scripted failure: HTTP ${status}` } }),
  })
}

/** What a provider's stream breaks with in Chromium when the connection is lost in mid-answer. */
export function lostConnection(): APICallError {
  return new APICallError({
    message: 'Failed to process successful response',
    url,
    requestBodyValues: {},
    statusCode: 200,
    responseHeaders: { 'content-type': 'text/event-stream' },
    cause: new TypeError('network error'),
  })
}
