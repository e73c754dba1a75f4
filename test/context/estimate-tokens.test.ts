import { describe, expect, it, test } from 'vitest'
import { estimateJson, estimateMessage, estimateText } from '../../src/context/estimate-tokens.ts'
import type { MessageRecord, PartRecord } from '../../src/sessions/records.ts'

const base = { v: 1, id: 'm', index: 0, runId: 'run', turn: 1, agent: 'assistant', at: 0 } as const
const user = (text: string): MessageRecord => ({ ...base, role: 'user', parts: [{ type: 'text', text }] })
const answer = (parts: readonly PartRecord[], status: 'done' | 'partial' = 'done'): MessageRecord => ({
  ...base,
  role: 'assistant',
  parts,
  status,
})
const file = (mediaType: string, characters: number) =>
  estimateMessage(answer([{ type: 'file', mediaType, url: `data:${mediaType};base64,${'A'.repeat(characters)}` }]))

/** What `o200k_base`, the tokenizer of the GPT-4o and GPT-5 families, counts. */
const known: readonly (readonly [what: string, text: string, tokens: number])[] = [
  [
    'prose',
    'The quick brown fox jumps over the lazy dog. It was a bright cold day in April, and the clocks were striking thirteen.',
    26,
  ],
  ['code', 'export const add = (first: number, second: number): number => {\n  return first + second\n}\n', 23],
  ['JSON', '{"city":"Ulm","days":3,"units":"metric","coords":[48.4011,9.9876],"note":"please be quick"}', 32],
  ['a table', '| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n', 24],
  ['an id', '123e4567-e89b-12d3-a456-426614174000', 18],
  [
    'Chinese',
    '机器学习是人工智能的一个分支。它使用算法来解析数据，从中学习，然后对真实世界中的事件做出决策和预测。',
    32,
  ],
  ['Japanese', '機械学習は人工知能の一分野です。今日は天気がいいので、公園へ散歩に行きましょう。', 31],
  ['Korean', '기계 학습은 인공지능의 한 분야입니다. 오늘은 날씨가 좋아서 공원에 산책하러 갑시다.', 31],
  ['emoji', '😀🎉🚀 great job 🇩🇪', 11],
]

describe('the estimate of a text', () => {
  it.each(known)('is near what a tokenizer counts: %s', (_, text, tokens) => {
    expect(estimateText(text) / tokens).toBeGreaterThan(0.75)
    expect(estimateText(text) / tokens).toBeLessThan(1.4)
  })

  it('is nearer than characters divided by four, by far, for what is no prose', () => {
    for (const [what, text, tokens] of known.slice(2))
      expect(Math.abs(estimateText(text) - tokens), what).toBeLessThan(Math.abs(text.length / 4 - tokens))
  })

  it('is 0 for none', () => expect(estimateText('')).toBe(0))
})

describe('the estimate of a message', () => {
  it('counts what the model is told of it, and what a provider adds', () => {
    const text = 'Four words of text'
    expect(estimateMessage(user(text))).toBe(estimateText(text) + 4)
    const input = { city: 'Ulm' }
    const call = answer([
      { type: 'reasoning', text },
      { type: 'tool-call', toolCallId: 'c', toolName: 'forecast', input },
    ])
    expect(estimateMessage(call)).toBe(4 + estimateText(text) + 8 + estimateText('forecast') + estimateJson(input))
  })

  it('counts what the model is told of a result, not what the UI shows', () => {
    const modelOutput = { type: 'text', value: 'sunny' } as const
    const result = { toolCallId: 'c', toolName: 'forecast', outcome: 'success', output: 'x'.repeat(9999), modelOutput }
    const record: MessageRecord = { ...base, role: 'tool', results: [result as never] }
    expect(estimateMessage(record)).toBe(4 + 8 + 1)
  })

  it('counts of an answer that was cut only its text', () => {
    const parts: PartRecord[] = [
      { type: 'text', text: 'half' },
      { type: 'reasoning', text: 'a thought that is not sent back' },
    ]
    expect(estimateMessage(answer(parts, 'partial'))).toBe(4 + 1)
  })

  it('counts an image by itself, however large its data are', () => {
    expect(file('image/png', 10)).toBe(file('image/png', 1_000_000))
    expect(file('image/png', 10)).toBeGreaterThan(500)
  })

  it('counts other files by their size', () => {
    expect(file('application/pdf', 400_000)).toBe(10_000 + 4 + 1)
    expect(file('text/plain', 16_000)).toBeGreaterThan(2_900)
    expect(file('text/plain', 16_000)).toBeLessThan(3_100)
  })

  it('counts the files of a result', () => {
    const image = { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'A'.repeat(100_000) } }
    const modelOutput = { type: 'content', value: [{ type: 'text', text: 'one' }, image] } as const
    const result = { toolCallId: 'c', toolName: 'shot', outcome: 'success', modelOutput } as const
    expect(estimateMessage({ ...base, role: 'tool', results: [result] })).toBe(4 + 8 + 1 + 1_000)
  })

  it('survives an input that is no JSON', () => {
    const loop: Record<string, unknown> = {}
    loop.loop = loop
    for (const input of [loop, 10n, undefined])
      expect(estimateMessage(answer([{ type: 'tool-call', toolCallId: 'c', toolName: 'f', input }]))).toBe(4 + 8 + 1)
  })
})

test('a record is counted once', () => {
  let read = 0
  const record = {
    ...base,
    role: 'user',
    get parts(): readonly PartRecord[] {
      read++
      return [{ type: 'text', text: 'a question' }]
    },
  } as MessageRecord
  expect(estimateMessage(record)).toBe(estimateMessage(record))
  expect(read).toBe(1)
})
