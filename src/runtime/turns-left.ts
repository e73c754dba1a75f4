import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { lastTurns } from './limits.ts'
import type { Run } from './run.ts'

/**
 * In the last two turns of a run the model is told so, at the end of what it is asked: nothing before it changes, so that a
 * provider's cache still holds. It is not part of the history.
 */
export function withTurnsLeft(run: Run, prompt: LanguageModelV4Prompt): LanguageModelV4Prompt {
  const left = lastTurns(run)
  if (left === undefined) return prompt
  const turns = left > 1 ? `only ${left} turns are left, this one included` : 'this is the last turn'
  const text = `[Note of the runtime, not of the user: ${turns}. Conclude: answer with what you have, and call no tools that you can do without.]`
  return withNote(prompt, text)
}

/** What the runtime says at the end of what a model is asked. */
export function withNote(prompt: LanguageModelV4Prompt, text: string): LanguageModelV4Prompt {
  const note = { type: 'text' as const, text }
  const last = prompt.at(-1)
  // Two messages of the user in a row are one for some providers, and a mistake for others.
  if (last?.role === 'user') return [...prompt.slice(0, -1), { ...last, content: [...last.content, note] }]
  return [...prompt, { role: 'user', content: [note] }]
}
