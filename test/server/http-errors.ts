import type { HttpError } from './turns.ts'

/** An HTTP error with OpenAI's error object, or with any body (a string is sent as HTML, as a gateway does). */
export const httpError = (
  status: number,
  error: string | { message: string; type?: string; param?: string | null; code?: string | null },
  headers: Record<string, string> = {},
): HttpError => ({
  kind: 'http-error',
  status,
  headers,
  body:
    typeof error === 'string' ? error : { error: { type: 'invalid_request_error', param: null, code: null, ...error } },
})

/**
 * 401 that repeats the key. OpenAI masks the middle of a long key and repeats a short one whole; compatible endpoints
 * repeat it whole, which is the worse case and the default here.
 */
export const unauthorized = (options: { mask?: boolean } = {}): HttpError =>
  httpError(401, {
    message:
      `Incorrect API key provided: ${options.mask ? '{masked-key}' : '{key}'}. ` +
      'You can find your API key at https://platform.openai.com/account/api-keys.',
    code: 'invalid_api_key',
  })

/** 429. `retryAfter`: seconds, or the text of the header (an HTTP date); without it the header is missing. */
export const rateLimited = (options: { retryAfter?: number | string; retryAfterMs?: number } = {}): HttpError =>
  httpError(
    429,
    {
      message: 'Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again later.',
      type: 'requests',
      code: 'rate_limit_exceeded',
    },
    {
      'x-ratelimit-limit-requests': '3',
      'x-ratelimit-remaining-requests': '0',
      ...(options.retryAfter !== undefined && { 'retry-after': String(options.retryAfter) }),
      ...(options.retryAfterMs !== undefined && { 'retry-after-ms': String(options.retryAfterMs) }),
    },
  )

/** 429 that no waiting helps: the account has no quota left. */
export const quotaExceeded = (): HttpError =>
  httpError(429, {
    message: 'You exceeded your current quota, please check your plan and billing details.',
    type: 'insufficient_quota',
    code: 'insufficient_quota',
  })

export const serverError = (): HttpError =>
  httpError(500, {
    message: 'The server had an error while processing your request. Sorry about that!',
    type: 'server_error',
  })

/** A gateway's error page instead of JSON. */
export const badGateway = (): HttpError =>
  httpError(502, '<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>')

/** The body that `status` errors have, with the key put in; a JSON string or HTML. */
export function errorBody(turn: HttpError, authorization: string | undefined): string {
  const key = authorization?.replace(/^Bearer /, '') ?? ''
  const masked = key.length > 12 ? `${key.slice(0, 8)}${'*'.repeat(key.length - 12)}${key.slice(-4)}` : key
  const body = typeof turn.body === 'string' ? turn.body : JSON.stringify(turn.body)
  const put = (value: string) => (typeof turn.body === 'string' ? value : JSON.stringify(value).slice(1, -1))
  return body.replaceAll('{key}', () => put(key)).replaceAll('{masked-key}', () => put(masked))
}
