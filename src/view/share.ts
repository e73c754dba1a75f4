/**
 * `next`, with everything in it that says the same as in `old` replaced by `old`'s: what did not change keeps its identity.
 * Gives `old` itself where nothing changed. For plain data; an error, or what is nested very deep, is the same only when
 * identical.
 */
export const share = <T>(old: unknown, next: T): T => shared(old, next, 32) as T

function shared(old: unknown, next: unknown, depth: number): unknown {
  if (Object.is(old, next) || !depth || !isPlain(old) || !isPlain(next)) return next
  if (Array.isArray(old) !== Array.isArray(next)) return next
  const keys = Array.isArray(next) ? next.keys() : Object.keys(next)
  let equal = count(old) === count(next)
  let copy: Record<PropertyKey, unknown> | undefined
  for (const key of keys) {
    const value = shared(old[key], next[key], depth - 1)
    equal &&= Object.is(old[key], value) && key in old
    // Copied whole before a field is set: so that `__proto__` is a field as any other.
    if (!Object.is(next[key], value)) {
      copy ??= (Array.isArray(next) ? [...next] : { ...next }) as Record<PropertyKey, unknown>
      copy[key] = value
    }
  }
  return equal ? old : (copy ?? next)
}

const count = (value: object) => (Array.isArray(value) ? value.length : Object.keys(value).length)

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype
}
