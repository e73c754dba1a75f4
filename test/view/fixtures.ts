import type { Message, MessagePart, RunState, SessionInfo, SessionSnapshot, Usage } from '../../src/api/public-types.ts'
import type { AnyEvent, EventKind, EventPayloads } from '../../src/events/kinds.ts'
import { emptySession } from '../../src/view/reduce.ts'

export const usage = (tokens: number): Usage => ({
  inputTokens: tokens,
  outputTokens: tokens,
  cachedInputTokens: 0,
  reasoningTokens: 0,
})

const envelope = { seq: 7, at: 1000, sessionId: 's', runId: 'r1', agent: 'assistant', turn: 1 }

/** An event of run `r1` in its first turn, unless `envelope` says otherwise. */
export const event = <K extends EventKind>(kind: K, payload: EventPayloads[K], over: Partial<typeof envelope> = {}) =>
  ({ kind, ...envelope, ...over, ...payload }) as unknown as AnyEvent

export const text = (delta: string, start: number, part: { messageId?: string; partId?: string } = {}) =>
  event('text-delta', { delta, start, messageId: 'm1', partId: '0', ...part })

export const modelStarted = (messageId: string, over: Partial<typeof envelope> = {}) =>
  event('model-started', { provider: 'p', model: 'small', attempt: 1, messageId }, over)

export const message = (id: string, parts: MessagePart[], over: Partial<Message['metadata']> = {}): Message => ({
  id,
  role: 'assistant',
  metadata: { runId: 'r1', turn: 1, agent: 'assistant', at: 1000, status: 'done', ...over },
  parts,
})

export const userMessage = (id: string, words: string, over: Partial<Message['metadata']> = {}): Message => ({
  ...message(id, [{ type: 'text', text: words }], over),
  role: 'user',
})

export const loaded = (over: Partial<SessionSnapshot> = {}): SessionSnapshot => ({
  ...emptySession('s', true),
  ...over,
})

/** A session in which run `r1` asks the model. */
export const running = (over: Partial<SessionSnapshot> = {}, run: Partial<RunState> = {}): SessionSnapshot =>
  loaded({
    status: 'submitted',
    messages: [userMessage('u1', 'Hello')],
    run: { runId: 'r1', phase: 'model', turn: 1, owner: 'here', ...run },
    ...over,
  })

export const row = (id: string, over: Partial<SessionInfo> = {}): SessionInfo => ({
  id,
  title: `Session ${id}`,
  agent: 'assistant',
  createdAt: 1,
  updatedAt: 1,
  approvals: 0,
  messageCount: 2,
  status: 'ready',
  ...over,
})

/** Frames that come when a test says so. */
export class Frames {
  #waiting: (() => void)[] = []

  readonly schedule = (flush: () => void) => {
    this.#waiting.push(flush)
  }

  get requested() {
    return this.#waiting.length
  }

  next() {
    for (const flush of this.#waiting.splice(0)) flush()
  }
}
