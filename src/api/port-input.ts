import { AgentError } from '../errors.ts'
import type { PortFile } from '../protocol/messages.ts'
import type { Input, InputFile } from './types.ts'

/**
 * An input as it goes to the runtime: what it is now, whatever becomes of it. Throws `invalid-input` for what is no file; the
 * rest the runtime says, so that those who listen hear it.
 */
export function portInput(input: Input): { readonly input: string; readonly files?: readonly PortFile[] } {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return { input: input as string }
  const { text = '', files } = input
  return files ? { input: text, files: Array.from(files as ArrayLike<InputFile>, portFile) } : { input: text }
}

function portFile(file: InputFile, at: number): PortFile {
  if (file instanceof URL) return { url: file.href }
  // Not the file itself: its name is told apart, and not every realm can clone one.
  if (file instanceof Blob) return { data: file.slice(0, file.size, file.type), mediaType: file.type, ...named(file) }
  const { data, mediaType } = Object(file) as Exclude<InputFile, Blob | URL>
  if (!(data instanceof ArrayBuffer || data instanceof Uint8Array) || typeof mediaType !== 'string') throw noFile(at)
  return { data: new Blob([data as Uint8Array<ArrayBuffer>], { type: mediaType }), mediaType, ...named(file) }
}

function named(file: object) {
  const { name, filename = name } = file as { name?: unknown; filename?: unknown }
  return typeof filename === 'string' && filename !== '' ? { filename } : undefined
}

const noFile = (at: number) =>
  new AgentError('invalid-input', `files[${at}] must be a Blob, a URL, or { data, mediaType } with bytes.`)
