import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Script } from './script.ts'

const strictHeaders = ['authorization', 'content-type']

/** Lets any page read the answer, with the headers that matter for a retry. */
export function allowOrigin(response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', '*')
  response.setHeader('access-control-expose-headers', 'retry-after, retry-after-ms, x-request-id')
}

/** Answers a preflight; in strict mode it fails when the browser asks for any other header. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, script?: Script): void {
  const asked = request.headers['access-control-request-headers'] ?? ''
  const headers = asked
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const strict = script?.options.cors === 'strict'
  const allowed = !strict || headers.every((name) => strictHeaders.includes(name))
  script?.preflights.push({ headers, allowed })
  if (!allowed) {
    // A proxy names what it allows and leaves the refusal to the browser.
    response.setHeader('access-control-allow-headers', strictHeaders.join(', '))
    response.writeHead(403).end()
    return
  }
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': strict ? strictHeaders.join(', ') : asked || '*',
    'access-control-allow-private-network': 'true',
    'access-control-max-age': '0',
  })
  response.end()
}
