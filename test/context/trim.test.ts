import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { partsOf } from '../../src/context/compact.ts'
import { total, trim } from '../../src/context/trim.ts'
import { toPrompt } from '../../src/model/prompt.ts'
import type { MessageRecord } from '../../src/sessions/records.ts'
import { problemsOf } from '../runtime/check-prompt.ts'
import { answers, asks, call, gives, history, type Make, provided, results, says, words } from './messages.ts'

const trimmed = (records: readonly MessageRecord[], limit: number, keptFrom?: number) => {
  const { first, messages } = partsOf(records, undefined)
  return trim({ first, messages, tokens: total(records) }, { limit, keptFrom })
}
const indexesIn = ({ messages }: { readonly messages: readonly MessageRecord[] }) => messages.map(({ index }) => index)
/** Stands for the note that something was left out. */
const gap = -1

describe('trimming', () => {
  const long = history(
    asks('the task'),
    says(words(100)),
    asks('and more'),
    says(words(100)),
    asks('and now'),
    says(words(10)),
    asks('the question'),
  )

  it('leaves what fits as it is', () => {
    expect(trimmed(long, total(long))).toMatchObject({ messages: long, trimmedCount: 0 })
    expect(trimmed(long, Number.POSITIVE_INFINITY).messages).toHaveLength(7)
  })

  it('keeps the first message and the newest, and says that something stood between them', () => {
    expect(indexesIn(trimmed(long, 150))).toEqual([0, gap, 4, 5, 6])
    expect(JSON.stringify(trimmed(long, 150).messages[1])).toContain('left out')
  })

  it('keeps the last message of the user, also behind a long turn of the model', () => {
    const turns = Array.from({ length: 20 }, (_, n) => [answers(call(`c${n}`)), results([`c${n}`], words(50))]).flat()
    const records = history(asks('the task'), says('done'), asks('the question'), ...turns)
    const { messages, trimmedCount } = trimmed(records, 400)
    expect(messages[2]).toBe(records[2])
    expect(messages.at(-1)).toBe(records.at(-1))
    expect(trimmedCount).toBe(records.length - (messages.length - 1))
    expect(total(messages)).toBeLessThanOrEqual(400)
  })

  it('never parts a call from its result', () => {
    const turn = [answers(call('a'), call('b')), results(['a', 'b'], words(200))]
    const records = history(asks('the task'), says(words(50)), ...turn, asks('the question'))
    for (let limit = 1; limit < total(records); limit++) {
      const kept = indexesIn(trimmed(records, limit))
      expect(kept.includes(2), `limit ${limit}: ${kept}`).toBe(kept.includes(3))
    }
  })

  it('never parts the call of a provider from the result that came with a later answer', () => {
    const records = history(
      asks('the task'),
      says(words(50)),
      answers(provided('p')),
      answers({ type: 'text', text: words(50) }),
      answers(gives('p')),
      asks('the question'),
    )
    for (let limit = 1; limit < total(records); limit++) {
      const kept = indexesIn(trimmed(records, limit))
      expect(kept.includes(2), `limit ${limit}: ${kept}`).toBe(kept.includes(4))
    }
  })

  it('leaves the same messages out in the next turns, so that a provider finds its prefix again', () => {
    const { keptFrom } = trimmed(long, 150)
    const next = [...long, ...history(says('short'), asks('go on')).map((m, i) => ({ ...m, index: 7 + i }))]
    const again = trimmed(next, 150, keptFrom)
    expect(again.keptFrom).toBe(keptFrom)
    expect(indexesIn(again).slice(0, -2)).toEqual(indexesIn(trimmed(long, 150)))
  })

  it('tells what must be told even where it does not fit', () => {
    expect(indexesIn(trimmed(history(asks(words(100))), 1))).toEqual([0])
    expect(indexesIn(trimmed(long, 1))).toEqual([0, gap, 6])
  })
})

/** A history as runs leave it: each question is answered by turns, some with calls, some of them the provider's. */
const turn = fc.record({
  calls: fc.nat(3),
  text: fc.nat(40),
  size: fc.nat(60),
  provider: fc.constantFrom('none', 'at once', 'later'),
})
const run = fc.record({ question: fc.integer({ min: 1, max: 60 }), turns: fc.array(turn, { maxLength: 4 }) })

function made(runs: readonly (typeof run extends fc.Arbitrary<infer R> ? R : never)[]): MessageRecord[] {
  let id = 0
  const messages = runs.flatMap(({ question, turns }, r) => {
    const list: Make[] = [asks(`${r}: ${words(question)}`)]
    for (const { calls, text, size, provider } of turns) {
      const ids = Array.from({ length: calls }, () => `c${id++}`)
      const own = provider === 'none' ? [] : [provided(`p${id++}`)]
      const given = provider === 'none' ? [] : [gives(own[0]?.toolCallId ?? '', words(size))]
      const said = { type: 'text' as const, text: words(text + 1) }
      list.push(answers(said, ...own, ...(provider === 'at once' ? given : []), ...ids.map((name) => call(name))))
      if (calls > 0) list.push(results(ids, words(size)))
      if (provider === 'later') list.push(answers(said, ...given))
    }
    return list
  })
  return history(...messages, asks('the last question'))
}

test('whatever was said, what is left is a valid prompt with the last question, and fits where anything can', () => {
  fc.assert(
    fc.property(fc.array(run, { maxLength: 6 }), fc.nat(600), (runs, limit) => {
      const records = made(runs)
      const { messages, trimmedCount } = trimmed(records, limit)
      const prompt = toPrompt('Be brief.', messages)
      // A deferred result is right where it is; the rules that are checked here want it beside its call.
      expect(problemsOf(prompt).filter((problem) => !problem.includes('results'))).toEqual([])
      expect(messages.at(-1)).toBe(records.at(-1))
      expect(messages[0]).toBe(records[0])
      const owed = messages.flatMap((m) => (m.role === 'assistant' ? m.parts : []))
      for (const part of owed) {
        if (part.type !== 'tool-result') continue
        expect(owed.some((other) => other.type === 'tool-call' && other.toolCallId === part.toolCallId)).toBe(true)
      }
      const least = trimmed(records, 0).messages
      expect(total(messages)).toBeLessThanOrEqual(Math.max(limit, total(least)))
      expect(trimmedCount).toBe(records.length - messages.filter(({ index }) => index >= 0).length)
    }),
    { numRuns: 1_000 },
  )
})
