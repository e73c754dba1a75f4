import type { Answer, CallPart, Part } from './turns.ts'
import { createdAt, createIds, modelName, obfuscation, type Payload, tokensOf } from './wire.ts'

type Fields = Record<string, unknown>

/**
 * The chunks of one answer in the Chat Completions protocol, as OpenAI sends them with `stream_options.include_usage`.
 * Reasoning is not shown there; a hosted tool neither, except for the citations of the text.
 */
export function* chatEvents(answer: Answer, seed: string): Generator<Payload> {
  const ids = createIds(seed)
  const chunk = (choices: Fields[], usage: Fields | null, filler = ''): Payload => ({
    id: ids('chatcmpl-', 0, 29),
    object: 'chat.completion.chunk',
    created: createdAt,
    model: modelName,
    service_tier: 'default',
    system_fingerprint: 'fp_de604bd877',
    choices,
    usage,
    obfuscation: obfuscation(filler),
  })
  const delta = (fields: Fields, filler = '') =>
    chunk([{ index: 0, delta: fields, logprobs: null, finish_reason: null }], null, filler)

  const shown = answer.parts.filter((part) => part.type !== 'reasoning' && part.type !== 'web-search')
  let calls = 0
  yield delta({ role: 'assistant', content: shown[0]?.type === 'text' ? '' : null, refusal: null })
  for (const part of shown) {
    if (part.type === 'call') {
      const index = calls++
      yield* callDeltas(part, index, part.id ?? ids('call_', index, 24), delta)
    } else {
      yield* textDeltas(part, delta)
    }
  }

  if (answer.error) {
    const { message, type = 'server_error', code = null } = answer.error
    yield { error: { message, type, param: null, code } }
    yield '[DONE]'
    return
  }

  const finish_reason = answer.finish ?? (calls > 0 ? 'tool_calls' : 'stop')
  yield chunk([{ index: 0, delta: {}, logprobs: null, finish_reason }], null)
  const tokens = tokensOf(answer)
  if (tokens) {
    yield chunk([], {
      prompt_tokens: tokens.input,
      completion_tokens: tokens.output,
      total_tokens: tokens.input + tokens.output,
      prompt_tokens_details: { cached_tokens: tokens.cached, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: tokens.reasoning,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    })
  }
  yield '[DONE]'
}

type Delta = (fields: Fields, filler?: string) => Payload

function* textDeltas(part: Exclude<Part, CallPart>, delta: Delta): Generator<Payload> {
  if (part.type === 'text') {
    for (const content of part.deltas) yield delta({ content }, content)
    const annotations = (part.citations ?? []).map(({ url, title, start, end }) => ({
      type: 'url_citation',
      url_citation: { end_index: end, start_index: start, title, url },
    }))
    if (annotations.length > 0) yield delta({ annotations })
  } else if (part.type === 'refusal') {
    for (const refusal of part.deltas) yield delta({ refusal }, refusal)
  } else {
    throw new Error(`Chat Completions have no ${part.type}: use the Responses protocol for this turn`)
  }
}

function* callDeltas({ name, deltas }: CallPart, index: number, id: string, delta: Delta): Generator<Payload> {
  yield delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] })
  for (const piece of deltas) {
    yield delta({ tool_calls: [{ index, function: { arguments: piece } }] }, piece)
  }
}
