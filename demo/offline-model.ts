import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { asksServer, OfflineFaults, ping } from './offline-faults.ts'
import { toldFiles } from './offline-files.ts'
import { type Intent, intentsOf } from './offline-intents.ts'
import { freshResults, lastMessage, unsaid, withoutRequestToGoOn } from './offline-prompt.ts'
import { answerTo, canOnly, howItWorks } from './offline-replies.ts'
import { brokenOff, type Step, scriptedStep } from './offline-scripts.ts'
import { summaryFor } from './offline-summary.ts'

/**
 * A model that works offline: scripted, no intelligence. It is a language model like any other to the loop: it reads the
 * prompt, asks for tools, reads their results and answers, at the pace of a fast reader.
 *
 * @param pace factor on every pause; 0 streams without any
 * @param brief says the first paragraph of an answer only, and fails only without a network, where that is asked for: a second model to choose, or to fall back on
 */
export function offlineModel({ pace = 1, brief = false } = {}): LanguageModelV4 {
  const faults = new OfflineFaults()
  return {
    specificationVersion: 'v4',
    provider: 'turnloop-demo',
    modelId: brief ? 'brief' : 'offline',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('The offline model only streams: call doStream')),
    async doStream(options) {
      const message = lastMessage(withoutRequestToGoOn(options.prompt))
      const found = brief ? await pinged(message, options.abortSignal) : await faults.meet(message, options.abortSignal)
      const step = found === undefined ? nextStep(options, brief) : { text: found }
      return { stream: streamOf(partsOf(step, options), pace, options.abortSignal) }
    },
  }
}

const pinged = (message: string, signal: AbortSignal | undefined) => (asksServer(message) ? ping(signal) : undefined)

function nextStep({ prompt: whole, tools }: LanguageModelV4CallOptions, brief: boolean): Step {
  const summary = summaryFor(whole)
  if (summary !== undefined) return { text: summary }
  const prompt = withoutRequestToGoOn(whole)
  const message = lastMessage(prompt)
  const results = freshResults(prompt)
  const offered = new Set(tools?.map(({ name }) => name))
  const isOffered = ({ toolName }: Intent) => offered.has(toolName)
  const script = scriptedStep(prompt)
  if (script && ('text' in script || script.calls.every(isOffered))) return script
  const calls = results.length ? [] : intentsOf(message).filter(isOffered)
  if (calls.length) return { calls }
  const answer = results.length ? answerTo(results) : (toldFiles(prompt) ?? scripted(message))
  const text = brokenOff(prompt) + (brief ? (answer.split('\n\n')[0] ?? '') : answer)
  return { text: unsaid(text, prompt) }
}

/** A part, after a pause in milliseconds. */
type Paced = readonly [pause: number, part: LanguageModelV4StreamPart]

function* partsOf(step: Step, { prompt }: LanguageModelV4CallOptions): Generator<Paced> {
  yield [0, { type: 'stream-start', warnings: [] }]
  const calls = 'calls' in step ? step.calls : []
  yield* 'text' in step ? textParts(step.text) : callParts(calls)
  yield [
    0,
    {
      type: 'finish',
      finishReason: { unified: calls.length ? 'tool-calls' : 'stop', raw: undefined },
      usage: {
        inputTokens: {
          total: tokens(JSON.stringify(prompt, withoutBytes)),
          noCache: undefined,
          cacheRead: undefined,
          cacheWrite: undefined,
        },
        outputTokens: {
          total: tokens('text' in step ? step.text : JSON.stringify(calls)),
          text: undefined,
          reasoning: undefined,
        },
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

/** The bytes of a file are no words. */
const withoutBytes = (key: string, value: unknown) => (key === 'data' ? undefined : value)

const scripted = (message: string) =>
  /\bhow\b.*\b(?:works?|do you|does it)\b|\bexplain\b|\btell me (?:more )?about (?:this|turnloop)\b/i.test(message)
    ? howItWorks
    : canOnly

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
