import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { manualClock } from './clock.ts'
import { manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { drafted, mortal } from './stores.ts'

const hour = 3_600_000

/** What the browser tells the page. */
const say = (word: 'online' | 'offline') => globalThis.dispatchEvent(new Event(word))

type Options = Partial<Pick<AgentDefinition, 'limits' | 'onLimit'>>

function start(store: Store, clock: ReturnType<typeof manualClock>, options: Options = {}) {
  const model = manualModel()
  const work = tool({ inputSchema: z.object({}), execute: () => 'worked' })
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const { now, sleep } = clock
  const agent = defineAgent({ name: 'assistant', model, tools: { work, form }, ...options })
  const runtime = createRuntime(agent, { store, now, sleep })
  onTestFinished(() => runtime.close())
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

beforeEach(() => {
  onTestFinished(() => void say('online'))
})

/** Ways in which a run waits for an hour and more, and then goes on: its model is asked. */
const waits: readonly (readonly [
  string,
  Options,
  (first: ReturnType<typeof start>, later: () => void) => Promise<string>,
])[] = [
  [
    'for a budget',
    { limits: { maxTurns: 1 }, onLimit: 'ask' },
    async ({ session, model, heard, runtime }, later) => {
      const { runId } = session.send('Go')
      const call = await model.next()
      call.toolCall('work', {}, 'c1')
      call.finish('tool-calls')
      const { approval } = await heard.when('approval-requested')
      await heard.when('run-waiting')
      later()
      await answer<'budget'>(runtime, approval, { decision: 'extend', by: 5 })
      return runId
    },
  ],
  [
    'for an input',
    {},
    async ({ session, model, heard }, later) => {
      const run = session.open({ input: 'first' })
      ;(await model.next()).finish()
      await heard.when('run-waiting')
      later()
      await run.steer('second')
      return run.runId
    },
  ],
  [
    'for the network',
    {},
    async ({ session, model, heard }, later) => {
      say('offline')
      const { runId } = session.send('Go')
      ;(await model.next()).fail(new TypeError('Failed to fetch'))
      await heard.when('run-waiting')
      later()
      say('online')
      return runId
    },
  ],
  [
    'for a result',
    {},
    async ({ session, model, heard }, later) => {
      const { runId } = session.send('Go')
      const call = await model.next()
      call.toolCall('form', {}, 'c1')
      call.finish('tool-calls')
      await heard.when('run-waiting')
      later()
      await session.addToolOutput({ tool: 'form', toolCallId: 'c1', output: 'yes' } as never)
      return runId
    },
  ],
]

describe.each(waits)('a run that waited %s', (_, options, wait) => {
  test('and died in the answer after that goes on by itself, in the next runtime and in another tab', async () => {
    for (const another of [false, true]) {
      const store = memoryStore()
      const clock = manualClock()
      const alive = mortal(store)
      const first = start(alive, clock, options)
      const open = () => start(another ? mortal(store) : store, clock, options)
      const there = another ? open() : undefined
      await there?.runtime.sessions.list()
      const runId = await wait(first, () => clock.advance(2 * hour))
      const call = await first.model.next()
      call.text('Half of ')
      await expect.poll(() => drafted(store)).toBe(1)
      alive.die()
      const second = there ?? open()
      await second.runtime.sessions.list()
      const again = await second.model.next()
      again.text('Whole')
      again.finish()
      await expect.poll(async () => (await store.readRun(runId))?.status).toMatch(/completed|waiting/)
      const all = record(second.session, { since: 0 })
      await expect.poll(() => all.kinds().at(-1)).toMatch(/run-completed|run-waiting|checkpoint-saved/)
      expect(all.of('run-started')).toMatchObject([{ runId }, { runId, resumed: true }])
      expect(all.of('approval-requested').filter(({ approval }) => approval.reason === 'interrupted')).toEqual([])
      expectOrder(all.events)
    }
  })

  test('is running again as the store has it, once its model is asked', async () => {
    const store = memoryStore()
    const clock = manualClock()
    const first = start(store, clock, options)
    const runId = await wait(first, () => clock.advance(2 * hour))
    await first.model.next()
    expect(await store.readRun(runId)).toMatchObject({ status: 'running' })
    expect((await store.readRun(runId))?.waitingFor).toBeUndefined()
  })
})
