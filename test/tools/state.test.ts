import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { State } from '../../src/tools/state.ts'

describe("a session's state", () => {
  test('is seen by all calls as soon as one sets it, and stored with that call', () => {
    const state = new State(undefined)
    expect(state.get()).toBeUndefined()
    state.set('a', { n: 1 })
    expect(state.get()).toEqual({ n: 1 })
    expect(state.settle('b', true)).toEqual({})
    expect(state.settle('a', true)).toMatchObject({ state: { value: { n: 1 } } })
    expect(state.settle('a', true)).toEqual({})
    expect(state.get()).toEqual({ n: 1 })
  })

  test('is what it was before, where the call that set it fails', () => {
    const state = new State('stored')
    state.set('a', 1)
    state.set('b', 2)
    expect(state.settle('b', false)).toEqual({})
    expect(state.get()).toBe(1)
    expect(state.settle('a', false)).toEqual({})
    expect(state.get()).toBe('stored')
  })

  test('is what was set last, whichever call finishes last', () => {
    const state = new State(undefined)
    state.set('a', 'first')
    state.set('b', 'second')
    expect(state.settle('b', true)).toMatchObject({ state: { value: 'second' } })
    expect(state.settle('a', true)).toEqual({})
    expect(state.get()).toBe('second')
  })

  test('is cleared by undefined', () => {
    const state = new State('stored')
    state.set('a', undefined)
    expect(state.get()).toBeUndefined()
    expect(state.settle('a', true)).toMatchObject({ state: { value: undefined } })
    expect(state.get()).toBeUndefined()
  })

  test('changes with no object that somebody holds', () => {
    const state = new State({ list: [1] })
    const mine = { list: [2] }
    ;(state.get() as typeof mine).list.push(9)
    expect(state.get()).toEqual({ list: [1] })
    state.set('a', mine)
    mine.list.push(9)
    expect(state.get()).toEqual({ list: [2] })
  })

  test.each([
    ['a function', () => 1, 'invalid-argument', 'The state holds a function: set data'],
    ['a BigInt', 10n, 'invalid-argument', 'The state holds a bigint'],
    ['binary data', new Uint8Array(3), 'invalid-argument', 'The state holds binary data'],
    ['more than 64 KiB', 'x'.repeat(64 * 1024), 'state-too-large', '65536 are allowed'],
    ['more than 64 KiB in UTF-8', '😀'.repeat(20_000), 'state-too-large', '80002 bytes'],
    ['more than any output may have', 'x'.repeat(5 * 1024 * 1024), 'invalid-argument', 'The state has over 4 MiB'],
  ])('is not %s, and stays as it was', (_, value, code, message) => {
    const state = new State('stored')
    expect(() => state.set('a', value)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    )
    expect(state.get()).toBe('stored')
    expect(state.settle('a', true)).toEqual({})
  })

  test('may have 64 KiB', () => {
    const state = new State(undefined)
    state.set('a', 'x'.repeat(64 * 1024 - 2))
    expect(state.settle('a', true)).toHaveProperty('state')
  })

  test('is that of the last call that ended well, whatever order calls set, fail and end in', () => {
    const steps = fc.array(
      fc.record({
        call: fc.constantFrom('a', 'b', 'c'),
        does: fc.constantFrom('set', 'end', 'fail'),
      }),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(steps, (plan) => {
        const state = new State(0)
        const open = new Map<string, number>()
        let stored = 0
        plan.forEach(({ call, does }, at) => {
          if (does === 'set') {
            state.set(call, at + 1)
            open.set(call, at + 1)
          } else {
            const kept = state.settle(call, does === 'end')
            const value = open.get(call) ?? 0
            open.delete(call)
            if (does === 'end' && value > stored) stored = value
            else expect(kept).toEqual({})
            if (kept.state) expect(kept.state.value).toBe(stored)
          }
          expect(state.get()).toBe(Math.max(stored, ...open.values()))
        })
      }),
    )
  })
})
