import type { CallResult } from './offline-replies.ts'
import { literal } from './offline-replies.ts'
import type { Step } from './offline-scripts.ts'

// A comparison that is given to two helpers, and what a helper makes of its part.

const comparing = /\bcompare\s+(.+?)\s+(?:with|by|using)\s+two\s+helpers\b/i
const asking = /^What is there to say about (.+)\?$/s

/** The next step of either; none where the message is about neither. */
export function helperStep(message: string, results: readonly CallResult[]): Step | undefined {
  const compared = comparing.exec(message)?.[1]
  if (compared) return compare(topicsOf(compared), results)
  const topic = asking.exec(message)?.[1]
  return topic ? sumUp(topic, results) : undefined
}

/** “tea and coffee”, or “two topics”, of which the model knows two. */
function topicsOf(compared: string): readonly string[] {
  const topics = compared.split(/\s+(?:and|with|to)\s+|\s*,\s*/i).filter(Boolean)
  return topics.length === 2 ? topics : ['tea', 'coffee']
}

function compare(topics: readonly string[], results: readonly CallResult[]): Step {
  const answers = results.filter(({ toolName }) => toolName === 'agent_run')
  if (answers.length === 0)
    return {
      calls: topics.map((topic) => ({
        toolName: 'agent_run',
        input: { agent: 'helper', prompt: `What is there to say about ${topic}?` },
      })),
    }
  const parts = answers.map(({ output, error }, at) => {
    const { status, text = '' } = (output ?? {}) as { readonly status?: string; readonly text?: string }
    const topic = literal(topics[at] ?? '')
    if (status === 'completed') return `**${topic}**: ${text.split('\n\n')[0]}`
    return `**${topic}**: my helper has no answer (${literal(error ?? status ?? 'unknown')}).`
  })
  return { text: `My helpers are through.\n\n${parts.join('\n\n')}\n\nWhich is better, they leave to you.` }
}

function sumUp(topic: string, results: readonly CallResult[]): Step {
  const vowels = topic.match(/[aeiou]/gi)?.length ?? 0
  const others = topic.replace(/[^\p{L}]/gu, '').length - vowels
  const counted = results.find(({ toolName, error }) => toolName === 'calculate' && error === undefined)
  if (!counted) return { calls: [{ toolName: 'calculate', input: { expression: `${vowels} + ${others}` } }] }
  const name = literal(topic)
  const { value = vowels + others } = (counted.output ?? {}) as { readonly value?: number }
  return {
    text: `${name} has ${value} letters, ${vowels} of them vowels, as far as a scripted helper can tell.

I have a session of my own, and know nothing of yours but what I was asked. While I write, you can look into me above the composer, or stop me; what I have written by then is kept. A helper that was stopped can go on.

A real model would now tell you about ${name} at length. I count letters, and take my time, so that you can see two of us at work at once.`,
  }
}
