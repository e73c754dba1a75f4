import type { ModelOutput, ToolResultRecord } from '../sessions/records.ts'

/** Bytes of what the model is told of one result, unless the agent says otherwise: some 16,000 tokens. */
export const defaultMaxToolOutput = 64 * 1024

/**
 * The result, and no more told to the model than `maxBytes`: the head and the tail of it, and what was left out. What the
 * UI shows stays whole. Files are left as they are: their bytes are no measure of what a model makes of them.
 */
export function limitOutput(result: ToolResultRecord, maxBytes: number): ToolResultRecord {
  const modelOutput = limited(result.modelOutput, maxBytes)
  return modelOutput === result.modelOutput ? result : { ...result, modelOutput }
}

function limited(output: ModelOutput, maxBytes: number): ModelOutput {
  switch (output.type) {
    case 'text':
    case 'error-text': {
      const value = cut(output.value, maxBytes)
      return value === output.value ? output : { ...output, value }
    }
    case 'json':
    case 'error-json': {
      const json = JSON.stringify(output.value)
      const value = cut(json, maxBytes)
      // Half a JSON is none.
      return value === json ? output : { ...output, type: output.type === 'json' ? 'text' : 'error-text', value }
    }
    case 'content':
      return limitedContent(output, maxBytes)
    case 'execution-denied':
      return output
  }
}

type ContentOutput = Extract<ModelOutput, { type: 'content' }>

/** Its texts share the bytes: the first ones have them. */
function limitedContent(output: ContentOutput, maxBytes: number): ContentOutput {
  let left = maxBytes
  let changed = false
  const value = output.value.map((part) => {
    if (!isText(part)) return part
    const text = cut(part.text, left)
    left = Math.max(0, left - bytesOf(text))
    if (text === part.text) return part
    changed = true
    return { ...part, text }
  })
  return changed ? { ...output, value } : output
}

const isText = (part: unknown): part is { readonly type: 'text'; readonly text: string } =>
  typeof part === 'object' && part !== null && 'type' in part && part.type === 'text' && 'text' in part

const encoder = new TextEncoder()
const bytesOf = (text: string) => encoder.encode(text).length

/** The text, or its head, a note of what is missing, and its tail: together no more than `maxBytes`, but for the note. */
export function cut(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text
  const bytes = encoder.encode(text)
  if (bytes.length <= maxBytes) return text
  const longest = noteOf(bytes.length, bytes.length)
  const room = Math.max(0, maxBytes - longest.length)
  const head = headOf(bytes, Math.ceil(room / 2))
  const tail = tailOf(bytes, Math.floor(room / 2))
  return `${decode(head)}${noteOf(bytes.length - head.length - tail.length, bytes.length)}${decode(tail)}`
}

const noteOf = (left: number, all: number) =>
  `\n[Cut: ${left} of ${all} bytes of this output are left out here. Ask for less of it if they matter.]\n`

/** No character is parted: what goes on one (10xxxxxx) stays with its beginning. */
function headOf(bytes: Uint8Array, length: number) {
  let end = length
  while (end > 0 && goesOn(bytes[end])) end--
  return bytes.subarray(0, end)
}

function tailOf(bytes: Uint8Array, length: number) {
  let start = bytes.length - length
  while (start < bytes.length && goesOn(bytes[start])) start++
  return bytes.subarray(start)
}

const goesOn = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80
const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
