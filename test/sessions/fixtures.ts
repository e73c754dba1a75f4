import type { StoredEvent } from '../../src/events/stored.ts'
import type { AuditRecord, GrantRecord, MessageRecord, RunRecord, SessionRecord } from '../../src/sessions/records.ts'
import { noUsage } from '../../src/sessions/records.ts'
import type { Change, Claim, Store } from '../../src/sessions/store.ts'

export const turnCompleted = (runId = 'run'): StoredEvent => ({
  kind: 'turn-completed',
  at: 1,
  runId,
  agent: 'assistant',
  turn: 1,
  finishReason: 'stop',
})

export const runStarted = (runId = 'run'): StoredEvent => ({
  kind: 'run-started',
  at: 1,
  runId,
  agent: 'assistant',
  turn: 0,
  input: 'Hello',
})

export const userMessage = (index: number, text = `message ${index}`): MessageRecord => ({
  v: 1,
  id: `m${index}`,
  index,
  runId: 'run',
  turn: 1,
  agent: 'assistant',
  at: 1,
  role: 'user',
  parts: [{ type: 'text', text }],
})

export const sessionRecord = (id: string, change: Partial<SessionRecord> = {}): Change['session'] => ({
  v: 1,
  id,
  createdAt: 1,
  updatedAt: 1,
  messageCount: 0,
  turn: 0,
  title: 'Title',
  agent: 'assistant',
  usage: noUsage,
  ...change,
})

export const runRecord = (sessionId: string, runId = 'run', change: Partial<RunRecord> = {}): RunRecord => ({
  v: 1,
  runId,
  sessionId,
  agent: 'assistant',
  status: 'running',
  request: { input: 'Hello' },
  turns: 0,
  usage: noUsage,
  leg: 1,
  resumes: 0,
  checkpoint: { step: 'user-input', turn: 0, messageCount: 1, at: 1 },
  startedAt: 1,
  firstIndex: 0,
  ...change,
})

export const grantOf = (actionKey: string, change: Partial<GrantRecord> = {}): GrantRecord => ({
  v: 1,
  sessionId: 's',
  actionKey,
  toolName: 'tool',
  grantedAt: 1,
  approvalId: 'a',
  ...change,
})

export const noteOn = (runId: string, n: number): AuditRecord => ({
  v: 1,
  runId,
  n,
  entries: [{ at: n, turn: 1, toolCallId: 'c', toolName: 'tool', transition: 'started', by: 'runtime' }],
})

/** A claim that is there for the taking. */
export async function claimed(store: Store, sessionId: string): Promise<Claim> {
  const claim = await store.claim(sessionId)
  if (!claim) throw new Error('The claim was not waited for')
  return claim
}

/** A change with one event, unless it says otherwise. */
export const changeOf = (claim: { sessionId: string; epoch: number }, change: Partial<Change> = {}): Change => ({
  id: crypto.randomUUID(),
  sessionId: claim.sessionId,
  epoch: claim.epoch,
  session: sessionRecord(claim.sessionId),
  events: [turnCompleted()],
  ...change,
})

/** Messages `from` to `to`, both included, in one commit. */
export const messagesChange = (claim: Claim, from: number, to: number, change: Partial<Change> = {}): Change => {
  const messages = Array.from({ length: to - from + 1 }, (_, i) => userMessage(from + i))
  const events = messages.map(
    ({ index }): StoredEvent => ({ ...turnCompleted(), kind: 'user-message-committed', index }),
  )
  return changeOf(claim, {
    messages,
    events,
    session: sessionRecord(claim.sessionId, { messageCount: to + 1 }),
    ...change,
  })
}

/** All durable events, read page by page. */
export async function allEvents(store: Store, sessionId: string) {
  const events = []
  for (let since = 0; ; ) {
    const page = await store.readEvents(sessionId, { since })
    events.push(...page.events)
    if (page.end) return events
    since = events.at(-1)?.seq ?? since
  }
}
