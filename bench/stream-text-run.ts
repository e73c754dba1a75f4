import type { LanguageModelV4 } from '@ai-sdk/provider'
import { isStepCount, streamText, type TextStreamPart } from 'ai'
import { tools } from './add-tool.ts'

type Part = TextStreamPart<typeof tools>

/** The same run with the AI SDK's loop: `each` gets every chunk of its stream. */
export async function runStreamText(model: LanguageModelV4, each: (part: Part) => void): Promise<void> {
  const result = streamText({ model, tools, prompt: 'Go', stopWhen: isStepCount(50) })
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error
    each(part)
  }
}
