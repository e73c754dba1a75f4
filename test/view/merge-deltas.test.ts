import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { mergeDeltas, sizeOf } from '../../src/events/merge-deltas.ts'
import { event, text } from './fixtures.ts'

const delta = (delta: string, start: number, over: object = {}) => ({ ...text(delta, start), ...over }) as AnyEvent
const texts = (events: readonly AnyEvent[]) => events.map((one) => ('delta' in one ? one.delta : one.kind))

describe('mergeDeltas', () => {
  test('joins consecutive deltas of a part: start of the first, time and number of the last', () => {
    const merged = mergeDeltas([
      delta('a', 0, { at: 1, seq: 4 }),
      delta('bc', 1, { at: 2, seq: 5 }),
      delta('d', 3, { at: 3, seq: 6 }),
    ])
    expect(merged).toEqual([delta('abcd', 0, { at: 3, seq: 6 })])
  })

  test('leaves the items that it is given as they are', () => {
    const first = delta('a', 0)
    const items = [first, delta('b', 1)]
    mergeDeltas(items)
    expect(items).toHaveLength(2)
    expect(first).toEqual(delta('a', 0))
  })

  test('keeps other items, and their identity', () => {
    const started = event('turn-started', {})
    const only = delta('a', 0)
    const merged = mergeDeltas([started, only])
    expect(merged[0]).toBe(started)
    expect(merged[1]).toBe(only)
  })

  test('merges across events of other sessions', () => {
    const other = { sessionId: 'other' }
    const merged = mergeDeltas([delta('a', 0), delta('x', 0, other), delta('b', 1), delta('y', 1, other)])
    expect(texts(merged)).toEqual(['ab', 'xy'])
  })

  test('never merges across an event of the same session', () => {
    expect(texts(mergeDeltas([delta('a', 0), event('notice', { code: 'c', message: 'm' }), delta('b', 1)]))).toEqual([
      'a',
      'notice',
      'b',
    ])
  })

  test('never merges across an item of no session: a snapshot may stand there', () => {
    const joined = { kind: '@joined' }
    const items: { kind: string; sessionId?: string }[] = [delta('a', 0), joined, delta('b', 1)]
    expect(mergeDeltas(items)).toEqual(items)
  })

  test.each([
    ['part', { partId: '1' }],
    ['message', { messageId: 'm2' }],
    ['run', { runId: 'r2' }],
    ['kind', { kind: 'reasoning-delta' }],
  ])('keeps deltas apart that differ in their %s', (_, over) => {
    expect(mergeDeltas([delta('a', 0), delta('b', 1, over)])).toHaveLength(2)
  })

  test('keeps a delta apart that tells its part again', () => {
    expect(texts(mergeDeltas([delta('ab', 0), delta('ab', 0), delta('c', 2)]))).toEqual(['ab', 'abc'])
  })

  test('joins the deltas of a call, which have no start', () => {
    const call = { messageId: 'm1', partId: '0', toolCallId: 'c1', toolName: 'sum' }
    const merged = mergeDeltas([
      event('tool-call-delta', { ...call, delta: '{"a"' }),
      event('tool-call-delta', { ...call, delta: ':1}' }),
    ])
    expect(texts(merged)).toEqual(['{"a":1}'])
  })

  test('keeps the order and the text of every session', () => {
    const arbitrary = fc.array(
      fc.record({
        session: fc.constantFrom('s', 't'),
        part: fc.constantFrom('0', '1'),
        text: fc.string({ maxLength: 4 }),
        other: fc.boolean(),
      }),
    )
    fc.assert(
      fc.property(arbitrary, (steps) => {
        const ends = new Map<string, number>()
        const items = steps.map(({ session: sessionId, part: partId, text: words, other }): AnyEvent => {
          if (other) return { ...event('turn-started', {}), sessionId }
          const start = ends.get(sessionId + partId) ?? 0
          ends.set(sessionId + partId, start + words.length)
          return delta(words, start, { sessionId, partId })
        })
        const merged = mergeDeltas(items)
        for (const sessionId of ['s', 't']) {
          expect(spoken(merged, sessionId)).toBe(spoken(items, sessionId))
        }
        expect(mergeDeltas(merged)).toEqual(merged)
      }),
    )
  })
})

/** All that a session was told, in order; deltas of a part that follow each other read as one. */
function spoken(events: readonly AnyEvent[], sessionId: string) {
  let heard = ''
  let open = ''
  for (const one of events) {
    if (one.sessionId !== sessionId) continue
    const part = one.kind === 'text-delta' ? one.partId : '!'
    if (part !== open || part === '!') heard += `|${part}:`
    open = part
    if (one.kind === 'text-delta') heard += one.delta
  }
  return heard
}

describe('sizeOf', () => {
  test('counts a delta by its length', () => {
    expect(sizeOf(delta('x'.repeat(1000), 0))).toBe(2200)
  })

  test('counts the text in any event', () => {
    const small = sizeOf(event('custom', { name: 'n', data: { text: '' } }))
    expect(sizeOf(event('custom', { name: 'n', data: { text: 'x'.repeat(5000) } }))).toBe(small + 10_000)
  })

  test('counts a large array by a sample of it', () => {
    const size = (length: number) =>
      sizeOf(event('custom', { name: 'n', data: new Array(length).fill('x'.repeat(100)) }))
    expect(size(100_000) / size(1000)).toBeGreaterThan(80)
    expect(size(100_000) / size(1000)).toBeLessThan(125)
  })

  test('comes to an end with cycles and with what is nested deep', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    let deep: unknown = 1
    for (let i = 0; i < 50_000; i++) deep = [deep]
    expect(sizeOf(event('custom', { name: 'n', data: cycle }))).toBeGreaterThan(0)
    expect(sizeOf(event('custom', { name: 'n', data: deep }))).toBeGreaterThan(0)
  })
})
