import type { SharedV4FileDataData, SharedV4FileDataUrl } from '@ai-sdk/provider'

// Files are kept as URLs, as the AI SDK's UI messages have them, and are given back to providers as data.

/** A generated file as a URL: its own, or a data URL. */
export function dataUrl(data: SharedV4FileDataData | SharedV4FileDataUrl, mediaType: string): string {
  if (data.type === 'url') return data.url.toString()
  return `data:${mediaType};base64,${typeof data.data === 'string' ? data.data : toBase64(data.data)}`
}

export function fileData(url: string): SharedV4FileDataData | SharedV4FileDataUrl {
  const data = /^data:[^,]*;base64,(.*)$/s.exec(url)?.[1]
  return data === undefined ? { type: 'url', url: new URL(url) } : { type: 'data', data }
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  // In slices: the arguments of a call are limited.
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(binary)
}
