import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import type { Middleware } from '../agent/middleware.ts'
import { AgentError } from '../errors.ts'
import type { ModelOutput, PartRecord, ToolResultRecord } from '../sessions/records.ts'
import { hookFailed } from './hooks.ts'

/** What becomes of a text before it is stored or sent. */
export type OnText = (text: string) => string

/** The `onText` of all middleware as one; absent where none has it. A text that one fails on is withheld. */
export function textsOf(
  middleware: readonly Middleware[] = [],
  failed: (error: AgentError) => void,
): OnText | undefined {
  const list = middleware.filter(({ onText }) => onText !== undefined)
  if (list.length === 0) return undefined
  const apply = (text: string, each: Middleware) => {
    try {
      const given: unknown = each.onText?.(text)
      if (typeof given === 'string') return given
      throw new TypeError('it must give a string')
    } catch (thrown) {
      failed(hookFailed(each, 'onText', thrown))
      return '[withheld: a middleware failed]'
    }
  }
  return (text) => list.reduce(apply, text)
}

/** All texts in a JSON value, keys included. */
export function jsonTexts<T>(value: T, onText: OnText): T
export function jsonTexts(value: unknown, onText: OnText): unknown {
  if (typeof value === 'string') return onText(value)
  if (Array.isArray(value)) return value.map((item) => jsonTexts(item, onText))
  if (!isPlain(value)) return value
  const taken = new Set<string>()
  const entries = Object.entries(value).map(([name, item]) => {
    const key = freeKey(onText(name), taken)
    taken.add(key)
    return [key, jsonTexts(item, onText)]
  })
  return Object.fromEntries(entries)
}

/** Two keys may come to the same text. */
const freeKey = (key: string, taken: ReadonlySet<string>, n = 2): string => {
  if (!taken.has(key)) return key
  const next = `${key} ${n}`
  return taken.has(next) ? freeKey(key, taken, n + 1) : next
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** What files hold stays as it is, unless it is a text. */
function outputTexts(output: ModelOutput, onText: OnText): ModelOutput {
  switch (output.type) {
    case 'content':
      return {
        ...output,
        value: output.value.map((part) => itemTexts(part, onText)),
      }
    case 'execution-denied':
      return output.reason === undefined ? output : { ...output, reason: onText(output.reason) }
    default:
      return { ...output, value: jsonTexts(output.value, onText) } as ModelOutput
  }
}

function itemTexts(item: unknown, onText: OnText): unknown {
  if (isText(item)) return { ...item, text: onText(item.text) }
  if (!isPlain(item)) return item
  const { data } = item as { readonly data?: unknown }
  return withName(isText(data) ? { ...item, data: { ...data, text: onText(data.text) } } : item, onText)
}

const withName = <T extends object>(file: T, onText: OnText): T => {
  const { filename } = file as { readonly filename?: unknown }
  return typeof filename === 'string' ? { ...file, filename: onText(filename) } : file
}

const isText = (part: unknown): part is { readonly text: string } =>
  isPlain(part) && 'type' in part && part.type === 'text' && 'text' in part && typeof part.text === 'string'

/** A call stays as the model wrote it: its tool gets that. */
export function partTexts(part: PartRecord, onText: OnText): PartRecord {
  switch (part.type) {
    case 'text':
    case 'reasoning': {
      const text = onText(part.text)
      if (text === part.text) return part
      // They quote what is no longer there.
      const { citations: _, ...rest } = part
      return { ...rest, text }
    }
    case 'tool-result':
      return { ...part, output: jsonTexts(part.output, onText), modelOutput: outputTexts(part.modelOutput, onText) }
    case 'source-url':
      return { ...part, url: onText(part.url), ...(part.title && { title: onText(part.title) }) }
    case 'source-document':
      return { ...part, title: onText(part.title) }
    default:
      return part
  }
}

export const resultTexts = (result: ToolResultRecord, onText: OnText): ToolResultRecord => ({
  ...result,
  modelOutput: outputTexts(result.modelOutput, onText),
  ...('output' in result ? { output: jsonTexts(result.output, onText) } : undefined),
  ...(result.errorText === undefined ? undefined : { errorText: onText(result.errorText) }),
})

type Message = LanguageModelV4Prompt[number]
type Content = Exclude<Message['content'], string>[number]

/** Of a prompt, the inputs of calls included: the tools have had them. */
export const promptTexts = (prompt: LanguageModelV4Prompt, onText: OnText): LanguageModelV4Prompt =>
  prompt.map((message) => {
    const { content } = message
    const texts = typeof content === 'string' ? onText(content) : content.map((part) => contentTexts(part, onText))
    return { ...message, content: texts } as Message
  })

function contentTexts(part: Content, onText: OnText): Content {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return { ...part, text: onText(part.text) }
    case 'tool-call':
      return { ...part, input: jsonTexts(part.input, onText) }
    case 'file':
      return withName(part, onText)
    case 'tool-result':
      return { ...part, output: outputTexts(part.output as ModelOutput, onText) as typeof part.output }
    default:
      return part
  }
}

export const errorTexts = (error: AgentError, onText: OnText | undefined): AgentError => {
  const message = onText?.(error.message) ?? error.message
  return message === error.message ? error : new AgentError(error.code, message, error)
}
