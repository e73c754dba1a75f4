import type { FlexibleSchema } from '@ai-sdk/provider-utils'
import { BoundsError } from '../tools/bounded-schema.ts'
import { toJsonSchema } from '../tools/schema.ts'

/** Schemas that are known to be of a size and a kind that can be told. */
const checked = new WeakSet<object>()

/**
 * Refuses a schema that nobody should be told, as far as that can be seen at once. What can't be turned into JSON Schema yet,
 * as it refers to what is defined later, shows itself when a model is to be told of it.
 */
export function checkSchema(schema: FlexibleSchema, tool: string): void {
  if (checked.has(schema)) return
  // A function may make its schema later, on demand.
  if (typeof schema === 'function' && !('~standard' in schema)) return
  try {
    const told = toJsonSchema(schema, tool)
    if (told instanceof Promise) told.catch(() => {})
    else checked.add(schema)
  } catch (error) {
    if (error instanceof BoundsError) throw error
  }
}
