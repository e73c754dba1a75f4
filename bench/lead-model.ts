import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'

/** A model in memory that gives so many runs to the agent that its instructions begin with, and then answers. */
export function leadModel(children: number): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: 'bench',
    modelId: 'lead',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('The benchmarks only stream.')),
    async doStream({ prompt }) {
      const [first] = prompt
      const agent = first?.role === 'system' ? (first.content.split('\n')[0] ?? '') : ''
      const parts = prompt.some(({ role }) => role === 'tool') ? answer() : calls(children, agent)
      return {
        stream: new ReadableStream<LanguageModelV4StreamPart>({
          start(controller) {
            for (const part of parts) controller.enqueue(part)
            controller.close()
          },
        }),
      }
    },
  }
}

function* calls(children: number, agent: string): Generator<LanguageModelV4StreamPart> {
  for (let n = 1; n <= children; n++) {
    const input = JSON.stringify({ agent, prompt: `Say something about the number ${n}.` })
    yield { type: 'tool-call', toolCallId: crypto.randomUUID(), toolName: 'agent_run', input }
  }
  yield finish('tool-calls')
}

function* answer(): Generator<LanguageModelV4StreamPart> {
  yield { type: 'text-start', id: '0' }
  yield { type: 'text-delta', id: '0', delta: 'Done.' }
  yield { type: 'text-end', id: '0' }
  yield finish('stop')
}

const finish = (unified: 'stop' | 'tool-calls'): LanguageModelV4StreamPart => ({
  type: 'finish',
  finishReason: { unified, raw: undefined },
  usage: {
    inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 10, text: 10, reasoning: undefined },
  },
})
