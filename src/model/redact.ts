import type { LanguageModelV4 } from '@ai-sdk/provider'
import { type AgentError, fromWire, toWire } from '../errors.ts'

// Errors are stored and shown; keys must not be. Endpoints repeat the key that they refuse, and so may a model function or a tool.

const keyLike =
  /\b(sk|pk|rk|xai|gsk|ghp)[-_][\w-]{8,}|\b(AIza|eyJ)[\w-]{16,}(?:\.[\w-]+)*|\b(Bearer|Basic)\s+[\w.~+/-]{8,}=*/g
/** What is called a key, and has a digit. */
const named =
  /((?:api[-_ ]?key|authorization|token|secret|password)["']?\s*[:=]\s*["']?)(?=[^\s"',;]*\d)[^\s"',;]{8,}/gi
const secretName = /key|token|secret|password|auth|cookie/i
/** Long, with a digit, and neither words nor an address. */
const tokenLike = /^(?=.*\d)[\w.~+/=-]{16,}$/
/** Characters: less is no key, and would be found anywhere. */
const shortest = 8

/** The text without what looks like a key, and without the keys and tokens among `secrets`: the page's credentials, headers. */
export function redact(text: string, secrets: unknown): string {
  let clean = text
  for (const secret of secretsIn(secrets)) clean = clean.replaceAll(secret, '…')
  return clean.replace(keyLike, (_, prefix, token, scheme) => `${prefix ?? token ?? scheme}…`).replace(named, '$1…')
}

/** The error, its words without keys. */
export function redactError(error: AgentError, secrets: unknown): AgentError {
  const message = redact(error.message, secrets)
  return message === error.message ? error : fromWire({ ...toWire(error), message })
}

/** The headers that a provider's model sends, keys included, as far as it lets them be seen. */
export function headersOf(model: LanguageModelV4): unknown {
  const { headers } = (model as { readonly config?: { readonly headers?: unknown } }).config ?? {}
  try {
    return typeof headers === 'function' ? headers() : headers
  } catch {
    return undefined
  }
}

function* secretsIn(value: unknown, depth = 0): Generator<string> {
  if (typeof value === 'string') {
    // A header has its scheme before it.
    for (const secret of new Set([value, value.slice(value.lastIndexOf(' ') + 1)]))
      if (secret.length >= shortest) yield secret
  }
  if (typeof value !== 'object' || value === null || depth > 4) return
  for (const [name, item] of Object.entries(value)) {
    const isSecret = Array.isArray(value) || secretName.test(name) || (typeof item === 'string' && tokenLike.test(item))
    if (typeof item === 'object' || isSecret) yield* secretsIn(item, depth + 1)
  }
}
