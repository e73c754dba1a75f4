import type { LanguageModelV4FilePart, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { lastUserIndex } from './offline-prompt.ts'
import { literal } from './offline-replies.ts'

/** What the scripted model says of the files that came with the last message; none where none came. */
export function toldFiles(prompt: LanguageModelV4Prompt): string | undefined {
  const last = prompt[lastUserIndex(prompt)]
  const files = last?.role === 'user' ? last.content.filter((part) => part.type === 'file') : []
  if (files.length === 0) return undefined
  const lines = files.map((file) => `- ${told(file)}`)
  return `I got ${files.length === 1 ? 'a file' : `${files.length} files`} with your message:\n\n${lines.join('\n')}`
}

function told({ filename = 'A file', mediaType, data }: LanguageModelV4FilePart): string {
  const name = `**${literal(filename)}** (${literal(mediaType)}`
  if (data.type !== 'data' && data.type !== 'text') return `${name}, to be read at another place)`
  const bytes = data.type === 'text' ? new TextEncoder().encode(data.text) : bytesOf(data.data)
  const size = `${name}, ${bytes.byteLength.toLocaleString('en-GB')} bytes)`
  if (mediaType.startsWith('image/')) return `${size}. A model that sees would tell you what is on it.`
  return mediaType.startsWith('text/') || mediaType === 'application/json' ? `${size}. ${begins(bytes)}` : `${size}.`
}

function begins(bytes: Uint8Array): string {
  const line = new TextDecoder().decode(bytes.slice(0, 400)).trim().split('\n')[0]?.slice(0, 80)
  return line ? `It begins with “${literal(line)}”.` : 'It is empty.'
}

const bytesOf = (data: Uint8Array | string) =>
  typeof data === 'string' ? Uint8Array.from(atob(data), (char) => char.charCodeAt(0)) : data
