import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'

export interface Script {
  /** Text deltas in all, divided over the turns; `Infinity` for an answer that only an abort ends. */
  readonly deltas: number
  /** Turns that end with a call of the tool `add`, before the last one answers. 0 by default. */
  readonly toolCalls?: number
  /** Milliseconds from one delta to the next; without it each is there as soon as it is asked for. */
  readonly pace?: number
  /** Told when a call of the model begins, and when its signal aborts. */
  readonly told?: (what: 'asked' | 'aborted') => void
}

/** Five characters, with the space: a usual token. */
const words = ['some ', 'text ', 'that ', 'says ', 'what ', 'this ', 'tool ', 'gave ']

/** A model in memory: what is measured is whatever lies above it. */
export function scriptModel({ deltas, toolCalls = 0, pace, told }: Script): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: 'bench',
    modelId: 'script',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('The benchmarks only stream.')),
    async doStream({ prompt, abortSignal }: LanguageModelV4CallOptions) {
      told?.('asked')
      if (told) abortSignal?.addEventListener('abort', () => told('aborted'))
      // An answer and its tool message stand after the question, turn by turn.
      const turn = (prompt.length - 1 - prompt.findLastIndex(({ role }) => role === 'user')) / 2
      const parts = partsOf(Math.ceil(deltas / (toolCalls + 1)), turn < toolCalls)
      return { stream: pace === undefined ? streamAtOnce(parts) : streamPaced(parts, pace) }
    },
  }
}

function* partsOf(deltas: number, calls: boolean): Generator<LanguageModelV4StreamPart, undefined> {
  yield { type: 'stream-start', warnings: [] }
  yield { type: 'text-start', id: '0' }
  for (let i = 0; i < deltas; i++) yield { type: 'text-delta', id: '0', delta: words[i % words.length] as string }
  yield { type: 'text-end', id: '0' }
  if (calls) yield { type: 'tool-call', toolCallId: crypto.randomUUID(), toolName: 'add', input: '{"a":1,"b":2}' }
  yield {
    type: 'finish',
    finishReason: { unified: calls ? 'tool-calls' : 'stop', raw: undefined },
    usage: {
      inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: deltas, text: deltas, reasoning: undefined },
    },
  }
}

type Parts = ReturnType<typeof partsOf>

const streamAtOnce = (parts: Parts) =>
  new ReadableStream<LanguageModelV4StreamPart>({ pull: (controller) => give(parts, controller) })

function streamPaced(parts: Parts, pace: number) {
  const begun = performance.now()
  let given = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  return new ReadableStream<LanguageModelV4StreamPart>({
    async pull(controller) {
      // From the beginning, so that a late timer does not slow the whole stream down.
      const wait = begun + ++given * pace - performance.now()
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, wait)
      })
      give(parts, controller)
    },
    cancel: () => clearTimeout(timer),
  })
}

function give(parts: Parts, controller: ReadableStreamDefaultController<LanguageModelV4StreamPart>) {
  const { done, value } = parts.next()
  if (done) controller.close()
  else controller.enqueue(value)
}
