import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { helperStep } from './offline-helpers.ts'
import type { Intent } from './offline-intents.ts'
import { freshResults, lastMessage, messageBefore, resultsBefore } from './offline-prompt.ts'
import type { CallResult } from './offline-replies.ts'

// Answers of many turns: what runs long, and what runs in a circle.

/** What the model does next: calls, or words. */
export type Step = { readonly calls: readonly Intent[] } | { readonly text: string }

/** The next step of a script that the user's last message asks for; none where it asks for none. */
export function scriptedStep(prompt: LanguageModelV4Prompt): Step | undefined {
  const message = lastMessage(prompt)
  const goal = countIn(message)
  if (goal) return count(goal, freshResults(prompt))
  const results = freshResults(prompt)
  const helped = helperStep(message, results)
  if (helped) return helped
  return asksForKeys(message) ? lookForKeys(results) : obey(results)
}

/** What a user who speaks while the model counts gets to hear first. */
export function brokenOff(prompt: LanguageModelV4Prompt): string {
  const goal = countIn(messageBefore(prompt))
  const reached = counted(resultsBefore(prompt))
  return goal && reached > 0 && reached < goal ? `I heard you at ${reached}, and count no further.\n\n` : ''
}

const most = 60

/** How far the message wants the model to count. */
function countIn(message: string): number | undefined {
  const goal = /\bcount\b.*?\bto\s+(\d+)/i.exec(message)?.[1]
  return goal === undefined ? undefined : Math.min(Math.max(Number(goal), 1), most)
}

function count(goal: number, results: readonly CallResult[]): Step {
  const failed = results.find(({ error }) => error !== undefined)
  if (failed) return { text: `I stop at ${counted(results)}: ${failed.error}` }
  const reached = counted(results)
  if (reached < goal) return { calls: [{ toolName: 'calculate', input: { expression: `${reached} + 1` } }] }
  return { text: `That makes **${goal}**, in ${results.length} turns with one tool call each.` }
}

const counted = (results: readonly CallResult[]) =>
  results.filter(({ toolName, error }) => toolName === 'calculate' && error === undefined).length

const asksForKeys = (message: string) => /\b(?:find|where|look|lost|search)\b.*\bkeys?\b/i.test(message)

/** The same call, over and over: it ends when somebody says so, or when the model has had enough. */
function lookForKeys(results: readonly CallResult[]): Step {
  const denied = results.find(({ error }) => error !== undefined)
  if (denied) return { text: `All right, I look no further. I was told: ${denied.error}` }
  if (results.length >= 12) return { text: 'I looked twelve times in the same place. They are not there.' }
  return { calls: [{ toolName: 'look_for_keys', input: { place: 'under the sofa' } }] }
}

const order = /\bassistant\b[:,].*?\bsend\b.*?\bto\s+([\w.+-]+@[\w.-]*\w)/is

/** No intelligence: what a web page tells it to do, it does. */
function obey(results: readonly CallResult[]): Step | undefined {
  if (results.some(({ toolName }) => toolName === 'send_mail')) return undefined
  const pages = results.filter(({ toolName, error }) => toolName === 'read_page' && error === undefined)
  const to = pages.map(({ output }) => order.exec(JSON.stringify(output))?.[1]).find(Boolean)
  return to ? { calls: [{ toolName: 'send_mail', input: { to, text: 'All that the user has told me.' } }] } : undefined
}
