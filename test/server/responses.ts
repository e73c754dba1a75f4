import { responseObject, usageObject } from './response-object.ts'
import type { Answer, CallPart, McpCallPart, Part, ReasoningPart, TextPart, WebSearchPart } from './turns.ts'
import { createIds, encryptedContent, type Ids, obfuscation, type Payload, tokensOf } from './wire.ts'

type Fields = Record<string, unknown>
/** Type and fields of an event that belongs to one output item. */
type ItemEvent = [type: string, fields: Fields]

/** The item that a part becomes. */
interface ItemPlace {
  id: string
  /** Its number among the items, for further ids. */
  number: number
  ids: Ids
  /** What the item says when it is done: an answer that was cut off leaves its last item incomplete. */
  status: 'completed' | 'incomplete'
}

/** The events of one answer in the Responses protocol, as OpenAI sends them and in its order. */
export function* responsesEvents(answer: Answer, seed: string): Generator<Payload> {
  const ids = createIds(seed)
  let sequence = 0
  const event = (type: string, fields: Fields): Payload => ({ type, sequence_number: sequence++, ...fields })
  const output: Fields[] = []
  const response = (fields: Fields) => responseObject(ids('resp_', 0), fields)

  yield event('response.created', { response: response({ status: 'in_progress' }) })
  yield event('response.in_progress', { response: response({ status: 'in_progress' }) })

  for (const [index, part] of answer.parts.entries()) {
    const last = index === answer.parts.length - 1
    const place: ItemPlace = {
      id: ids(idPrefix[part.type], index),
      number: index,
      ids,
      status: last && answer.finish ? 'incomplete' : 'completed',
    }
    let failed = false
    for (const [type, fields] of itemEvents(part, place)) {
      failed = last && answer.error !== undefined && (type.endsWith('.done') || type.endsWith('.completed'))
      if (failed) break
      if (type === 'response.output_item.added' || type === 'response.output_item.done') {
        yield event(type, { output_index: index, ...fields })
        if (type === 'response.output_item.done') output.push(fields.item as Fields)
      } else {
        yield event(type, withIndex(fields, place.id, index))
      }
    }
    if (failed) break
  }

  if (answer.error) {
    const { message, type = 'server_error', code = type, form = 'nested' } = answer.error
    if (form === 'flat') yield event('error', { code, message, param: null })
    if (form === 'nested') yield event('error', { error: { type, code, message, param: null } })
    if (form !== 'flat') {
      yield event('response.failed', { response: response({ status: 'failed', error: { code, message } }) })
    }
    return
  }

  const usage = usageObject(tokensOf(answer))
  yield answer.finish
    ? event('response.incomplete', {
        response: response({
          status: 'incomplete',
          incomplete_details: { reason: answer.finish === 'length' ? 'max_output_tokens' : 'content_filter' },
          output,
          service_tier: 'default',
          usage,
        }),
      })
    : event('response.completed', {
        response: response({ status: 'completed', output, service_tier: 'default', usage }),
      })
}

const idPrefix: Record<Part['type'], string> = {
  text: 'msg_',
  refusal: 'msg_',
  reasoning: 'rs_',
  call: 'fc_',
  'web-search': 'ws_',
  'mcp-call': 'mcp_',
}

function itemEvents(part: Part, place: ItemPlace): Generator<ItemEvent> {
  switch (part.type) {
    case 'text':
      return textItem(part, place)
    case 'refusal':
      return refusalItem(part.deltas, place)
    case 'reasoning':
      return reasoningItem(part, place)
    case 'call':
      return callItem(part, place)
    case 'web-search':
      return webSearchItem(part, place)
    case 'mcp-call':
      return mcpCallItem(part, place)
  }
}

/** Puts the item's id and index where the recordings have them, at the front. */
const withIndex = (fields: Fields, item_id: string, output_index: number): Fields =>
  'content_index' in fields || 'summary_index' in fields || 'delta' in fields || 'arguments' in fields
    ? { item_id, output_index, ...fields }
    : { output_index, item_id, ...fields }

const added = (item: Fields): ItemEvent => ['response.output_item.added', { item }]
const done = (item: Fields): ItemEvent => ['response.output_item.done', { item }]

function* textItem(part: TextPart, { id, status }: ItemPlace): Generator<ItemEvent> {
  const message = (status: string, content: Fields[]) => ({ id, type: 'message', status, content, role: 'assistant' })
  const content = (text: string, annotations: Fields[]) => ({ type: 'output_text', annotations, logprobs: [], text })
  const annotations: Fields[] = []
  let text = ''
  yield added(message('in_progress', []))
  yield ['response.content_part.added', { content_index: 0, part: content('', []) }]
  for (const delta of part.deltas) {
    yield ['response.output_text.delta', { content_index: 0, delta, logprobs: [], obfuscation: obfuscation(delta) }]
    text += delta
    for (const { url, title, start, end } of part.citations ?? []) {
      if (end > text.length || end <= text.length - delta.length) continue
      const annotation = { type: 'url_citation', end_index: end, start_index: start, title, url }
      const annotation_index = annotations.push(annotation) - 1
      yield ['response.output_text.annotation.added', { content_index: 0, annotation_index, annotation }]
    }
  }
  yield ['response.output_text.done', { content_index: 0, text, logprobs: [] }]
  yield ['response.content_part.done', { content_index: 0, part: content(text, annotations) }]
  yield done(message(status, [content(text, annotations)]))
}

function* refusalItem(deltas: string[], { id, status }: ItemPlace): Generator<ItemEvent> {
  const message = (status: string, content: Fields[]) => ({ id, type: 'message', status, content, role: 'assistant' })
  const refusal = deltas.join('')
  yield added(message('in_progress', []))
  yield ['response.content_part.added', { content_index: 0, part: { type: 'refusal', refusal: '' } }]
  for (const delta of deltas) {
    yield ['response.refusal.delta', { content_index: 0, delta, obfuscation: obfuscation(delta) }]
  }
  yield ['response.refusal.done', { content_index: 0, refusal }]
  yield ['response.content_part.done', { content_index: 0, part: { type: 'refusal', refusal } }]
  yield done(message(status, [{ type: 'refusal', refusal }]))
}

function* reasoningItem({ summary, encrypted }: ReasoningPart, place: ItemPlace): Generator<ItemEvent> {
  const { id, number, ids } = place
  // The recordings have another content in `done` than in `added`; the last one counts.
  const item = (version: number, texts: string[]) => ({
    id,
    type: 'reasoning',
    ...(encrypted && { encrypted_content: encryptedContent(ids, number * 2 + version) }),
    summary: texts.map((text) => ({ type: 'summary_text', text })),
  })
  const texts = summary.map((deltas) => deltas.join(''))
  yield added(item(0, []))
  for (const [summary_index, deltas] of summary.entries()) {
    const text = texts[summary_index]
    yield ['response.reasoning_summary_part.added', { summary_index, part: { type: 'summary_text', text: '' } }]
    for (const delta of deltas) {
      yield ['response.reasoning_summary_text.delta', { summary_index, delta, obfuscation: obfuscation(delta) }]
    }
    yield ['response.reasoning_summary_text.done', { summary_index, text }]
    yield ['response.reasoning_summary_part.done', { summary_index, part: { type: 'summary_text', text } }]
  }
  yield done(item(1, texts))
}

function* callItem({ name, deltas, ...part }: CallPart, { id, number, ids, status }: ItemPlace): Generator<ItemEvent> {
  const call_id = part.id ?? ids('call_', number, 24)
  const item = (status: string, args: string) => ({ id, type: 'function_call', status, arguments: args, call_id, name })
  const args = deltas.join('')
  yield added(item('in_progress', ''))
  for (const delta of deltas) {
    yield ['response.function_call_arguments.delta', { delta, obfuscation: obfuscation(delta) }]
  }
  yield ['response.function_call_arguments.done', { arguments: args }]
  yield done(item(status, args))
}

function* webSearchItem(part: WebSearchPart, { id }: ItemPlace): Generator<ItemEvent> {
  const sources = part.sources.map((url) => ({ type: 'url', url }))
  yield added({ id, type: 'web_search_call', status: 'in_progress' })
  yield ['response.web_search_call.in_progress', {}]
  yield ['response.web_search_call.searching', {}]
  yield ['response.web_search_call.completed', {}]
  const action = { type: 'search', query: part.query, sources }
  yield done({ id, type: 'web_search_call', status: 'completed', action })
}

function* mcpCallItem(part: McpCallPart, { id }: ItemPlace): Generator<ItemEvent> {
  const item = (fields: Fields) => ({
    id,
    type: 'mcp_call',
    approval_request_id: null,
    arguments: '',
    error: null,
    name: part.name,
    output: null,
    server_label: part.server,
    ...fields,
  })
  const { arguments: delta, output = null, error = null } = part
  const status = part.error === undefined ? 'completed' : 'failed'
  yield added(item({ status: 'in_progress' }))
  yield ['response.mcp_call.in_progress', {}]
  yield ['response.mcp_call_arguments.delta', { delta, obfuscation: '' }]
  yield ['response.mcp_call_arguments.done', { arguments: delta }]
  yield [`response.mcp_call.${status}`, {}]
  yield done(item({ status, arguments: delta, output, error }))
}
