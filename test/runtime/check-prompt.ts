import type { LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider'

type Assistant = Extract<LanguageModelV4Message, { role: 'assistant' }>

/** What is wrong with a prompt, by the rules of the strictest providers. Empty where nothing is. */
export function problemsOf(prompt: LanguageModelV4Prompt): string[] {
  const problems: string[] = []
  const seen = new Set<string>()
  const messages = prompt[0]?.role === 'system' ? prompt.slice(1) : prompt
  if (messages[0]?.role !== 'user') problems.push(`it begins with ${messages[0]?.role}`)
  const last = messages.at(-1)?.role
  if (last !== 'user' && last !== 'tool') problems.push(`it ends with ${last}`)
  messages.forEach((message, index) => {
    const problem = (text: string) => problems.push(`message ${index} (${message.role}): ${text}`)
    if (message.role === 'system') {
      problem('a second system message')
      return
    }
    if (message.content.length === 0) problem('is empty')
    if (message.role === 'tool' && callsOf(messages[index - 1]).length === 0) problem('answers no calls')
    if (message.role !== 'assistant') return
    checkParts(message, problem)
    const calls = callsOf(message)
    for (const { toolCallId, input } of calls) {
      if (!toolCallId) problem('a call without id')
      if (seen.has(toolCallId)) problem(`the call ${toolCallId} stands twice`)
      seen.add(toolCallId)
      // `null` passes: the AI SDK sends it, too.
      if (typeof input !== 'object') problem(`the call ${toolCallId} has no object as input`)
    }
    const next = messages[index + 1]
    const answered =
      next?.role === 'tool' ? next.content.map((part) => ('toolCallId' in part ? part.toolCallId : '')) : []
    const asked = calls.map(({ toolCallId }) => toolCallId)
    if (answered.join() !== asked.join()) problem(`calls [${asked}] are answered by [${answered}]`)
  })
  return problems
}

/** Calls that a tool message must answer. */
function callsOf(message: LanguageModelV4Message | undefined) {
  if (message?.role !== 'assistant') return []
  return message.content.filter((part) => part.type === 'tool-call').filter((part) => !part.providerExecuted)
}

function checkParts({ content }: Assistant, problem: (text: string) => void) {
  for (const part of content) {
    if (part.type === 'text' && part.text === '' && !part.providerOptions) problem('holds an empty text')
    if (part.type === 'tool-call' && part.providerExecuted) {
      const results = content.filter((other) => other.type === 'tool-result' && other.toolCallId === part.toolCallId)
      if (results.length !== 1) problem(`the provider's call ${part.toolCallId} has ${results.length} results`)
    }
  }
}
