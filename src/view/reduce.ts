import type { App } from '../api/app.ts'
import type { Message, MessagePart } from '../api/message.ts'
import type { RunState, SessionSnapshot } from '../api/types.ts'
import type { AgentError } from '../errors.ts'
import type { AnyEvent, Envelope, EventKind, EventOf } from '../events/kinds.ts'
import { mergeDeltas } from '../events/merge-deltas.ts'
import { isUsed, noUsage } from '../sessions/records.ts'
import { share } from './share.ts'

/** A session's snapshot before its store has answered, and, `loaded`, that of a session that isn't there. */
export const emptySession = (id: string, loaded = false): SessionSnapshot => ({
  id,
  loaded,
  messages: [],
  hasOlder: false,
  status: 'ready',
  approvals: [],
  queue: [],
  usage: noUsage,
  context: { tokens: 0 },
})

/** The snapshot after an event. Pure; what the event does not change keeps its identity, be it the snapshot itself. */
export const reduce = (snapshot: SessionSnapshot, event: AnyEvent): SessionSnapshot => reduceAll(snapshot, [event])

/** The snapshot after some events, in order. */
export function reduceAll(snapshot: SessionSnapshot, events: readonly AnyEvent[]): SessionSnapshot {
  let next = snapshot
  for (const event of mergeDeltas(events)) {
    const change = changes[event.kind] as ((now: SessionSnapshot, event: AnyEvent) => Change) | undefined
    next = { ...next, ...change?.(next, event) }
  }
  return finish(snapshot, next)
}

/** The snapshot after its runtime was lost: what streamed stays to be read, and nothing goes on. */
export const lose = (snapshot: SessionSnapshot, error: AgentError): SessionSnapshot =>
  finish(snapshot, {
    ...snapshot,
    ...interrupted(snapshot, error),
    messages: snapshot.messages.map((message) =>
      isOpen(message) ? { ...message, metadata: { ...message.metadata, status: 'partial' } } : message,
    ),
  })

function finish(before: SessionSnapshot, after: SessionSnapshot): SessionSnapshot {
  const next: Record<string, unknown> = { ...after, status: statusOf(after) }
  // An optional field that isn't there has no key.
  for (const key in next) if (next[key] === undefined) delete next[key]
  return share(before, next as unknown as SessionSnapshot)
}

function statusOf({ run, queue, messages, error }: SessionSnapshot): SessionSnapshot['status'] {
  // An open run that idles waits for the user, as a session without a run does.
  if (run ? run.phase === 'interrupted' || run.waitingFor === 'input' : queue.length === 0)
    return error ? 'error' : 'ready'
  const last = messages.at(-1)
  return run?.phase === 'model' && last && isOpen(last) && last.parts.length > 0 ? 'streaming' : 'submitted'
}

/** The fields that an event changes. */
type Change = Partial<SessionSnapshot> | false | undefined

/** What each kind changes; the others change nothing. */
const changes: { readonly [K in EventKind]?: (now: SessionSnapshot, event: EventOf<App, K>) => Change } = {
  'run-started': (now, { runId, agent, turn, usage, cost }) => ({
    agent,
    error: undefined,
    // An open run may have begun without an input, which is not delivered then.
    queue: without(now.queue, runId),
    run: { runId, phase: 'model', turn, owner: 'here', ...(usage && { usage }), ...(cost !== undefined && { cost }) },
    // Whoever wrote an answer that was never committed is gone.
    messages: now.messages.filter((message) => !isOpen(message)),
  }),
  // One that somebody is asked about stays interrupted.
  'run-waiting': (now, event) => now.run?.phase !== 'interrupted' && waits(now, event),
  'run-completed': ended,
  'run-stopped': (now, event) => ({ ...ended(now, event), ...(event.error && { error: event.error }) }),
  'run-cancelled': ended,
  'run-failed': (now, event) => ({ ...ended(now, event), error: event.error }),
  'run-released': (now, event) =>
    isUnderWay(now, event) && { ...interrupted(now, event.error), messages: withoutOpen(now, event) },

  'owner-changed': (now, event) => isUnderWay(now, event) && now.run && { run: { ...now.run, owner: event.owner } },

  'approval-requested': (now, { approval }) => ({
    approvals: [...now.approvals.filter(({ id }) => id !== approval.id), approval],
    ...(approval.reason === 'interrupted' && now.run && { run: withPhase(now.run, { phase: 'interrupted' }) }),
  }),
  'approval-resolved': (now, { approvalId }) => ({ approvals: now.approvals.filter(({ id }) => id !== approvalId) }),

  'user-message-committed': committed,
  'assistant-message-committed': committed,
  'tool-message-committed': (now, event) => ({ ...committed(now, event), ...enter(now, event, { phase: 'model' }) }),
  'history-rewound': (now, { messageId }) => {
    const { messages } = now
    // A window that doesn't hold it begins after it.
    const at = messages.findIndex(({ id }) => id === messageId)
    return { messages: messages.slice(0, Math.max(at, 0)), ...filled(now, 0) }
  },
  'usage-recorded': (now, event) => ({
    usage: event.session,
    cost: event.sessionCost,
    ...filled(now, event.contextTokens),
    ...(now.run && isUnderWay(now, event) && { run: spent(now.run, event) }),
  }),
  'context-built': (_, { estimatedTokens, window }) => ({
    context: { tokens: estimatedTokens, ...(window !== undefined && { window }) },
  }),
  'context-compacted': (now, { tokensAfter }) => filled(now, tokensAfter),

  'turn-started': (now, event) => enter(now, event, { phase: 'model' }),
  'model-started': (now, event) => {
    // Each attempt has a message of its own, and takes the place of the one before.
    const messages = withoutOpen(now, event, event.messageId)
    const message = openMessage({ ...now, messages }, event)
    return { messages: message ? withMessage(messages, message) : messages, ...enter(now, event, { phase: 'model' }) }
  },
  'model-retried': (now, event) =>
    enter(now, event, { phase: 'retrying', attempt: event.attempt, retryAt: event.at + event.delay }),
  'message-voided': (now, { messageId }) => ({ messages: now.messages.filter(({ id }) => id !== messageId) }),
  'text-delta': (now, event) => withText(now, event, 'text'),
  'reasoning-delta': (now, event) => withText(now, event, 'reasoning'),
  'message-part': (now, event) => withPart(now, event, () => event.part),
  'tool-call-started': (now, event) => withPart(now, event, () => writing(event)),
  'tool-call-delta': (now, event) =>
    withPart(now, event, (part) => {
      const { rawInput, ...call } = part && 'rawInput' in part ? part : writing(event)
      return { ...call, rawInput: rawInput + event.delta }
    }),
  'tool-call-completed': (now, event) =>
    withPart(now, event, () => ({ ...callPart(event), state: 'input-available', input: event.input })),

  'tool-execution-started': (now, event) => enter(now, event, { phase: 'tools' }),
  'tool-execution-progress': (now, event) =>
    event.preliminary && withResult(now, event, { state: 'output-available', output: event.data, preliminary: true }),
  'tool-execution-finished': (now, event) =>
    withResult(
      now,
      event,
      event.outcome === 'success'
        ? { state: 'output-available', output: event.output }
        : { state: 'output-error', errorText: event.errorText },
    ),

  'input-queued': (now, { inputId, input, files, mode, runId }) => {
    // Told late: the snapshot had it, its run has begun, or another has heard it.
    if (now.queue.some((queued) => queued.inputId === inputId)) return
    if (now.run?.runId === inputId || isOfEnded(now, inputId, runId)) return
    if (now.messages.some(({ id, metadata }) => metadata.runId === inputId || id === inputId)) return
    const queue = [
      ...now.queue,
      { inputId, text: input, ...(files && { files }), mode, ...(runId !== inputId && { runId }) },
    ]
    return { queue, run: now.run ?? firstOf(queue, now), error: undefined }
  },
  'input-withdrawn': (now, { inputId }) => {
    const queue = without(now.queue, inputId)
    return { queue, run: now.run?.runId === inputId ? firstOf(queue, now) : now.run }
  },
  'input-delivered': (now, { inputId }) => ({ queue: without(now.queue, inputId) }),

  'session-created': entitled,
  'session-updated': (now, { model, ...event }) => ({ ...entitled(now, event), ...(model !== undefined && { model }) }),
  'session-deleted': ({ id }) => ({
    ...emptySession(id, true),
    title: undefined,
    agent: undefined,
    model: undefined,
    run: undefined,
    cost: undefined,
    error: undefined,
  }),
}

/** The kinds that change a session's snapshot. */
export const viewKinds = Object.keys(changes) as EventKind[]

const isOpen = ({ metadata }: Message) => metadata.status === 'streaming'
const isUnderWay = ({ run }: SessionSnapshot, { runId }: Envelope) => run?.runId === runId

type Phase = Pick<RunState, 'phase' | 'waitingFor' | 'attempt' | 'retryAt'>

/** The run goes over to another phase; one that is stopping stays so to its end. */
const enter = (now: SessionSnapshot, event: Envelope, phase: Phase): Change =>
  isUnderWay(now, event) &&
  now.run &&
  now.run.phase !== 'stopping' && { run: { ...withPhase(now.run, phase), turn: event.turn } }

/** Nobody advances a run that waits; whoever takes it up says so. */
function waits(now: SessionSnapshot, event: EventOf<App, 'run-waiting'>): Change {
  const change = enter(now, event, { phase: 'waiting', waitingFor: event.waitingFor })
  return change ? { run: change.run && { ...change.run, owner: 'here' } } : change
}

const withPhase = ({ runId, turn, owner, usage, cost }: RunState, phase: Phase): RunState => ({
  runId,
  turn,
  owner,
  ...(usage && { usage }),
  ...(cost !== undefined && { cost }),
  ...phase,
})

/** The run with what it has used so far. */
function spent({ usage: _, cost: __, ...run }: RunState, event: EventOf<App, 'usage-recorded'>): RunState {
  if (!isUsed(event.run)) return run
  return { ...run, usage: event.run, ...(event.runCost !== undefined && { cost: event.runCost }) }
}

/** What is kept of an open message has been committed before the end. */
function ended(now: SessionSnapshot, event: Envelope): Change {
  // Who steers a run says it to that run alone.
  const queue = now.queue.filter(({ runId }) => runId !== event.runId)
  const run = isUnderWay(now, event) ? firstOf(queue, now) : now.run
  return { run, queue, messages: withoutOpen(now, event) }
}

const interrupted = ({ run }: SessionSnapshot, error: AgentError) => ({
  error,
  run: run && withPhase(run, { phase: 'interrupted' }),
})

const without = (queue: SessionSnapshot['queue'], inputId: string) =>
  queue.filter((queued) => queued.inputId !== inputId)

/** Whether an input was said to a run that is neither under way nor to come. */
const isOfEnded = ({ run, queue }: SessionSnapshot, inputId: string, runId: string) =>
  runId !== inputId && run?.runId !== runId && !queue.some((queued) => queued.inputId === runId)

/** The run that waits for its turn. */
function firstOf(queue: SessionSnapshot['queue'], { messages }: SessionSnapshot): RunState | undefined {
  const first = queue.find(({ runId }) => runId === undefined)
  return first && { runId: first.inputId, phase: 'queued', turn: messages.at(-1)?.metadata.turn ?? 0, owner: 'here' }
}

function entitled(_: SessionSnapshot, { title }: { readonly title?: string }): Change {
  return title !== undefined && { title }
}

const filled = ({ context }: SessionSnapshot, tokens: number | undefined): Change =>
  tokens !== undefined && { context: { ...context, tokens } }

function committed({ messages }: SessionSnapshot, { message }: { readonly message: Message }): Change {
  return { messages: withMessage(messages, message) }
}

/** The message in its own place, or at the end. */
function withMessage(messages: readonly Message[], message: Message): readonly Message[] {
  const at = messages.findLastIndex(({ id }) => id === message.id)
  return messages.toSpliced(at < 0 ? messages.length : at, 1, message)
}

const withoutOpen = ({ messages }: SessionSnapshot, { runId }: Envelope, but?: string) =>
  messages.filter((message) => !isOpen(message) || message.metadata.runId !== runId || message.id === but)

interface OfMessage extends Envelope {
  readonly messageId: string
  readonly model?: string
}

/** The message that is being written; none where it is committed already, or its run is over. */
function openMessage(now: SessionSnapshot, event: OfMessage): Message | undefined {
  const { messageId, runId, turn, agent, model, at } = event
  const found = now.messages.findLast(({ id }) => id === messageId)
  if (found) return isOpen(found) ? found : undefined
  if (!isUnderWay(now, event)) return
  const metadata = { runId, turn, agent, ...(model !== undefined && { model }), at, status: 'streaming' as const }
  return { id: messageId, role: 'assistant', metadata, parts: [] }
}

function withPart(
  now: SessionSnapshot,
  event: OfMessage & { readonly partId: string },
  make: (known: MessagePart | undefined, last: boolean) => object | undefined,
): Change {
  const message = openMessage(now, event)
  if (!message) return
  const parts = [...message.parts]
  const index = Number(event.partId)
  const end = parts.length - 1
  const last = parts[end]
  // A part that begins ends the text before it.
  if (index > end && last && 'state' in last && last.state === 'streaming') parts[end] = { ...last, state: 'done' }
  // What nothing was told of is an empty text.
  while (parts.length < index) parts.push({ type: 'text', text: '', state: 'done' })
  parts[index] = make(parts[index], index >= end) as MessagePart
  return { messages: withMessage(now.messages, { ...message, parts }) }
}

/** A text told from its beginning takes the place of what is known of it; else what is known already is left out. */
function withText(
  now: SessionSnapshot,
  event: EventOf<App, 'text-delta' | 'reasoning-delta'>,
  type: 'text' | 'reasoning',
) {
  const { start, delta } = event
  return withPart(now, event, (part, last) => {
    const known = part?.type === type && start > 0 ? part.text : ''
    return { type, text: known + delta.slice(Math.max(0, known.length - start)), state: last ? 'streaming' : 'done' }
  })
}

interface NamedCall {
  readonly toolCallId: string
  readonly toolName: string
  readonly dynamic?: boolean
  readonly title?: string
  readonly providerExecuted?: boolean
}

const callPart = ({ toolCallId, toolName, dynamic, title, providerExecuted }: NamedCall) => ({
  ...(dynamic ? { type: 'dynamic-tool', toolName } : { type: `tool-${toolName}` }),
  toolCallId,
  ...(title !== undefined && { title }),
  ...(providerExecuted && { providerExecuted }),
})

const writing = (call: NamedCall) => ({ ...callPart(call), state: 'input-streaming', rawInput: '' })

/** Puts a result into the part of its call, which is in one of the run's messages, the last ones. */
function withResult(
  { messages }: SessionSnapshot,
  { runId, toolCallId }: Envelope & { readonly toolCallId: string },
  result: object,
): Change {
  const holds = (part: MessagePart) => 'toolCallId' in part && part.toolCallId === toolCallId
  const message = messages.findLast(({ metadata, parts }) => metadata.runId === runId && parts.some(holds))
  if (!message) return
  const parts = message.parts.map((part) => {
    if (!holds(part)) return part
    const { rawInput, output, errorText, preliminary, ...call } = part as Record<string, unknown>
    return { ...call, ...result } as unknown as MessagePart
  })
  return { messages: withMessage(messages, { ...message, parts }) }
}
