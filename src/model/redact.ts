// Errors are stored and shown; keys must not be. Endpoints repeat the key that they refuse, and so may a model function.

const keyLike = /\b(sk|pk|rk|xai|gsk)-[\w-]{8,}|\b(Bearer)\s+[\w.~+/-]{8,}=*/g
const secretName = /key|token|secret|password|auth/i
/** Characters: less is no key, and would be found anywhere. */
const shortest = 8

/** The text without what looks like a key, and without the keys and tokens among the page's credentials. */
export function redact(text: string, credentials: unknown): string {
  let clean = text.replace(keyLike, (_, prefix, scheme) => `${prefix ?? scheme}…`)
  for (const secret of secretsIn(credentials)) clean = clean.replaceAll(secret, '…')
  return clean
}

function* secretsIn(value: unknown, depth = 0): Generator<string> {
  if (typeof value === 'string' && value.length >= shortest) yield value
  if (typeof value !== 'object' || value === null || depth > 3) return
  for (const [name, item] of Object.entries(value)) {
    if (typeof item === 'object' || secretName.test(name)) yield* secretsIn(item, depth + 1)
  }
}
