import type { LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider'
import type {
  AssistantMessageRecord,
  MessageRecord,
  ModelOutput,
  PartRecord,
  ProviderMetadata,
  ToolMessageRecord,
  UserMessageRecord,
} from '../sessions/records.ts'
import { toldOutput, toldProviderOutput } from '../tools/untrusted.ts'
import { fileData, promptContent } from './file-data.ts'

type Content<Role> = Extract<LanguageModelV4Message, { role: Role }>['content'][number] & object

/** Records don't change, so each is turned once: a context costs nothing per old message. */
const turned = new WeakMap<MessageRecord, LanguageModelV4Message | null>()

/** The history as a provider is told of it. */
export function toPrompt(instructions: string | undefined, history: readonly MessageRecord[]): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Prompt = instructions ? [{ role: 'system', content: instructions }] : []
  for (const record of history) {
    const message = turnedOnce(record)
    if (!message) continue
    const last = prompt.at(-1)
    if (message.role === 'tool' && last?.role === 'tool')
      prompt[prompt.length - 1] = joined(last, message, prompt.at(-2))
    else prompt.push(message)
  }
  return prompt
}

type ToolMessage = Extract<LanguageModelV4Message, { role: 'tool' }>

/** A stop and what closes its calls later leave two tool messages for one answer; providers want one, in the order of the calls. */
function joined(first: ToolMessage, second: ToolMessage, answer: LanguageModelV4Message | undefined): ToolMessage {
  const calls =
    answer?.role === 'assistant' ? answer.content.map((part) => (part.type === 'tool-call' ? part.toolCallId : '')) : []
  const place = (part: Content<'tool'>) => ('toolCallId' in part ? calls.indexOf(part.toolCallId) : -1)
  return { ...first, content: [...first.content, ...second.content].sort((a, b) => place(a) - place(b)) }
}

function turnedOnce(record: MessageRecord) {
  const known = turned.get(record)
  if (known !== undefined) return known
  const message = toMessage(record)
  turned.set(record, message)
  return message
}

function toMessage(record: MessageRecord): LanguageModelV4Message | null {
  switch (record.role) {
    case 'user':
      return { role: 'user', content: userContent(record) }
    case 'assistant': {
      const content = record.parts.flatMap((part) => assistantContent(part, record))
      return content.length > 0 ? { role: 'assistant', content } : null
    }
    case 'tool':
      return record.results.length > 0 ? { role: 'tool', content: toolContent(record) } : null
  }
}

const userContent = (record: UserMessageRecord) =>
  record.parts.flatMap((part): Content<'user'>[] =>
    part.type === 'text'
      ? [{ type: 'text', text: part.text, ...options(part) }]
      : part.type === 'file'
        ? [filePart(part)]
        : [],
  )

/** One part of an answer, or none for what no provider expects back: sources, empty texts that carry nothing. */
function assistantContent(part: PartRecord, { status }: AssistantMessageRecord): Content<'assistant'>[] {
  // What was cut has no whole item on the provider's side: its ids and signatures would be refused.
  if (status === 'partial') return part.type === 'text' && part.text ? [{ type: 'text', text: part.text }] : []
  switch (part.type) {
    case 'text':
      return part.text || part.providerMetadata ? [{ type: 'text', text: part.text, ...options(part) }] : []
    case 'reasoning':
      return [{ type: 'reasoning', text: part.text, ...options(part) }]
    case 'custom':
      return [{ type: 'custom', kind: part.kind, ...options(part) }]
    case 'file':
      return [filePart(part)]
    case 'reasoning-file':
      return [{ type: 'reasoning-file', data: fileData(part.url), mediaType: part.mediaType, ...options(part) }]
    case 'tool-call': {
      const { toolCallId, toolName, providerExecuted } = part
      // Providers refuse an input that is no object, which an invalid call may have.
      const input = part.invalid && typeof part.input !== 'object' ? {} : part.input
      return [
        {
          type: 'tool-call',
          toolCallId,
          toolName,
          input,
          ...(providerExecuted ? { providerExecuted } : undefined),
          ...options(part),
        },
      ]
    }
    case 'tool-result':
      return [
        {
          type: 'tool-result',
          toolCallId: part.toolCallId,
          toolName: part.toolName,
          output: promptOutput(toldProviderOutput(part)),
          ...options(part),
        },
      ]
    default:
      return []
  }
}

/** One whose bytes are stored apart stands as its URL until it is filled in. */
const filePart = (part: Extract<PartRecord, { type: 'file' | 'reasoning-file' }>) => ({
  type: 'file' as const,
  data: fileData(part.url),
  mediaType: part.mediaType,
  ...(part.filename === undefined ? undefined : { filename: part.filename }),
  ...options(part),
})

const toolContent = (record: ToolMessageRecord) =>
  record.results.map(
    (result): Content<'tool'> => ({
      type: 'tool-result',
      toolCallId: result.toolCallId,
      toolName: result.toolName,
      output: promptOutput(toldOutput(result)),
      ...options(result),
    }),
  )

const promptOutput = (output: ModelOutput) =>
  (output.type === 'content' ? { ...output, value: output.value.map(promptContent) } : output) as never

/** What a provider gave with a part goes back on the same part: without it, its second turn fails. */
const options = ({ providerMetadata }: { readonly providerMetadata?: ProviderMetadata }) =>
  providerMetadata ? { providerOptions: providerMetadata } : undefined
