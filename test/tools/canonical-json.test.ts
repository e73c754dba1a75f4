import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../src/tools/canonical-json.ts'

/** The same value, its keys in another order. */
const turned = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(turned)
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, turned(item)]),
  )
}

describe('canonical JSON', () => {
  test('is the same for the same value, and says it whole', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(canonicalJson(turned(value))).toBe(text)
        expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(JSON.parse(canonicalJson(JSON.parse(text)))))
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  test('keeps apart what is not the same', () => {
    const values = [{ a: 1 }, { a: '1' }, { a: [1] }, { b: 1 }, [], {}, null, 'null', ['a', 1], '\ud800', '\ufffd']
    expect(new Set(values.map((value) => canonicalJson(value))).size).toBe(values.length)
  })

  test('refuses what is nested too deep', () => {
    let deep: unknown = 1
    for (let levels = 0; levels < 100_000; levels++) deep = [deep]
    expect(() => canonicalJson(deep)).toThrow(/nested too deep/)
  })
})
