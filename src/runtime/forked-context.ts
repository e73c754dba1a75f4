import { blobIdsIn } from '../sessions/blob-url.ts'
import type { BlobRecord, MessageRecord, PartRecord } from '../sessions/records.ts'
import type { Run } from './run.ts'

/** Messages that a child is told of the conversation that it comes from: the newest. */
const mostForked = 500

export interface Forked {
  readonly messages: readonly MessageRecord[]
  /** What their files refer to. */
  readonly blobs: readonly BlobRecord[]
}

const nothing: Forked = { messages: [], blobs: [] }

/** What the user and the model said before a child was started, without calls, where its new session is to begin with that. */
export async function forkedContext({ env, record, session }: Run): Promise<Forked> {
  const fork = record.request.delegation?.fork
  if (!fork || session.messageCount > 0) return nothing
  const said = await env.store.readMessages(fork.sessionId, { before: fork.before, limit: mostForked })
  const messages: MessageRecord[] = []
  for (const message of said) {
    const parts = spokenParts(message)
    const last = messages.at(-1)
    if (parts.length === 0) continue
    // What stood between them was calls: it is one answer.
    if (message.role === 'assistant' && last?.role === 'assistant')
      messages[messages.length - 1] = { ...last, parts: [...last.parts, ...parts] }
    else messages.push(copyOf(message, parts, env.newId(), messages.length))
  }
  const ids = new Set(blobIdsIn(messages.filter(({ role }) => role === 'user')))
  const blobs = await Promise.all([...ids].map((blobId) => env.store.readBlob(fork.sessionId, blobId)))
  return { messages, blobs: blobs.filter((blob) => blob !== undefined) }
}

function copyOf(message: MessageRecord, parts: readonly PartRecord[], id: string, index: number): MessageRecord {
  const { v, runId, agent, at, role } = message
  const base = { v, id, index, runId, turn: 0, agent, at, parts }
  return role === 'user' ? { ...base, role } : { ...base, role: 'assistant', status: 'done' }
}

/** Texts and files, without what only their own provider understands. */
function spokenParts(message: MessageRecord): PartRecord[] {
  if (message.role === 'tool') return []
  return message.parts.flatMap((part): PartRecord[] => {
    if (part.type === 'text') return part.text ? [{ type: 'text', text: part.text }] : []
    if (part.type !== 'file' || message.role !== 'user') return []
    const { providerMetadata: _, ...file } = part
    return [file]
  })
}
