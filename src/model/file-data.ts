import type { SharedV4FileDataData, SharedV4FileDataUrl } from '@ai-sdk/provider'
import type { ToolResultOutput } from '@ai-sdk/provider-utils'

// Files are kept as URLs, as the AI SDK's UI messages have them, and are given back to providers as data.

/** A generated file as a URL: its own, or a data URL. */
export function dataUrl(data: SharedV4FileDataData | SharedV4FileDataUrl, mediaType: string): string {
  // Throws for a URL that is none: no prompt could be built with it.
  if (data.type === 'url') return new URL(data.url).href
  return `data:${mediaType};base64,${typeof data.data === 'string' ? data.data : toBase64(data.data)}`
}

export function fileData(url: string): SharedV4FileDataData | SharedV4FileDataUrl {
  const data = /^data:[^,]*;base64,(.*)$/s.exec(url)?.[1]
  return data === undefined ? { type: 'url', url: new URL(url) } : { type: 'data', data }
}

type ContentItem = Extract<ToolResultOutput, { type: 'content' }>['value'][number]
type OldFile = { readonly type: string; readonly data?: string; readonly url?: string; readonly mediaType?: string }

/**
 * One item of a tool's content as it is stored: bytes as base64, URLs as strings, and files by that name. Throws for a
 * URL that is none: no prompt could be built with it.
 */
export function fileContent(item: ContentItem): object {
  const oldName = /^(file|image)-(data|url)$/.exec(item.type)
  if (oldName) return fromOldFile(item as OldFile, oldName[1] === 'image' ? 'image' : 'application/octet-stream')
  if (item.type !== 'file' || typeof item.data !== 'object' || !('type' in item.data)) return item
  const { data } = item
  if (data.type === 'url') return { ...item, data: { ...data, url: new URL(data.url).href } }
  if (data.type !== 'data' || typeof data.data === 'string') return item
  const bytes = data.data instanceof ArrayBuffer ? new Uint8Array(data.data) : data.data
  return { ...item, data: { ...data, data: toBase64(bytes) } }
}

/** The AI SDK's `image-data`, `file-url` and so on, which its own loop takes until its next major version. */
function fromOldFile({ type: _, data, url, mediaType, ...others }: OldFile, kind: string) {
  const file = url === undefined ? { type: 'data', data } : { type: 'url', url: new URL(url).href }
  return { ...others, type: 'file', mediaType: mediaType ?? kind, data: file }
}

/** The same item for a provider, which wants URLs as objects. */
export const promptContent = (item: unknown): unknown => {
  const { data } = item as { data?: { type?: string; url?: string } }
  return data?.type === 'url' && data.url ? { ...(item as object), data: { ...data, url: new URL(data.url) } } : item
}

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  // In slices: the arguments of a call are limited.
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(binary)
}

/** Throws for what is no base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64)
  const bytes = new Uint8Array(binary.length)
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at)
  return bytes
}
