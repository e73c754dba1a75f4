import type { Protocol } from './turns.ts'

type Fields = Record<string, unknown>

/** An output item that the endpoint keeps, because its response was stored and complete. */
export interface StoredItem {
  type: string
  callId: string | undefined
  /** The reasoning item right before it, without which OpenAI does not take its id back. */
  requires: string | undefined
}

export interface PromptError {
  status: number
  message: string
}

/**
 * Says why OpenAI would refuse this prompt, in its words, or undefined. Calls and outputs must belong together; with
 * Responses, an id sent back must be one of a response that was complete and stored (a stream that broke off leaves
 * none), and a reasoning item must stand before its successor.
 */
export function checkPrompt(
  protocol: Protocol,
  body: unknown,
  stored: ReadonlyMap<string, StoredItem>,
): PromptError | undefined {
  const { input, messages, store, previous_response_id, conversation } = (body ?? {}) as Fields
  if (protocol === 'chat') return checkMessages(Array.isArray(messages) ? messages : [])
  // With these the endpoint knows more of the conversation than it is sent.
  if (previous_response_id || conversation || !Array.isArray(input)) return undefined
  return checkInput(input, stored, store === false)
}

function checkMessages(messages: Fields[]): PromptError | undefined {
  let open: string[] = []
  const missing = (): PromptError => ({
    status: 400,
    message:
      "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. " +
      `The following tool_call_ids did not have response messages: ${open.join(', ')}`,
  })
  for (const [index, { role, content, tool_calls, tool_call_id }] of messages.entries()) {
    if (role === 'tool') {
      if (!open.includes(tool_call_id as string)) {
        return {
          status: 400,
          message: `Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls' (messages[${index}]).`,
        }
      }
      open = open.filter((id) => id !== tool_call_id)
      continue
    }
    if (open.length > 0) return missing()
    if (role !== 'assistant') continue
    if (Array.isArray(tool_calls)) open = tool_calls.map(({ id }) => id as string)
    else if (content == null) {
      return { status: 400, message: `Invalid value for 'content': expected a string, got null (messages[${index}]).` }
    }
  }
  return open.length > 0 ? missing() : undefined
}

function checkInput(
  input: Fields[],
  stored: ReadonlyMap<string, StoredItem>,
  unstored: boolean,
): PromptError | undefined {
  const bad = (message: string): PromptError => ({ status: 400, message })
  const calls = new Set<string>()
  const answered = new Set<string>()
  const ids = new Set<string>()
  for (const [index, item] of input.entries()) {
    const known = typeof item.id === 'string' ? stored.get(item.id) : undefined
    const type = item.type === 'item_reference' ? known?.type : item.type
    if (typeof item.id === 'string') {
      const { id } = item
      const inline = item.type !== 'item_reference' && (type !== 'reasoning' || item.encrypted_content != null)
      if (!known && !inline) {
        const why = unstored
          ? ' Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.'
          : ''
        return { status: 404, message: `Item with id '${id}' not found.${why}` }
      }
      if (ids.has(id)) {
        return bad(`Duplicate item found with id ${id}. Remove duplicate items from your input and try again.`)
      }
      ids.add(id)
      if (known?.requires && !ids.has(known.requires)) {
        return bad(
          `Item '${id}' of type '${type}' was provided without its required 'reasoning' item: '${known.requires}'.`,
        )
      }
    }
    if (type === 'reasoning' && !isOutput(input[index + 1])) {
      return bad(`Item '${item.id}' of type 'reasoning' was provided without its required following item.`)
    }
    if (type === 'function_call') calls.add((known?.callId ?? item.call_id) as string)
    if (type === 'function_call_output') {
      if (!calls.has(item.call_id as string)) {
        return bad(`No tool call found for function call output with call_id ${item.call_id}.`)
      }
      answered.add(item.call_id as string)
    }
  }
  const open = [...calls].find((id) => !answered.has(id))
  return open === undefined ? undefined : bad(`No tool output found for function call ${open}.`)
}

const isOutput = (item: Fields | undefined): boolean =>
  item !== undefined && item.type !== 'function_call_output' && (item.role === undefined || item.role === 'assistant')

/** The items that a stream leaves behind once it is complete: what `output` of its last payload lists. */
export function* storedItems(last: unknown): Generator<[id: string, item: StoredItem]> {
  const { type, response } = (typeof last === 'string' ? JSON.parse(last) : last) as Fields
  if (type !== 'response.completed' && type !== 'response.incomplete') return
  let before: Fields | undefined
  for (const item of (response as { output: Fields[] }).output) {
    const requires = before?.type === 'reasoning' && item.type !== 'reasoning' ? (before.id as string) : undefined
    yield [item.id as string, { type: item.type as string, callId: item.call_id as string | undefined, requires }]
    before = item
  }
}
