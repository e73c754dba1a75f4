import type { LanguageModelV4ToolCall } from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import { toToolName } from '../agent/tool-names.ts'
import { AgentError, messageOf } from '../errors.ts'
import type { ToolCallPart } from '../sessions/records.ts'
import { type Validation, validate } from './schema.ts'
import { toolNamed } from './tool-named.ts'
import { toJson } from './tool-output.ts'

/**
 * A call as the model wrote it, made ready: its input parsed and validated. Never throws: what is wrong with a call
 * stands in `invalid`, and becomes an error result that the model can act on.
 */
export async function parseCall(
  call: LanguageModelV4ToolCall,
  toolCallId: string,
  tools: ToolSet,
): Promise<ToolCallPart> {
  const tool = toolNamed(tools, call.toolName)
  const parsed = parseInput(call.input)
  const checked = storable(await check(call, parsed, tools, tool))
  const part: ToolCallPart = {
    type: 'tool-call',
    toolCallId,
    toolName: call.providerExecuted ? call.toolName : toToolName(call.toolName),
    input: checked.ok ? toJson(checked.value) : asFarAsStorable(parsed, call.input),
    ...(checked.ok ? undefined : { invalid: checked.problem }),
    ...(!checked.ok || !tool || tool.type === 'dynamic' ? { dynamic: true } : undefined),
    ...(tool?.title === undefined ? undefined : { title: tool.title }),
    ...(tool?.metadata === undefined ? undefined : { toolMetadata: tool.metadata }),
    ...(call.providerExecuted ? { providerExecuted: true } : undefined),
    ...(call.providerMetadata ? { providerMetadata: call.providerMetadata } : undefined),
  }
  if (checked.ok) validated.set(part, checked.value)
  return part
}

/** An input that can't be carried out, for whoever looks at it: as JSON, else the beginning of its text. */
function asFarAsStorable(parsed: Validation, text: string): unknown {
  const checked = storable(parsed)
  return checked.ok ? toJson(checked.value) : text.slice(0, 100_000)
}

/** What validation made of an input, for as long as the call is in memory: a schema may turn a string into a `Date`. */
const validated = new WeakMap<ToolCallPart, unknown>()

/** The input that `execute` receives; after a reload as it was stored. A copy, so that a tool can't change the history. */
export function inputOf(call: ToolCallPart): unknown {
  const value = validated.has(call) ? validated.get(call) : call.input
  try {
    return structuredClone(value)
  } catch {
    return value
  }
}

/** The same for a page: over a port go neither functions nor classes; what holds some goes as it is stored. */
export function portInputOf(call: ToolCallPart): unknown {
  try {
    return structuredClone(validated.has(call) ? validated.get(call) : call.input)
  } catch {
    return call.input
  }
}

/**
 * The call with another input than the model's, validated as the model's was. Throws `invalid-input` for one that doesn't fit
 * the tool.
 */
export async function withInput(call: ToolCallPart, input: unknown, tools: ToolSet): Promise<ToolCallPart> {
  const tool = toolNamed(tools, call.toolName)
  if (!tool) throw new AgentError('invalid-input', `There is no tool "${call.toolName}" that the input could fit.`)
  const given = toJson(input, { subject: 'The input', verb: 'pass' })
  const checked = storable(tool.inputSchema ? await validate(tool.inputSchema, given) : { ok: true, value: given })
  if (!checked.ok)
    throw new AgentError('invalid-input', `The input does not fit the tool "${call.toolName}": ${checked.problem}`)
  const changed: ToolCallPart = { ...call, input: toJson(checked.value) }
  validated.set(changed, checked.value)
  return changed
}

function storable(checked: Validation): Validation {
  if (!checked.ok) return checked
  try {
    toJson(checked.value)
    return checked
  } catch (error) {
    return { ok: false, problem: `The input can't be stored: ${messageOf(error)}` }
  }
}

async function check(
  call: LanguageModelV4ToolCall,
  parsed: Validation,
  tools: ToolSet,
  tool: ToolSet[string] | undefined,
): Promise<Validation> {
  if (!tool && !(call.providerExecuted && call.dynamic)) {
    const known = Object.keys(tools).join(', ')
    return {
      ok: false,
      problem: `There is no tool "${call.toolName.slice(0, 100)}". ${known ? `The tools are: ${known}.` : 'There are no tools.'}`,
    }
  }
  const checked = parsed.ok && tool?.inputSchema ? await validate(tool.inputSchema, parsed.value) : parsed
  return checked.ok ? checked : { ok: false, problem: `Invalid input for tool "${call.toolName}": ${checked.problem}` }
}

/** Blank means `{}`: many models send that for a tool without arguments. */
function parseInput(text: string): Validation {
  return text.trim() === '' ? { ok: true, value: {} } : parseJson(text)
}

/** JSON from a model; `__proto__` is refused. */
export function parseJson(text: string): Validation {
  try {
    return { ok: true, value: JSON.parse(text, refuseProto) }
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : 'it is no JSON' }
  }
}

/** `JSON.parse` makes `__proto__` an own key, which the first careless copy turns into a prototype. */
function refuseProto(key: string, value: unknown) {
  if (key === '__proto__') throw new SyntaxError('the key "__proto__" is not allowed')
  if (key === 'constructor' && typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')) {
    throw new SyntaxError('the key "constructor.prototype" is not allowed')
  }
  return value
}
