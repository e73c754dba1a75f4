import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ModelOutput, ToolResultRecord } from '../../src/sessions/records.ts'
import { cut, limitOutput } from '../../src/tools/limit-output.ts'

const bytes = (text: string) => new TextEncoder().encode(text).length
const result = (modelOutput: ModelOutput, output: unknown = 'whole'): ToolResultRecord => ({
  toolCallId: 'c1',
  toolName: 'read',
  outcome: 'success',
  output,
  modelOutput,
})
const told = (modelOutput: ModelOutput, maxBytes: number) => limitOutput(result(modelOutput), maxBytes).modelOutput

describe('what the model is told of a result', () => {
  test('keeps head and tail, and says how much is missing', () => {
    const text = `${'a'.repeat(5000)}${'z'.repeat(5000)}`
    const value = cut(text, 1000)
    expect(value).toMatch(/^a+\n\[Cut: \d+ of 10000 bytes of this output are left out here\..*\]\nz+$/)
    expect(bytes(value)).toBeLessThanOrEqual(1000)
    const left = Number(/Cut: (\d+)/.exec(value)?.[1])
    expect(left).toBe(
      10_000 -
        (value
          .match(/[az]{2,}/g)
          ?.filter((run) => /^(a+|z+)$/.test(run))
          .join('').length ?? 0),
    )
  })

  test('is the same object where it fits, to the byte', () => {
    const output = result({ type: 'text', value: 'é'.repeat(50) })
    expect(limitOutput(output, 100)).toBe(output)
    expect(limitOutput(output, 99)).not.toBe(output)
  })

  test('is text where a JSON output was cut, an error where it was one', () => {
    const value = { rows: Array.from({ length: 500 }, (_, row) => ({ row })) }
    expect(told({ type: 'json', value }, 300)).toMatchObject({
      type: 'text',
      value: expect.stringMatching(/^\{"rows"/),
    })
    expect(told({ type: 'error-json', value }, 300)).toMatchObject({ type: 'error-text' })
    expect(told({ type: 'json', value }, 100_000)).toEqual({ type: 'json', value })
    expect(told({ type: 'error-text', value: 'no '.repeat(500) }, 300)).toMatchObject({
      type: 'error-text',
      value: expect.stringContaining('[Cut: '),
    })
  })

  test('shares the bytes among the texts of a content, and leaves its files whole', () => {
    const file = { type: 'file', mediaType: 'image/png', data: 'A'.repeat(5000) }
    const text = (letter: string) => ({ type: 'text', text: letter.repeat(400) })
    const output = told({ type: 'content', value: [text('a'), file, text('b'), text('c')] }, 600)
    if (output.type !== 'content') throw new Error('It is no content any more')
    expect(output.value[0]).toEqual(text('a'))
    expect(output.value[1]).toEqual(file)
    for (const part of output.value.slice(2)) expect(part).toMatchObject({ text: expect.stringContaining('[Cut: ') })
    const whole: ModelOutput = { type: 'content', value: [text('a'), file] }
    expect(told(whole, 600)).toBe(whole)
  })

  test('leaves what is shown to people, and what a provider wants back', () => {
    const given = {
      ...result({ type: 'text', value: 'x'.repeat(900), providerOptions: { p: { a: 1 } } }, 'shown'),
      providerMetadata: { p: { b: 2 } },
    }
    expect(limitOutput(given, 400)).toMatchObject({
      output: 'shown',
      providerMetadata: { p: { b: 2 } },
      modelOutput: { providerOptions: { p: { a: 1 } } },
    })
  })

  test('never exceeds the limit but for its note, and never parts a character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 0, maxLength: 600 }),
        fc.integer({ min: 1, max: 700 }),
        (text, max) => {
          const value = cut(text, max)
          if (bytes(text) <= max) return value === text
          const [note] = /\n\[Cut: .*\]\n/.exec(value) ?? ['']
          expect(note).not.toBe('')
          expect(bytes(value)).toBeLessThanOrEqual(Math.max(max, bytes(note)))
          const [head = '', tail = ''] = value.split(note)
          return text.startsWith(head) && text.endsWith(tail)
        },
      ),
    )
  })
})
