import type { MessageRecord, ModelOutput, PartRecord } from '../sessions/records.ts'
import { toldOutput } from '../tools/untrusted.ts'

// What a text comes to in tokens, without any model's tokenizer: those are megabytes. Within some 20 % of what current tokenizers count for prose,
// code and JSON; what a provider counts differently is put right by the ratio that its reports give.

/** What a provider adds around a message, and around a call or a result. */
const perMessage = 4
const perCall = 8
/** An image of the size that providers scale down to. */
const perImage = 1_000
/** Characters of base64 per token of a document or a recording. */
const fileCharacters = 40

/** Records don't change, so each is counted once: a context costs nothing per old message. */
const counted = new WeakMap<MessageRecord, number>()

/** Tokens of a message, as a model is told of it. */
export function estimateMessage(record: MessageRecord): number {
  let tokens = counted.get(record)
  if (tokens === undefined) {
    tokens = countMessage(record)
    counted.set(record, tokens)
  }
  return tokens
}

function countMessage(record: MessageRecord): number {
  let tokens = perMessage
  if (record.role === 'tool') for (const result of record.results) tokens += perCall + countOutput(toldOutput(result))
  // Of an answer that was cut, only its texts are told.
  else if (record.role === 'assistant' && record.status === 'partial') {
    for (const part of record.parts) if (part.type === 'text') tokens += estimateText(part.text)
  } else for (const part of record.parts) tokens += countPart(part)
  return tokens
}

function countPart(part: PartRecord): number {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return estimateText(part.text)
    case 'tool-call':
      return perCall + estimateText(part.toolName) + estimateJson(part.input)
    case 'tool-result':
      return perCall + countOutput(part.modelOutput)
    case 'file':
    case 'reasoning-file':
      return countFile(part.mediaType, part.url.startsWith('data:') ? part.url.length : ((part.size ?? 0) * 4) / 3)
    default:
      return 0
  }
}

function countOutput(output: ModelOutput): number {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return estimateText(output.value)
    case 'content':
      return output.value.reduce((sum: number, item) => sum + countContent(item), 0)
    case 'execution-denied':
      return estimateText(output.reason ?? '')
    default:
      return estimateJson(output.value)
  }
}

interface ContentItem {
  readonly type?: string
  readonly text?: string
  readonly mediaType?: string
  readonly data?: { readonly data?: unknown; readonly size?: unknown }
}

function countContent(item: unknown): number {
  const { type, text, mediaType, data } = (item ?? {}) as ContentItem
  if (type !== 'file') return typeof text === 'string' ? estimateText(text) : estimateJson(item)
  const characters = typeof data?.size === 'number' ? (data.size * 4) / 3 : 0
  return countFile(mediaType ?? '', typeof data?.data === 'string' ? data.data.length : characters)
}

/** Text within a file counts as text, an image by itself, anything else by its size. */
function countFile(mediaType: string, characters: number): number {
  if (mediaType.startsWith('text/')) return Math.ceil((characters * 3) / 16)
  return mediaType.startsWith('image/') ? perImage : Math.max(perImage, Math.ceil(characters / fileCharacters))
}

/** Tokens of a value as JSON; 0 for what has none. */
export function estimateJson(value: unknown): number {
  try {
    return estimateText(JSON.stringify(value) ?? '')
  } catch {
    return 0
  }
}

const lower = 1
const upper = 2
const digit = 3
const space = 4
const line = 5
const mark = 6
/** Letters of other alphabets, some of which share a token. */
const letter = 7
/** Han, kana, hangul: nearly a token each. */
const sign = 8
/** Emoji and what else stands outside the first plane: a token per half. */
const half = 9

const ascii = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code >= 97 && code <= 122) return lower
  if (code >= 65 && code <= 90) return upper
  if (code >= 48 && code <= 57) return digit
  if (code === 10 || code === 13) return line
  return code <= 32 ? space : mark
})

function kindOf(code: number): number {
  if (code < 128) return ascii[code] as number
  if (code >= 0xd800 && code <= 0xdfff) return half
  return (code >= 0x1100 && code <= 0x11ff) || (code >= 0x2e80 && code <= 0xfaff) || code >= 0xfe30 ? sign : letter
}

/** Tokens of a text. Looks at each character once. */
export function estimateText(text: string): number {
  let tokens = 0
  let run = 0
  let kind = 0
  for (let at = 0; at < text.length; at++) {
    const next = kindOf(text.charCodeAt(at))
    // A capital begins a word, and belongs to it.
    if (next === kind || (kind === upper && next === lower && run === 1)) run++
    else {
      tokens += countRun(kind, run)
      run = 1
    }
    kind = next
  }
  return Math.ceil(tokens + countRun(kind, run))
}

function countRun(kind: number, length: number): number {
  switch (kind) {
    case lower:
      return length <= 8 ? 1 : length / 6
    case upper:
      return length <= 3 ? 1 : length / 2.5
    case digit:
      return Math.ceil(length / 3)
    case space:
      // One belongs to the word after it.
      return length === 1 ? 0 : 1
    case line:
      return 1
    case mark:
      return length <= 2 ? 1 : length / 2.5
    case letter:
      return length / 2.8
    case sign:
      return length * 0.85
    default:
      return length
  }
}
