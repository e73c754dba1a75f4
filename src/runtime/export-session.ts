import { toBase64 } from '../model/file-data.ts'
import { documentFormat, documentVersion, type SessionDocument } from '../sessions/document.ts'
import { isHidden } from '../sessions/hidden.ts'
import { copyOf } from './copy-session.ts'
import type { Environment } from './environment.ts'

/** A session as one JSON document. Rejects with `unknown-session`. */
export async function exportSession(env: Environment, sessionId: string): Promise<Blob> {
  const { session, settings, state, messages, summaries, blobs } = await copyOf(env, sessionId)
  const { id: _, v: __, updatedAt: ___, messageCount: ____, hidden, summaries: _____, ...said } = session
  const { title = session.title, model } = settings ?? {}
  const head: Omit<SessionDocument, 'messages' | 'summaries' | 'files'> = {
    format: documentFormat,
    version: documentVersion,
    ...said,
    title,
    ...(model !== undefined && { model }),
    ...(state && { state: state.value }),
  }
  const files: string[] = []
  for (const { blobId, mediaType, data } of blobs)
    files.push(json({ id: blobId, mediaType, data: toBase64(new Uint8Array(await data.arrayBuffer())) }))
  // In pieces: no string holds all of it.
  const pieces = [
    json(head).slice(0, -1),
    ...listed(
      'messages',
      messages.map(({ v, index, ...message }) =>
        json({ ...message, ...(isHidden(hidden, index) && { hidden: true }) }),
      ),
    ),
    ...listed(
      'summaries',
      summaries.map(({ v, ...summary }) => json(summary)),
    ),
    ...listed('files', files),
    '}',
  ]
  return new Blob(pieces, { type: 'application/json' })
}

const listed = (field: string, items: readonly string[]) => [
  `,"${field}":[`,
  ...items.flatMap((item, i) => (i === 0 ? [item] : [',', item])),
  ']',
]

/** Without what an import would refuse. */
const json = (value: unknown) => JSON.stringify(value, (key, item) => (key === '__proto__' ? undefined : item))
