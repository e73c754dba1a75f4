import { messageOf } from '../errors.ts'
import { isRecord } from '../is-object.ts'
import { bytesOf } from '../model/file-data.ts'
import { checkNesting, invalid } from '../sessions/check-shape.ts'
import { checkDocument, documentFormat, documentVersion, type SessionDocument } from '../sessions/document.ts'
import type { BlobRecord, MessageRecord, SummaryRecord } from '../sessions/records.ts'
import { checkedState } from '../tools/state.ts'
import { hiddenOf } from './copy-session.ts'
import type { Environment } from './environment.ts'

/** Bytes. */
const mostBytes = 256 * 1024 * 1024
/** A tool's output may be 500 deep. */
const deepest = 520

/** Makes a session of a document that `export` gave. Rejects with `invalid-document`, with nothing written. */
export async function importSession(env: Environment, sessionId: string, given: unknown): Promise<void> {
  const { model, messages, summaries, files, state, format: _, version: __, ...said } = await read(given)
  const now = env.now()
  const hidden = hiddenOf(messages.map((message) => message.hidden === true))
  await env.store.createSession({
    session: {
      v: 1,
      ...said,
      id: sessionId,
      title: said.title.slice(0, 200),
      createdAt: Math.min(said.createdAt, now),
      updatedAt: now,
      messageCount: messages.length,
      turn: messages.reduce((most, { turn }) => Math.max(most, turn), said.turn),
      // Whoever wrote it is nobody whom the user has asked.
      tainted: said.tainted ?? { at: now, toolName: 'import' },
      ...(hidden.length > 0 && { hidden }),
      ...(summaries.length > 0 && { summaries: summaries.length }),
    },
    ...(model !== undefined && Object.hasOwn(env.models, model) && { settings: { v: 1, model, modelAt: now } }),
    ...(state !== undefined && { state: { v: 1, value: state } }),
    messages: messages.map(({ hidden: _, ...message }, index) => ({ v: 1, ...message, index }) as MessageRecord),
    summaries: [...summaries]
      .sort((a, b) => a.n - b.n)
      .map((summary, at): SummaryRecord => ({ v: 1, ...summary, n: at + 1 })),
    blobs: files.map(toBlob),
  })
}

async function read(given: unknown): Promise<SessionDocument> {
  if (!(given instanceof Blob)) throw invalid('pass the Blob that export gave')
  if (given.size > mostBytes) throw invalid(`it has over ${mostBytes} bytes`)
  const document = await given
    .text()
    .then(JSON.parse)
    .catch((error) => {
      throw invalid(`it is no JSON (${messageOf(error)})`)
    })
  if (!isRecord(document) || document.format !== documentFormat) throw invalid(`its format is not "${documentFormat}"`)
  if (document.version !== documentVersion)
    throw invalid(`it is of version ${String(document.version).slice(0, 20)}, and this turnloop reads version 1`)
  checkNesting(document, deepest)
  checkDocument(document)
  if (document.state !== undefined) {
    try {
      checkedState(document.state)
    } catch (error) {
      throw invalid(messageOf(error))
    }
  }
  return document
}

function toBlob({ id, mediaType, data }: SessionDocument['files'][number], at: number): BlobRecord {
  try {
    return { v: 1, blobId: id, mediaType, data: new Blob([bytesOf(data)], { type: mediaType }) }
  } catch {
    throw invalid(`files[${at}].data must be base64`)
  }
}
