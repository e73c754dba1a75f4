import { AgentError, messageOf } from '../errors.ts'
import { bytesOf } from '../model/file-data.ts'
import { mediaTypeOf } from '../model/media-type.ts'
import type { PortFile } from '../protocol/messages.ts'
import { blobUrl } from '../sessions/blob-url.ts'
import type { BlobRecord, FileRecord, Limits, PartRecord } from '../sessions/records.ts'

/** Characters. */
const longestName = 255
const longestUrl = 8192

/** An input's files as they are stored with it. */
export interface TakenFiles {
  /** Spread into what is stored. */
  readonly files: { readonly files: readonly FileRecord[] } | undefined
  readonly blobs: readonly BlobRecord[]
}

/** Whether an input has files; it comes from another realm. */
export const hasFiles = ({ files }: { readonly files?: unknown }) => Array.isArray(files) && files.length > 0

/**
 * Reads the files that came with an input, so that nothing of them is left behind on the page; `onName` gives what takes the
 * place of a name. Rejects with `invalid-input`,
 * and with `file-too-large`, naming the limit.
 */
export async function takeFiles(
  { newId }: { readonly newId: () => string },
  given: unknown,
  { maxFiles, maxFileSize }: Required<Limits>,
  onName: (name: string) => string,
): Promise<TakenFiles> {
  const files: FileRecord[] = []
  const blobs: BlobRecord[] = []
  if (given === undefined) return { files: undefined, blobs }
  if (!Array.isArray(given)) throw refuse('`files` must be a list.')
  if (given.length > maxFiles)
    throw refuse(`The input has ${given.length} files; the limit is ${maxFiles}. Send fewer, or raise limits.maxFiles.`)
  for (const file of given) {
    const taken = await read(Object(file), maxFileSize, onName)
    if (taken.bytes === undefined) {
      files.push(taken.file)
      continue
    }
    const blobId = newId()
    const { mediaType } = taken.file
    const data = new Blob([taken.bytes], { type: mediaType })
    blobs.push({ v: 1, blobId, data, mediaType })
    files.push({ ...taken.file, url: blobUrl(blobId), size: data.size })
  }
  return { files: files.length > 0 ? { files } : undefined, blobs }
}

interface Taken {
  readonly file: FileRecord
  readonly bytes?: Uint8Array<ArrayBuffer> | ArrayBuffer
}

async function read(file: PortFile, maxFileSize: number, onName: (name: string) => string): Promise<Taken> {
  if ('url' in file) return readUrl(file.url, maxFileSize)
  const { data, filename, mediaType } = file
  if (!(data instanceof Blob)) throw refuse('A file must be a Blob, a URL, or { data, mediaType } with bytes.')
  const own = typeof filename === 'string' && filename !== '' ? filename.slice(0, longestName) : undefined
  const name = own && onName(own)
  checkSize(data.size, maxFileSize, name)
  const bytes = await data.arrayBuffer().catch((error) => {
    throw refuse(`The file ${name ?? ''} can't be read: ${messageOf(error)}`)
  })
  return {
    bytes,
    file: {
      mediaType: mediaTypeOf(mediaType, own),
      url: '',
      ...(name === undefined ? undefined : { filename: name }),
    },
  }
}

/** What the URL itself holds is kept as any other file. */
function readUrl(given: unknown, maxFileSize: number): Taken {
  const url = String(given)
  const [, type = '', base64, data = ''] = /^data:([^,;]*)(?:;[^,;]*)*?(;base64)?,(.*)$/s.exec(url) ?? []
  if (url.startsWith('data:')) {
    const bytes = attempt(() => (base64 ? bytesOf(data) : new TextEncoder().encode(decodeURIComponent(data))))
    checkSize(bytes.byteLength, maxFileSize)
    return { bytes, file: { mediaType: mediaTypeOf(type || 'text/plain'), url: '' } }
  }
  if (!/^https?:/.test(url) || !URL.canParse(url) || url.length > longestUrl)
    throw refuse('A file by its URL needs an http, https or data URL: pass a Blob for any other.')
  return { file: { mediaType: mediaTypeOf('', new URL(url).pathname), url } }
}

function attempt<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw refuse(`A data URL can't be read: ${messageOf(error)}`)
  }
}

function checkSize(size: number, maxFileSize: number, name = '') {
  if (size <= maxFileSize) return
  throw new AgentError(
    'file-too-large',
    `The file ${name} has ${size} bytes; the limit is ${maxFileSize}. Send a smaller one, or raise limits.maxFileSize of the agent.`,
  )
}

const refuse = (problem: string) => new AgentError('invalid-input', problem)

/** The parts of a user's message, in the AI SDK's order. */
export const inputParts = (text: string, files: readonly FileRecord[] = []): readonly PartRecord[] => [
  ...files.map((file) => ({ type: 'file' as const, ...file })),
  ...(text || files.length === 0 ? [{ type: 'text' as const, text }] : []),
]
