import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import type { ModelHook } from '../agent/middleware.ts'
import type { Answer } from '../model/answer.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import type { CallSettings, MessageRecord, PartRecord } from '../sessions/records.ts'
import { foldInRun, textIn } from './hooks.ts'
import type { Run } from './run.ts'

const settingNames: { readonly [S in keyof Required<CallSettings>]: true } = {
  temperature: true,
  maxOutputTokens: true,
  topP: true,
  topK: true,
  presencePenalty: true,
  frequencyPenalty: true,
  stopSequences: true,
  seed: true,
  reasoning: true,
  headers: true,
  providerOptions: true,
  toolChoice: true,
}

/** What the model is asked, as the middleware leaves it. */
export function beforeModel(run: Run, request: ModelHook): Promise<ModelHook> {
  const { activeTools: offered } = request
  return foldInRun(run, {
    hook: 'beforeModel',
    value: request,
    given: (now) => [{ ...now, messages: copyOf(now.messages) }],
    fields: ['messages', 'activeTools', 'settings'],
    take: (now, { messages = now.messages, activeTools = now.activeTools, settings }) => {
      if (!Array.isArray(activeTools)) throw new TypeError('activeTools must be a list of names')
      if (!isPrompt(messages)) throw new TypeError('messages must be a prompt: messages with role and content')
      const unknown = (activeTools as readonly unknown[]).find((name) => !offered.includes(name as string))
      if (unknown !== undefined) throw new TypeError(`activeTools names "${unknown}", which the model is not told of`)
      return { messages, activeTools: activeTools as readonly string[], settings: settingsIn(now.settings, settings) }
    },
  })
}

/** Prompts are kept with their messages: a hook gets copies. */
const copyOf = (messages: LanguageModelV4Prompt): LanguageModelV4Prompt =>
  messages.map((message) => {
    const { content } = message
    return {
      ...message,
      content: typeof content === 'string' ? content : content.map((part) => ({ ...part })),
    } as never
  })

const isPrompt = (messages: unknown): messages is LanguageModelV4Prompt =>
  Array.isArray(messages) &&
  messages.every(
    (message) =>
      typeof message === 'object' &&
      message !== null &&
      (message.role === 'system'
        ? typeof message.content === 'string'
        : ['user', 'assistant', 'tool'].includes(message.role) &&
          Array.isArray(message.content) &&
          message.content.every((part: { readonly type?: unknown } | null) => typeof part?.type === 'string')),
  )

function settingsIn(now: CallSettings, given: unknown = {}): CallSettings {
  if (typeof given !== 'object' || given === null) throw new TypeError('settings must be an object')
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(settingNames, name))
  if (unknown !== undefined) throw new TypeError(`settings has "${unknown.slice(0, 100)}", which is no call setting`)
  return { ...now, ...given }
}

/** The whole answer, its text as the middleware leaves it. */
export async function afterModel(run: Run, answer: Answer): Promise<void> {
  const { calls, finishReason = 'other', usage } = answer
  const told = calls.map(({ toolCallId, toolName, input }) => ({ toolCallId, toolName, input: structuredClone(input) }))
  const text = await foldInRun(run, {
    hook: 'afterModel',
    value: answer.text,
    given: (text) => [{ text, calls: told, finishReason, ...(usage && { usage }) }],
    fields: ['text'],
    take: (text, fields) => textIn(fields, 'text') ?? text,
  })
  if (text !== answer.text) setText(answer.parts, text)
}

/** It takes the place of the first text; the others are left empty, since a part's index is its id. */
function setText(parts: PartRecord[], text: string) {
  let rest = text
  for (const [index, part] of parts.entries()) {
    if (part.type !== 'text') continue
    parts[index] = { ...part, text: rest }
    rest = ''
  }
  if (rest) parts.push({ type: 'text', text: rest })
}

/** Whether these messages are to be left as they are. */
export function beforeCompaction(run: Run, messages: readonly MessageRecord[]): Promise<boolean> {
  return foldInRun(run, {
    hook: 'beforeCompaction',
    value: false,
    given: () => [{ messages: foldMessages(messages) }],
    fields: ['skip'],
    take: (skipped, { skip = false }) => {
      if (typeof skip !== 'boolean') throw new TypeError('skip must be true or false')
      return skipped || skip
    },
  })
}

export function afterCompaction(run: Run, summary: string): Promise<string> {
  return foldInRun(run, {
    hook: 'afterCompaction',
    value: summary,
    given: (summary) => [{ summary }],
    fields: ['summary'],
    take: (before, fields) => {
      const after = textIn(fields, 'summary') ?? before
      if (!after.trim()) throw new TypeError('the summary is empty')
      return after
    },
  })
}
