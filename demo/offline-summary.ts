import type { LanguageModelV4Prompt } from '@ai-sdk/provider'

/** The conversation that the model is to summarise; none where it is asked for anything else. */
function toSummarise([first, second]: LanguageModelV4Prompt): string | undefined {
  if (first?.role !== 'system' || second?.role !== 'user' || !/^Summarise the conversation\b/.test(first.content))
    return undefined
  return second.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
}

/** What a scripted model makes of a conversation: the user's own words, and the summary before. */
export function summaryFor(prompt: LanguageModelV4Prompt): string | undefined {
  const text = toSummarise(prompt)
  if (text === undefined) return undefined
  const earlier = /^Earlier the user said: .*$/m.exec(text)?.[0].replace(/^Earlier the user said: /, '')
  const said = [...text.matchAll(/^\[user\]\n(.*)$/gm)].map(([, line = '']) => line.slice(0, 80))
  return `Earlier the user said: ${[...(earlier ? [earlier] : []), ...said].join('; ').slice(-600)}`
}
