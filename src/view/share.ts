/**
 * `next`, with everything in it that says the same as in `old` replaced by `old`'s: what did not change keeps its identity.
 * Gives `old` itself where nothing changed. For plain data; an error, or what is nested very deep, is the same only when
 * identical.
 */
export const share = <T>(old: unknown, next: T): T => shared(old, next, 32) as T

type Plain = Record<PropertyKey, unknown>

function shared(old: unknown, next: unknown, depth: number): unknown {
  const same = Object.is(old, next)
  return same || !depth || !areAlike(old, next) ? next : sharedFields(old as Plain, next as Plain, depth - 1)
}

/** Both arrays, or both objects without a class. */
function areAlike(old: unknown, next: unknown): boolean {
  const prototype = Object.getPrototypeOf(next ?? 0)
  return [Object.prototype, Array.prototype].includes(prototype) && prototype === Object.getPrototypeOf(old ?? 0)
}

function sharedFields(old: Plain, next: Plain, depth: number): Plain {
  let equal = count(old) === count(next)
  let copy: Plain | undefined
  for (const key of Array.isArray(next) ? next.keys() : Object.keys(next)) {
    const value = shared(old[key], next[key], depth)
    equal &&= Object.is(old[key], value) && key in old
    // Copied whole before a field is set: so that `__proto__` is a field as any other.
    if (!Object.is(next[key], value)) {
      copy ??= Array.isArray(next) ? ([...next] as unknown as Plain) : { ...next }
      copy[key] = value
    }
  }
  return equal ? old : (copy ?? next)
}

const count = (value: object) => (Array.isArray(value) ? value.length : Object.keys(value).length)
