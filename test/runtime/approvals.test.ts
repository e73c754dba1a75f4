import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import type { Change } from '../../src/sessions/store.ts'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { type ManualModel, manualModel } from './manual-model.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

interface Start {
  readonly toolCallId: string
  readonly input: unknown
}

interface Options extends Pick<AgentDefinition, 'approvalTimeout' | 'limits' | 'policy' | 'resume'> {
  readonly starts?: Start[]
  readonly clock?: ReturnType<typeof manualClock>
  readonly model?: ManualModel
}

/** A runtime whose tool `send` asks before it starts, and `look` does not. */
function start(store: Store, { starts = [], clock, model = manualModel(), ...options }: Options = {}) {
  const note = (input: unknown, { toolCallId }: { toolCallId: string }) => {
    starts.push({ toolCallId, input })
    return { sent: input }
  }
  const tools = {
    send: tool({
      title: 'Send a mail',
      approval: 'always',
      risk: 'sensitive',
      actionKey: ({ to }) => to,
      inputSchema: z.object({ to: z.string(), text: z.string().max(20).optional() }),
      execute: note,
    }),
    look: tool({ inputSchema: z.object({}), execute: note }),
    read: tool({ idempotent: true, inputSchema: z.object({}), execute: note }),
    wipe: tool({
      approval: 'always',
      risk: 'destructive',
      inputSchema: z.object({ path: z.string(), deep: z.boolean().optional() }),
      execute: note,
    }),
  }
  const runtime = createRuntime(defineAgent({ name: 'assistant', model, tools, ...options }), { store, ...clock })
  const session = runtime.session('trip')
  return { model, runtime, session, starts, heard: record(session) }
}

type Call = readonly [toolName: string, input: object, toolCallId: string]

/** One turn of the model: the calls that it makes. */
async function turn(model: ManualModel, ...calls: readonly Call[]) {
  const call = await model.next()
  expect(problemsOf(call.options.prompt)).toEqual([])
  for (const made of calls) call.toolCall(...made)
  call.finish(calls.length > 0 ? 'tool-calls' : 'stop')
  return call
}

const mail: Call = ['send', { to: 'ada', text: 'Hi' }, 'm']

/** A run that waits for a word on its call. */
async function asking(store: Store, options: Options = {}, calls: readonly Call[] = [mail]) {
  const started = start(store, options)
  const run = started.session.send('Write to Ada')
  await turn(started.model, ...calls)
  const { approval } = await started.heard.when('approval-requested')
  await started.heard.when('run-waiting')
  return { ...started, run, approval }
}

/** What the model is told of the turn's calls. */
async function told(model: ManualModel) {
  const call = await turn(model)
  const last = call.options.prompt.at(-1)
  expect(last?.role).toBe('tool')
  return last?.content as readonly { toolCallId: string; output: { type: string; value: unknown } }[]
}

const stores = [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const

describe.each(stores)('a call that a person is asked about, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  test('does not start before the answer; the question says what it is about', async () => {
    const { heard, starts, run, runtime, session } = await asking(newStore())
    onTestFinished(session.view.subscribe(() => {}))
    expect(heard.of('approval-requested')).toMatchObject([
      {
        approval: {
          reason: 'policy',
          sessionId: 'trip',
          runId: run.runId,
          path: ['assistant'],
          title: 'Allow “Send a mail”?',
          toolCallId: 'm',
          toolName: 'send',
          input: { to: 'ada', text: 'Hi' },
          arguments: '{"text":"Hi","to":"ada"}',
          risk: 'sensitive',
          actionKey: 'send\nada',
          choices: ['allow-once', 'allow-always', 'deny', 'abort'],
          askedAt: expect.any(Number),
        },
      },
    ])
    expect(heard.of('run-waiting')).toMatchObject([{ waitingFor: 'approval' }])
    expect(starts).toEqual([])
    const open = await runtime.approvals.ready
    expect(open).toMatchObject([{ id: heard.of('approval-requested')[0]?.approval.id }])
    expect(open[0]).not.toHaveProperty('expiresAt')
    await expect
      .poll(() => session.view.getSnapshot())
      .toMatchObject({ run: { phase: 'waiting', waitingFor: 'approval' }, approvals: [{ toolName: 'send' }] })
    expectOrder(heard.events)
  })

  test('starts once it is allowed, and the question is over', async () => {
    const store = newStore()
    const { heard, starts, runtime, approval, model, run } = await asking(store)
    await answer(runtime, approval, { decision: 'allow-once' })
    expect(await told(model)).toMatchObject([{ toolCallId: 'm', output: { type: 'json' } }])
    await run.result
    expect(starts).toEqual([{ toolCallId: 'm', input: { to: 'ada', text: 'Hi' } }])
    expect(heard.of('approval-resolved')).toMatchObject([
      { approvalId: approval.id, answer: { decision: 'allow-once' }, by: 'person' },
    ])
    expect(await store.readApprovals()).toEqual([])
    expectOrder(heard.events)
  })

  test('never starts where it is denied: the model hears why, and the run goes on', async () => {
    const store = newStore()
    const { heard, starts, runtime, approval, model, run } = await asking(store)
    await answer(runtime, approval, { decision: 'deny', reason: 'Not to her' })
    expect(await told(model)).toMatchObject([
      { toolCallId: 'm', output: { type: 'error-text', value: 'The user refused this call: Not to her' } },
    ])
    expect(await run.result).toMatchObject({ status: 'completed' })
    expect(starts).toEqual([])
    expect(heard.of('tool-execution-started')).toEqual([])
    expect(heard.of('tool-execution-finished')).toMatchObject([{ toolCallId: 'm', outcome: 'denied', duration: 0 }])
    expect(await store.readCalls(run.runId)).toMatchObject([{ state: 'finished', result: { outcome: 'denied' } }])
    expectOrder(heard.events)
  })

  test('ends its run where the answer is to abort it', async () => {
    const { heard, starts, runtime, approval, run } = await asking(newStore())
    await answer(runtime, approval, { decision: 'abort' })
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(starts).toEqual([])
    expect(heard.of('approval-resolved')).toMatchObject([{ answer: { decision: 'abort' } }])
    expectOrder(heard.events)
  })

  test('is still asked about after a restart, and starts there once it is allowed', async () => {
    const store = newStore()
    const alive = mortal(store)
    const { approval } = await asking(alive)
    alive.die()
    const { runtime, model, starts, session } = start(store)
    const [open] = await runtime.approvals.ready
    expect(open).toEqual(approval)
    expect(starts).toEqual([])
    await answer(runtime, open, { decision: 'allow-once' })
    await turn(model)
    expect(starts).toEqual([{ toolCallId: 'm', input: { to: 'ada', text: 'Hi' } }])
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expect(all.of('run-started')).toHaveLength(1)
    expectOrder(all.events)
  })

  test('takes one answer: of those that are given at the same time in two runtimes one counts, and it starts at most once', async () => {
    const races = 100
    for (let race = 0; race < races; race++) {
      const store = newStore()
      const starts: Start[] = []
      const here = await asking(mortal(store), { starts })
      const there = start(mortal(store), { starts, model: here.model })
      const [open] = await there.runtime.approvals.ready
      const second = race % 2 ? ({ decision: 'deny' } as const) : ({ decision: 'allow-once' } as const)
      const given = await Promise.allSettled([
        answer(here.runtime, here.approval, { decision: 'allow-once' }),
        answer(there.runtime, open, second),
        answer(here.runtime, here.approval, second),
      ])
      expect(given.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const one of given)
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'unknown-approval' })
      await turn(here.model)
      const allowed = given[0]?.status === 'fulfilled' || race % 2 === 0
      expect(starts).toHaveLength(allowed ? 1 : 0)
      await Promise.all([here.runtime.close(), there.runtime.close()])
    }
  }, 60_000)

  test('is put to the policy again where its owner died after a yes, before it started', async () => {
    const store = newStore()
    const dying = mortal(store)
    const gone = door()
    const asked = start(
      hooked(dying, async (method, [change], call) => {
        const { events = [] } = (method === 'commit' ? change : {}) as Partial<Change>
        const result = await call()
        if (!events.some(({ kind }) => kind === 'approval-resolved')) return result
        dying.die()
        gone.open()
        return new Promise(() => {})
      }),
    )
    asked.session.send('Write to Ada')
    await turn(asked.model, mail)
    const { approval } = await asked.heard.when('approval-requested')
    void answer(asked.runtime, approval, { decision: 'allow-once' })
    await gone.pass()
    const { heard, starts, runtime, model, session } = start(store)
    const again = await heard.when('approval-requested')
    expect(again.approval).toMatchObject({ reason: 'policy', toolCallId: 'm' })
    expect(again.approval.id).not.toBe(approval.id)
    await expect(answer(runtime, approval, { decision: 'allow-once' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    expect([...asked.starts, ...starts]).toEqual([])
    await answer(runtime, again.approval, { decision: 'allow-once' })
    await turn(model)
    expect(starts).toHaveLength(1)
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('starts in the leg that goes on after a death, where it was allowed after that death', async () => {
    const store = newStore()
    const alive = mortal(store)
    const hanging = door()
    const first = start(
      hooked(alive, async (method, [change], call) => {
        const { calls = [] } = (method === 'commit' ? change : {}) as Partial<Change>
        // The other call never ends.
        if (calls.some(({ toolCallId, state }) => toolCallId === 'l' && state === 'finished')) return hanging.pass()
        return call()
      }),
    )
    first.session.send('Write to Ada, and look')
    await turn(first.model, mail, ['look', {}, 'l'])
    const { approval } = await first.heard.when('approval-requested')
    await hanging.reached
    alive.die()
    // Said before anybody goes on with the run.
    const { runId, sessionId } = approval
    await store.say(sessionId, runId, {
      type: 'answer',
      approvalId: approval.id,
      answer: { decision: 'allow-once' },
    })
    const { heard, starts, runtime } = start(store)
    const { approval: doubt } = await heard.when('approval-requested')
    expect(doubt).toMatchObject({ reason: 'in-doubt', toolCallId: 'l' })
    expect(heard.of('run-started')).toMatchObject([{ resumed: true }])
    await expect.poll(() => starts).toEqual([{ toolCallId: 'm', input: { to: 'ada', text: 'Hi' } }])
    expect(await runtime.approvals.ready).toMatchObject([{ reason: 'in-doubt' }])
  })

  test('that was allowed before an interrupted run was to go on starts once it goes on, and nobody is asked again', async () => {
    const store = newStore()
    const alive = mortal(store)
    const hanging = door()
    const first = start(
      hooked(alive, async (method, [change], call) => {
        const { calls = [] } = (method === 'commit' ? change : {}) as Partial<Change>
        if (calls.some(({ toolCallId, state }) => toolCallId === 'i' && state === 'finished')) return hanging.pass()
        return call()
      }),
    )
    first.session.send('Write to Ada, and read')
    await turn(first.model, mail, ['read', {}, 'i'])
    const { approval } = await first.heard.when('approval-requested')
    await hanging.reached
    alive.die()
    const { heard, starts, runtime, model } = start(store, { resume: 'ask' })
    const { approval: interrupted } = await heard.when('approval-requested')
    expect(interrupted).toMatchObject({ reason: 'interrupted' })
    await answer(runtime, approval, { decision: 'allow-once', input: { to: 'bob' } })
    await heard.when('approval-resolved')
    expect(starts).toEqual([])
    await answer(runtime, interrupted, { decision: 'resume' })
    await turn(model)
    expect(starts).toContainEqual({ toolCallId: 'm', input: { to: 'bob' } })
    await heard.when('run-completed')
    expect(heard.of('approval-requested')).toHaveLength(1)
  })

  test('is left by a stop with its question, which can be answered for the resume', async () => {
    const store = newStore()
    const { heard, starts, runtime, approval, model, run } = await asking(store)
    await run.stop()
    expect(heard.of('approval-resolved')).toEqual([])
    expect(await store.readApprovals()).toMatchObject([{ id: approval.id }])
    await answer(runtime, approval, { decision: 'allow-once' })
    expect(starts).toEqual([])
    runtime.runs.resume(run.runId)
    await turn(model)
    expect(starts).toEqual([{ toolCallId: 'm', input: { to: 'ada', text: 'Hi' } }])
    expect(heard.of('approval-requested')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test('is left by a stop with its question, which is withdrawn by the run that supersedes it', async () => {
    const store = newStore()
    const { heard, starts, runtime, approval, model, run, session } = await asking(store)
    await run.stop()
    session.send('Never mind')
    const { options } = await turn(model)
    expect(problemsOf(options.prompt)).toEqual([])
    expect(heard.of('approval-resolved')).toMatchObject([
      { approvalId: approval.id, answer: { decision: 'withdrawn' }, by: 'runtime' },
    ])
    expect(await store.readApprovals()).toEqual([])
    await expect(answer(runtime, approval, { decision: 'allow-once' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    expect(starts).toEqual([])
  })

  test('is withdrawn with its run where that is aborted', async () => {
    const store = newStore()
    const { heard, starts, run } = await asking(store)
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(heard.of('approval-resolved')).toMatchObject([{ answer: { decision: 'withdrawn' }, by: 'runtime' }])
    expect(await store.readApprovals()).toEqual([])
    expect(starts).toEqual([])
    expectOrder(heard.events)
  })

  test('takes an edit, which is validated, and is what starts; the model is told', async () => {
    const store = newStore()
    const { heard, starts, runtime, approval, model, run } = await asking(store)
    for (const input of [{ to: 'bob', text: 'x'.repeat(21) }, { to: 5 }, 'bob', null])
      await expect(answer(runtime, approval, { decision: 'allow-once', input })).rejects.toMatchObject({
        code: 'invalid-input',
      })
    await answer(runtime, approval, { decision: 'allow-once', input: { to: 'bob', text: 'Hi' } })
    const [result] = await told(model)
    expect(result?.output).toMatchObject({
      type: 'text',
      value: expect.stringMatching(/user changed the input.*\{"to":"bob","text":"Hi"\}[\s\S]*\{"sent":\{/),
    })
    expect(starts).toEqual([{ toolCallId: 'm', input: { to: 'bob', text: 'Hi' } }])
    expect(heard.of('tool-execution-started')).toMatchObject([{ input: { to: 'bob', text: 'Hi' } }])
    expect(await store.readCalls(run.runId)).toMatchObject([{ edited: 'person', input: { to: 'bob', text: 'Hi' } }])
    expect(await runtime.runs.audit(run.runId)).toContainEqual(
      expect.objectContaining({ toolCallId: 'm', transition: 'changed', by: 'person', approvalId: approval.id }),
    )
  })

  test('starts with its edit also where somebody else goes on with the run', async () => {
    const store = newStore()
    const alive = mortal(store)
    const { approval } = await asking(alive)
    alive.die()
    const { approval: mine, runtime, model, starts } = { approval, ...start(store) }
    await runtime.approvals.ready
    await answer(runtime, mine, { decision: 'allow-once', input: { to: 'bob' } })
    await turn(model)
    expect(starts).toEqual([{ toolCallId: 'm', input: { to: 'bob' } }])
  })

  test('is denied once nobody has answered for as long as the agent waits, also after a reload', async () => {
    const store = newStore()
    const clock = manualClock()
    const alive = mortal(store)
    const { approval } = await asking(alive, { clock, approvalTimeout: 60_000 })
    expect(approval).toMatchObject({ expiresAt: clock.now() + 60_000 })
    alive.die()
    const { heard, runtime, model, starts, session } = start(store, { clock, approvalTimeout: 60_000 })
    await runtime.approvals.ready
    expect(await clock.asleep()).toBe(60_000)
    clock.advance(60_000)
    expect(await told(model)).toMatchObject([
      { toolCallId: 'm', output: { type: 'error-text', value: 'Nobody allowed this call in time.' } },
    ])
    expect(starts).toEqual([])
    expect(heard.of('approval-resolved')).toMatchObject([
      { approvalId: approval.id, answer: { decision: 'deny' }, by: 'expiry' },
    ])
    await expect(answer(runtime, approval, { decision: 'allow-once' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    const all = record(session, { since: 0 })
    await all.when('run-completed')
    expectOrder(all.events)
  })

  test('takes an answer that is stored before the no, in the moment in which its time is over', async () => {
    const store = newStore()
    const clock = manualClock()
    const alive = mortal(store)
    const { approval } = await asking(alive, { clock, approvalTimeout: 60_000 })
    alive.die()
    const silence = door()
    const slow = hooked(mortal(store), async (method, [change], call) => {
      const isNo =
        method === 'commit' && (change as Change).approvals?.some(({ resolved }) => resolved?.by === 'expiry')
      if (isNo) await silence.pass()
      return call()
    })
    const { heard, runtime, starts, model } = start(slow, { clock, approvalTimeout: 60_000 })
    await runtime.approvals.ready
    expect(await clock.asleep()).toBe(60_000)
    const before = clock.now()
    clock.advance(60_000)
    await silence.reached
    const inTime = start(mortal(store), { clock: { ...clock, now: () => before }, approvalTimeout: 60_000 })
    await answer(inTime.runtime, approval, { decision: 'allow-once' })
    silence.open()
    await turn(model)
    expect(starts).toHaveLength(1)
    expect(heard.of('approval-resolved')).toMatchObject([
      { approvalId: approval.id, answer: { decision: 'allow-once' } },
    ])
  })

  test('takes no answer after its time, also where nobody has seen yet that it is over', async () => {
    const store = newStore()
    const clock = manualClock()
    const { approval } = await asking(mortal(store), { clock, approvalTimeout: 60_000 })
    const later = start(mortal(store), {
      clock: { ...clock, now: () => clock.now() + 60_000 },
      approvalTimeout: 60_000,
    })
    await expect(answer(later.runtime, approval, { decision: 'allow-once' })).rejects.toMatchObject({
      code: 'approval-expired',
    })
    expect(later.starts).toEqual([])
  })
})

describe('an answer', () => {
  const newStore = () => memoryStore()

  test('to a call with other arguments, or to another call, than were asked about is refused', async () => {
    const { starts, runtime, approval, session, heard } = await asking(newStore(), {}, [
      mail,
      ['send', { to: 'bob' }, 'n'],
    ])
    const [, { approval: other } = { approval }] = heard.of('approval-requested')
    expect(other).toMatchObject({ toolCallId: 'n' })
    for (const swapped of [
      { ...approval, input: { to: 'eve', text: 'Hi' } },
      { ...approval, input: { to: 'ada' } },
      { ...approval, input: undefined },
      { ...approval, toolCallId: 'n' },
      { ...other, id: approval.id },
      { ...approval, id: other.id },
      { id: approval.id, sessionId: 'trip', reason: 'policy' },
    ])
      for (const decision of ['allow-once', 'allow-always', 'deny'] as const)
        await expect(answer(runtime, swapped, { decision })).rejects.toMatchObject({ code: 'approval-mismatch' })
    await expect(answer(runtime, { ...approval, id: 'nope' }, { decision: 'deny' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    expect(starts).toEqual([])
    // The order of the keys is nobody's business.
    await answer(runtime, { ...approval, input: { text: 'Hi', to: 'ada' } }, { decision: 'allow-once' })
    await expect.poll(() => starts).toEqual([{ toolCallId: 'm', input: { to: 'ada', text: 'Hi' } }])
    expect((await session.view.ready).approvals).toMatchObject([{ toolCallId: 'n' }])
  })

  test('that was given before is refused: it counts for one call, once', async () => {
    const { starts, runtime, approval, model, heard } = await asking(newStore())
    await answer(runtime, approval, { decision: 'allow-once' })
    await expect(answer(runtime, approval, { decision: 'allow-once' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    await turn(model, ['send', { to: 'ada', text: 'Hi' }, 'm2'])
    const { approval: again } = await heard.nth(2, 'approval-requested')
    expect(again).toMatchObject({ toolCallId: 'm2' })
    await expect(answer(runtime, approval, { decision: 'allow-once' })).rejects.toMatchObject({
      code: 'unknown-approval',
    })
    expect(starts).toHaveLength(1)
  })

  test('that makes no sense is refused, and the question stays open', async () => {
    const { runtime, approval } = await asking(newStore())
    for (const odd of [{ decision: 'retry' }, { decision: 'yes' }, {}, undefined, { decision: ['allow-once'] }])
      await expect(answer(runtime, approval, odd as never)).rejects.toMatchObject({ code: 'invalid-argument' })
    for (const expiresAt of [0, Date.now() - 1, Number.NaN, 'tomorrow'])
      await expect(answer(runtime, approval, { decision: 'allow-always', expiresAt } as never)).rejects.toMatchObject({
        code: 'invalid-argument',
      })
    const deep: Record<string, unknown> = {}
    deep.deep = deep
    await expect(answer(runtime, { ...approval, input: deep }, { decision: 'deny' })).rejects.toThrow()
    expect(await runtime.approvals.ready).toHaveLength(1)
  })

  test('to one call lets that one start, and the others wait on', async () => {
    const store = newStore()
    const { starts, runtime, approval, model, heard, run } = await asking(store, {}, [
      mail,
      ['send', { to: 'bob' }, 'n'],
      ['look', {}, 'l'],
    ])
    expect(starts).toMatchObject([{ toolCallId: 'l' }])
    await answer(runtime, approval, { decision: 'allow-once' })
    await heard.nth(2, 'run-waiting')
    expect(starts).toMatchObject([{ toolCallId: 'l' }, { toolCallId: 'm' }])
    expect(heard.of('run-waiting')).toMatchObject([{ waitingFor: 'approval' }, { waitingFor: 'approval' }])
    await answer(runtime, heard.of('approval-requested')[1]?.approval, { decision: 'deny' })
    expect(await told(model)).toMatchObject([{ toolCallId: 'm' }, { toolCallId: 'n' }, { toolCallId: 'l' }])
    await run.result
    expect((await store.readRun(run.runId))?.allowed).toBeUndefined()
    expectOrder(heard.events)
  })
})

describe('"always allow"', () => {
  test('lets later calls of the same action start unasked, in this session', async () => {
    const store = memoryStore()
    const { starts, runtime, approval, model, heard, session } = await asking(store)
    await answer(runtime, approval, { decision: 'allow-always' })
    await turn(model, ['send', { to: 'ada', text: 'Again' }, 'a'])
    await turn(model, ['send', { to: 'bob' }, 'b'])
    const { approval: other } = await heard.nth(2, 'approval-requested')
    expect(other).toMatchObject({ toolCallId: 'b', actionKey: 'send\nbob' })
    expect(starts.map(({ toolCallId }) => toolCallId)).toEqual(['m', 'a'])
    expect(await store.readGrants('trip')).toMatchObject([
      { actionKey: 'send\nada', toolName: 'send', approvalId: approval.id, sessionId: 'trip' },
    ])
    const run = await session.view.ready
    expect(await runtime.runs.audit(run.run?.runId ?? '')).toContainEqual(
      expect.objectContaining({ toolCallId: 'a', transition: 'allowed', by: 'grant' }),
    )
    const elsewhere = runtime.session('other')
    const heardThere = record(elsewhere)
    elsewhere.send('Write to Ada')
    await turn(model, mail)
    expect(await heardThere.when('approval-requested')).toMatchObject({ approval: { actionKey: 'send\nada' } })
  })

  test('ends when it was to end, and when it is revoked', async () => {
    const store = memoryStore()
    const clock = manualClock()
    const { starts, runtime, approval, model, heard, session } = await asking(store, { clock })
    await answer(runtime, approval, { decision: 'allow-always', expiresAt: clock.now() + 1000 })
    await turn(model, ['send', { to: 'ada' }, 'a'])
    const call = await model.next()
    clock.advance(1000)
    call.toolCall('send', { to: 'ada', text: 'b' }, 'b')
    call.finish('tool-calls')
    const { approval: second } = await heard.nth(2, 'approval-requested')
    expect(starts.map(({ toolCallId }) => toolCallId)).toEqual(['m', 'a'])
    await answer(runtime, second, { decision: 'allow-always' })
    await turn(model, ['send', { to: 'ada', text: 'c' }, 'c'])
    const next = await model.next()
    await session.grants.revoke('send\nada')
    next.toolCall('send', { to: 'ada' }, 'd')
    next.finish('tool-calls')
    await heard.nth(3, 'approval-requested')
    expect(starts.map(({ toolCallId }) => toolCallId)).toEqual(['m', 'a', 'b', 'c'])
  })

  test('of an edited call is remembered for what was allowed, not for what the model wanted', async () => {
    const store = memoryStore()
    const { runtime, approval, model, heard } = await asking(store)
    await answer(runtime, approval, { decision: 'allow-always', input: { to: 'bob' } })
    await turn(model, ['send', { to: 'bob' }, 'b'])
    await turn(model, mail.with(2, 'm2') as unknown as Call)
    expect(await heard.nth(2, 'approval-requested')).toMatchObject({ approval: { toolCallId: 'm2' } })
    expect(await store.readGrants('trip')).toMatchObject([{ actionKey: 'send\nbob' }])
  })

  test('of a destructive tool holds for the same input alone', async () => {
    const { starts, runtime, approval, model, heard } = await asking(memoryStore(), {}, [
      ['wipe', { path: '/tmp', deep: true }, 'w'],
    ])
    expect(approval).toMatchObject({ risk: 'destructive', actionKey: 'wipe\n{"deep":true,"path":"/tmp"}' })
    await answer(runtime, approval, { decision: 'allow-always' })
    await turn(model, ['wipe', { deep: true, path: '/tmp' }, 'x'])
    await turn(model, ['wipe', { path: '/' }, 'y'])
    await heard.nth(2, 'approval-requested')
    expect(starts.map(({ toolCallId }) => toolCallId)).toEqual(['w', 'x'])
  })
})
