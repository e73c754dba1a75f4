import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import fc from 'fast-check'
import {
  type AgentRuntime,
  type Approval,
  createRuntime,
  defineAgent,
  jsonSchema,
  memoryStore,
  type RunTree,
  type Store,
  tool,
  type View,
} from 'turnloop/runtime'
import { type Reply, reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isEnd } from '../../src/events/kinds.ts'
import { noUsage } from '../../src/sessions/records.ts'
import { problemsOf } from '../runtime/check-prompt.ts'
import { expectOrder, record } from '../runtime/record.ts'
import { hooked, type MortalStore, mortal } from '../runtime/stores.ts'
import { waitFor } from '../wait-for.ts'

/** What an agent does: its own work, then those below it, then its answer. */
interface Plan {
  readonly works: boolean
  readonly fails: boolean
  readonly below: readonly (Plan & { readonly background: boolean })[]
}

const plan = (depth: number): fc.Arbitrary<Plan> =>
  fc.record({
    works: fc.boolean(),
    fails: depth === 4 ? fc.constant(false) : fc.nat(9).map((n) => n === 0),
    below:
      depth === 1
        ? fc.constant([])
        : fc.array(
            fc.tuple(plan(depth - 1), fc.boolean()).map(([below, background]) => ({ ...below, background })),
            { maxLength: 3 },
          ),
  })

interface Life {
  readonly plan: Plan
  readonly onEnd: 'wait' | 'stop' | 'detach'
  readonly maxConcurrent: number
  readonly maxTokens: number
  /** Uses of the store after which a worker dies, one after the other. */
  readonly deaths: readonly number[]
  /** Another tab looks on from the beginning, and may take up what a death leaves. */
  readonly hasNeighbour: boolean
  /** Starts of runs after which somebody stops, aborts or resumes one, by its number. */
  readonly deeds: readonly { readonly after: number; readonly of: number; readonly what: 'stop' | 'abort' | 'resume' }[]
}

const life: fc.Arbitrary<Life> = fc.record({
  plan: plan(4),
  onEnd: fc.constantFrom('wait', 'stop', 'detach'),
  maxConcurrent: fc.integer({ min: 1, max: 4 }),
  maxTokens: fc.oneof(
    { weight: 3, arbitrary: fc.constant(100_000) },
    { weight: 1, arbitrary: fc.integer({ min: 30, max: 300 }) },
  ),
  deaths: fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 2 }),
  hasNeighbour: fc.boolean(),
  deeds: fc.array(
    fc.record({
      after: fc.integer({ min: 1, max: 8 }),
      of: fc.nat(8),
      what: fc.constantFrom('stop', 'abort', 'resume'),
    }),
    { maxLength: 3 },
  ),
})

const usage = { inputTokens: 10, outputTokens: 5 }
const promptOf = (call: LanguageModelV4CallOptions) => {
  const users = call.prompt.filter(({ role }) => role === 'user')
  const [first] = users[0]?.role === 'user' ? users[0].content : []
  return first?.type === 'text' ? first.text : ''
}
const calledIn = ({ prompt }: LanguageModelV4CallOptions) =>
  prompt.flatMap((message) =>
    message.role === 'assistant'
      ? message.content.flatMap((part) => (part.type === 'tool-call' ? [part.toolName] : []))
      : [],
  )

/** A model that does what the plan in its prompt says, by what it is asked alone. */
function planned(call: LanguageModelV4CallOptions): Reply {
  const { works, fails, below } = JSON.parse(promptOf(call)) as Plan
  const called = calledIn(call)
  if (fails) return reply.fail(400)
  if (works && !called.includes('work')) return reply.call('work', {}, { toolCallId: 'work' })
  const hasTool = call.tools?.some(({ name }) => name === 'agent_run')
  if (below.length > 0 && hasTool && !called.includes('agent_run'))
    return reply.all(
      ...below.map(({ background, ...rest }, n) =>
        reply.call(
          'agent_run',
          { agent: 'worker', prompt: JSON.stringify(rest), background },
          { toolCallId: `run-${n}` },
        ),
      ),
    )
  return reply.text('Done.')
}

function world({ onEnd, maxConcurrent, maxTokens }: Life) {
  const starts = new Map<string, number>()
  const prompts: LanguageModelV4CallOptions['prompt'][] = []
  const model = () =>
    scriptedModel(
      Array.from({ length: 1000 }, () => (call: LanguageModelV4CallOptions) => {
        prompts.push(call.prompt)
        return planned(call)
      }),
      { usage },
    )
  const work = tool({
    inputSchema: jsonSchema<object>({ type: 'object' }),
    execute: (_, { runId }) => {
      starts.set(runId, (starts.get(runId) ?? 0) + 1)
      return 'worked'
    },
  })
  // No two moments are the same.
  let now = 0
  const tick = () => {
    now = Math.max(now + 1, Date.now())
    return now
  }
  const open = (store: Store): AgentRuntime => {
    const worker = defineAgent({
      name: 'worker',
      model: model(),
      tools: { work },
      delegates: ['worker'],
      delegation: { allowCircles: true, onEnd, maxConcurrent, maxDepth: 4 },
      limits: { maxTokens },
      doomLoop: false,
      retry: { attempts: 1 },
    })
    const runtime = createRuntime(worker, { store, now: tick }) as unknown as AgentRuntime
    onTestFinished(() => void runtime.close())
    return runtime
  }
  return { open, starts, prompts }
}

/** A store that dies at its n-th use, if it comes to that. */
function dyingAt(store: Store, n: number | undefined) {
  const { promise: dead, resolve } = Promise.withResolvers<void>()
  let uses = 0
  const own: MortalStore = mortal(
    hooked(store, async (_, __, call) => {
      if (++uses !== n) return call()
      own.die()
      resolve()
      return new Promise(() => {})
    }),
  )
  return { store: own, dead }
}

/** Answers what a death leaves in doubt as a person would who knows nothing, whenever it was asked. */
function answering({ approvals }: AgentRuntime) {
  const answer = async (approval: Approval) => {
    const decision = approval.reason === 'in-doubt' ? 'abandon' : approval.reason === 'interrupted' ? 'resume' : 'stop'
    await approvals.answer(approval as never, { decision } as never).catch(() => {})
  }
  onTestFinished(approvals.subscribe(() => void Promise.all(approvals.getSnapshot().map(answer))))
}

async function settled(store: Store, runId: string) {
  const changed = () =>
    new Promise<void>((resolve) => {
      const undo = store.watch(() => {
        undo()
        resolve()
      })
    })
  for (;;) {
    const next = changed()
    const [active, said, run] = await Promise.all([store.readActiveRuns(), store.readSaid(), store.readRun(runId)])
    if (active.length === 0 && run?.endedAt !== undefined && !said.some(({ type }) => type === 'input')) return
    await next
  }
}

async function live(given: Life) {
  const { open, starts, prompts } = world(given)
  const store = memoryStore()
  const input = JSON.stringify(given.plan)
  const ask = (runtime: AgentRuntime) => runtime.session('s').send(input, { clientRequestId: 'ask' })
  const runId = 'request:s:ask'
  const watch = (runtime: AgentRuntime) => {
    const view = runtime.runs.tree(runId) as View<RunTree | undefined>
    onTestFinished(view.subscribe(() => {}))
    return view
  }
  const neighbour = given.hasNeighbour ? watch(open(mortal(store))) : undefined
  let watched: View<RunTree | undefined> | undefined
  for (const death of [...given.deaths, undefined]) {
    const dying = dyingAt(store, death)
    const runtime = open(dying.store)
    answering(runtime)
    const begun: string[] = []
    runtime.on('run-started', (event) => {
      begun.push(event.runId)
      for (const { after, of, what } of given.deeds) {
        const target = begun[of]
        if (after !== begun.length || target === undefined) continue
        const handle = runtime.runs.get(target)
        if (what === 'stop') handle.stop().catch(() => {})
        else if (what === 'resume') runtime.runs.resume(target)
        else handle.abort()
      }
    })
    const run = ask(runtime)
    expect(run.runId).toBe(runId)
    run.result.catch(() => {})
    watched = watch(runtime)
    await Promise.race([dying.dead, run.result.then(() => settled(store, runId)).catch(() => settled(store, runId))])
  }
  const last = open(mortal(store))
  const sessions = ['s']
  for (const sessionId of sessions) {
    const under = await store.listSessions({ limit: 100, parent: sessionId })
    sessions.push(...under.map(({ session }) => session.id))
    const told = record(last.session(sessionId), { since: 0 })
    const state = await store.readSession(sessionId, { messages: 0 })
    await told.when(state?.run ? (`run-${state.run.status}` as 'run-completed') : 'run-completed')
    expectOrder(told.events)
    const ends = told.events.filter(({ kind }) => isEnd(kind))
    const legs = told.of('run-started').length
    expect(ends.length).toBeLessThanOrEqual(legs)
    expect(isEnd(told.events.at(-1)?.kind ?? '')).toBe(true)
    for (const child of state?.run ? await store.readChildren(state.run.runId) : [])
      expect((await store.readRun(child.runId))?.endedAt ?? 0).toBeGreaterThanOrEqual(0)
  }
  expect(await store.readActiveRuns()).toEqual([])
  const tree = await last.runs.tree(runId).ready
  for (const view of [watched, neighbour]) if (view) await waitFor(() => expect(view.getSnapshot()).toEqual(tree))
  for (const [, times] of starts) expect(times).toBe(1)
  for (const prompt of prompts) expect(problemsOf(prompt)).toEqual([])
  const run = await store.readRun(runId)
  const spent = await store.readSpend(new Date().toISOString().slice(0, 10))
  // What is cut is booked at an estimate; a death may come between.
  if (given.deaths.length > 0) return
  // What goes on after the end of the run above counts for the day only.
  const mayOutlive = given.onEnd === 'detach' || given.deeds.some(({ what }) => what === 'resume')
  if (!mayOutlive) expect(run?.usage).toEqual(spent?.usage ?? noUsage)
  const inFlight = given.maxConcurrent ** 3 + 1
  if (given.deeds.length === 0 && given.onEnd !== 'stop')
    expect((prompts.length - failed(prompts)) * 15).toBeLessThan(given.maxTokens + 15 * inFlight)
}

/** Calls of models that failed, which cost nothing. */
const failed = (prompts: readonly LanguageModelV4CallOptions['prompt'][]) =>
  prompts.filter((prompt) => (JSON.parse(promptOf({ prompt })) as Plan).fails).length

describe('a random tree of runs', () => {
  it('comes to one end for each leg, leaves nobody running, and works once, whatever stops or kills it', async () => {
    await fc.assert(fc.asyncProperty(life, live), { numRuns: 60, endOnFailure: false, timeout: 30_000 })
  }, 120_000)
})
