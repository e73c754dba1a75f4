import { AgentError } from '../errors.ts'
import { blobIdsIn } from '../sessions/blob-url.ts'
import { isHidden } from '../sessions/hidden.ts'
import {
  type BlobRecord,
  type MessageRecord,
  noUsage,
  type SessionRecord,
  type SummaryRecord,
  type ToolMessageRecord,
} from '../sessions/records.ts'
import type { NewSession, SessionState, Store } from '../sessions/store.ts'
import { failureOf } from '../tools/tool-output.ts'
import { unknownOutcome } from './end-run.ts'
import type { Environment } from './environment.ts'
import { lastAnswer, openCallsOf } from './run.ts'

const unknownSession = (sessionId: string) =>
  new AgentError('unknown-session', `There is no session ${JSON.stringify(sessionId)}.`)

/**
 * What is committed of a session, up to a message: a valid history whatever is under way, for calls that are open have the
 * results that they would have if nobody went on with them.
 */
export async function copyOf(env: Environment, sessionId: string, at?: string): Promise<NewSession> {
  const { store } = env
  const state = await store.readSession(sessionId, { messages: 0 })
  if (!state) throw unknownSession(sessionId)
  const { session, settings } = state
  // Messages don't change: these are all of that moment.
  const all = await store.readMessages(sessionId, { before: session.messageCount, hidden: true })
  if (all.length < session.messageCount) throw unknownSession(sessionId)
  const end = at === undefined ? all.length : endOf(all, state, at)
  const messages = await closed(env, all.slice(0, end), state)
  const { run: _, seq: __, commitId: ___, hidden = [], contextTokens, tainted = taintOf(messages), ...kept } = session
  const hiddenUpTo = hidden.flatMap(([from, before]) => (from < end ? [[from, Math.min(before, end)] as const] : []))
  return {
    session: {
      ...kept,
      messageCount: messages.length,
      turn: end === all.length ? session.turn : (messages.at(-1)?.turn ?? 0),
      ...(hiddenUpTo.length > 0 && { hidden: hiddenUpTo }),
      ...(tainted && { tainted }),
      ...(end === all.length && contextTokens !== undefined && { contextTokens }),
    },
    settings,
    state: state.state,
    messages,
    summaries: await readSummaries(store, state, end),
    blobs: await readBlobs(store, sessionId, messages),
  }
}

/** A session that begins as a copy of another one, up to a message. What it uses is counted anew. */
export async function forkSession(env: Environment, sessionId: string, forkId: string, at?: string): Promise<void> {
  const copy = await copyOf(env, sessionId, at)
  const { cost: _, unpriced: __, ...session } = copy.session
  const now = env.now()
  await env.store.createSession({
    ...copy,
    session: {
      ...session,
      id: forkId,
      createdAt: now,
      updatedAt: now,
      usage: noUsage,
      forkedFrom: { sessionId, ...(at === undefined ? undefined : { messageId: at }) },
    },
  })
}

/** Where the message ends, with the results of its calls. */
function endOf(all: readonly MessageRecord[], { session }: SessionState, id: string): number {
  const at = all.findIndex((message) => message.id === id)
  if (at < 0 || all[at]?.role === 'tool' || isHidden(session.hidden, at))
    throw new AgentError(
      'unknown-message',
      `The session shows no message ${JSON.stringify(id)}: take an id from its view.`,
    )
  const next = all.findIndex(({ role }, index) => index > at && role !== 'tool')
  return next < 0 ? all.length : next
}

async function closed(env: Environment, messages: readonly MessageRecord[], { session }: SessionState) {
  const visible = messages.filter(({ index }) => !isHidden(session.hidden, index))
  const open = openCallsOf(visible)
  const answer = lastAnswer(visible)
  if (open.length === 0 || !answer) return messages
  const rows = new Map((await env.store.readCalls(answer.runId)).map((row) => [row.toolCallId, row]))
  const { v, runId, turn, agent } = answer
  const closing: ToolMessageRecord = {
    v,
    id: env.newId(),
    index: messages.length,
    runId,
    turn,
    agent,
    at: env.now(),
    role: 'tool',
    results: open.map((call) => {
      const row = rows.get(call.toolCallId)
      const why = row ? unknownOutcome : 'Not started: the session was copied before.'
      return row?.result ?? failureOf(call, call.invalid ?? why)
    }),
  }
  return [...messages, closing]
}

/** Content from outside that came while the copy was made: the session's record, which was read first, doesn't say so. */
function taintOf(messages: readonly MessageRecord[]): SessionRecord['tainted'] {
  for (const message of messages) {
    const results = message.role === 'tool' ? message.results : []
    const found = results.find(({ untrusted }) => untrusted)
    if (found) return { at: message.at, toolName: found.toolName }
  }
  return undefined
}

/** Those that stand for messages which are there. */
async function readSummaries(store: Store, { session }: SessionState, end: number): Promise<readonly SummaryRecord[]> {
  const summaries: SummaryRecord[] = []
  for (let n = 1; n <= (session.summaries ?? 0); n++) {
    const summary = await store.readSummary(session.id, n)
    if (summary && summary.before <= end) summaries.push(summary)
  }
  return summaries
}

async function readBlobs(store: Store, sessionId: string, messages: readonly MessageRecord[]) {
  const blobs: BlobRecord[] = []
  for (const blobId of new Set(messages.flatMap(blobIdsIn))) {
    const blob = await store.readBlob(sessionId, blobId)
    if (blob) blobs.push(blob)
  }
  return blobs
}

/** The hidden messages of a copy, from which of them are marked. */
export const hiddenOf = (marks: readonly boolean[]) =>
  marks.reduce<readonly (readonly [number, number])[]>((hidden, mark, at) => (mark ? joined(hidden, at) : hidden), [])

function joined(hidden: readonly (readonly [number, number])[], at: number) {
  const last = hidden.at(-1)
  return last?.[1] === at ? [...hidden.slice(0, -1), [last[0], at + 1] as const] : [...hidden, [at, at + 1] as const]
}
