import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Prompt,
  LanguageModelV4StreamPart,
} from '@ai-sdk/provider'
import { type Intent, intentsOf } from './offline-intents.ts'
import { answerTo, type CallResult, canOnly, howItWorks } from './offline-replies.ts'

/**
 * A model that works offline: scripted, no intelligence. It is a language model like any other to the loop: it reads the
 * prompt, asks for tools, reads their results and answers, at the pace of a fast reader.
 *
 * @param pace factor on every pause; 0 streams without any
 */
export function offlineModel({ pace = 1 }: { readonly pace?: number } = {}): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: 'turnloop-demo',
    modelId: 'offline',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('The offline model only streams: call doStream')),
    doStream: async (options) => ({ stream: streamOf(partsOf(options), pace, options.abortSignal) }),
  }
}

/** A part, after a pause in milliseconds. */
type Paced = readonly [pause: number, part: LanguageModelV4StreamPart]

function* partsOf({ prompt, tools }: LanguageModelV4CallOptions): Generator<Paced> {
  yield [0, { type: 'stream-start', warnings: [] }]
  const results = freshResults(prompt)
  const message = lastMessage(prompt)
  const offered = new Set(tools?.map(({ name }) => name))
  const intents = results.length ? [] : intentsOf(message).filter(({ toolName }) => offered.has(toolName))
  let written = ''
  if (intents.length) {
    written = JSON.stringify(intents)
    yield* callParts(intents)
  } else {
    written = results.length ? answerTo(results) : scripted(message)
    yield* textParts(written)
  }
  yield [
    0,
    {
      type: 'finish',
      finishReason: { unified: intents.length ? 'tool-calls' : 'stop', raw: undefined },
      usage: {
        inputTokens: {
          total: tokens(JSON.stringify(prompt)),
          noCache: undefined,
          cacheRead: undefined,
          cacheWrite: undefined,
        },
        outputTokens: { total: tokens(written), text: undefined, reasoning: undefined },
      },
    },
  ]
}

function* textParts(text: string): Generator<Paced> {
  const id = 'text'
  yield [350, { type: 'text-start', id }]
  for (const delta of text.match(/\s*\S+/g) ?? []) {
    const pause = 30 + Math.min(delta.length, 12) * 4 + (/[.:!?]$/.test(delta) ? 90 : 0)
    yield [pause, { type: 'text-delta', id, delta }]
  }
  yield [0, { type: 'text-end', id }]
}

function* callParts(intents: readonly Intent[]): Generator<Paced> {
  for (const [index, { toolName, input }] of intents.entries()) {
    const id = crypto.randomUUID()
    const text = JSON.stringify(input)
    yield [index ? 60 : 350, { type: 'tool-input-start', id, toolName }]
    for (const delta of text.match(/.{1,8}/gs) ?? []) yield [25, { type: 'tool-input-delta', id, delta }]
    yield [0, { type: 'tool-input-end', id }]
    yield [0, { type: 'tool-call', toolCallId: id, toolName, input: text }]
  }
}

const scripted = (message: string) =>
  /\bhow\b.*\b(?:works?|do you|does it)\b|\bexplain\b|\btell me (?:more )?about (?:this|turnloop)\b/i.test(message)
    ? howItWorks
    : canOnly

function lastMessage(prompt: LanguageModelV4Prompt): string {
  const message = prompt.findLast(({ role }) => role === 'user')
  if (message?.role !== 'user') return ''
  return message.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
}

/** What the tools answered since the last user message. */
function freshResults(prompt: LanguageModelV4Prompt): CallResult[] {
  const turn = prompt.slice(prompt.findLastIndex(({ role }) => role === 'user') + 1)
  const inputs = new Map<string, Record<string, unknown>>()
  const results: CallResult[] = []
  for (const { role, content } of turn) {
    if (role === 'assistant') {
      for (const part of content)
        if (part.type === 'tool-call') inputs.set(part.toolCallId, part.input as Record<string, unknown>)
    }
    if (role !== 'tool') continue
    for (const part of content) {
      if (part.type !== 'tool-result') continue
      const { toolName, toolCallId, output } = part
      const input = inputs.get(toolCallId) ?? {}
      if (output.type === 'json' || output.type === 'text') results.push({ toolName, input, output: output.value })
      else results.push({ toolName, input, error: 'value' in output ? String(output.value) : 'it was not carried out' })
    }
  }
  return results
}

/** About four characters a token: an estimate, as there is no tokenizer here. */
const tokens = (text: string) => Math.ceil(text.length / 4)

function streamOf(
  parts: Generator<Paced>,
  pace: number,
  signal?: AbortSignal,
): ReadableStream<LanguageModelV4StreamPart> {
  let timer: ReturnType<typeof setTimeout> | undefined
  let aborted = () => {}
  return new ReadableStream({
    start(controller) {
      aborted = () => {
        clearTimeout(timer)
        controller.error(signal?.reason)
      }
      if (signal?.aborted) aborted()
      else signal?.addEventListener('abort', aborted, { once: true })
    },
    async pull(controller) {
      const { value, done } = parts.next()
      if (done) {
        signal?.removeEventListener('abort', aborted)
        return controller.close()
      }
      const [pause, part] = value
      if (pause * pace > 0) {
        await new Promise<void>((resolve) => {
          timer = setTimeout(resolve, pause * pace)
        })
      }
      if (!signal?.aborted) controller.enqueue(part)
    },
    cancel() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
    },
  })
}
