/**
 * A `fetch` for providers: `createOpenAI({ fetch: fetchWithoutUserAgent })`. `@ai-sdk/*` adds a `user-agent` header, which
 * Firefox and WebKit put into the CORS preflight, so that an endpoint that allows only `authorization` and `content-type`
 * refuses the request.
 */
export const fetchWithoutUserAgent: typeof fetch = (input, init) => {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
  headers.delete('user-agent')
  return fetch(input, { ...init, headers })
}
