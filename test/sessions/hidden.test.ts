import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  firstVisible,
  type Hidden,
  hide,
  inParts,
  isHidden,
  type Span,
  visible,
  visibleCount,
} from '../../src/sessions/hidden.ts'

const places = (spans: readonly Span[]) =>
  spans.flatMap(([from, before]) => Array.from({ length: before - from }, (_, i) => from + i))

/** A session that grows and is rewound, and which of its messages are to be seen, kept the simple way. */
const story = fc
  .array(fc.record({ grows: fc.integer({ min: 1, max: 4 }), rewindsTo: fc.option(fc.nat(30)) }), { maxLength: 12 })
  .map((steps) => {
    let count = 0
    let seen: number[] = []
    let hidden: Hidden
    for (const { grows, rewindsTo } of steps) {
      for (let i = 0; i < grows; i++) seen.push(count++)
      const first = rewindsTo === null ? undefined : seen[rewindsTo % seen.length]
      if (first === undefined) continue
      hidden = hide(hidden, first, count)
      seen = seen.filter((index) => index < first)
    }
    return { count, seen, hidden }
  })

test('what is to be seen is what was not rewound, in any part of the session and up to any number of messages', () => {
  fc.assert(
    fc.property(story, fc.nat(40), fc.nat(40), fc.nat(10), ({ count, seen, hidden }, from, before, limit) => {
      expect(places(visible(hidden, 0, count))).toEqual(seen)
      const part = seen.filter((index) => from <= index && index < before)
      expect(places(visible(hidden, from, Math.min(before, count)))).toEqual(part)
      expect(places(visible(hidden, from, Math.min(before, count), limit))).toEqual(
        part.slice(Math.max(0, part.length - limit)),
      )
      expect(visibleCount({ messageCount: count, ...(hidden && { hidden }) })).toBe(seen.length)
      for (let index = 0; index < count; index++) expect(isHidden(hidden, index)).toBe(!seen.includes(index))
      if (seen[0] !== undefined) expect(firstVisible(hidden)).toBe(seen[0])
    }),
  )
})

test('spans are ascending and apart, so that there are no more of them than messages to be seen, and one', () => {
  fc.assert(
    fc.property(story, ({ seen, hidden = [] }) => {
      expect(hidden.length).toBeLessThanOrEqual(seen.length + 1)
      hidden.forEach(([from, before], i) => {
        expect(from).toBeLessThan(before)
        expect(from).toBeGreaterThan(hidden[i - 1]?.[1] ?? -1)
      })
    }),
  )
})

test('parts hold the same messages, each as many as it may but for the last', () => {
  fc.assert(
    fc.property(story, fc.integer({ min: 1, max: 7 }), ({ count, seen, hidden }, size) => {
      const parts = inParts(visible(hidden, 0, count), size).map(places)
      expect(parts.flat()).toEqual(seen)
      parts.forEach((part, i) => {
        if (i < parts.length - 1) expect(part).toHaveLength(size)
        else expect(part.length).toBeLessThanOrEqual(size)
      })
    }),
  )
})
