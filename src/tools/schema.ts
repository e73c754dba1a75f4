import type { JSONSchema7 } from '@ai-sdk/provider'
import type { FlexibleSchema } from '@ai-sdk/provider-utils'
import { AgentError, messageOf } from '../errors.ts'
import { isRecord } from '../is-object.ts'
import type { Budget } from './backtracking.ts'
import { boundedSchema } from './bounded-schema.ts'

// Schemas come as Standard Schema (zod 4 and others), as the AI SDK's `Schema`, or as a function that gives one. The AI
// SDK's `asSchema` knows all of them, and costs a third of the runtime's size; these two functions are what is used of it.

export type Validation =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string }

interface StandardSchema {
  readonly '~standard': {
    readonly validate: (value: unknown) => StandardResult | Promise<StandardResult>
    readonly jsonSchema?: { input(options: { target: string }): unknown }
  }
}
type StandardResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }
interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[]
}
interface SdkSchema {
  readonly jsonSchema: unknown
  readonly validate?: (
    value: unknown,
  ) =>
    | Promise<{ success: true; value: unknown } | { success: false; error: Error }>
    | { success: true; value: unknown }
    | { success: false; error: Error }
}

// biome-ignore lint/suspicious/noExplicitAny: any schema
type AnySchema = FlexibleSchema<any>

const resolve = (schema: AnySchema): StandardSchema | SdkSchema =>
  (typeof schema === 'function' && !('~standard' in schema) ? (schema as () => unknown)() : schema) as
    | StandardSchema
    | SdkSchema

/** Checks a value; a validator that throws counts as a refusal, in its words. */
export async function validate(schema: AnySchema, value: unknown): Promise<Validation> {
  try {
    const known = resolve(schema)
    if ('~standard' in known) {
      const result = await known['~standard'].validate(value)
      return result.issues ? { ok: false, problem: describe(result.issues) } : { ok: true, value: result.value }
    }
    if (!known.validate) return { ok: true, value }
    const result = await known.validate(value)
    return result.success ? { ok: true, value: result.value } : { ok: false, problem: messageOf(result.error) }
  } catch (error) {
    return { ok: false, problem: messageOf(error) }
  }
}

/**
 * The schema as a provider wants it; a promise only where the schema itself comes later. Throws `unsupported-tool` where a
 * library's schema can't say it, and where it is of a size or a kind that nobody should be told.
 */
export function toJsonSchema(schema: AnySchema, tool: string, budget?: Budget): JSONSchema7 | Promise<JSONSchema7> {
  const known = resolve(schema)
  if (!('~standard' in known)) {
    const given = known.jsonSchema
    return given instanceof Promise
      ? given.then((come) => boundedSchema(come, tool, budget) as JSONSchema7)
      : (boundedSchema(given, tool, budget) as JSONSchema7)
  }
  const { jsonSchema } = known['~standard']
  const refuse = (why: string) =>
    new AgentError(
      'unsupported-tool',
      `Tool "${tool}": its schema can't be turned into JSON Schema${why}. Use zod 4, or jsonSchema({ … }).`,
    )
  if (!jsonSchema) throw refuse('')
  let told: unknown
  try {
    told = jsonSchema.input({ target: 'draft-07' })
  } catch (error) {
    throw refuse(` (${messageOf(error)})`)
  }
  return closed(boundedSchema(told, tool, budget)) as JSONSchema7
}

const describe = (issues: readonly StandardIssue[]) =>
  issues
    .slice(0, 20)
    .map(({ message, path }) => {
      const at = path?.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
      return at ? `${at}: ${message}` : message
    })
    .join('; ')

type JsonObject = Record<string, unknown>
const inAll = (schemas: unknown) =>
  isRecord(schemas)
    ? Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, closed(schema)]))
    : schemas
const inEach = (schemas: unknown) => (Array.isArray(schemas) ? schemas.map(closed) : closed(schemas))

/** Where a schema holds further schemas, and how. */
const nested: Readonly<Record<string, (schemas: unknown) => unknown>> = {
  properties: inAll,
  definitions: inAll,
  $defs: inAll,
  additionalProperties: closed,
  items: inEach,
  anyOf: inEach,
  allOf: inEach,
  oneOf: inEach,
}

/** Objects take no further properties, as the AI SDK has it: OpenAI's strict mode asks for it, and models follow it. */
function closed(schema: unknown): unknown {
  if (!isRecord(schema)) return schema
  const result: JsonObject = {}
  for (const [key, value] of Object.entries(schema)) {
    result[key] = Object.hasOwn(nested, key) ? nested[key]?.(value) : value
  }
  const isOfObjects = schema.type === 'object' || (Array.isArray(schema.type) && schema.type.includes('object'))
  if (isOfObjects && !isRecord(schema.additionalProperties)) result.additionalProperties = false
  return result
}
