import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MessageRecord, PartRecord, ToolCallPart } from '../../src/sessions/records.ts'
import { type Deed, deedsOf, describeLoop, loopAt } from '../../src/tools/doom-loop.ts'

const options = { repetitions: 3, longestCycle: 4 }
let ids = 0
const call = (toolName: string, input: unknown = {}): Deed => {
  const id = `call-${++ids}`
  return { id, call: { type: 'tool-call', toolCallId: id, toolName, input } }
}
const silence = (): Deed => ({ id: `answer-${++ids}` })
const calls = (names: string) => [...names].map((name) => call(name))

describe('a loop', () => {
  test('is three calls in a row that are the same', () => {
    expect(loopAt(calls('aa'), options)).toBeUndefined()
    expect(loopAt(calls('baaa'), options)).toMatchObject({ repetitions: 3, cycle: [{ call: { toolName: 'a' } }] })
    expect(loopAt(calls('aaaaa'), options)).toMatchObject({ repetitions: 5 })
    expect(loopAt(calls('aaab'), options)).toBeUndefined()
  })

  test('is a cycle of two to four calls, three times over', () => {
    for (const cycle of ['ab', 'abc', 'abcd', 'aab']) {
      expect(loopAt(calls(`x${cycle.repeat(3)}`), options)).toMatchObject({
        repetitions: 3,
        cycle: [...cycle].map((toolName) => ({ call: { toolName } })),
      })
      expect(loopAt(calls(`${cycle.repeat(2)}${cycle.slice(0, -1)}`), options)).toBeUndefined()
    }
    expect(loopAt(calls('abcde'.repeat(3)), options)).toBeUndefined()
  })

  test('knows other thresholds', () => {
    expect(loopAt(calls('aa'), { repetitions: 2, longestCycle: 1 })).toMatchObject({ repetitions: 2 })
    expect(loopAt(calls('abab'), { repetitions: 2, longestCycle: 1 })).toBeUndefined()
    expect(loopAt(calls('abcdeabcde'), { repetitions: 2, longestCycle: 5 })).toMatchObject({ repetitions: 2 })
  })

  test('does not look at the order of keys, at any depth', () => {
    const inputs = [
      { a: [1, { x: 1, y: null }], b: 'two' },
      { b: 'two', a: [1, { y: null, x: 1 }] },
      { a: [1, { y: null, x: 1 }], b: 'two' },
    ]
    expect(
      loopAt(
        inputs.map((input) => call('a', input)),
        options,
      ),
    ).toMatchObject({ repetitions: 3 })
  })

  test.each([
    ['values', { a: 1 }, { a: 2 }],
    ['keys', { a: 1 }, { b: 1 }],
    ['more keys', { a: 1 }, { a: 1, b: 1 }],
    ['order in a list', [1, 2], [2, 1]],
    ['a list for an object', [1], { 0: 1 }],
    ['a number for a text', { a: 1 }, { a: '1' }],
    ['null for an object', { a: null }, { a: {} }],
    ['an inherited key', JSON.parse('{"toString":null}'), { a: null }],
    ['a key that is a prototype elsewhere', JSON.parse('{"__proto__":{"a":1}}'), { a: 1 }],
  ])('does not take inputs for the same that differ in %s', (_, one, other) => {
    expect(loopAt([call('a', one), call('a', other), call('a', one)], options)).toBeUndefined()
    expect(loopAt([call('a', one), call('a', one), call('a', one)], options)).toBeDefined()
  })

  test('is compared to a bounded depth: what is deeper counts as different', () => {
    const nested = (levels: number) => {
      let input: unknown = 1
      for (let level = 0; level < levels; level++) input = [input]
      return input
    }
    const thrice = (levels: number) =>
      loopAt(
        [0, 1, 2].map(() => call('a', nested(levels))),
        options,
      )
    expect(thrice(400)).toBeDefined()
    expect(thrice(100_000)).toBeUndefined()
  })

  test('is silence, too, alone and among calls', () => {
    expect(loopAt([silence(), silence(), silence()], options)).toMatchObject({ repetitions: 3, cycle: [{}] })
    expect(
      loopAt(
        [0, 1, 2].flatMap(() => [call('a'), silence()]),
        options,
      ),
    ).toMatchObject({ repetitions: 3 })
    expect(loopAt([call('a'), silence(), call('a')], options)).toBeUndefined()
  })

  test('is described in a sentence, whatever a model calls a tool', () => {
    const said = (deeds: readonly Deed[]) => describeLoop(loopAt(deeds, options) as never)
    expect(said(calls('aaa'))).toBe('The model called “a” 3 times in a row with the same input.')
    expect(said(calls('abababab'))).toBe('The model went 4 times through the same 2 steps: “a”, “b”.')
    expect(said([silence(), silence(), silence()])).toBe('The model neither spoke nor called a tool, 3 times in a row.')
    const long = 'x'.repeat(10_000)
    expect(said([call(long), call(long), call(long)]).length).toBeLessThan(200)
  })

  test('is what a naive look at the fingerprints finds', () => {
    const deeds = fc.array(
      fc.oneof(
        fc.constant(undefined),
        fc.record({
          toolName: fc.constantFrom('a', 'b'),
          input: fc.constantFrom({ x: 1, y: 2 }, { y: 2, x: 1 }, { x: 1 }, [], 'text'),
        }),
      ),
      { maxLength: 24 },
    )
    const found = { loops: 0, none: 0 }
    fc.assert(
      fc.property(
        fc.oneof(
          deeds,
          fc
            .tuple(deeds, fc.array(deeds, { maxLength: 1 }), fc.integer({ min: 1, max: 5 }))
            .map(([head, tail, n]) => [
              ...head.slice(0, 3),
              ...Array.from({ length: n }, () => tail.flat().slice(0, 5)).flat(),
            ]),
        ),
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 5 }),
        (plan, repetitions, longestCycle) => {
          const made = plan.map((given) => (given ? call(given.toolName, given.input) : silence()))
          const loop = loopAt(made, { repetitions, longestCycle })
          const expected = naive(made.map(fingerprint), repetitions, longestCycle)
          expect(loop && { length: loop.cycle.length, repetitions: loop.repetitions }).toEqual(expected)
          found[loop ? 'loops' : 'none']++
        },
      ),
      { numRuns: 2000 },
    )
    expect(found.loops).toBeGreaterThan(100)
    expect(found.none).toBeGreaterThan(100)
  })
})

const fingerprint = ({ call }: Deed) => (call ? `${call.toolName} ${JSON.stringify(sorted(call.input))}` : 'silence')

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, item]) => [key, sorted(item)]),
        )
      : value

/** Whether the end of the list is one cycle, so often over; tried out for every length and number. */
function naive(prints: readonly string[], repetitions: number, longestCycle: number) {
  for (let length = 1; length <= longestCycle; length++) {
    let times = 0
    for (let n = 1; n * length <= prints.length; n++) {
      const end = prints.slice(-n * length)
      if (end.every((print, at) => print === end[at % length])) times = n
    }
    if (times >= repetitions) return { length, repetitions: times }
  }
  return undefined
}

describe('what a model did', () => {
  const base = { v: 1 as const, runId: 'run', turn: 1, agent: 'assistant', at: 0 }
  const history = (...messages: (readonly PartRecord[] | 'user' | 'results' | 'partial')[]) =>
    messages.map((message, index): MessageRecord => {
      const id = `message-${index}`
      if (message === 'user') return { ...base, id, index, role: 'user', parts: [] }
      if (message === 'results') return { ...base, id, index, role: 'tool', results: [] }
      if (message === 'partial') return { ...base, id, index, role: 'assistant', status: 'partial', parts: [] }
      return { ...base, id, index, role: 'assistant', status: 'done', parts: message }
    })
  const part = (toolCallId: string, more: Partial<ToolCallPart> = {}): ToolCallPart => ({
    type: 'tool-call',
    toolCallId,
    toolName: 'a',
    input: {},
    ...more,
  })
  const text = (text: string): PartRecord => ({ type: 'text', text })
  const idsOf = (deeds: readonly Deed[]) => deeds.map(({ id }) => id)
  const none = () => false

  test('counts from the last thing that somebody said', () => {
    const told = history('user', [part('1')], 'results', 'user', [part('2'), part('3')], 'results', [part('4')])
    expect(idsOf(deedsOf(told, none))).toEqual(['2', '3', '4'])
    expect(idsOf(deedsOf(history([part('1')]), none))).toEqual(['1'])
  })

  test('counts from after a call that a person let start', () => {
    const told = history('user', [part('1'), part('2'), part('3')], 'results', [part('4')])
    expect(idsOf(deedsOf(told, none, '2'))).toEqual(['3', '4'])
    expect(idsOf(deedsOf(told, none, '4'))).toEqual([])
    expect(idsOf(deedsOf(told, none, 'unknown'))).toEqual(['1', '2', '3', '4'])
  })

  test('leaves out repeatable tools, calls that the provider carries out, and answers that were cut', () => {
    const told = history(
      'user',
      [part('1', { toolName: 'poll' }), part('2'), part('3', { providerExecuted: true })],
      'partial',
      [part('4', { invalid: 'no such tool' })],
    )
    expect(idsOf(deedsOf(told, ({ toolName }) => toolName === 'poll'))).toEqual(['2', '4'])
    expect(idsOf(deedsOf(told, ({ toolName }) => toolName === 'poll', '1'))).toEqual(['2', '4'])
  })

  test('counts an answer that neither speaks nor calls', () => {
    const reasoning: PartRecord = { type: 'reasoning', text: 'Hm' }
    const told = history(
      'user',
      [],
      [text(' \n')],
      [reasoning],
      [text('Hi')],
      [reasoning, part('1')],
      [part('2', { providerExecuted: true })],
    )
    expect(idsOf(deedsOf(told, none))).toEqual(['message-1', 'message-2', 'message-3', '1'])
  })
})
