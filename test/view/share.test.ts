import { expect, test } from 'vitest'
import { share } from '../../src/view/share.ts'

test('gives the old value where the new one says the same', () => {
  const old = { a: [1, { b: 'c' }], d: undefined }
  expect(share(old, { a: [1, { b: 'c' }], d: undefined })).toBe(old)
})

test('keeps what is the same in a value that differs', () => {
  const old = { same: { x: 1 }, list: [{ y: 1 }, { y: 2 }] }
  const next = { same: { x: 1 }, list: [{ y: 1 }, { y: 3 }, { y: 4 }] }
  const shared = share(old, next)
  expect(shared).toEqual({ same: { x: 1 }, list: [{ y: 1 }, { y: 3 }, { y: 4 }] })
  expect(shared.same).toBe(old.same)
  expect(shared.list[0]).toBe(old.list[0])
})

test('leaves both values as they are', () => {
  const old = { list: [{ y: 1 }, { y: 2 }] }
  const next = { list: [{ y: 1 }, { y: 3 }] }
  const before = next.list[0]
  share(old, next)
  expect(next.list[0]).toBe(before)
  expect(old).toEqual({ list: [{ y: 1 }, { y: 2 }] })
})

test.each([
  ['a field more', { a: 1 }, { a: 1, b: 2 }],
  ['a field less', { a: 1, b: 2 }, { a: 1 }],
  ['a field of another name', { a: undefined }, { b: undefined }],
  ['an element less', [1, 2], [1]],
  ['an object in place of an array', [], {}],
  ['null in place of an object', {}, null],
  ['an inherited field', {}, { constructor: Object }],
])('tells %s', (_, old, next) => {
  expect(share(old, next)).toBe(next)
})

test('takes errors and other objects with a class as the same only where they are identical', () => {
  const error = new Error('one')
  const one = { error, date: new Date(0) }
  expect(share(one, { error, date: one.date })).toBe(one)
  const next = { error: new Error('one'), date: new Date(1) }
  expect(share(one, next)).toEqual(next)
  expect(share(one, next).error).toBe(next.error)
})

test('takes `__proto__` as a field as any other', () => {
  const next = { input: JSON.parse('{"__proto__":{"x":1},"y":2}'), same: {} }
  const shared = share({ input: JSON.parse('{"__proto__":{"x":0},"y":2}'), same: {} }, next)
  expect(Object.keys(shared.input)).toEqual(['__proto__', 'y'])
  expect(Object.getPrototypeOf(shared.input)).toBe(Object.prototype)
  const known = { y: JSON.parse('{"__proto__":1}') }
  expect(share(known, { y: JSON.parse('{"__proto__":1}') })).toBe(known)
})

test('gives up on what is nested very deep', () => {
  const nested = () => {
    let value: unknown = 1
    for (let i = 0; i < 50_000; i++) value = [value]
    return value
  }
  const next = nested()
  expect(share(nested(), next) === next).toBe(true)
})
