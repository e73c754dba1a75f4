import { expect, test } from 'vitest'
import { provideDisposal } from '../../src/disposable.ts'

test('where the browser lacks the symbols of disposal, they are those that a bundler looks up for `using`', () => {
  const symbols: { dispose?: symbol; asyncDispose?: symbol } = {}
  provideDisposal(symbols)
  expect(symbols.dispose).toBe(Symbol.for('Symbol.dispose'))
  expect(symbols.asyncDispose).toBe(Symbol.for('Symbol.asyncDispose'))
})

test("the browser's own symbols stay as they are", () => {
  const own = { dispose: Symbol('own'), asyncDispose: Symbol('own too') }
  const before = { ...own }
  provideDisposal(own)
  expect(own).toEqual(before)
  provideDisposal(Symbol)
  expect(typeof Symbol.dispose).toBe('symbol')
})
