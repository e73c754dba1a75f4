import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'

/** The call as it was when it was made, whatever its maker does with it later. Signals and functions stay the same ones. */
export const copyCall = (options: LanguageModelV4CallOptions): LanguageModelV4CallOptions =>
  copy(options) as LanguageModelV4CallOptions

// Not `structuredClone`: it refuses signals and URLs.
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy)
  if (value instanceof Uint8Array) return value.slice()
  if (value instanceof URL) return new URL(value)
  if (value instanceof Date) return new Date(value)
  if (!isPlainObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)]))
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
