import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import type { CallResult } from './offline-replies.ts'
import { heard } from './offline-results.ts'

// What the scripted model reads in a prompt.

/** What the user said last. */
export const lastMessage = (prompt: LanguageModelV4Prompt): string => userMessages(prompt).at(-1) ?? ''

/** What the user said before that. */
export const messageBefore = (prompt: LanguageModelV4Prompt): string => userMessages(prompt).at(-2) ?? ''

const userMessages = (prompt: LanguageModelV4Prompt) => prompt.flatMap((message) => spoken(message) ?? [])

/** What the runtime says in the user's place: of messages that were left out or summarised, of turns that are left. */
const notes = /^(?:\[Note of the runtime|Messages that stood here were left out|Summary of the conversation so far)/

/** The words of a message of the user's, which may be files alone; none where all of it is the runtime's, or it is another's. */
function spoken({ role, content }: LanguageModelV4Prompt[number]): string | undefined {
  if (role !== 'user') return undefined
  const texts = content.flatMap((part) => (part.type === 'text' && !notes.test(part.text) ? part.text : []))
  return texts.length > 0 || content.some(({ type }) => type === 'file') ? texts.join('\n') : undefined
}

/** A run that goes on after a stop in mid-answer ends its prompt with a request that the user has not written. */
export const withoutRequestToGoOn = (prompt: LanguageModelV4Prompt): LanguageModelV4Prompt =>
  prompt.length > 1 && lastMessage(prompt) === 'Go on where you left off.' ? prompt.slice(0, -1) : prompt

/** What of an answer is not written yet. */
export function unsaid(answer: string, prompt: LanguageModelV4Prompt): string {
  return sinceUser(prompt)
    .flatMap(({ role, content }) => (role === 'assistant' ? content : []))
    .flatMap((part) => (part.type === 'text' ? part.text.trim() : []))
    .reduce((rest, said) => (rest.startsWith(said) ? rest.slice(said.length).trimStart() : rest), answer)
}

/** What the tools answered since the last user message. */
export const freshResults = (prompt: LanguageModelV4Prompt): CallResult[] => resultsIn(sinceUser(prompt))

/** What the tools answered between the last two user messages. */
export function resultsBefore(prompt: LanguageModelV4Prompt): CallResult[] {
  const before = prompt.slice(0, lastUserIndex(prompt))
  return resultsIn(sinceUser(before))
}

export const lastUserIndex = (prompt: LanguageModelV4Prompt) =>
  prompt.findLastIndex((message) => spoken(message) !== undefined)
const sinceUser = (prompt: LanguageModelV4Prompt) => prompt.slice(lastUserIndex(prompt) + 1)

function resultsIn(messages: LanguageModelV4Prompt): CallResult[] {
  const inputs = new Map<string, Record<string, unknown>>()
  const results: CallResult[] = []
  for (const { role, content } of messages) {
    if (role === 'assistant') {
      for (const part of content)
        if (part.type === 'tool-call') inputs.set(part.toolCallId, part.input as Record<string, unknown>)
    }
    if (role !== 'tool') continue
    for (const part of content) {
      if (part.type !== 'tool-result') continue
      const { toolName, toolCallId, output } = part
      const asked = inputs.get(toolCallId) ?? {}
      const { input = asked, value } = heard('value' in output ? output.value : undefined)
      if (output.type === 'json' || output.type === 'text') results.push({ toolName, input, output: value })
      else results.push({ toolName, input, error: 'value' in output ? String(value) : 'it was not carried out' })
    }
  }
  return results
}
