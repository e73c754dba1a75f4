import { AgentError } from '../errors.ts'
import type { RunParams } from '../protocol/messages.ts'
import { hide } from '../sessions/hidden.ts'
import type { InboxItem, MessageRecord, RunRequestRecord, SessionRecord } from '../sessions/records.ts'
import type { SessionState, Store } from '../sessions/store.ts'

type RewindRequest = Pick<RunRequestRecord, 'replaces' | 'regenerates'>
type InputItem = Extract<InboxItem, { type: 'input' }>

/** What is left of a history, and of it in the session's record, once a run begins. */
export interface Rewound {
  readonly history: MessageRecord[]
  readonly session: SessionRecord
  /** The first message that is hidden, where any is. */
  readonly messageId?: string
  /** Why nothing was hidden, though it was asked for: the run fails with it. */
  readonly refusal?: AgentError
}

/** Hides what the run's request says is to be hidden. What the whole history was stays as it is: nothing is written yet. */
export function rewind(history: MessageRecord[], session: SessionRecord, { request, after }: InputItem): Rewound {
  if (after !== undefined && session.run?.runId !== after) return { history, session, refusal: outdated() }
  const kept = keptBy(request, history)
  const first = kept === undefined ? undefined : history[kept]
  if (kept === undefined) return { history, session, refusal: unknownMessage(idOf(request)) }
  if (!first) return { history, session }
  const hidden = hide(session.hidden, first.index, session.messageCount)
  return { history: history.slice(0, kept), session: { ...session, hidden, contextTokens: 0 }, messageId: first.id }
}

const idOf = ({ replaces, regenerates }: RewindRequest) => replaces ?? regenerates

/** How many messages of the history stay, from its start; `undefined` where the request names none of them. */
function keptBy(request: RewindRequest, history: readonly MessageRecord[]): number | undefined {
  const id = idOf(request)
  if (id === undefined) return history.length
  const at = history.findLastIndex((message) => message.id === id)
  const role = history[at]?.role
  if (request.replaces !== undefined) return role === 'user' ? at : undefined
  if (role === 'user') return at + 1
  if (role !== 'assistant') return undefined
  // What goes on from an answer before it is given anew with that: a prompt ends with what somebody or a tool has said.
  return history.findLastIndex((message, place) => place < at && message.role !== 'assistant') + 1
}

/**
 * What a page asks to rewind, as it is stored: `regenerates` names a message, and the input is the one that is answered
 * anew. Rejects with `unknown-message`.
 */
export async function rewindOf(
  store: Store,
  { sessionId, replaces, regenerates }: Pick<RunParams, 'sessionId' | 'replaces' | 'regenerates'>,
  state: SessionState | undefined,
): Promise<Partial<RunRequestRecord>> {
  if (replaces !== undefined) {
    const message = await findMessage(store, sessionId, ({ id }) => id === replaces)
    if (message?.role !== 'user') throw unknownMessage(replaces, message && 'It is no message of the user’s.')
    return { replaces }
  }
  if (regenerates === undefined) return {}
  const answer = regenerates === true ? undefined : await findAnswer(store, sessionId, regenerates, state)
  const user = await findMessage(store, sessionId, ({ role }) => role === 'user', { before: answer?.index })
  if (user?.role !== 'user')
    throw new AgentError('unknown-message', 'There is nothing to answer: send a message first.')
  const input = user.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
  return { input, regenerates: answer?.id ?? user.id }
}

async function findAnswer(store: Store, sessionId: string, id: string, state: SessionState | undefined) {
  // Whoever supersedes an interrupted run keeps what it had written.
  const draft = state?.draft?.message
  const isDraft = draft?.id === id && draft.parts.length > 0
  const message = isDraft ? draft : await findMessage(store, sessionId, (stored) => stored.id === id)
  if (message?.role !== 'assistant') throw unknownMessage(id, message && 'It is no answer.')
  return message
}

/** The newest message that fits, looked for from the end, or from before an index. */
export async function findMessage(
  store: Store,
  sessionId: string,
  fits: (message: MessageRecord) => boolean,
  { before, hidden = false }: { readonly before?: number | undefined; readonly hidden?: boolean } = {},
): Promise<MessageRecord | undefined> {
  for (let end = before ?? Number.MAX_SAFE_INTEGER, limit = 50; ; limit = 500) {
    const records = await store.readMessages(sessionId, { before: end, limit, hidden })
    const found = records.findLast(fits)
    if (found || !records[0]) return found
    end = records[0].index
  }
}

/** The message that an input became. */
export const findInput = (store: Store, sessionId: string, inputId: string) =>
  findMessage(store, sessionId, ({ id }) => id === inputId, { hidden: true })

const unknownMessage = (id: unknown, why = 'It is unknown, or was hidden before.') =>
  new AgentError(
    'unknown-message',
    `The session can't be rewound to "${String(id)}". ${why} Take an id from the session's view: a message of the user's to replace it, an answer to give it anew.`,
  )

const outdated = () =>
  new AgentError(
    'session-busy',
    'Another run began before this one could rewind the session: look at it and try again.',
  )
