import { AgentError } from '../errors.ts'

/** Levels of nesting that are written; JSON of ours has fewer. */
const deepest = 600

/** JSON with the keys of every object sorted: the same text for the same value. Throws `invalid-input` for what is nested too deep. */
export function canonicalJson(value: unknown, levels = deepest): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (levels === 0) throw new AgentError('invalid-input', 'The input is nested too deep: pass something flatter.')
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, levels - 1)).join(',')}]`
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key], levels - 1)}`)
  return `{${entries.join(',')}}`
}
