import type { JSONValue } from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import type { AgentDefinition, Model } from '../agent/define-agent.ts'
import type { DelegateKind } from '../delegation/delegate-tools.ts'
import { type AgentError, abortError, toAgentError } from '../errors.ts'
import type { Emit } from '../events/bus.ts'
import { type AnyEvent, isEnd } from '../events/kinds.ts'
import type { StoredEvent } from '../events/stored.ts'
import type { Answer } from '../model/answer.ts'
import { redact } from '../model/redact.ts'
import { deliver, lineage } from '../sessions/deliver.ts'
import type {
  Actor,
  ApprovalRecord,
  AssistantMessageRecord,
  CallRecord,
  CancelReason,
  ChildRecord,
  DraftRecord,
  Limits,
  MessageRecord,
  RunRecord,
  SessionRecord,
  StateRecord,
  StopReason,
  ToolCallPart,
  ToolResultRecord,
  Transition,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { type Claim, callKey } from '../sessions/store.ts'
import { noteOf } from '../tools/audit.ts'
import { Decisions } from '../tools/decisions.ts'
import { State } from '../tools/state.ts'
import type { NoteDetail, NotedCall, ToolRun } from '../tools/tool-run.ts'
import { ContextState } from './context-state.ts'
import { delegate } from './delegate.ts'
import { endChildrenHere } from './end-children.ts'
import type { Environment } from './environment.ts'
import { eventHooks } from './event-hooks.ts'
import { keepFiles } from './kept-files.ts'
import { callsLeft, limitsOf } from './limits.ts'
import type { LiveSession } from './live-session.ts'
import { type OnText, resultTexts, textsOf } from './texts.ts'
import { onToolFailure } from './tool-failures.ts'
import { afterTool } from './tool-hooks.ts'
import { summedUp } from './usage.ts'

/** How a leg of a run ends. */
export type End =
  | { readonly kind: 'run-completed'; readonly finishReason: string }
  | { readonly kind: 'run-stopped'; readonly reason: StopReason; readonly error?: AgentError }
  | { readonly kind: 'run-failed'; readonly error: AgentError }
  | { readonly kind: 'run-cancelled'; readonly reason: CancelReason }

type Writable<T> = { -readonly [K in keyof T]: T[K] }

interface PendingRetry {
  readonly attempt: number
  readonly error: AgentError
  readonly messageId: string
  /** Unix time in milliseconds. */
  readonly retryAt: number
}

export interface RunOptions {
  readonly env: Environment
  readonly agent: AgentDefinition
  readonly live: LiveSession
  readonly claim: Claim
  readonly record: RunRecord
  readonly session: SessionRecord
  readonly history: MessageRecord[]
  readonly usedCallIds: Set<string>
  readonly calls: readonly CallRecord[]
  readonly approvals?: readonly ApprovalRecord[]
  readonly children?: readonly ChildRecord[]
  readonly draft?: DraftRecord | undefined
  readonly state?: StateRecord | undefined
}

/**
 * A run as its owner holds it in memory: where it stands, and the two doors through which it changes: `commit` for what
 * lasts, `emit` for what is only told. What `commit` has not written has not happened.
 */
export class Run implements ToolRun {
  readonly env: Environment
  readonly agent: AgentDefinition
  /** The tools that it can carry out: its agent's, and what is added to them while it goes on. */
  tools: ToolSet
  readonly live: LiveSession
  /** The session's messages. A message's place is its `index`, not its place in this list: what is hidden isn't in it. */
  readonly history: MessageRecord[]
  /** The ledger's rows of this run, by call. */
  readonly calls = new Map<string, CallRecord>()
  /** Its questions that nobody has answered yet. */
  readonly approvals = new Map<string, ApprovalRecord>()
  /** The runs that it has started, as it knows them. */
  readonly children = new Map<string, ChildRecord>()
  /** It comes to its end, and ends them: nothing else is made of theirs. */
  endsChildren = false
  /** Its calls that were handed to another run by this owner, whose end brings their result. */
  readonly handedOn = new Set<string>()
  /** What an owner that died had written of its answer. */
  draft: DraftRecord | undefined
  /** Results of calls that are not carried out; they are derived, and stored with the tool message. */
  readonly refused = new Map<string, ToolResultRecord>()
  /** The calls that may start, by id. */
  readonly decisions = new Decisions()
  /** The session's. */
  readonly state: State
  /** Ids of all calls of the session, also of those that are hidden. */
  readonly usedCallIds: Set<string>
  record: RunRecord
  session: SessionRecord
  /** The turn that is under way, or the last one. */
  turn: number
  /** The answer that is being read. */
  answer: Answer | undefined
  phase: 'model' | 'tools' = 'model'
  readonly context = new ContextState()
  /** What the last answer is as the agent's `output`. */
  output: { readonly value: JSONValue } | undefined
  /** The attempt that failed, while the next one is waited for. */
  retry: PendingRetry | undefined
  /** What the model that was asked last sends with each request. */
  modelHeaders: unknown
  /** The model that took over, where no record can name it. */
  switchedTo: Model | undefined
  /** Why the run is to end, once somebody said so. */
  ending: End | undefined
  /** Why the owner gave it up without an end: it could not be written. */
  released: AgentError | undefined
  /** Somebody said that it is to stop at the end of the turn. */
  get stopAfterTurn() {
    return this.#stopping.signal.aborted
  }
  /** Somebody said something that waits for the end of the turn. */
  steered = false
  /** Somebody said that an open run is to end once it has answered everything. */
  closing = false
  /** The turn before the step that is carried out here. */
  stepFrom: number | undefined
  /** Somebody said that it is to go on: the next leg is to be opened. */
  resumeAsked = false
  /** The id of the request that said so. */
  resumeId: string | undefined

  /** The inbox is applied by one at a time. */
  applying: Promise<void> = Promise.resolve()
  /** How often it was to be applied. */
  nudges = 0
  /** Those who apply it, or wait for their turn. */
  hearing = 0

  /** What it may use up: its agent's limits, as far as its request doesn't narrow them. */
  readonly caps: Required<Limits>
  /** Since when it works, uncounted so far; absent while it waits. */
  workingSince: number | undefined

  /** What its middleware makes of each text that is stored or sent; absent where none has a say. */
  readonly onText: OnText | undefined
  /** What its middleware has heard: failures, and the end with what they made of it. */
  readonly toldErrors = new WeakSet<object>()
  toldEnd: { readonly given: End; readonly end: End } | undefined

  readonly #claim: Claim
  readonly #controller = new AbortController()
  readonly #stopping = new AbortController()
  readonly #left = new AbortController()
  readonly #onEvent: ((event: AnyEvent) => void) | undefined
  /** What goes with the next commit. */
  #pending: Step = {}

  constructor(options: RunOptions) {
    const {
      env,
      agent,
      live,
      claim,
      record,
      session,
      history,
      usedCallIds,
      calls,
      approvals = [],
      children = [],
      draft,
      state,
    } = options
    this.env = env
    this.agent = agent
    this.tools = env.sources.known(agent)
    this.caps = limitsOf(agent, record.request.limits)
    this.live = live
    this.record = record
    this.session = session
    this.history = history
    this.turn = session.turn
    this.#claim = claim
    this.draft = draft
    this.state = new State(state?.value)
    for (const call of calls) this.calls.set(call.toolCallId, call)
    for (const approval of approvals) if (approval.runId === record.runId) this.approvals.set(approval.id, approval)
    for (const child of children) this.children.set(child.runId, child)
    this.usedCallIds = usedCallIds
    this.onText = textsOf(agent.middleware, (error) => this.end({ kind: 'run-failed', error }))
    this.#onEvent = eventHooks(this)
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

  /** Aborts once nothing more can be written, its end included. */
  get lost() {
    return AbortSignal.any([this.#claim.lost, this.#left.signal])
  }

  /** Calls of the last answer that have no result in the history yet. */
  get openCalls(): readonly ToolCallPart[] {
    return openCallsOf(this.history)
  }

  /** What the history has of this run. */
  get ownMessages(): readonly MessageRecord[] {
    return this.history.slice(this.history.findLastIndex(({ index }) => index < this.record.firstIndex) + 1)
  }

  /** Milliseconds that it has worked, without what it waited for. */
  get ranFor(): number {
    const { workingSince = Number.POSITIVE_INFINITY, record } = this
    return (record.ranFor ?? 0) + Math.max(0, this.env.now() - workingSince)
  }

  get secrets() {
    return [this.env.credentials(), this.agent.settings?.headers, this.modelHeaders]
  }

  get callsLeft() {
    return callsLeft(this)
  }

  /** A call's result as it is to be stored: its middleware has its say. */
  settle(call: ToolCallPart, result: ToolResultRecord) {
    return afterTool(this, call, result)
  }

  /** Carries out a call of a tool that starts, stops or reads another run. `waits`: its result comes with that one's end. */
  async delegate(kind: DelegateKind, call: ToolCallPart) {
    const result = await delegate(this, kind, call)
    if (result === 'waits') this.handedOn.add(call.toolCallId)
    return result
  }

  /** What becomes of a call that failed, or timed out: the agent has its say. */
  failed(call: ToolCallPart, error: unknown, attempt: number, onPage: boolean) {
    return onToolFailure(this, call, error, { attempt, onPage })
  }

  /** Notes in the ledger, and nowhere else, what a call came to that the run stopped waiting for. */
  keepLate(late: ToolResultRecord) {
    const { env, live, epoch, runId, onText } = this
    const result = onText ? resultTexts(late, onText) : late
    const { toolCallId } = result
    const row = this.calls.get(toolCallId)
    if (row) this.calls.set(toolCallId, { ...row, late: result })
    live.exclusive(() => env.store.saveLate(live.id, { epoch, runId, toolCallId, result })).catch(() => {})
  }

  /** Ends the run as soon as it can: acts in memory at once, whether or not that can be written. */
  end(end: End) {
    this.ending ??= end
    this.#controller.abort(abortError())
    // What one does that has lost its session is no end: others go on with it, and with those below it.
    if (!this.lost.aborted) endChildrenHere(this, this.ending)
  }

  /** Stops the run once the turn and the tools that it started are through. */
  stopAfter() {
    this.#stopping.abort()
  }

  /** Waits between two attempts at a turn; a stop after the turn ends the wait, for nothing of the turn is there yet. */
  async pause(milliseconds: number): Promise<void> {
    const signal = AbortSignal.any([this.signal, this.#stopping.signal])
    await this.env.sleep(milliseconds, signal).catch(() => this.signal.throwIfAborted())
  }

  /** Stops whatever is under way, and leaves the run as it stands in the store. */
  leave(reason: AgentError) {
    this.#left.abort(reason)
    this.#controller.abort(reason)
  }

  /** Whether the store knows of it. */
  get begun() {
    return this.session.run?.runId === this.runId
  }

  /** Whether this leg has come to its end. */
  get over() {
    return this.record.endedAt !== undefined
  }

  /** What an inbox item came to, in memory: the next commit writes it, and deletes the item. */
  alongside({ applied = [], approvals = [], events = [], audit = [] }: Step) {
    this.#pending = {
      audit: [...(this.#pending.audit ?? []), ...audit],
      applied: [...(this.#pending.applied ?? []), ...applied],
      approvals: [...(this.#pending.approvals ?? []), ...approvals],
      events: [...(this.#pending.events ?? []), ...events],
    }
  }

  /** Notes what became of a call, for the audit trail; the next commit writes it. */
  note(call: NotedCall, transition: Transition, by: Actor, more?: NoteDetail) {
    this.alongside({ audit: [noteOf(call, transition, by, more)] })
  }

  get epoch() {
    return this.#claim.epoch
  }

  /** Tells an event that is not stored. Once the run is to end, nothing more is told. */
  readonly emit: Emit = (kind, payload) => {
    const { bus } = this.env
    const { runId } = this.record
    if (this.signal.aborted || this.over) return
    if (!this.#onEvent && !bus.wants(kind, this.live.id, runId, this.record.ancestors)) return
    const event = this.envelope(kind, payload)
    bus.publish(event)
    this.#onEvent?.(event)
  }

  /** Writes a step whole, then tells its events. False where the run can't be complete yet: somebody has steered it. */
  commit(given: Step): Promise<boolean> {
    const made = keepFiles(given, this.env.newId, this.caps.maxFileSize)
    this.live.flush()
    return this.live.exclusive(async () => {
      const step = summedUp(this, made)
      // Nothing comes after the end of a leg but another leg.
      if (this.over && step.events?.length && !step.opensLeg) return true
      if (this.#claim.lost.aborted) throw toAgentError(this.#claim.lost.reason, 'ownership-lost')
      const { env, live } = this
      const at = env.now()
      const messages = step.messages ?? []
      const messageCount = this.session.messageCount + messages.length
      const pending = this.#pending
      const { ranFor } = this
      const record: Writable<RunRecord> = {
        ...this.record,
        ...(ranFor > 0 ? { ranFor } : undefined),
        ...this.#checkpoint(step, messageCount, at),
        ...step.run,
        ...this.#times(step, at),
      }
      const moved = this.session.commitId === '' || record.status !== this.session.run?.status
      const session: SessionRecord = {
        ...this.session,
        ...step.session,
        // The first one counts, and it stays.
        ...(this.session.tainted ? { tainted: this.session.tainted } : undefined),
        turn: this.turn,
        messageCount,
        run: {
          runId: record.runId,
          status: record.status,
          ...(record.waitingFor ? { waitingFor: record.waitingFor } : undefined),
          ...(record.wakeAt === undefined ? undefined : { wakeAt: record.wakeAt }),
          ...(record.interruptedAt === undefined ? undefined : { interruptedAt: record.interruptedAt }),
        },
        ...(moved ? { updatedAt: at } : undefined),
      }
      const parentRunId = record.ancestors?.at(-1)?.runId
      const parent = parentRunId === undefined ? undefined : { parentRunId }
      const told = withCheckpoint([...(pending.events ?? []), ...(step.events ?? [])], step)
      const events = told.map(
        (event) =>
          ({ ...event, at, runId: record.runId, ...parent, agent: record.agent, turn: this.turn }) as StoredEvent,
      )
      const applied = [...(pending.applied ?? []), ...(step.applied ?? [])]
      const approvals = [...(pending.approvals ?? []), ...(step.approvals ?? [])]
      const notes = noteTexts([...(pending.audit ?? []), ...(step.audit ?? [])], this.onText)
      const audit = auditOf(this, notes, record, at)
      if (audit) record.audits = audit.n
      const id = env.newId()
      const { seq, heldUp } = await env.store.commit({
        id,
        sessionId: live.id,
        epoch: this.#claim.epoch,
        session,
        events,
        messages,
        run: record,
        calls: step.calls ?? [],
        approvals,
        applied,
        audit: [audit, step.auditOfLast].filter((noted) => noted !== undefined),
        ...(step.grants ? { grants: step.grants } : undefined),
        ...(step.blobs ? { blobs: step.blobs } : undefined),
        ...(step.spend ? { spend: step.spend } : undefined),
        ...(step.summary ? { summary: step.summary } : undefined),
        ...(step.state ? { state: step.state } : undefined),
        ...(step.children ? { children: step.children } : undefined),
        ...(step.tells ? { tells: step.tells } : undefined),
        ...(step.upward ? { upward: step.upward } : undefined),
        durability: step.durability ?? 'relaxed',
      })
      if (heldUp) return false
      const created = this.session.commitId === ''
      this.record = record
      if (this.workingSince !== undefined) this.workingSince = at
      this.session = { ...session, seq, commitId: id }
      // What came meanwhile goes with the next one.
      if (this.#pending === pending) this.#pending = {}
      else this.#pending = without(this.#pending, pending)
      for (const approval of approvals) {
        if (approval.resolved) this.approvals.delete(approval.id)
        else this.approvals.set(approval.id, approval)
      }
      for (const child of step.children ?? []) this.children.set(child.runId, child)
      this.history.push(...messages)
      const written = step.calls ?? []
      for (const call of written) if (call.runId === this.runId) this.calls.set(call.toolCallId, call)
      if (created) env.bus.publish(this.envelope('session-created', { runId: '', title: session.title }))
      live.seq = seq
      this.#tell(events, seq, approvals, written)
      for (const { sessionId } of step.tells ?? []) env.others.nudge(sessionId)
      return true
    })
  }

  /** It begins and ends when that is written: its events tell of the same moments. */
  #times({ events = [] }: Step, at: number): Partial<RunRecord> {
    const isOver = events.some(({ kind }) => isEnd(kind))
    return { ...(this.begun ? undefined : { startedAt: at }), ...(isOver ? { endedAt: at } : undefined) }
  }

  #checkpoint({ checkpoint, opensLeg }: Step, messageCount: number, at: number): Partial<RunRecord> {
    if (!checkpoint) return {}
    // A new leg is no progress: whoever dies in each of them has come to nothing.
    return { checkpoint: { step: checkpoint, turn: this.turn, messageCount, at }, ...(opensLeg ? {} : { resumes: 0 }) }
  }

  /** Resolves once all commits that were begun are through. */
  written(): Promise<void> {
    return this.live.exclusive(async () => {})
  }

  envelope(kind: AnyEvent['kind'], payload: object): AnyEvent {
    const { runId, agent, ancestors } = this.record
    return {
      kind,
      seq: this.live.seq,
      at: this.env.now(),
      sessionId: this.live.id,
      runId,
      ...lineage(ancestors),
      agent,
      turn: this.turn,
      ...payload,
    } as AnyEvent
  }

  #tell(
    events: readonly StoredEvent[],
    seq: number,
    approvals: readonly ApprovalRecord[],
    written: readonly CallRecord[],
  ) {
    const messages = new Map<number, MessageRecord>()
    const calls = new Map(written.map((call) => [callKey(call.runId, call.toolCallId), call]))
    for (const event of events) {
      const call = 'toolCallId' in event ? this.calls.get(event.toolCallId) : undefined
      if (call) calls.set(callKey(this.runId, call.toolCallId), call)
      if (!('index' in event)) continue
      const from = 'first' in event ? event.first : event.index
      for (let at = this.history.length - 1; at >= 0; at--) {
        const message = this.history[at]
        if (!message || message.index < from) break
        messages.set(message.index, message)
      }
    }
    const first = seq - events.length + 1
    const page = {
      events: events.map((event, at) => ({ ...event, seq: first + at })),
      messages,
      calls,
      approvals: new Map(approvals.map((approval) => [approval.id, approval])),
      ...(this.record.ancestors && { ancestors: this.record.ancestors }),
      end: true,
    }
    const told = deliver(page, this.live.id)
    for (const event of told) {
      if (event.kind === 'run-started') this.live.owner = 'here'
      this.env.bus.publish(event)
    }
    // Only then: what a hook says comes after them.
    if (this.#onEvent) for (const event of told) this.#onEvent(event)
  }
}

/** The checkpoint is told with the step whose boundary it is; an end is always the last event. */
const withCheckpoint = (events: NonNullable<Step['events']>, { checkpoint }: Step): NonNullable<Step['events']> =>
  checkpoint ? [...events, { kind: 'checkpoint-saved', step: checkpoint }] : events

/** Characters of a detail that are kept. */
const longestDetail = 500

/** What one commit adds to the audit trail of a run. */
export function auditOf(run: Run, notes: NonNullable<Step['audit']>, { runId, audits = 0 }: RunRecord, at: number) {
  if (notes.length === 0) return undefined
  const { turn, secrets } = run
  const entries = notes.map(({ detail, ...note }) => ({
    at,
    turn,
    ...note,
    ...(detail === undefined ? undefined : { detail: redact(detail, secrets).slice(0, longestDetail) }),
  }))
  return { v: 1 as const, runId, n: audits + 1, entries }
}

const noteTexts = (notes: NonNullable<Step['audit']>, onText: OnText | undefined) =>
  onText ? notes.map((note) => (note.detail === undefined ? note : { ...note, detail: onText(note.detail) })) : notes

const without = (now: Step, written: Step): Step => ({
  audit: now.audit?.filter((note) => !written.audit?.includes(note)) ?? [],
  applied: now.applied?.filter((n) => !written.applied?.includes(n)) ?? [],
  approvals: now.approvals?.filter((approval) => !written.approvals?.includes(approval)) ?? [],
  events: now.events?.filter((event) => !written.events?.includes(event)) ?? [],
})

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
