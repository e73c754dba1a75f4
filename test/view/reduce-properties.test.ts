import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Message, MessagePart, SessionSnapshot } from '../../src/api/public-types.ts'
import { type AnyEvent, isDurable } from '../../src/events/kinds.ts'
import { mergeDeltas } from '../../src/events/merge-deltas.ts'
import { reduce, reduceAll } from '../../src/view/reduce.ts'
import { event, loaded, message, modelStarted, usage, userMessage } from './fixtures.ts'

// However an answer is cut into deltas, whatever is merged on the way, and wherever somebody joins: the view comes to the same.

type PartPlan =
  | { readonly type: 'text' | 'reasoning'; readonly text: string }
  | { readonly type: 'source'; readonly url: string }
  | { readonly type: 'call'; readonly json: string }

const plans: fc.Arbitrary<PartPlan> = fc.oneof(
  fc.record({ type: fc.constantFrom('text', 'reasoning'), text: fc.string({ maxLength: 20, unit: 'grapheme' }) }),
  fc.record({ type: fc.constant('source'), url: fc.webUrl() }),
  fc.record({ type: fc.constant('call'), json: fc.json({ maxDepth: 1 }) }),
)
const answers = fc.array(fc.array(plans, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
const cuts = fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 8 })

/** The pieces of a text; `cuts` are their lengths, again and again. */
function pieces(text: string, cuts: readonly number[]): string[] {
  const result: string[] = []
  for (let at = 0, i = 0; at < text.length; i++) {
    const length = Math.max(1, cuts[i % cuts.length] ?? 1)
    result.push(text.slice(at, at + length))
    at += length
  }
  return result
}

function partEvents(plan: PartPlan, messageId: string, index: number, cuts: readonly number[]): AnyEvent[] {
  const partId = String(index)
  switch (plan.type) {
    case 'text':
    case 'reasoning': {
      let start = 0
      return pieces(plan.text, cuts).map((delta) => {
        const told = event(`${plan.type}-delta`, { delta, start, messageId, partId })
        start += delta.length
        return told
      })
    }
    case 'source':
      return [event('message-part', { messageId, partId, part: committedPart(plan, messageId, index) })]
    case 'call': {
      const call = { messageId, partId, toolCallId: `${messageId}-${partId}`, toolName: 'sum' }
      return [
        event('tool-call-started', call),
        ...pieces(plan.json, cuts).map((delta) => event('tool-call-delta', { ...call, delta })),
        event('tool-call-completed', { ...call, input: JSON.parse(plan.json) }),
      ]
    }
  }
}

function committedPart(plan: PartPlan, messageId: string, index: number): MessagePart {
  switch (plan.type) {
    case 'text':
    case 'reasoning':
      return { type: plan.type, text: plan.text, state: 'done' }
    case 'source':
      return { type: 'source-url', sourceId: String(index), url: plan.url }
    case 'call':
      return {
        type: 'tool-sum',
        toolCallId: `${messageId}-${index}`,
        state: 'input-available',
        input: JSON.parse(plan.json),
      } as MessagePart
  }
}

/** The events of a run: an answer per turn; the last is not committed where `open`. */
function runEvents(answers: readonly (readonly PartPlan[])[], cuts: readonly number[], open: boolean): AnyEvent[] {
  const events = [
    event('run-started', { input: 'Go' }),
    event('input-delivered', { inputId: 'r1', input: 'Go', mode: 'queue' }),
    event('user-message-committed', { message: userMessage('u1', 'Go') }),
  ]
  answers.forEach((plan, i) => {
    const messageId = `m${i}`
    events.push(
      event('turn-started', {}),
      modelStarted(messageId),
      ...plan.flatMap((part, index) => partEvents(part, messageId, index, cuts)),
    )
    if (open && i === answers.length - 1) return
    const parts = plan.map((part, index) => committedPart(part, messageId, index))
    events.push(event('assistant-message-committed', { message: message(messageId, parts) }))
  })
  if (!open) events.push(event('run-completed', { finishReason: 'stop', turns: answers.length, usage: usage(1) }))
  return events
}

const reduceEach = (snapshot: SessionSnapshot, events: readonly AnyEvent[]) => events.reduce(reduce, snapshot)

test('any cutting of the texts gives the same snapshot', () => {
  fc.assert(
    fc.property(answers, cuts, cuts, fc.boolean(), (answers, one, other, open) => {
      const first = reduceEach(loaded(), runEvents(answers, one, open))
      expect(reduceEach(loaded(), runEvents(answers, other, open))).toEqual(first)
    }),
  )
})

test('events give the same in batches of any size, merged before or not', () => {
  fc.assert(
    fc.property(answers, cuts, cuts, fc.boolean(), (answers, cut, sizes, open) => {
      const events = runEvents(answers, cut, open)
      const one = reduceEach(loaded(), events)
      expect(reduceAll(loaded(), events)).toEqual(one)
      expect(reduceEach(loaded(), mergeDeltas(events))).toEqual(one)
      let batched = loaded()
      for (let at = 0, i = 0; at < events.length; i++) {
        const size = 1 + (sizes[i % sizes.length] ?? 0)
        batched = reduceAll(batched, mergeDeltas(events.slice(at, at + size)))
        at += size
      }
      expect(batched).toEqual(one)
    }),
  )
})

/** What the runtime tells somebody who joins after these events: what is stored, and the open message from its beginning. */
function joinedAfter(events: readonly AnyEvent[]): SessionSnapshot {
  const stored = reduceEach(
    loaded(),
    events.filter(({ kind }) => isDurable(kind)),
  )
  const started = events.findLast((one) => one.kind === 'model-started')
  if (started?.kind !== 'model-started') return stored
  const parts = new Map<string, AnyEvent[]>()
  for (const one of events) {
    if (!('partId' in one) || one.messageId !== started.messageId) continue
    parts.set(one.partId, [...(parts.get(one.partId) ?? []), one])
  }
  const open = [...parts.values()].flatMap((told) => mergeDeltas(told))
  return reduceAll(stored, [started, ...open])
}

test('joining at any point gives the same snapshot', () => {
  fc.assert(
    fc.property(answers, cuts, fc.boolean(), fc.nat(), (answers, cut, open, at) => {
      const events = runEvents(answers, cut, open)
      const point = at % (events.length + 1)
      const all = reduceAll(loaded(), events)
      expect(reduceAll(joinedAfter(events.slice(0, point)), events.slice(point))).toEqual(all)
    }),
  )
})

test('a part told again from its beginning, at any point, changes nothing', () => {
  fc.assert(
    fc.property(answers, cuts, fc.nat(), (answers, cut, at) => {
      const events = runEvents(answers, cut, true)
      const point = at % (events.length + 1)
      const before = events.slice(0, point)
      const messageId = `m${answers.length - 1}`
      const told = mergeDeltas(
        before.filter((one) => 'messageId' in one && one.messageId === messageId && 'start' in one),
      )
      expect(reduceAll(loaded(), [...before, ...told, ...events.slice(point)])).toEqual(reduceAll(loaded(), events))
    }),
  )
})

test('a message that an event does not name keeps its identity', () => {
  fc.assert(
    fc.property(answers, cuts, (answers, cut) => {
      let now = loaded()
      for (const one of runEvents(answers, cut, false)) {
        const next = reduce(now, one)
        const named = 'messageId' in one ? one.messageId : 'message' in one ? (one.message as Message).id : undefined
        for (const { id } of now.messages) {
          if (id === named) continue
          expect(next.messages.find((other) => other.id === id)).toBe(now.messages.find((other) => other.id === id))
        }
        now = next
      }
    }),
  )
})

test('an owner that dies at any point of its answer leaves nothing of it once another leg has written it', () => {
  fc.assert(
    fc.property(answers, cuts, fc.nat(), fc.boolean(), (answers, cut, at, heard) => {
      const whole = runEvents(answers, cut, false)
      const started = whole.findLastIndex(({ kind }) => kind === 'model-started')
      const committed = whole.findLastIndex(({ kind }) => kind === 'assistant-message-committed')
      const death = started + 1 + (at % (committed - started))
      const again = (event: AnyEvent): AnyEvent =>
        JSON.parse(JSON.stringify(event).replaceAll(`"m${answers.length - 1}"`, '"again"'))
      const events = [
        ...whole.slice(0, death),
        event('run-started', { input: 'Go', resumed: true }),
        // Told by the next owner; one who joins later never hears of that message.
        ...(heard ? [event('message-voided', { messageId: `m${answers.length - 1}` })] : []),
        ...whole.slice(started).map(again),
      ]
      const { messages, ...rest } = reduceAll(loaded(), events)
      const without = reduceAll(loaded(), whole)
      expect(messages.map(({ parts }) => parts.length)).toEqual(without.messages.map(({ parts }) => parts.length))
      expect(messages.map(({ id }) => id)).toEqual([...without.messages.slice(0, -1).map(({ id }) => id), 'again'])
      expect(rest).toEqual({ ...without, messages: undefined })
    }),
  )
})
