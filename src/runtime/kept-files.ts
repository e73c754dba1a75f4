import { bytesOf } from '../model/file-data.ts'
import { blobUrl } from '../sessions/blob-url.ts'
import type {
  BlobRecord,
  CallRecord,
  MessageRecord,
  ModelOutput,
  PartRecord,
  ToolResultRecord,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'

/** Characters of base64 that stay where they are: every reader of the record reads them. */
const mostInline = 32 * 1024

/** What keeps the bytes of a file apart: gives its URL, `too-large`, or nothing where it stays where it is. */
type Keep = (base64: unknown, mediaType: string) => { readonly url: string; readonly size: number } | string | undefined

/** The step with the bytes of larger files that a model or a tool gave kept apart, and referred to by URLs. */
export function keepFiles(step: Step, newId: () => string, maxFileSize: number): Step {
  const blobs: BlobRecord[] = []
  const keep: Keep = (base64, mediaType) => {
    if (typeof base64 !== 'string' || base64.length <= mostInline) return undefined
    const size = Math.floor((base64.length * 3) / 4)
    if (size > maxFileSize)
      return `[A file (${mediaType}) of ${size} bytes is left out: the limit is ${maxFileSize}, limits.maxFileSize of the agent.]`
    try {
      const data = new Blob([bytesOf(base64)], { type: mediaType })
      const blobId = newId()
      blobs.push({ v: 1, blobId, data, mediaType })
      return { url: blobUrl(blobId), size: data.size }
    } catch {
      return undefined
    }
  }
  const known = new Map<ToolResultRecord, ToolResultRecord>()
  /** A result stands in its row and in its message. */
  const result = (given: ToolResultRecord) => {
    const kept = known.get(given) ?? withOutput(given, keep)
    known.set(given, kept)
    return kept
  }
  const messages = step.messages?.map((message) => keepMessage(message, keep, result))
  const calls = step.calls?.map((row): CallRecord => (row.result ? { ...row, result: result(row.result) } : row))
  return {
    ...step,
    ...(messages && { messages }),
    ...(calls && { calls }),
    ...(blobs.length > 0 && { blobs: [...(step.blobs ?? []), ...blobs] }),
  }
}

function keepMessage(
  message: MessageRecord,
  keep: Keep,
  result: (given: ToolResultRecord) => ToolResultRecord,
): MessageRecord {
  if (message.role === 'tool') return { ...message, results: message.results.map(result) }
  return message.role === 'assistant'
    ? { ...message, parts: message.parts.map((part) => keepPart(part, keep)) }
    : message
}

function keepPart(part: PartRecord, keep: Keep): PartRecord {
  if (part.type === 'tool-result') return withOutput(part, keep)
  if (part.type !== 'file' && part.type !== 'reasoning-file') return part
  const kept = keep(/^data:[^,]*;base64,(.*)$/s.exec(part.url)?.[1], part.mediaType)
  // A part's place is its name: another one stands in for it.
  if (typeof kept === 'string') return { type: 'text', text: kept }
  return kept ? { ...part, ...kept } : part
}

function withOutput<T extends { readonly modelOutput: ModelOutput }>(given: T, keep: Keep): T {
  const { modelOutput } = given
  if (modelOutput.type !== 'content') return given
  return { ...given, modelOutput: { ...modelOutput, value: modelOutput.value.map((item) => keepItem(item, keep)) } }
}

interface FileItem {
  readonly type?: string
  readonly mediaType?: string
  readonly data?: { readonly type?: string; readonly data?: unknown }
}

function keepItem(item: unknown, keep: Keep): unknown {
  const { type, mediaType = '', data } = Object(item) as FileItem
  if (type !== 'file' || data?.type !== 'data') return item
  const kept = keep(data.data, mediaType)
  if (typeof kept === 'string') return { type: 'text', text: kept }
  return kept ? { ...(item as object), data: { type: 'url', ...kept } } : item
}
