import { createOpenAI } from '@ai-sdk/openai'
import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import type { Protocol } from './turns.ts'

export interface Asked {
  parts: LanguageModelV4StreamPart[]
  /** What reading the stream threw. */
  thrown?: unknown
}

const hello: LanguageModelV4CallOptions = { prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }] }

/** The model of `@ai-sdk/openai` for a protocol. */
export function modelAt(baseURL: string, protocol: Protocol, apiKey = 'sk-test') {
  const openai = createOpenAI({ baseURL, apiKey })
  return protocol === 'chat' ? openai.chat('gpt-5-mini') : openai.responses('gpt-5-mini')
}

/** One model call through `@ai-sdk/openai`, read to its end. Rejects where the call gave no stream. */
export async function ask(
  baseURL: string,
  protocol: Protocol,
  options: Partial<LanguageModelV4CallOptions> & { apiKey?: string } = {},
): Promise<Asked> {
  const { apiKey, ...rest } = options
  const { stream } = await modelAt(baseURL, protocol, apiKey).doStream({ ...hello, ...rest })
  const reader = stream.getReader()
  const parts: LanguageModelV4StreamPart[] = []
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return { parts }
      parts.push(value)
    }
  } catch (thrown) {
    return { parts, thrown }
  }
}

/** The parts of one type. */
export const of = <T extends LanguageModelV4StreamPart['type']>(parts: LanguageModelV4StreamPart[], type: T) =>
  parts.filter((part) => part.type === type) as Extract<LanguageModelV4StreamPart, { type: T }>[]

export const textOf = (parts: LanguageModelV4StreamPart[]): string =>
  of(parts, 'text-delta')
    .map(({ delta }) => delta)
    .join('')
