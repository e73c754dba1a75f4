import fc from 'fast-check'
import type { RunHandle } from 'turnloop/runtime'
import { expect, test } from 'vitest'
import { type AnyEvent, isDurable } from '../../src/events/kinds.ts'
import { macrotask } from '../../src/events/macrotask.ts'
import type { Limits } from '../../src/sessions/records.ts'
import {
  expectLegs,
  expectLimits,
  expectPermission,
  expectQuestions,
  expectTurns,
  expectUsage,
} from './control/checks.ts'
import { type Action, type Script, script } from './control/scripts.ts'
import { World } from './control/world.ts'
import { expectOrder, record } from './record.ts'

// Whatever a model does and people want, at whatever time: runs stay under control.

const sessions = ['trip', 'other']

/** Ends that a run may come to; codes of requests that can't be fulfilled, and of models that fail for good. */
const outcomes = new Set([
  'completed',
  'stopped',
  'AbortError',
  'session-busy',
  'unknown-message',
  'unknown-run',
  'not-resumable',
  'bad-request',
  'context-overflow',
  'model-failed',
  'model-interrupted',
  'overloaded',
  'rate-limited',
])

class Play {
  readonly world: World
  readonly runs: RunHandle[] = []
  readonly #settled: { readonly alive: () => boolean; readonly outcome: Promise<string> }[] = []

  constructor(given: Script) {
    this.world = new World(given)
  }

  #follow(run: RunHandle) {
    this.runs.push(run)
    const outcome = run.result.then(
      ({ status }) => status,
      (error) => (error.name === 'AgentError' ? error.code : error.name),
    )
    this.#settled.push({ alive: this.world.alive(), outcome })
  }

  async act(step: Action): Promise<void> {
    const { session, runtime, clock } = this.world
    switch (step.type) {
      case 'send': {
        const { type: _, elsewhere, ...options } = step
        const target = elsewhere ? runtime.session('other') : session
        const run = target.send(this.world.text(), defined(options) as never) as RunHandle
        return this.#follow(run)
      }
      case 'wait':
        for (let task = 0; task < step.tasks; task++) await macrotask()
        return
      case 'time passes':
        return clock.advance(step.by)
      case 'steer': {
        const run = this.runs[step.run % this.runs.length]
        if (run && !run.finished) run.steer(this.world.text()).catch(() => {})
        return
      }
      case 'take back': {
        const [queued] = (await session.view.ready).queue
        if (queued) await session.withdraw(queued.inputId).catch(() => {})
        return
      }
      case 'open': {
        const run = session.open(defined({ input: this.world.text(), idleTimeout: step.idleTimeout }) as never)
        this.#follow(run as RunHandle)
        if (step.close) void run.close().catch(() => {})
        return
      }
      case 'step': {
        const tools = step.external ? 'external' : 'inline'
        return void session.step(step.begins ? this.world.text() : undefined, { tools }).catch(() => {})
      }
      case 'stop':
        return void session.stop({ after: step.turn ? 'turn' : 'now' }).catch(() => {})
      case 'abort':
        return session.abort()
      case 'resume': {
        const run = this.runs[step.run % this.runs.length]
        if (run) this.#follow(runtime.runs.resume(run.runId) as RunHandle)
        return
      }
      case 'edit': {
        const id = await this.#message('user', step.message)
        if (id) this.#follow(session.send(this.world.text(), { replaces: id }) as RunHandle)
        return
      }
      case 'regenerate': {
        const id = step.message === null ? undefined : await this.#message('assistant', step.message)
        return this.#follow(session.regenerate(id) as RunHandle)
      }
      case 'decide':
        return this.decide(step.yes)
      case 'fill in':
        return this.#fillIn()
      case 'choose a model':
        return session.setModel((step.second ? 'second' : 'first') as never)
      case 'the runtime dies':
        return this.world.die()
    }
  }

  async #message(role: string, n: number): Promise<string | undefined> {
    const messages = (await this.world.session.view.ready).messages.filter((message) => message.role === role)
    return messages[n % messages.length]?.id
  }

  /** Answers the first open question. */
  async decide(yes: number): Promise<void> {
    const { approvals } = this.world.runtime
    const [approval] = await approvals.ready
    if (!approval) return
    const answers = {
      policy: [{ decision: 'allow-once' }, { decision: 'allow-always' }, { decision: 'deny' }],
      'in-doubt': [{ decision: 'retry' }, { decision: 'abandon' }, { decision: 'supply-result', output: 'done' }],
      interrupted: [{ decision: 'resume' }, { decision: 'resume' }, { decision: 'abandon' }],
      budget: [{ decision: 'extend', by: 3 }, { decision: 'extend', by: 500 }, { decision: 'stop' }],
      'doom-loop': [{ decision: 'allow-once' }, { decision: 'deny', reason: 'enough' }, { decision: 'abort' }],
    } as const
    await approvals.answer(approval, answers[approval.reason][yes] as never).catch(() => {})
  }

  async #fillIn() {
    const { messages } = await this.world.session.view.ready
    for (const part of messages.flatMap(({ parts }) => parts)) {
      if (part.type !== 'tool-form' || !('toolCallId' in part) || part.state !== 'input-available') continue
      const { toolCallId } = part
      await this.world.session.addToolOutput({ tool: 'form', toolCallId, output: 'filled in' } as never).catch(() => {})
    }
  }

  /** Nobody waits for ever: whatever still goes on is stopped. */
  async end(): Promise<void> {
    const { store, clock } = this.world
    const settled = this.#settled.flatMap(({ alive, outcome }) => (alive() ? [outcome] : []))
    let left = settled.length
    for (const outcome of settled) void outcome.finally(() => left--)
    const isOver = async () => {
      for (const id of sessions) await this.world.runtime.session(id).stop()
      clock.advance(31_000)
      return left === 0 && (await store.readActiveRuns()).length === 0 && (await this.#beginnings()) === 0
    }
    // Counted, not timed: a busy machine is no run that hangs.
    // Twice in a row: what was asked for may just be on its way.
    for (let look = 0, quiet = 0; look < 500 && quiet < 2; look++) {
      quiet = (await isOver()) ? quiet + 1 : 0
      await macrotask()
    }
    expect(await store.readActiveRuns(), 'runs that never end').toEqual([])
    expect(left, 'results that never settled').toBe(0)
    for (const outcome of await Promise.all(settled)) expect([...outcomes]).toContain(outcome)
  }

  /** What was said that is to begin a run, or a leg of one. */
  async #beginnings() {
    const inboxes = await Promise.all(sessions.map((id) => this.world.store.readInbox(id)))
    return inboxes.flat().filter(({ type }) => ['input', 'resume', 'step'].includes(type)).length
  }
}

const defined = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>

/** The narrower of two sets of limits. */
const narrowed = (own: Limits = {}, other: Limits = {}): Limits =>
  Object.fromEntries(
    [...Object.keys(own), ...Object.keys(other)].map((name) => {
      const values = [own, other].map((set) => set[name as keyof Limits] ?? Number.POSITIVE_INFINITY)
      return [name, Math.min(...values)]
    }),
  )

async function play(given: Script) {
  const played = new Play(given)
  const { world } = played
  for (const step of given.actions) await played.act(step)
  await played.end()
  expect(world.problems).toEqual([])
  const days = new Set<string>()
  let cost = 0
  for (const id of sessions) {
    for (const event of await expectInOrder(played, given, id)) {
      reached(event)
      if (event.kind !== 'usage-recorded') continue
      // What is booked at midnight may be told on the next day.
      for (const at of [event.at, event.at - 43_200_000]) days.add(new Date(at).toISOString().slice(0, 10))
      cost += event.cost ?? 0
    }
  }
  const spent = await Promise.all([...days].map((day) => world.store.readSpend(day)))
  expect(spent.reduce((sum, day) => sum + (day?.cost ?? 0), 0)).toBeCloseTo(cost, 6)
  await world.close()
}

/** What holds of a session's log, once nothing goes on in it. */
async function expectInOrder({ world }: Play, { rules }: Script, id: string): Promise<readonly AnyEvent[]> {
  const state = await world.store.readSession(id, { messages: 0 })
  if (!state) return []
  const all = record(world.runtime.session(id), { since: 0 })
  await expect.poll(() => all.events.at(-1)?.seq, { interval: 1, timeout: 20_000 }).toBe(state.session.seq)
  const stored = all.events.filter(({ kind }) => isDurable(kind))
  expectOrder(stored)
  expectLegs(stored)
  expectTurns(stored)
  expectPermission(stored)
  const open = (await world.store.readApprovals()).filter(({ sessionId }) => sessionId === id)
  expect([...expectQuestions(stored)].sort()).toEqual(open.map((approval) => approval.id).sort())
  expectUsage(stored, state.session)
  for (const runId of new Set(stored.map((event) => event.runId))) {
    const { limits, open } = (await world.store.readRun(runId))?.request ?? {}
    expectLimits(stored, narrowed(rules.limits, limits), runId, open !== undefined)
  }
  return stored
}

/** What the scripts came to, over all of them: a script that reaches nothing proves nothing. */
const seen = new Set<string>()

const often = [
  'run-started resumed',
  'run-completed',
  'run-stopped requested',
  'run-stopped max-turns',
  'run-stopped tool-calls',
  'run-stopped tokens',
  'run-cancelled aborted',
  'approval-requested budget',
  'approval-requested policy',
  'approval-resolved allow-once',
  'approval-resolved deny',
  'approval-resolved extend',
  'history-rewound',
]

function reached(event: AnyEvent) {
  const { kind } = event
  const detail =
    kind === 'run-stopped' || kind === 'run-cancelled'
      ? event.reason
      : kind === 'approval-requested'
        ? event.approval.reason
        : kind === 'approval-resolved'
          ? event.answer.decision
          : kind === 'run-started' && event.resumed
            ? 'resumed'
            : ''
  const name = `${kind} ${detail}`.trim()
  seen.add(name)
}

test('whatever the model does and people want, every run ends once, within its limits, and its usage adds up', async () => {
  await fc.assert(fc.asyncProperty(script, play), { numRuns: 100, timeout: 60_000, seed: 20_261_126 })
  for (const kind of often) expect([...seen], 'what the scripts came to').toContain(kind)
}, 180_000)
