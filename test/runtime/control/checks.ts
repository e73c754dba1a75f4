import { expect } from 'vitest'
import { type AnyEvent, type EventKind, isEnd } from '../../../src/events/kinds.ts'
import { addUsage, type Limits, noUsage, type Usage } from '../../../src/sessions/records.ts'

type Of<K extends EventKind> = Extract<AnyEvent, { kind: K }>
const isOf =
  <K extends EventKind>(...kinds: readonly K[]) =>
  (event: AnyEvent): event is Of<K> =>
    (kinds as readonly string[]).includes(event.kind)

/** By run, in order. */
function byRun(events: readonly AnyEvent[]): Map<string, AnyEvent[]> {
  const runs = new Map<string, AnyEvent[]>()
  for (const event of events) if (event.runId) runs.set(event.runId, [...(runs.get(event.runId) ?? []), event])
  return runs
}

/** One end per leg, last: what follows it is another leg, or a question left from it. */
export function expectLegs(events: readonly AnyEvent[]) {
  for (const [runId, own] of byRun(events)) {
    let open = false
    for (const event of own) {
      if (event.kind === 'run-started') open = true
      else if (isEnd(event.kind)) {
        expect(open, `${runId}: two ends`).toBe(true)
        open = false
      } else if (event.kind !== 'approval-resolved' && event.kind !== 'approval-requested')
        expect(open, `${runId}: ${event.kind} (${event.seq}) after the end of its leg`).toBe(true)
    }
    expect(open, `${runId} has no end`).toBe(false)
  }
}

/** Each question is answered once, or still open; and none is answered that was not asked. */
export function expectQuestions(events: readonly AnyEvent[]) {
  const open = new Set<string>()
  const asked = new Set<string>()
  for (const event of events) {
    if (event.kind === 'approval-requested') {
      expect(asked, `${event.approval.id} asked twice`).not.toContain(event.approval.id)
      asked.add(event.approval.id)
      open.add(event.approval.id)
    }
    if (event.kind === 'approval-resolved') expect(open.delete(event.approvalId), 'answered, not asked').toBe(true)
  }
  return open
}

/** No call that a person is asked about starts without a yes, to it or for good; none of them starts after a no. */
export function expectPermission(events: readonly AnyEvent[]) {
  const asked = new Map<string, string>()
  const allowed = new Set<string>()
  const denied = new Set<string>()
  let always = false
  for (const event of events) {
    if (event.kind === 'approval-requested' && event.approval.reason === 'policy')
      asked.set(event.approval.id, event.approval.toolCallId)
    const toolCallId = event.kind === 'approval-resolved' && asked.get(event.approvalId)
    if (event.kind === 'approval-resolved' && toolCallId) {
      const { decision } = event.answer
      if (decision === 'deny') denied.add(toolCallId)
      if (decision === 'allow-once' || decision === 'allow-always') allowed.add(toolCallId)
      always ||= decision === 'allow-always'
      expect(event.by, decision).toBe(decision === 'withdrawn' ? 'runtime' : decision === 'deny' ? event.by : 'person')
    }
    if (event.kind !== 'tool-execution-started' || event.toolName !== 'careful') continue
    expect(always || allowed.has(event.toolCallId), `${event.toolCallId} started unasked`).toBe(true)
    expect(denied, `${event.toolCallId} started after a no`).not.toContain(event.toolCallId)
  }
}

/** A turn completes once. */
export function expectTurns(events: readonly AnyEvent[]) {
  for (const [runId, own] of byRun(events)) {
    const turns = own.filter(isOf('turn-completed')).map(({ turn }) => turn)
    expect(new Set(turns).size, `${runId}: turns ${turns}`).toBe(turns.length)
  }
}

/** What a run used is the sum of what was booked, and so is what the session used. */
export function expectUsage(events: readonly AnyEvent[], session: { readonly usage: Usage; readonly cost?: number }) {
  let ofSession = noUsage
  let cost = 0
  const ofRuns = new Map<string, { usage: Usage; cost: number }>()
  for (const event of events) {
    if (event.kind === 'usage-recorded') {
      const { usage, cost: paid = 0 } = event
      const before = ofRuns.get(event.runId) ?? { usage: noUsage, cost: 0 }
      const now = { usage: addUsage(before.usage, usage), cost: before.cost + paid }
      ofRuns.set(event.runId, now)
      ofSession = addUsage(ofSession, usage)
      cost += paid
      expect(event.run, `run at ${event.seq}`).toEqual(now.usage)
      expect(event.session, `session at ${event.seq}`).toEqual(ofSession)
      expect(event.runCost ?? 0).toBeCloseTo(now.cost, 6)
      expect(event.sessionCost ?? 0).toBeCloseTo(cost, 6)
    }
    if (isOf('run-completed', 'run-stopped', 'run-failed', 'run-cancelled')(event)) {
      const own = ofRuns.get(event.runId)
      expect(event.usage, `${event.kind} at ${event.seq}`).toEqual(own?.usage ?? noUsage)
      expect(event.cost ?? 0).toBeCloseTo(own?.cost ?? 0, 6)
    }
  }
  expect(session.usage).toEqual(ofSession)
  expect(session.cost ?? 0).toBeCloseTo(cost, 6)
  return { usage: ofSession, cost }
}

/**
 * No turn begins over a limit: what is over it was used by the one turn that came there. No call starts over one.
 * Turns and calls of an open run count anew with each input.
 */
export function expectLimits(events: readonly AnyEvent[], limits: Limits, runId: string, isOpen = false) {
  const own = events.filter((event) => event.runId === runId)
  const extended = new Map<string, number>()
  const names = new Map<string, string>()
  const cap = (name: keyof Limits) => (limits[name] ?? Number.POSITIVE_INFINITY) + (extended.get(name) ?? 0)
  const calls = new Set<string>()
  let turns = 0
  let now = { turn: -1, tokens: 0, cost: 0 }
  let tokens = 0
  let cost = 0
  for (const event of own) {
    if (event.kind === 'input-delivered' && isOpen) {
      turns = 0
      calls.clear()
      for (const name of ['maxTurns', 'maxToolCalls', 'maxDuration']) extended.delete(name)
    }
    if (event.kind === 'approval-requested' && event.approval.reason === 'budget')
      names.set(event.approval.id, event.approval.limit)
    if (event.kind === 'approval-resolved' && event.answer.decision === 'extend') {
      const name = names.get(event.approvalId) ?? ''
      extended.set(name, (extended.get(name) ?? 0) + event.answer.by)
    }
    if (event.kind === 'tool-execution-started') {
      calls.add(event.toolCallId)
      expect(calls.size, `${runId}: tool calls`).toBeLessThanOrEqual(cap('maxToolCalls'))
    }
    if (event.kind === 'assistant-message-committed' && event.message.metadata.status === 'done')
      expect(++turns, `${runId}: turns`).toBeLessThanOrEqual(cap('maxTurns'))
    if (event.kind !== 'usage-recorded') continue
    if (event.turn !== now.turn) {
      now = { turn: event.turn, tokens, cost }
      expect(tokens, `${runId}: tokens before turn ${event.turn}`).toBeLessThan(cap('maxTokens'))
      expect(cost, `${runId}: cost before turn ${event.turn}`).toBeLessThan(cap('maxCost'))
    }
    tokens += event.usage.inputTokens + event.usage.outputTokens
    cost += event.cost ?? 0
  }
}

/** The texts of the user's that a rewind has taken out of the conversation. */
export function hiddenTexts(events: readonly AnyEvent[]): Set<string> {
  const hidden = new Set<string>()
  let visible: { readonly id: string; readonly text: string; readonly sessionId: string }[] = []
  for (const event of events) {
    if (isOf('user-message-committed', 'assistant-message-committed')(event)) {
      const { id, parts } = event.message
      visible.push({
        id,
        sessionId: event.sessionId,
        text: parts.map((part) => (part.type === 'text' ? part.text : '')).join(''),
      })
    }
    if (event.kind !== 'history-rewound') continue
    const at = visible.findIndex(({ id }) => id === event.messageId)
    if (at === -1) continue
    const stays = (message: { readonly sessionId: string }, index: number) =>
      index < at || message.sessionId !== event.sessionId
    for (const { text } of visible.filter((message, index) => !stays(message, index))) if (text) hidden.add(text)
    visible = visible.filter(stays)
    for (const { text } of visible) hidden.delete(text)
  }
  return hidden
}
