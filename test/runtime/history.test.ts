import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import fc from 'fast-check'
import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { isEnd } from '../../src/events/kinds.ts'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { inIndexedDb, mortal } from './stores.ts'

const meta = { acme: { signature: 'secret' } }
const later = <T>(value: T) => new Promise<T>((resolve) => setTimeout(() => resolve(value)))
const n = z.object({ n: z.number() })

const tools = {
  echo: tool({ inputSchema: n, execute: ({ n }) => n }),
  slow: tool({ inputSchema: n, execute: ({ n }) => later(n) }),
  alone: tool({ inputSchema: n, serial: true, execute: ({ n }) => later(n) }),
  broken: tool({ inputSchema: n, execute: () => Promise.reject(new Error('broken')) }),
  deaf: tool({ inputSchema: n, timeout: 5, execute: () => new Promise<number>(() => {}) }),
  form: tool({ inputSchema: n, outputSchema: z.number() }),
}

/** What a turn of the model is made of. */
const pieces = {
  text: reply.text('some words of text'),
  reasoning: reply.reasoning('some words of thought'),
  signed: reply.parts([
    { type: 'reasoning-start', id: 'signed', providerMetadata: meta },
    { type: 'reasoning-delta', id: 'signed', delta: 'thought' },
    { type: 'reasoning-end', id: 'signed', providerMetadata: meta },
    { type: 'source', sourceType: 'url', id: 's', url: 'https://example.org/' },
  ]),
  provider: reply.parts([
    {
      type: 'tool-call',
      toolCallId: 'provider',
      toolName: 'web_search',
      input: '{}',
      providerExecuted: true,
      dynamic: true,
    },
    { type: 'tool-result', toolCallId: 'provider', toolName: 'web_search', result: { found: 1 } },
  ]),
  echo: reply.call('echo', { n: 1 }),
  slow: reply.call('slow', { n: 2 }),
  alone: reply.call('alone', { n: 3 }),
  broken: reply.call('broken', { n: 4 }),
  deaf: reply.call('deaf', { n: 5 }),
  form: reply.call('form', { n: 6 }),
  invalid: reply.call('echo', { n: 'x' }),
  noJson: reply.call('echo', '{"n": '),
  unknown: reply.call('nothing', {}),
  twice: reply.call('echo', { n: 1 }, { toolCallId: 'the same' }),
}
type Piece = keyof typeof pieces

const ways = ['abort', 'dispose', 'stop', 'stop after the turn', 'model fails', 'death'] as const
const scenario = fc.record({
  turns: fc.array(fc.array(fc.constantFrom(...(Object.keys(pieces) as Piece[])), { minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 3,
  }),
  way: fc.constantFrom(...ways),
  moment: fc.nat(70),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never

async function play({ turns, way, moment }: Scenario, store: Store) {
  const prompts: LanguageModelV4Prompt[] = []
  let turn = 0
  const model = scriptedModel(
    Array.from({ length: 20 }, () => ({ prompt }) => {
      prompts.push(prompt)
      if (JSON.stringify(prompt.at(-1)).includes('next question')) return reply.text('fresh')
      const asked = turns[turn++]
      if (!asked) return reply.text('done')
      const whole = asked.map((piece) => pieces[piece])
      return way === 'model fails' && turn === turns.length
        ? reply.all(...whole, reply.drop('and'))
        : reply.all(...whole)
    }),
  )
  const agent = defineAgent({ name: 'assistant', model, tools, retry: { attempts: 1 } })
  const alive = mortal(store)
  const first = createRuntime(agent, { store: alive })
  const session = first.session('trip')
  const heard = record(session)
  const run = session.send('question')
  const ended = new Promise<void>((resolve) => {
    let count = 0
    session.on('any', ({ kind }) => {
      if (kind !== 'run-waiting' && count++ !== moment) return
      if (way === 'death') {
        alive.die()
        resolve()
      } else if (way === 'stop' || kind === 'run-waiting') run.stop().catch(() => {})
      else if (way === 'stop after the turn') run.stop({ after: 'turn' }).catch(() => {})
      else if (way === 'abort') run.abort()
      else if (way === 'dispose') run[Symbol.dispose]()
    })
    run.result.catch(() => {}).then(() => resolve())
  })
  await ended
  if (way !== 'death') expectOrder(heard.events)

  const second = createRuntime(agent, { store: mortal(store) })
  const again = second.session('trip')
  // A run that waited outlives its runtime, and an input that was only written is run first.
  again.on('run-waiting', ({ runId }) => void second.runs.get(runId).stop(), { since: 0 })
  const output = await again.send('next question').result
  expect(output).toMatchObject({ status: 'completed', text: 'fresh' })
  expect(prompts.flatMap(problemsOf)).toEqual([])

  const stored = record(again, { since: 0 })
  await stored.when('run-completed', ({ runId }) => runId === output.runId)
  expectStored(stored.events)
  for (const { parts, metadata } of stored.of('assistant-message-committed').map(({ message }) => message)) {
    if (metadata.status === 'partial') expect(parts.filter(({ type }) => /tool/.test(type))).toEqual([])
  }
  // What was cut is not sent back with metadata that belongs to a whole item.
  for (const message of prompts.at(-1) ?? []) {
    if (message.role !== 'assistant') continue
    const whole =
      JSON.stringify(message.content).includes('"reasoning"') ||
      message.content.some((part) => part.type === 'tool-call')
    if (!whole) expect(JSON.stringify(message)).not.toContain('secret')
  }
  if (way !== 'death') await first.close()
  await second.close()
}

/** Seen from the store: one end per run, calls balanced, no gap. */
function expectStored(events: readonly AnyEvent[]) {
  expectOrder(events)
  const runs = new Set(events.map(({ runId }) => runId))
  for (const runId of runs) {
    const own = events.filter((event) => event.runId === runId)
    expect(own[0]?.kind).toBe('run-started')
    expect(own.filter(({ kind }) => isEnd(kind)).map(({ kind }) => kind)).toHaveLength(1)
  }
}

test('the history is a valid prompt after every kind of end, at every moment', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => play(given, memoryStore())),
    { numRuns: 300, timeout: 5000 },
  )
}, 60_000)

test('so it is in IndexedDB', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => inIndexedDb((store) => play(given, store))),
    { numRuns: 30, timeout: 5000 },
  )
}, 60_000)
