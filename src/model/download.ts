import { AgentError, messageOf } from '../errors.ts'

export interface Download {
  readonly bytes: Uint8Array
  readonly mediaType: string | null
}

/** Loads a file that no model loads itself, and no more of it than `maxBytes`. Throws `file-too-large` and `unknown-file`. */
export async function download(url: URL, maxBytes: number, signal: AbortSignal): Promise<Download> {
  try {
    const response = await fetch(url, { signal, credentials: 'omit', referrerPolicy: 'no-referrer' })
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    return { bytes: await readUpTo(response, maxBytes, url), mediaType: response.headers.get('content-type') }
  } catch (error) {
    if (error instanceof AgentError) throw error
    throw new AgentError(
      'unknown-file',
      `The file ${nameOf(url)} can't be loaded (${messageOf(error)}). This model reads no such URL itself, so that the worker loads it, which its server has to allow (CORS): pass the file itself instead.`,
    )
  }
}

async function readUpTo(response: Response, maxBytes: number, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  const reader = response.body?.getReader()
  while (reader) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > maxBytes) {
      reader.cancel().catch(() => {})
      throw new AgentError(
        'file-too-large',
        `The file ${nameOf(url)} has over ${maxBytes} bytes: raise limits.maxFileSize of the agent, or use a smaller one.`,
      )
    }
    chunks.push(value)
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer())
}

/** Without the query, which may hold a key. */
const nameOf = ({ origin, pathname }: URL) => origin + pathname
