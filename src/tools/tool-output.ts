import type { JSONValue } from '@ai-sdk/provider'
import type { ToolResultOutput, ToolSet } from '@ai-sdk/provider-utils'
import { AgentError, messageOf } from '../errors.ts'
import { fileContent } from '../model/file-data.ts'
import type { ModelOutput, Outcome, ToolCallPart, ToolResultRecord } from '../sessions/records.ts'
import { wellFormed } from './well-formed.ts'

/** Characters of JSON that one result may have; more would fill the store and every later prompt. */
const maxOutput = 4 * 1024 * 1024
const maxDepth = 500

/** The result of a call that ended well: output checked and copied, and what the model is told of it. */
export async function successOf(
  call: ToolCallPart,
  tool: ToolSet[string] | undefined,
  raw: unknown,
): Promise<ToolResultRecord> {
  const output = toJson(raw)
  const modelOutput = tool?.toModelOutput
    ? toStored(await tool.toModelOutput({ toolCallId: call.toolCallId, input: call.input, output: raw }))
    : modelOutputOf(output, raw)
  return { ...resultOf(call, 'success', modelOutput), output }
}

/** What a tool tells the model itself, checked like any output; its files in the form of `fileContent`. */
export function toStored(given: ToolResultOutput): ModelOutput {
  if (given.type !== 'content') return toJson(given) as unknown as ModelOutput
  const items = given.value.map(fileContent)
  // The bytes of files have a limit of their own.
  const rest = toJson({ ...given, value: items.map(withoutBytes) }) as unknown as { readonly value: readonly object[] }
  return { ...rest, value: rest.value.map((item, at) => withBytes(item, items[at])) } as unknown as ModelOutput
}

interface InlineFile {
  readonly data?: { readonly type?: string; readonly data?: unknown }
}

const inlineOf = ({ data }: InlineFile) => (data?.type === 'data' && typeof data.data === 'string' ? data : undefined)
const withoutBytes = (item: InlineFile) => (inlineOf(item) ? { ...item, data: { type: 'data' } } : item)
const withBytes = (item: object, { data }: InlineFile = {}) => (inlineOf({ data }) ? { ...item, data } : item)

type Called = Pick<ToolCallPart, 'toolCallId' | 'toolName' | 'providerMetadata'>

export function failureOf(
  call: Called,
  errorText: string,
  outcome: Exclude<Outcome, 'success'> = 'failure',
): ToolResultRecord {
  return { ...resultOf(call, outcome, { type: 'error-text', value: errorText }), errorText }
}

/** Only a string is text: what becomes one in JSON, a `Date` for example, is not. */
export const modelOutputOf = (output: JSONValue, raw: unknown = output): ModelOutput =>
  typeof raw === 'string' && typeof output === 'string'
    ? { type: 'text', value: output }
    : { type: 'json', value: output }

function resultOf(call: Called, outcome: Outcome, modelOutput: ModelOutput): ToolResultRecord {
  const { toolCallId, toolName, providerMetadata } = call
  return { toolCallId, toolName, outcome, modelOutput, ...(providerMetadata ? { providerMetadata } : undefined) }
}

/** What a tool threw, in words for the model: the AI SDK's, with the error's class. Our own errors say all themselves. */
export function failureText(error: unknown): string {
  if (error === undefined || error === null) return 'unknown error'
  if (typeof error === 'string' || error instanceof AgentError) return messageOf(error)
  try {
    return error instanceof Error ? messageOf(error.toString()) : JSON.stringify(toJson(error))
  } catch {
    return messageOf(error)
  }
}

/**
 * A copy of `value` as JSON would carry it, bounded in size and depth. Throws `invalid-argument`, saying what to do
 * instead, for what JSON can't carry: functions, cycles, bigints, binary data, more than 4 MiB.
 */
export function toJson(value: unknown, { subject, verb } = outputWords): JSONValue {
  const refuse = (what: string, instead: string) =>
    new AgentError('invalid-argument', `${subject} ${what}: ${verb} ${instead}.`)
  let size = 0
  const path = new Set<object>()
  const grow = (by: number) => {
    size += by
    if (size > maxOutput) throw refuse('has over 4 MiB as JSON', 'less, or a reference to it')
  }
  const copy = (it: unknown, inArray: boolean): JSONValue | undefined => {
    switch (typeof it) {
      case 'string':
        grow(it.length + 2)
        return wellFormed(it)
      case 'number':
        grow(8)
        return Number.isFinite(it) ? it : null
      case 'boolean':
        grow(5)
        return it
      case 'undefined':
        return inArray ? null : undefined
      case 'object':
        return it === null ? null : copyObject(it)
      default:
        throw refuse(`holds a ${typeof it}`, 'data: strings, numbers, booleans, arrays and plain objects')
    }
  }
  const copyObject = (it: object): JSONValue | undefined => {
    if ('toJSON' in it && typeof it.toJSON === 'function') return copy(it.toJSON(), false)
    if (path.has(it)) throw refuse('refers to itself', 'a tree')
    if (path.size > maxDepth) throw refuse(`is nested over ${maxDepth} deep`, 'something flatter')
    if (it instanceof ArrayBuffer || ArrayBuffer.isView(it) || (typeof Blob !== 'undefined' && it instanceof Blob)) {
      throw refuse('holds binary data', 'it as a base64 string, and use toModelOutput to show it to the model')
    }
    path.add(it)
    let result: JSONValue
    if (Array.isArray(it)) {
      grow(2 + it.length)
      result = it.map((item) => copy(item, true) ?? null)
    } else {
      const entries: [string, JSONValue][] = []
      for (const [key, item] of Object.entries(it)) {
        grow(key.length + 4)
        const value = copy(item, false)
        if (value !== undefined) entries.push([wellFormed(key), value])
      }
      result = Object.fromEntries(entries)
    }
    path.delete(it)
    return result
  }
  return copy(value, true) ?? null
}

const outputWords = { subject: 'The output', verb: 'return' }
