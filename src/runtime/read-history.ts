import type { Message } from '../api/message.ts'
import type { Methods } from '../protocol/messages.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import { isHidden } from '../sessions/hidden.ts'
import type { Store } from '../sessions/store.ts'

const pageSize = 500

/** A page of all messages of a session, hidden ones marked. It ends before a message whose results may be on the next. */
export async function readHistory(
  store: Store,
  sessionId: string,
  from: number,
): Promise<Methods['history']['result']> {
  const state = await store.readSession(sessionId, { messages: 0 })
  if (!state) return { messages: [] }
  const { session, run, calls } = state
  const records = await store.readMessages(sessionId, { from, before: from + pageSize, hidden: true })
  const last = records.findLastIndex(({ role }) => role !== 'tool')
  const more = (records.at(-1)?.index ?? 0) + 1 < session.messageCount
  const page = more && last > 0 ? records.slice(0, last) : records
  const hidden = new Set(page.filter(({ index }) => isHidden(session.hidden, index)).map(({ id }) => id))
  const messages = foldMessages(page, run?.endedAt === undefined ? calls : []).map((message) =>
    hidden.has(message.id) ? asHidden(message) : message,
  )
  const end = page.at(-1)
  return { messages, ...(more && end ? { next: end.index + 1 } : undefined) }
}

const asHidden = (message: Message): Message => ({ ...message, metadata: { ...message.metadata, hidden: true } })
