import { describe, expect, it } from 'vitest'
import { foldOf, isOf, partsOf, summaryPrompt } from '../../src/context/compact.ts'
import { estimateText } from '../../src/context/estimate-tokens.ts'
import { total } from '../../src/context/trim.ts'
import { toPrompt } from '../../src/model/prompt.ts'
import type { MessageRecord, SummaryRecord } from '../../src/sessions/records.ts'
import { problemsOf } from '../runtime/check-prompt.ts'
import { answers, asks, call, history, results, says, words } from './messages.ts'

const long = history(
  asks('the task'),
  answers(call('a')),
  results(['a'], words(100)),
  says(words(100)),
  asks('the question'),
  answers(call('b')),
  results(['b'], words(10)),
)
const summary = (before: number, covers = before): SummaryRecord => ({
  v: 1,
  n: 1,
  at: 0,
  text: 'They want a forecast.',
  before,
  covers,
})
const textOf = (prompt: ReturnType<typeof summaryPrompt>) => JSON.stringify(prompt)

describe('what is folded', () => {
  it('is all but the newest messages, cut where no call is parted from its result', () => {
    expect(foldOf(long, undefined, 60)).toMatchObject({ before: 4, covers: 4, messages: long.slice(0, 4) })
    // The last turn stays whole even where it is more.
    expect(foldOf(long, undefined, 1)).toMatchObject({ before: 5, covers: 5 })
  })

  it('is nothing where nothing is older', () => {
    expect(foldOf(long, undefined, 1_000)).toBeUndefined()
    expect(foldOf(long, summary(5), 1)).toBeUndefined()
  })

  it('goes on after the summary before, whose tokens go with it', () => {
    const fold = foldOf(long, summary(1), 60)
    expect(fold).toMatchObject({ before: 4, covers: 4, messages: long.slice(1, 4) })
    expect(fold?.tokens).toBeGreaterThan(total(long.slice(1, 4)))
  })

  it('does not count the last message of the user, which is told all the same', () => {
    expect(foldOf(long, undefined, 1)?.tokens).toBe(total(long.slice(0, 4)))
  })
})

describe('a history with a summary', () => {
  it('begins with the summary, and goes on with what came after it', () => {
    const { first, messages } = partsOf(long, summary(4))
    expect(JSON.stringify(first)).toContain('They want a forecast.')
    expect(messages).toEqual(long.slice(4))
    expect(problemsOf(toPrompt('Be brief.', [...first, ...messages]))).toEqual([])
  })

  it('tells the last message of the user in its own words, also where the summary has it', () => {
    const { first, messages } = partsOf(long, summary(5))
    expect(first.slice(1)).toEqual([long[4]])
    expect(messages).toEqual(long.slice(5))
    expect(problemsOf(toPrompt(undefined, [...first, ...messages]))).toEqual([])
  })

  it('is the same message each time, so that its tokens are counted once', () => {
    const one = summary(4)
    expect(partsOf(long, one).first[0]).toBe(partsOf(long, one).first[0])
  })
})

describe('a summary', () => {
  const hidden = (...indexes: readonly number[]): MessageRecord[] =>
    long.filter(({ index }) => !indexes.includes(index))

  it('counts while every message in it can be seen', () => {
    expect(isOf(long, summary(4))).toBe(true)
    expect(isOf(hidden(5, 6), summary(4))).toBe(true)
    expect(isOf(hidden(4, 5, 6), summary(4))).toBe(true)
  })

  it('does not once one of them was hidden', () => {
    expect(isOf(hidden(3, 4, 5, 6), summary(4))).toBe(false)
    expect(isOf(hidden(1, 2, 3), summary(4))).toBe(false)
    expect(isOf([], summary(4))).toBe(false)
  })

  it('that was made after messages were hidden counts without them', () => {
    expect(isOf(hidden(1, 2), summary(4, 2))).toBe(true)
    expect(isOf(hidden(1, 2, 3), summary(4, 2))).toBe(false)
  })
})

describe('the prompt of a summary', () => {
  it('holds what was said, called and found, as a text', () => {
    const prompt = summaryPrompt(
      history(asks('the task'), answers(call('a', { city: 'Ulm' })), results(['a'], 'sunny'), says('It is sunny.')),
      undefined,
      1_000,
    )
    expect(problemsOf(prompt)).toEqual([])
    expect(prompt.map(({ role }) => role)).toEqual(['system', 'user'])
    for (const part of ['the task', 'look', 'Ulm', 'sunny', 'It is sunny.']) expect(textOf(prompt)).toContain(part)
  })

  it('folds the summary before in', () => {
    expect(textOf(summaryPrompt(long, summary(4), 1_000))).toContain('They want a forecast.')
  })

  it('leaves out what was only thought, cuts long results, and names files', () => {
    const records = history(
      asks('the task'),
      answers(
        { type: 'reasoning', text: 'a secret thought' },
        { type: 'file', mediaType: 'image/png', url: 'data:image/png;base64,AAAA' },
      ),
      results(['a'], 'x'.repeat(10_000)),
    )
    const text = textOf(summaryPrompt(records, undefined, 10_000))
    expect(text).not.toContain('secret')
    expect(text).not.toContain('AAAA')
    expect(text).toContain('[file image/png]')
    expect(text.length).toBeLessThan(4_000)
  })

  it('is cut in the middle where it is too long itself', () => {
    const [, user] = summaryPrompt(
      history(asks('the task'), ...Array.from({ length: 50 }, () => says(words(100))), asks('the end')),
      undefined,
      500,
    )
    const text = JSON.stringify(user)
    expect(estimateText(text)).toBeLessThan(500)
    expect(text).toContain('the task')
    expect(text).toContain('[…]')
    expect(text).toContain('the end')
  })
})
