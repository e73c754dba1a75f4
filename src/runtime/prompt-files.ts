import type { LanguageModelV4, LanguageModelV4FilePart, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { AgentError, toAgentError } from '../errors.ts'
import { download } from '../model/download.ts'
import { mediaTypeOf, unknownType } from '../model/media-type.ts'
import { isUrlSupported } from '../model/supported-url.ts'
import { blobIdOf } from '../sessions/blob-url.ts'
import type { LoadedFile } from './file-cache.ts'
import type { Run } from './run.ts'

/** Milliseconds that a file may take to be loaded from its URL. */
const timeout = 30_000

type Message = LanguageModelV4Prompt[number]
/** A part of a message, or an item of a tool's content, as far as it is looked at. */
interface Part {
  readonly type: string
  readonly data?: unknown
  readonly output?: unknown
}
type UrlPart = Pick<LanguageModelV4FilePart, 'mediaType' | 'filename'> & {
  readonly type: string
  readonly data: { readonly type: 'url'; readonly url: URL }
}
type Fill = (part: UrlPart) => Promise<object>

/**
 * The prompt with its files as this model takes them: those that are stored as data, the user's own URLs as they are where the
 * model reads them, else loaded. One that is gone is a note in its place.
 */
export async function withFiles(
  run: Run,
  model: LanguageModelV4,
  prompt: LanguageModelV4Prompt,
): Promise<LanguageModelV4Prompt> {
  if (!prompt.some(hasUrl)) return prompt
  const supported = (await model.supportedUrls) ?? {}
  const asked = urlsAsked(run)
  const stored: Fill = async (part) => {
    const blobId = blobIdOf(part.data.url.href)
    if (blobId === undefined) return part
    return filled(part, await run.context.files.get(part.data.url.href, () => readBlob(run, blobId)))
  }
  const users: Fill = async (part) => {
    const { url } = part.data
    if (blobIdOf(url.href) !== undefined || isUrlSupported(url.href, part.mediaType, supported)) return stored(part)
    try {
      return filled(part, await run.context.files.get(url.href, () => load(run, url)))
    } catch (error) {
      run.signal.throwIfAborted()
      // What was said before must not keep the session from going on.
      if (asked.has(url.href)) throw error
      return filled(part, undefined)
    }
  }
  return Promise.all(
    prompt.map((message) => (hasUrl(message) ? fill(message, message.role === 'user' ? users : stored) : message)),
  )
}

const partsOf = ({ content }: Message): readonly Part[] => (typeof content === 'string' ? [] : content)

/** The items of a tool's content. */
function itemsOf({ type, output }: Part): readonly Part[] {
  const { type: kind, value } = (type === 'tool-result' ? output : {}) as { type?: string; value?: readonly Part[] }
  return kind === 'content' && value ? value : []
}

const isUrl = (part: Part): part is UrlPart =>
  (part.type === 'file' || part.type === 'reasoning-file') && (part.data as UrlPart['data'])?.type === 'url'

const hasUrl = (message: Message) => partsOf(message).some((part) => isUrl(part) || itemsOf(part).some(isUrl))

async function fill(message: Message, toFilled: Fill): Promise<Message> {
  const all = (parts: readonly Part[]) => Promise.all(parts.map((part) => (isUrl(part) ? toFilled(part) : part)))
  const parts = await all(partsOf(message))
  const content = parts.map(async (part) => {
    const items = itemsOf(part as Part)
    return items.length > 0
      ? { ...part, output: { ...((part as Part).output as object), value: await all(items) } }
      : part
  })
  return { ...message, content: await Promise.all(content) } as Message
}

function filled(part: UrlPart, file: LoadedFile | undefined): object {
  const { mediaType, filename } = part
  if (!file) return { type: 'text', text: `[The file ${filename ?? mediaType} is not there any more.]` }
  const known = mediaType === unknownType ? (file.mediaType ?? mediaType) : mediaType
  return { ...part, mediaType: known, data: { type: 'data', data: file.bytes } }
}

async function readBlob({ env, live }: Run, blobId: string): Promise<LoadedFile | undefined> {
  const blob = await env.store.readBlob(live.id, blobId)
  // Some browsers lose what a blob is made of.
  const bytes = await blob?.data.arrayBuffer().catch(() => undefined)
  return bytes && { bytes: new Uint8Array(bytes) }
}

async function load({ env, caps, signal }: Run, url: URL): Promise<LoadedFile> {
  const late = new AbortController()
  const over = new AbortController()
  env.sleep(timeout, over.signal).then(
    () => late.abort(new Error(`not within ${timeout} ms`)),
    () => {},
  )
  try {
    const { bytes, mediaType } = await download(url, caps.maxFileSize, AbortSignal.any([signal, late.signal]))
    return { bytes, mediaType: mediaTypeOf(mediaType, url.pathname) }
  } catch (error) {
    const { code, message } = toAgentError(error)
    // With a network it may be there.
    throw code === 'unknown-file' && env.network.isOffline ? new AgentError('unreachable', message) : error
  } finally {
    over.abort()
  }
}

/** URLs that the run was just asked about: without them there is no answer. */
function urlsAsked({ history, ownMessages }: Run): ReadonlySet<string> {
  const messages = [...ownMessages, history.findLast(({ role }) => role === 'user')]
  const parts = messages.flatMap((message) => (message?.role === 'user' ? message.parts : []))
  return new Set(
    parts.flatMap((part) => (part.type === 'file' && URL.canParse(part.url) ? new URL(part.url).href : [])),
  )
}
