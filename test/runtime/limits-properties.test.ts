import fc from 'fast-check'
import { createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Limits } from '../../src/sessions/records.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { expectLimits, expectUsage } from './control/checks.ts'
import { answer, expectOrder, record } from './record.ts'

const prices = { 'scripted-model': { input: 1000, cachedInput: 100, output: 5000 } }

const turn = fc.record({
  calls: fc.integer({ min: 0, max: 4 }),
  input: fc.integer({ min: 0, max: 40 }),
  output: fc.integer({ min: 0, max: 40 }),
  end: fc.constantFrom('reported', 'reported', 'reported', 'dropped', 'refused'),
})
type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never

const optional = (max: number) => fc.option(fc.integer({ min: 1, max }), { nil: undefined })
const limits: fc.Arbitrary<Limits> = fc
  .record({
    maxTurns: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    maxToolCalls: optional(6),
    maxTokens: optional(150),
    maxCost: fc.option(fc.double({ min: 0.01, max: 0.4, noNaN: true }), { nil: undefined }),
  })
  .map((given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)))

function replyOf({ calls, input, output, end }: Turn): Reply {
  if (end === 'refused') return reply.fail(400)
  const pieces = [reply.text('some words'), ...Array.from({ length: calls }, () => reply.call('work', {}))]
  if (end === 'dropped') return reply.all(...pieces, reply.drop('more'))
  return reply.all(...pieces, reply.finish({ usage: { inputTokens: input, outputTokens: output } }))
}

/** Plays the turns over and over in two sessions: whatever they are, the limits end each run. */
async function play(turns: readonly Turn[], own: Limits, narrower: Limits, extends_: number) {
  const store = memoryStore()
  const clock = manualClock()
  const model = scriptedModel(Array.from({ length: 200 }, (_, n) => replyOf(turns[n % turns.length] as Turn)))
  const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
  const agent = defineAgent({
    name: 'assistant',
    model,
    tools: { work },
    prices,
    limits: { maxTurns: 12, ...own },
    onLimit: extends_ > 0 ? 'ask' : 'stop',
    doomLoop: false,
    retry: { attempts: 1 },
  })
  const runtime = createRuntime(agent, { store, now: clock.now, sleep: clock.sleep })
  let left = extends_
  runtime.on('approval-requested', ({ approval }) => {
    if (approval.reason !== 'budget') return
    const decision = left-- > 0 ? { decision: 'extend' as const, by: approval.cap } : { decision: 'stop' as const }
    return answer<'budget'>(runtime, approval, decision)
  })
  let tokens = 0
  let cost = 0
  for (const id of ['a', 'b']) {
    const session = runtime.session(id)
    const heard = record(session)
    for (const asked of [own, narrower]) {
      const run = session.send('Go', { limits: asked })
      await run.result.catch(() => {})
      const caps = Object.fromEntries(
        Object.entries({ maxTurns: 12, ...own }).map(([name, cap]) => [
          name,
          Math.min(cap, asked[name as keyof Limits] ?? cap),
        ]),
      )
      expectLimits(heard.events, { ...asked, ...caps }, run.runId)
    }
    expectOrder(heard.events)
    const used = expectUsage(heard.events, await session.view.ready)
    tokens += used.usage.inputTokens + used.usage.outputTokens
    cost += used.cost
  }
  for (const { prompt } of model.calls) expect(problemsOf(prompt)).toEqual([])
  const spend = await store.readSpend('2026-01-15')
  expect((spend?.usage.inputTokens ?? 0) + (spend?.usage.outputTokens ?? 0)).toBe(tokens)
  expect(spend?.cost ?? 0).toBeCloseTo(cost, 6)
}

test('no limit is exceeded by more than the call in flight, and what is used adds up, whatever a model does', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(turn, { minLength: 1, maxLength: 6 }),
      limits,
      limits,
      fc.integer({ min: 0, max: 2 }),
      play,
    ),
    { numRuns: 40 },
  )
}, 60_000)
