import type { MessageRecord, ModelOutput, PartRecord } from '../sessions/records.ts'
import { reframed, toldOutput } from '../tools/untrusted.ts'
import { estimateText } from './estimate-tokens.ts'

/** Characters of one result or one input that a summary is made of. */
const longest = 2_000

/**
 * A conversation as a text to be summarised. A text needs no tools to be declared, fits every provider, and can be cut:
 * results are, and so is its middle where it has more than `limit` tokens.
 */
export const transcript = (messages: readonly MessageRecord[], limit: number): string =>
  fitted(messages.map(saidIn).filter(Boolean).join('\n\n'), limit)

function saidIn(message: MessageRecord): string {
  if (message.role === 'tool')
    return message.results
      .map((result) => `[result of ${result.toolName}]\n${cut(outputText(toldOutput(result)))}`)
      .join('\n\n')
  const said = message.parts.map(textOf).filter(Boolean).join('\n')
  return said && `[${message.role}]\n${said}`
}

function textOf(part: PartRecord): string {
  switch (part.type) {
    case 'text':
      return part.text
    case 'tool-call':
      return `[calls ${part.toolName} with ${cut(jsonOf(part.input))}]`
    case 'tool-result':
      return `[result of ${part.toolName}] ${cut(outputText(toldOutput(part)))}`
    case 'file':
      return `[file ${part.filename ?? part.mediaType}]`
    default:
      return ''
  }
}

function outputText(output: ModelOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'execution-denied':
      return output.reason ?? 'denied'
    case 'content':
      return output.value.map(itemText).join('\n')
    default:
      return jsonOf(output.value)
  }
}

function itemText(item: unknown): string {
  const { text, filename, mediaType } = item as { text?: string; filename?: string; mediaType?: string }
  return text ?? `[file ${filename ?? mediaType ?? ''}]`
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    return ''
  }
}

const cut = (text: string) => (text.length > longest ? reframed(`${text.slice(0, longest)} […]`) : text)

/** The beginning, where the task stands, and twice as much of the end. */
function fitted(text: string, limit: number): string {
  const tokens = estimateText(text)
  if (tokens <= limit) return text
  const third = Math.floor((text.length * Math.max(limit, 0)) / tokens / 3)
  return `${reframed(text.slice(0, third))}\n\n[…]\n\n${reframed(text.slice(text.length - 2 * third))}`
}
