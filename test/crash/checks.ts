import { checkApprovals } from './check-approvals.ts'
import { checkDelegations } from './check-delegations.ts'
import { type Finding, lost, problem, repeated } from './findings.ts'
import { inputOf, type Order, steerIn, steerOf, textOf, turnsOf, unrepeatable } from './plans.ts'
import { resumable } from './words.ts'
import type { Dump } from './world/commands.ts'
import { canonical, type HeardEvent, type Ledger } from './world/ledger.ts'
import { messageText } from './world/model.ts'

/** How a run may have ended. */
export interface Expected {
  readonly order: Order
  readonly ends: readonly string[]
  /** An input that no page was told is stored may be gone. */
  readonly optional?: boolean
  /** Another one took its place. */
  readonly hidden?: boolean
}

export const ends: ReadonlySet<string> = new Set(['run-completed', 'run-stopped', 'run-failed', 'run-cancelled'])

/** Everything that must hold of a session once its runs are over. */
export function* check(ledger: Ledger, dump: Dump, expected: readonly Expected[]): Generator<Finding> {
  const { events } = dump
  for (const message of ledger.problems) yield problem(message)
  yield* checkSequence(events)
  yield* checkHeard(ledger, dump)
  yield* checkWriters(ledger)
  for (const run of expected) {
    yield* checkInput(ledger, dump, run)
    const runId = ledger.runOf(run.order.input)
    yield* checkDelegations(
      run.order,
      events.filter((event) => event.runId === runId),
    )
  }
  const known = new Set(expected.map(({ order }) => inputOf(order)))
  for (const event of events) {
    if (event.kind === 'run-started' && !known.has(String(event.input))) {
      yield problem(`a run has an input that nobody sent: ${event.input}`)
    }
  }
  for (const runId of new Set(events.map(({ runId }) => runId))) {
    const own = events.filter((event) => event.runId === runId)
    yield* checkLegs(runId, own)
  }
  yield* checkBalance(events)
  yield* checkUsage(ledger, dump)
  yield* checkStarts(ledger, events)
  yield* checkApprovals(ledger, events)
  yield* checkWords(ledger, events)
  yield* checkViews(dump)
}

function* checkSequence(events: readonly HeardEvent[]) {
  for (const [index, { seq, kind }] of events.entries()) {
    if (seq === index + 1) continue
    yield problem(`the log has event ${seq} (${kind}) in the place of event ${index + 1}`)
    return
  }
}

/** What a page was told is there, and as it was told. */
function* checkHeard(ledger: Ledger, { events, head }: Dump) {
  const stored = new Map(events.map((event) => [event.seq, event]))
  for (const [seq, heard] of ledger.heard) {
    // told while the log was read already
    if (seq > head) continue
    const event = stored.get(seq)
    if (!event) yield lost(`event ${seq} (${heard.kind}) was told, and is not there`)
    else if (canonical(event) !== canonical(heard)) {
      yield lost(`event ${seq} was told as ${canonical(heard)}, and is ${canonical(event)}`)
    }
  }
}

/** The log grows by one writer at a time: later events are of the same or a later epoch, and an epoch is one life's. */
function* checkWriters({ commits }: Ledger) {
  const inOrder = [...commits].sort((a, b) => a.seq - b.seq)
  const lives = new Map<number, string>()
  for (const [index, { seq, epoch, life }] of inOrder.entries()) {
    const before = inOrder[index - 1]
    if (before && before.epoch > epoch) yield problem(`epoch ${epoch} wrote up to ${seq}, after epoch ${before.epoch}`)
    if ((lives.get(epoch) ?? life) !== life) yield problem(`epoch ${epoch} is of ${lives.get(epoch)} and of ${life}`)
    lives.set(epoch, life)
  }
}

function* checkInput(ledger: Ledger, { events, snapshot }: Dump, { order, ends, optional, hidden }: Expected) {
  const what = `input ${order.input}`
  const text = inputOf(order)
  const messages = events.filter(
    ({ kind, message }) => kind === 'user-message-committed' && messageText(message) === text,
  )
  if (messages.length > 1) yield repeated(`${what} has ${messages.length} messages`)
  const [message] = messages
  if (!message) {
    if (ledger.queued.has(order.input) && !ledger.withdrawn.has(order.input)) {
      const refused = ledger.refused.get(order.input)
      yield lost(`${what} was told as stored, and has no message${refused ? `: it was refused (${refused})` : ''}`)
    } else if (!optional) yield problem(`${what} has no message`)
    return
  }
  const runId = ledger.regenerated.has(order.input) ? ledger.runOf(order.input) : message.runId
  const own = events.filter((event) => event.runId === runId)
  const end = own.at(-1)
  const name = end?.kind === 'run-stopped' || end?.kind === 'run-cancelled' ? `${end.kind} ${end.reason}` : end?.kind
  if (!name || !ends.includes(name)) {
    const why = end?.kind === 'run-failed' ? ` ${canonical(end.error)}` : ''
    yield problem(`${what} ended with ${name}${why}, expected was ${ends.join(' or ')}`)
  }
  const answers = own
    .filter(({ kind, message }) => kind === 'assistant-message-committed' && !isPartial(message))
    .map(({ message }) => messageText(message))
    .filter(isNoRepeat)
  const whole = Array.from({ length: turnsOf(order.plan).length + 1 }, (_, turn) => textOf(order, turn))
  const complete = end?.kind === 'run-completed'
  if (complete && answers.join('\n') !== whole.join('\n')) {
    yield lost(`the answers to ${what} are ${JSON.stringify(answers)}, expected were ${JSON.stringify(whole)}`)
  }
  if (!complete) return
  const shown = snapshot.messages
    .filter(({ text, status }) => steerIn(text) === undefined && status !== 'partial')
    .map(({ text }) => text)
    .filter(isNoRepeat)
  const at = shown.indexOf(text)
  if (hidden) {
    if (at !== -1) yield problem(`${what} was replaced, and is shown`)
    return
  }
  if (shown.slice(at, at + 1 + whole.length).join('\n') !== [text, ...whole].join('\n')) {
    yield lost(`${what} is shown as ${JSON.stringify(shown)}`)
  }
}

/** A stop cut it: another answer follows. */
const isPartial = (message: unknown) => (message as { metadata: { status: string } }).metadata.status === 'partial'

/** What steers a run at its end has the model say the same once more. */
const isNoRepeat = (text: string, index: number, texts: readonly string[]) => text !== texts[index - 1]

/** What was said to a run, and that a page was told is stored, has its effect, once. */
function* checkWords(ledger: Ledger, events: readonly HeardEvent[]) {
  for (const { word, number, takenAt } of ledger.words) {
    if (word === 'steer') {
      const text = steerOf(ledger.session, number)
      const messages = events.filter(({ message }) => message && messageText(message) === text)
      if (messages.length > 1) yield repeated(`steering ${number} was delivered ${messages.length} times`)
      const stored = takenAt !== undefined || ledger.steers.has(number)
      if (stored && messages.length === 0 && !ledger.withdrawnSteers.has(number))
        yield lost(`steering ${number} was told as stored, and was never delivered`)
    } else if (takenAt !== undefined && word !== 'queue') yield* checkEnding(word, takenAt, events)
  }
}

/** Who was told to end does, at once or after the turn, whoever has died meanwhile. */
function* checkEnding(word: 'stop' | 'stop-after-turn' | 'abort', takenAt: number, events: readonly HeardEvent[]) {
  const end = events.findIndex(({ kind }) => kind === (word === 'abort' ? 'run-cancelled' : 'run-stopped'))
  const until = end === -1 ? events.length : end
  const later = events.slice(0, until).filter(({ at }) => at > takenAt + slack)
  const turns = later.filter(({ kind }) => kind === 'assistant-message-committed').length
  if (turns > (word === 'stop-after-turn' ? 1 : 0)) yield lost(`the run went on for ${turns} turns after "${word}"`)
}

/** Milliseconds until what was said in a page has come to a worker that is busy. */
const slack = 500

/** One end per leg, the last event of it; only a stop may be followed by another leg. */
function* checkLegs(runId: string, events: readonly HeardEvent[]) {
  let open = false
  let before: HeardEvent | undefined
  for (const event of events) {
    const { kind, seq, resumed } = event
    if (kind === 'run-started') {
      if (!resumed && before) yield problem(`run ${runId} started again at ${seq}, not as resumed`)
      if (resumed && !before) yield problem(`run ${runId} begins at ${seq} as resumed`)
      if (before && !open && before.kind !== 'run-stopped') {
        yield problem(`run ${runId} goes on at ${seq} after its ${before.kind}`)
      }
      open = true
    } else if (!open && !isWord(kind)) {
      yield problem(`run ${runId} has ${kind} at ${seq} after ${before ? `its ${before.kind}` : 'nothing'}`)
    } else if (ends.has(kind)) open = false
    before = event
  }
  if (open) yield { fault: 'stuck' as const, message: `run ${runId} has no end; its last event is ${before?.kind}` }
}

/** Events that stand between two legs: questions whether to go on, and their answers. */
const isWord = (kind: string) => kind === 'approval-requested' || kind === 'approval-resolved'

/** Each call that started has one result, and only a refused one has a result without; where it was left in doubt by a stop, from the run that took its place. */
function* checkBalance(events: readonly HeardEvent[]) {
  const open = new Map<string, number>()
  const finished = new Set<string>()
  for (const { kind, toolCallId, seq, outcome } of events) {
    const call = String(toolCallId)
    if (kind === 'tool-execution-started') open.set(call, seq)
    if (kind !== 'tool-execution-finished') continue
    const isDenied = outcome === 'denied'
    if (open.delete(call) === isDenied)
      yield problem(`call ${call} has a result at ${seq} ${isDenied ? 'and was started' : 'without a start'}`)
    if (finished.has(call)) yield problem(`call ${call} has two results`)
    finished.add(call)
  }
  for (const [call, seq] of open) yield problem(`call ${call} started at ${seq} and has no result`)
}

/**
 * What runs used is the sum of what was booked: calls that the model got, what runs below have used, and one at most, by
 * estimate, that cut a leg. A call that used nothing may have been ended before it was made.
 */
function* checkUsage(ledger: Ledger, { events }: Dump) {
  const sums = new Map<string, number>()
  let session = 0
  let booked = 0
  const cuts = new Map<string, number>()
  for (const { kind, runId, usage, seq, ...event } of events) {
    if (kind === 'run-started') cuts.set(runId, (cuts.get(runId) ?? 0) + 1)
    if (kind !== 'usage-recorded' && !ends.has(kind)) continue
    const tokens = tokensOf(usage)
    if (kind !== 'usage-recorded') {
      if (tokens !== (sums.get(runId) ?? 0))
        yield problem(`${kind} at ${seq} says ${tokens} tokens, booked were ${sums.get(runId) ?? 0}`)
      continue
    }
    if (event.estimated) {
      const left = (cuts.get(runId) ?? 0) - 1
      if (left < 0) yield repeated(`a call that was cut is booked once more at ${seq}`)
      cuts.set(runId, left)
    } else if (!event.below && tokens > 0) booked++
    session += tokens
    sums.set(runId, (sums.get(runId) ?? 0) + tokens)
    if (tokensOf(event.run) !== sums.get(runId) || tokensOf(event.session) !== session)
      yield problem(`the totals at ${seq} are not the sums of what was booked`)
  }
  if (booked > ledger.modelCalls) yield repeated(`${booked} calls were booked, the model got ${ledger.modelCalls}`)
}

export const tokensOf = (usage: unknown) => {
  const { inputTokens, outputTokens } = usage as { readonly inputTokens: number; readonly outputTokens: number }
  return inputTokens + outputTokens
}

/** A tool that must not repeat starts once per call, and once more for each time that a person said so. */
function* checkStarts({ starts, effects }: Ledger, events: readonly HeardEvent[]) {
  const retries = new Map<string, number>()
  const questions = new Map<string, string>()
  for (const { kind, approval, approvalId, answer } of events) {
    const asked = approval as { id: string; toolCallId?: string } | undefined
    if (kind === 'approval-requested' && asked?.toolCallId) questions.set(asked.id, asked.toolCallId)
    if (kind !== 'approval-resolved' || (answer as { decision: string }).decision !== 'retry') continue
    const call = questions.get(String(approvalId)) ?? ''
    retries.set(call, (retries.get(call) ?? 0) + 1)
  }
  const names = new Set(starts.map(({ name }) => name))
  for (const name of names) {
    const own = starts.filter((start) => start.name === name)
    const [{ tool = '', call = '' } = {}] = own
    const keys = new Set(own.map(({ key }) => key))
    if (keys.size > 1 || new Set(own.map((start) => start.call)).size > 1) {
      yield repeated(`${tool} ${name} was started under several calls or keys: ${[...keys].join(', ')}`)
    }
    const allowed = 1 + (retries.get(call) ?? 0)
    if (unrepeatable.has(tool) && own.length > allowed) {
      yield repeated(`${tool} ${name} started ${own.length} times, allowed were ${allowed}`)
    }
    const [key = ''] = keys
    if (unrepeatable.has(tool) && (effects.get(key) ?? 0) > allowed) {
      yield repeated(`${tool} ${name} took effect ${effects.get(key)} times, allowed were ${allowed}`)
    }
  }
}

/** Nothing is open any more, and the page's own view shows what a new one does. */
function* checkViews({ events, snapshot, live, status }: Dump) {
  for (const [name, { phase, queue, approvals }] of Object.entries({
    'a new view': snapshot,
    "the page's view": live,
  })) {
    if (phase !== undefined) yield { fault: 'stuck' as const, message: `${name} shows a run that is ${phase}` }
    if (queue.length > 0)
      yield { fault: 'stuck' as const, message: `${name} shows waiting inputs: ${queue.join(', ')}` }
    if (approvals > 0) yield { fault: 'stuck' as const, message: `${name} shows ${approvals} open questions` }
  }
  // An input that died with its tab before it was stored leaves no session.
  if (status !== (events.length > 0 ? 'ready' : undefined))
    yield { fault: 'stuck' as const, message: `the list of sessions shows it as ${status}` }
  if (canonical(live.messages) !== canonical(snapshot.messages)) {
    yield problem(`the page shows ${canonical(live.messages)}, a new view ${canonical(snapshot.messages)}`)
  }
}

/** Whether a run, as far as it was told, is over: it has an end that nobody is to resume. */
export function isOver(events: readonly HeardEvent[]): boolean {
  const last = events.at(-1)
  if (!last || !ends.has(last.kind)) return false
  return last.kind !== 'run-stopped' || !resumable.has(last.reason)
}

/** The log in short, for people. */
export const outline = (events: readonly HeardEvent[]): string =>
  events
    .map(({ seq, kind, runId, resumed, reason, toolName, step }) => {
      const detail = [resumed && 'resumed', reason, toolName, step].filter(Boolean).join(' ')
      return `    ${seq} ${runId.slice(0, 8)} ${kind}${detail ? ` (${detail})` : ''}`
    })
    .join('\n')
