import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'

type Reason = Extract<LanguageModelV4StreamPart, { type: 'finish' }>['finishReason']['unified']

/** One call of a manual model: its stream says what the test writes, when the test writes it. */
export interface ManualCall {
  readonly options: LanguageModelV4CallOptions
  /** The runtime has cancelled the stream. */
  readonly cancelled: boolean
  write(...parts: readonly LanguageModelV4StreamPart[]): void
  /** One delta; the part is opened where it is not. */
  text(delta: string, id?: string): void
  toolCall(toolName: string, input: unknown, toolCallId: string): void
  finish(reason?: Reason): void
  /** Ends the stream without a finish. */
  end(): void
  fail(error: unknown): void
}

export type ManualModel = LanguageModelV4 & {
  readonly calls: readonly ManualCall[]
  /** The next call, as soon as it was made. */
  next(): Promise<ManualCall>
}

/** A model that the test drives by hand. It ignores the call's signal, as a careless provider does. */
export function manualModel(): ManualModel {
  const calls: ManualCall[] = []
  const made: ManualCall[] = []
  const waiting: ((call: ManualCall) => void)[] = []
  return {
    specificationVersion: 'v4',
    provider: 'manual',
    modelId: 'manual-model',
    supportedUrls: {},
    calls,
    next: () => {
      const call = made.shift()
      return call ? Promise.resolve(call) : new Promise((resolve) => waiting.push(resolve))
    },
    doGenerate: () => Promise.reject(new Error('doGenerate is not used')),
    doStream: async (options) => {
      const { call, stream } = open(options)
      calls.push(call)
      const next = waiting.shift()
      if (next) next(call)
      else made.push(call)
      return { stream }
    },
  }
}

function open(options: LanguageModelV4CallOptions) {
  let controller!: ReadableStreamDefaultController<LanguageModelV4StreamPart>
  let cancelled = false
  const begun = new Set<string>()
  const stream = new ReadableStream<LanguageModelV4StreamPart>({
    start: (own) => {
      controller = own
    },
    cancel: () => {
      cancelled = true
    },
  })
  const write = (...parts: readonly LanguageModelV4StreamPart[]) => {
    for (const part of parts) if (!cancelled) controller.enqueue(part)
  }
  const end = () => {
    if (!cancelled) controller.close()
  }
  const call: ManualCall = {
    options,
    get cancelled() {
      return cancelled
    },
    write,
    text: (delta, id = 'text') => {
      if (!begun.has(id)) write({ type: 'text-start', id })
      begun.add(id)
      write({ type: 'text-delta', id, delta })
    },
    toolCall: (toolName, input, toolCallId) => write(...callParts(toolName, input, toolCallId)),
    finish: (reason = 'stop') => {
      write(finish(reason))
      end()
    },
    end,
    fail: (error) => {
      if (!cancelled) controller.error(error)
    },
  }
  return { call, stream }
}

export const callParts = (toolName: string, input: unknown, toolCallId: string): LanguageModelV4StreamPart[] => {
  const json = typeof input === 'string' ? input : JSON.stringify(input)
  return [
    { type: 'tool-input-start', id: toolCallId, toolName },
    { type: 'tool-input-delta', id: toolCallId, delta: json },
    { type: 'tool-input-end', id: toolCallId },
    { type: 'tool-call', toolCallId, toolName, input: json },
  ]
}

export const finish = (reason: Reason, inputTokens = 3, outputTokens = 2): LanguageModelV4StreamPart => ({
  type: 'finish',
  finishReason: { unified: reason, raw: reason },
  usage: {
    inputTokens: { total: inputTokens, noCache: inputTokens, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: outputTokens, text: outputTokens, reasoning: 0 },
  },
})
