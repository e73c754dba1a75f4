import type { AgentDefinition } from '../agent/define-agent.ts'
import { type AgentError, abortError, toAgentError } from '../errors.ts'
import type { Emit } from '../events/bus.ts'
import type { AnyEvent } from '../events/kinds.ts'
import type { StoredEvent } from '../events/stored.ts'
import type { Answer } from '../model/answer.ts'
import { deliver } from '../sessions/deliver.ts'
import type {
  AssistantMessageRecord,
  CallRecord,
  CancelReason,
  MessageRecord,
  RunRecord,
  SessionRecord,
  StopReason,
  ToolCallPart,
  ToolResultRecord,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { type Claim, callKey } from '../sessions/store.ts'
import type { ToolRun } from '../tools/tool-run.ts'
import type { Environment } from './environment.ts'
import type { LiveSession } from './live-session.ts'

/** How a leg of a run ends. */
export type End =
  | { readonly kind: 'run-completed'; readonly finishReason: string }
  | { readonly kind: 'run-stopped'; readonly reason: StopReason }
  | { readonly kind: 'run-failed'; readonly error: AgentError }
  | { readonly kind: 'run-cancelled'; readonly reason: CancelReason }

export interface RunOptions {
  readonly env: Environment
  readonly agent: AgentDefinition
  readonly live: LiveSession
  readonly claim: Claim
  readonly record: RunRecord
  readonly session: SessionRecord
  readonly history: MessageRecord[]
  readonly calls: readonly CallRecord[]
}

/**
 * A run as its owner holds it in memory: where it stands, and the two doors through which it changes: `commit` for what
 * lasts, `emit` for what is only told. What `commit` has not written has not happened.
 */
export class Run implements ToolRun {
  readonly env: Environment
  readonly agent: AgentDefinition
  readonly live: LiveSession
  readonly history: MessageRecord[]
  /** The ledger's rows of this run, by call. */
  readonly calls = new Map<string, CallRecord>()
  /** Results of calls that are not carried out; they are derived, and stored with the tool message. */
  readonly refused = new Map<string, ToolResultRecord>()
  /** Ids of all calls of the session. */
  readonly usedCallIds: Set<string>
  record: RunRecord
  session: SessionRecord
  /** The turn that is under way, or the last one. */
  turn: number
  /** The answer that is being read. */
  answer: Answer | undefined
  phase: 'model' | 'tools' = 'model'
  /** Why the run is to end, once somebody said so. */
  ending: End | undefined
  /** Why the owner gave it up without an end: it could not be written. */
  released: AgentError | undefined
  /** Somebody said that it is to stop at the end of the turn. */
  stopAfterTurn = false

  /** The inbox is applied by one at a time. */
  applying: Promise<void> = Promise.resolve()

  readonly #claim: Claim
  readonly #controller = new AbortController()
  #applied: number[] = []

  constructor({ env, agent, live, claim, record, session, history, calls }: RunOptions) {
    this.env = env
    this.agent = agent
    this.live = live
    this.record = record
    this.session = session
    this.history = history
    this.turn = session.turn
    this.#claim = claim
    for (const call of calls) this.calls.set(call.toolCallId, call)
    this.usedCallIds = new Set(history.flatMap(callIds))
    claim.lost.addEventListener('abort', () => this.#controller.abort(claim.lost.reason), {
      once: true,
      signal: this.signal,
    })
  }

  get runId() {
    return this.record.runId
  }

  /** Aborts when the run is to end at once: reaches the model's fetch and every running tool. */
  get signal() {
    return this.#controller.signal
  }

  /** Calls of the last answer that have no result in the history yet. */
  get openCalls(): readonly ToolCallPart[] {
    return openCallsOf(this.history)
  }

  /** Ends the run as soon as it can: acts in memory at once, whether or not that can be written. */
  end(end: End) {
    this.ending ??= end
    this.#controller.abort(abortError())
  }

  /** Stops whatever is under way, and leaves the run as it stands in the store. */
  leave(reason: AgentError) {
    this.#controller.abort(reason)
  }

  /** Whether this leg has come to its end. */
  get over() {
    return this.record.endedAt !== undefined
  }

  /** An inbox item took effect in memory: the next commit deletes it. */
  applied(n: number) {
    this.#applied.push(n)
  }

  /** Tells an event that is not stored. Once the run is to end, nothing more is told. */
  readonly emit: Emit = (kind, payload) => {
    const { bus } = this.env
    const { runId } = this.record
    if (this.signal.aborted || this.over || !bus.wants(kind, this.live.id, runId)) return
    bus.publish(this.envelope(kind, payload))
  }

  /** Writes a step whole, then tells its events. */
  commit(step: Step): Promise<void> {
    return this.live.exclusive(async () => {
      // Nothing comes after the end of a leg.
      if (this.over && step.events?.length) return
      if (this.#claim.lost.aborted) throw toAgentError(this.#claim.lost.reason, 'ownership-lost')
      const { env, live } = this
      const at = env.now()
      const record: RunRecord = { ...this.record, ...step.run }
      const messages = step.messages ?? []
      const moved = this.session.seq === 0 || record.status !== this.session.run?.status
      const session: SessionRecord = {
        ...this.session,
        ...step.session,
        turn: this.turn,
        messageCount: this.history.length + messages.length,
        run: {
          runId: record.runId,
          status: record.status,
          ...(record.waitingFor ? { waitingFor: record.waitingFor } : undefined),
        },
        ...(moved ? { updatedAt: at } : undefined),
      }
      const events = (step.events ?? []).map(
        (event) => ({ ...event, at, runId: record.runId, agent: record.agent, turn: this.turn }) as StoredEvent,
      )
      const applied = [...this.#applied, ...(step.applied ?? [])]
      const id = env.newId()
      const { seq } = await env.store.commit({
        id,
        sessionId: live.id,
        epoch: this.#claim.epoch,
        session,
        events,
        messages,
        run: record,
        calls: step.calls ?? [],
        applied,
        durability: step.durability ?? 'relaxed',
      })
      const created = this.session.seq === 0
      this.record = record
      this.session = { ...session, seq, commitId: id }
      this.#applied = this.#applied.filter((n) => !applied.includes(n))
      this.history.push(...messages)
      for (const call of step.calls ?? []) this.calls.set(call.toolCallId, call)
      if (created) env.bus.publish(this.envelope('session-created', { runId: '', title: session.title }))
      live.seq = seq
      this.#tell(events, seq)
    })
  }

  /** Resolves once all commits that were begun are through. */
  written(): Promise<void> {
    return this.live.exclusive(async () => {})
  }

  envelope(kind: AnyEvent['kind'], payload: object): AnyEvent {
    const { runId, agent } = this.record
    return {
      kind,
      seq: this.live.seq,
      at: this.env.now(),
      sessionId: this.live.id,
      runId,
      agent,
      turn: this.turn,
      ...payload,
    } as AnyEvent
  }

  #tell(events: readonly StoredEvent[], seq: number) {
    const messages = new Map<number, MessageRecord>()
    const calls = new Map<string, CallRecord>()
    for (const event of events) {
      const call = 'toolCallId' in event ? this.calls.get(event.toolCallId) : undefined
      if (call) calls.set(callKey(this.runId, call.toolCallId), call)
      if (!('index' in event)) continue
      const from = 'first' in event ? event.first : event.index
      for (let index = from; index <= event.index; index++) {
        const message = this.history[index]
        if (message) messages.set(index, message)
      }
    }
    const first = seq - events.length + 1
    const page = {
      events: events.map((event, at) => ({ ...event, seq: first + at })),
      messages,
      calls,
      end: true,
    }
    for (const event of deliver(page, this.live.id)) this.env.bus.publish(event)
  }
}

const callIds = (message: MessageRecord) =>
  message.role === 'assistant'
    ? message.parts.flatMap((part) => (part.type === 'tool-call' ? [part.toolCallId] : []))
    : []

/** The last answer of a history, where nothing but its results came after it. */
export function lastAnswer(history: readonly MessageRecord[]): AssistantMessageRecord | undefined {
  for (let index = history.length - 1; index >= 0; index--) {
    const message = history[index]
    if (message?.role === 'assistant') return message
    if (message?.role !== 'tool') return undefined
  }
  return undefined
}

export function openCallsOf(history: readonly MessageRecord[]): readonly ToolCallPart[] {
  const answer = lastAnswer(history)
  if (!answer) return []
  const settled = new Set(
    history
      .slice(history.lastIndexOf(answer) + 1)
      .flatMap((message) => (message.role === 'tool' ? message.results : []))
      .map(({ toolCallId }) => toolCallId),
  )
  return answer.parts.filter(
    (part): part is ToolCallPart =>
      part.type === 'tool-call' && !part.providerExecuted && !settled.has(part.toolCallId),
  )
}
