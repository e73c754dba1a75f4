import { AgentError } from '../errors.ts'
import { type Budget, mayExplode, newBudget } from './backtracking.ts'
import { wellFormed } from './well-formed.ts'

/** What a schema may have: nested levels, objects and arrays in all, characters of names and texts. */
const most = { depth: 100, nodes: 10_000, characters: 400_000 }

/** A schema that nobody should be told, whatever becomes of what it refers to. */
export class BoundsError extends AgentError {}

/**
 * A schema's own copy as JSON, of bounded size. Throws `unsupported-tool` for one that is too large, refers to itself as an
 * object, holds what JSON can't, or has a `pattern` that may take for ever.
 */
export function boundedSchema(schema: unknown, tool: string, budget: Budget = newBudget()): unknown {
  const refuse = (why: string) => new BoundsError('unsupported-tool', `Tool "${tool}": its schema ${why}.`)
  let nodes = 0
  let characters = 0
  const grow = (by: number) => {
    characters += by
    if (characters > most.characters) throw refuse(`has over ${most.characters} characters`)
  }
  const text = (value: string) => {
    grow(value.length)
    return wellFormed(value)
  }
  const check = (pattern: string) => {
    if (mayExplode(pattern, budget))
      throw refuse('has a `pattern` that may take for ever: it can match one text in ever more ways. Write it without')
  }
  const copy = (value: unknown, depth: number): unknown => {
    if (typeof value === 'string') return text(value)
    grow(4)
    if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return value
    if (typeof value !== 'object') throw refuse(`holds a ${typeof value}: only JSON can be told to a model`)
    // Also where an object holds itself.
    if (depth > most.depth) throw refuse(`is nested over ${most.depth} deep, or refers to itself`)
    if (++nodes > most.nodes) throw refuse(`has over ${most.nodes} parts`)
    if (Array.isArray(value)) return value.map((item) => copy(item, depth + 1))
    const result: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue
      if (key === '__proto__') throw refuse('has the key "__proto__"')
      if (key === 'pattern' && typeof item === 'string') check(item)
      if (key === 'patternProperties' && typeof item === 'object') Object.keys(item ?? {}).forEach(check)
      result[text(key)] = copy(item, depth + 1)
    }
    return result
  }
  return copy(schema, 0)
}
