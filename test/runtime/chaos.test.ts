import fc from 'fast-check'
import { createRuntime, defineAgent, memoryStore, type RunHandle, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type AnyEvent, isDurable, isEnd } from '../../src/events/kinds.ts'
import { macrotask } from '../../src/events/macrotask.ts'
import type { InboxItem } from '../../src/sessions/records.ts'
import { problemsOf } from './check-prompt.ts'
import { expectOrder, record } from './record.ts'
import { inIndexedDb, mortal } from './stores.ts'

const later = async <T>(value: T) => {
  await macrotask()
  return value
}
const any = z.object({})
const soon = { interval: 1, timeout: 3000 }
const tools = {
  quick: tool({ inputSchema: any, execute: () => 'quick' }),
  slow: tool({ inputSchema: any, execute: () => later('slow') }),
  alone: tool({ inputSchema: any, serial: true, execute: () => later('alone') }),
  form: tool({ inputSchema: any, outputSchema: z.string() }),
}

/** Two tabs on one session, and what people do in them. */
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('send' as const), tab: fc.nat(1), reject: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('wait' as const), tasks: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('answer' as const), tab: fc.nat(1), fails: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('stop session' as const), tab: fc.nat(1), turn: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abort session' as const), tab: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('stop run' as const), run: fc.nat(9), turn: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('abort run' as const), run: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('look up' as const), run: fc.nat(9), tab: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('the second tab dies' as const) }) },
)
const pieces = {
  text: reply.text('some words'),
  quick: reply.call('quick', {}),
  slow: reply.call('slow', {}),
  alone: reply.call('alone', {}),
  form: reply.call('form', {}),
  drop: reply.drop('some'),
}
const scenario = fc.record({
  actions: fc.array(action, { minLength: 4, maxLength: 25 }),
  turns: fc.array(
    fc.array(fc.constantFrom(...(Object.keys(pieces) as (keyof typeof pieces)[])), { minLength: 1, maxLength: 3 }),
    {
      minLength: 1,
      maxLength: 8,
    },
  ),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never

async function play({ actions, turns }: Scenario, store: Store) {
  const problems: string[] = []
  let turn = 0
  const model = scriptedModel(
    Array.from({ length: 500 }, () => ({ prompt }) => {
      problems.push(...problemsOf(prompt))
      return reply.all(...(turns[turn++ % turns.length] ?? ['text' as const]).map((piece) => pieces[piece]))
    }),
  )
  const agent = defineAgent({ name: 'assistant', model, tools, limits: { maxTurns: 4 }, retry: { baseDelay: 1 } })
  const doomed = mortal(store)
  let dead = false
  const tabs = [mortal(store), doomed].map((access) => createRuntime(agent, { store: access }))
  const sessions = tabs.map((runtime) => runtime.session('trip'))
  const open = new Set<string>()
  const [first, second] = sessions as [(typeof sessions)[0], (typeof sessions)[0]]
  first.on('tool-call-completed', ({ toolName, toolCallId }) => void (toolName === 'form' && open.add(toolCallId)))
  const heard = record(first)
  const other = record(second)
  const runs: RunHandle[] = []
  const results: { readonly tab: number; readonly outcome: Promise<string> }[] = []
  const follow = (run: RunHandle, tab: number) => {
    const outcome = run.result.then(
      ({ status }) => status,
      (error) => (error.name === 'AgentError' ? error.code : error.name),
    )
    results.push({ tab, outcome })
  }

  const act = async (step: Scenario['actions'][number]) => {
    const tab = 'tab' in step && !dead ? step.tab : 0
    const session = tab === 1 ? second : first
    const run = 'run' in step ? runs[step.run % runs.length] : undefined
    switch (step.type) {
      case 'send': {
        const sent = session.send('question', step.reject ? { whenBusy: 'reject' } : {}) as RunHandle
        runs.push(sent)
        return follow(sent, tab)
      }
      case 'wait':
        for (let task = 0; task < step.tasks; task++) await later(undefined)
        return
      case 'answer': {
        const [toolCallId] = open
        if (toolCallId === undefined) return
        open.delete(toolCallId)
        const answer = step.fails ? { errorText: 'closed' } : { output: 'filled in' }
        return void session.addToolOutput({ tool: 'form', toolCallId, ...answer }).catch(() => {})
      }
      case 'stop session':
        return void session.stop({ after: step.turn ? 'turn' : 'now' }).catch(() => {})
      case 'abort session':
        return session.abort()
      case 'stop run':
        return void run?.stop({ after: step.turn ? 'turn' : 'now' }).catch(() => {})
      case 'abort run':
        return run?.abort()
      case 'look up':
        if (run) follow(tabs[tab]?.runs.get(run.runId) as RunHandle, tab)
        return
      case 'the second tab dies':
        doomed.die()
        dead = true
    }
  }
  for (const step of actions) await act(step)

  // Nobody waits for ever: what waits for an answer is stopped.
  const settled = results.flatMap(({ tab, outcome }) => (dead && tab === 1 ? [] : outcome))
  let left = settled.length
  for (const result of settled) void result.finally(() => left--)
  const isOver = async () => {
    await Promise.all((dead ? [first] : sessions).map((session) => session.stop()))
    // What the tab that died had sent begins here, a little later.
    const waits = (await store.readInbox('trip')).some(({ type }) => type === 'input')
    return left === 0 && !waits && (await store.readActiveRuns()).length === 0
  }
  await expect
    .poll(isOver, soon)
    .toBe(true)
    .catch(() => {})
  expect(left, 'results that never settled').toBe(0)
  const outcomes = await Promise.all(settled)
  for (const outcome of outcomes)
    expect(['completed', 'stopped', 'AbortError', 'session-busy', 'model-interrupted', 'unknown-run']).toContain(
      outcome,
    )
  expect(problems).toEqual([])

  const stored = await expectStored(first, store)
  // Both tabs have listened from the start: they heard what is stored, once and in its order.
  for (const { events } of dead ? [heard] : [heard, other])
    await expect.poll(() => numbersOf(events, stored), soon).toEqual(stored.map(({ seq }) => seq))
  await tabs[0]?.close()
  if (!dead) await tabs[1]?.close()
}

/** In the store each run has its one end, nothing waits to be applied, and the events are without gap. */
async function expectStored(session: Parameters<typeof record>[0], store: Store) {
  const end = await store.readSession('trip', { messages: 0 })
  if (!end) return []
  // An answer to a call of a run that was stopped is kept for its resume.
  const isKept = ({ type, runId }: InboxItem) =>
    type === 'tool-output' && end.run?.status === 'stopped' && runId === end.run.runId
  await expect.poll(async () => (await store.readInbox('trip')).filter((item) => !isKept(item)), soon).toEqual([])
  expect(end.run?.endedAt).toBeDefined()
  const all = record(session, { since: 0 })
  await expect.poll(() => all.events.at(-1)?.seq, soon).toBe(end.session.seq)
  // What another tab says of its inputs may be heard late, and is not stored.
  const stored = all.events.filter(({ kind }) => isDurable(kind))
  expectOrder(stored)
  for (const runId of new Set(stored.map((event) => event.runId)))
    expect(stored.filter((event) => event.runId === runId && isEnd(event.kind))).toHaveLength(1)
  return stored
}

/** The durable events; a refused request has an end that is only told. */
const numbersOf = (events: readonly AnyEvent[], stored: readonly AnyEvent[]) => {
  const begun = new Set(stored.map(({ runId }) => runId))
  return events.filter(({ kind, runId }) => isDurable(kind) && begun.has(runId)).map(({ seq }) => seq)
}

test('whatever people do in two tabs, every result settles and the session stays in order', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => play(given, memoryStore())),
    { numRuns: 150, timeout: 8000 },
  )
}, 60_000)

test('so it is in IndexedDB', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, (given) => inIndexedDb((store) => play(given, store))),
    { numRuns: 20, timeout: 8000 },
  )
}, 60_000)
