/**
 * `next`, with everything in it that says the same as in `old` replaced by `old`'s: what did not change keeps its identity.
 * Gives `old` itself where nothing changed. For plain data; an error, or what is nested very deep, is the same only when
 * identical.
 */
export function share<T>(old: unknown, next: T, depth = 32): T {
  if (Object.is(old, next) || !depth || !isPlain(old) || !isPlain(next) || Array.isArray(old) !== Array.isArray(next))
    return next
  const keys = Object.keys(next)
  let equal = keys.length === Object.keys(old).length
  // Copied whole before its fields are set: so that `__proto__` is a field as any other.
  const shared: typeof next = Array.isArray(next) ? [...next] : { ...next }
  for (const key of keys) {
    shared[key] = share(old[key], next[key], depth - 1)
    equal &&= Object.hasOwn(old, key) && Object.is(old[key], shared[key])
  }
  return (equal ? old : shared) as T
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype
}
