import fc from 'fast-check'
import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Message, RunHandle } from '../../src/api/public-types.ts'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { inIndexedDb, mortal } from './stores.ts'

// Whatever is sent, edited, given anew and stopped, with owners that die on the way: the model is asked what can be asked,
// the view shows what was not rewound, and the history has all that was ever said.

const any = z.object({})
const tools = {
  quick: tool({ inputSchema: any, execute: () => 'quick' }),
  broken: tool({ inputSchema: any, execute: () => Promise.reject(new Error('broken')) }),
  form: tool({ inputSchema: any, outputSchema: z.string() }),
}
const pieces = {
  text: reply.text('some words of text'),
  quick: reply.call('quick', {}),
  same: reply.call('quick', {}, { toolCallId: 'the same' }),
  broken: reply.call('broken', {}),
  form: reply.call('form', {}),
  length: reply.finish({ reason: 'length' }),
  drop: reply.drop('some'),
}

const step = fc.record({
  does: fc.oneof(
    { weight: 3, arbitrary: fc.constant('send' as const) },
    { weight: 3, arbitrary: fc.constantFrom('edit', 'regenerate', 'regenerate one', 'resume') },
  ),
  /** Which of the messages that are shown. */
  which: fc.nat(20),
  /** After how many events of its run it is stopped, if it is not over then, or its owner dies. */
  way: fc.constantFrom('to the end', 'to the end', 'stop', 'stop after the turn', 'abort', 'death'),
  moment: fc.nat(25),
})
const scenario = fc.record({
  steps: fc.array(step, { minLength: 2, maxLength: 8 }),
  turns: fc.array(
    fc.array(fc.constantFrom(...(Object.keys(pieces) as (keyof typeof pieces)[])), { minLength: 1, maxLength: 3 }),
    { minLength: 1, maxLength: 8 },
  ),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never
type Step = Scenario['steps'][number]

async function play({ steps, turns }: Scenario, store: Store) {
  const problems: string[] = []
  let turn = 0
  const model = scriptedModel(
    Array.from({ length: 500 }, () => ({ prompt }) => {
      problems.push(...problemsOf(prompt))
      return reply.all(...(turns[turn++ % turns.length] ?? ['text' as const]).map((piece) => pieces[piece]))
    }),
  )
  const agent = defineAgent({
    name: 'assistant',
    model,
    tools,
    resume: 'ask',
    limits: { maxTurns: 4 },
    doomLoop: false,
    retry: { attempts: 1 },
  })
  const open = () => {
    const access = mortal(store)
    const runtime = createRuntime(agent, { store: access })
    const session = runtime.session('trip')
    // Nobody fills the form in: what follows would wait behind it.
    session.on(
      'run-waiting',
      ({ runId }) =>
        void runtime.runs
          .get(runId)
          .stop()
          .catch(() => {}),
      { since: 0 },
    )
    return { access, runtime, session }
  }
  let tab = open()
  let last: RunHandle | undefined
  let known: readonly string[] = []

  /** Starts what the step says; nothing where there is nothing to do it with. */
  const begin = async ({ does, which }: Step): Promise<RunHandle | undefined> => {
    const { session, runtime } = tab
    const { messages } = await session.view.ready
    const some = (role: Message['role']) => {
      const those = messages.filter((message) => message.role === role)
      return those[which % Math.max(1, those.length)]?.id
    }
    const [user, answer] = [some('user'), some('assistant')]
    if (does === 'edit' && user !== undefined) return session.send('edited', { replaces: user }) as RunHandle
    if (does === 'regenerate' && user !== undefined) return session.regenerate() as RunHandle
    if (does === 'regenerate one' && answer !== undefined) return session.regenerate(answer) as RunHandle
    if (does === 'resume') return last && (runtime.runs.resume(last.runId) as RunHandle)
    return session.send('question') as RunHandle
  }

  for (const now of steps) {
    const run = await begin(now)
    if (!run) continue
    await follow(run, now, tab)
    last = run
    if (now.way === 'death') {
      tab = open()
      // What was only queued runs there by itself, and what was cut is asked about.
      const isAtRest = async () => {
        const { status, run, approvals } = await tab.session.view.ready
        return status !== 'submitted' && status !== 'streaming' && (run === undefined || approvals.length > 0)
      }
      await expect.poll(isAtRest, { interval: 1, timeout: 5000 }).toBe(true)
    }

    const all = await tab.session.history()
    const ids = all.map(({ id }) => id)
    expect(ids.slice(0, known.length), 'what was said stays, in its order').toEqual(known)
    expect(new Set(ids).size).toBe(ids.length)
    known = ids
    const { messages, hasOlder } = await tab.session.view.ready
    const seen = all.filter(({ metadata }) => !metadata.hidden).map(({ id }) => id)
    const shown = messages.map(({ id }) => id)
    const from = hasOlder ? seen.indexOf(shown[0] ?? '') : 0
    const kept = seen.slice(from)
    expect(shown.slice(0, kept.length)).toEqual(kept)
    // What an owner that died was writing is shown, and not stored yet.
    expect(shown.length - kept.length).toBeLessThanOrEqual(now.way === 'death' ? 1 : 0)
  }
  const end = tab.session.send('the last question') as RunHandle
  await follow(end, { does: 'send', which: 0, way: 'to the end', moment: 0 }, tab)
  expect(problems).toEqual([])
  const state = await store.readSession('trip', { messages: 0 })
  const told = record(tab.session, { since: 0 })
  await expect.poll(() => told.events.at(-1)?.seq, { interval: 1 }).toBe(state?.session.seq)
  expectOrder(told.events)
  await tab.runtime.close()
}

/** Resolves once the run is over, or its owner is dead. */
async function follow(run: RunHandle, { way, moment }: Step, { access }: { access: { die(): void } }) {
  const dead = new Promise<void>((resolve) => {
    let count = 0
    run.on('any', () => {
      if (count++ !== moment) return
      if (way === 'death') {
        access.die()
        resolve()
      } else if (way === 'abort') run.abort()
      else if (way === 'stop') run.stop().catch(() => {})
      else if (way === 'stop after the turn') run.stop({ after: 'turn' }).catch(() => {})
    })
  })
  const over = run.result.then(
    () => {},
    (error) => {
      // Runs fail and are aborted here; none may be refused.
      if (error.name !== 'AbortError')
        expect(['model-interrupted', 'not-resumable', 'unknown-run']).toContain(error.code)
    },
  )
  await Promise.race([over, dead])
}

test('prompts stay valid, the view shows what was not rewound, and the history is complete', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => play(given, memoryStore())),
    { numRuns: 100, timeout: 8000 },
  )
}, 120_000)

test('so it is in IndexedDB', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => inIndexedDb((store) => play(given, store))),
    { numRuns: 10, timeout: 8000 },
  )
}, 120_000)
