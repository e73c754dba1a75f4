import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { answer, expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

type Work = (name: string, context: { readonly abortSignal: AbortSignal }) => unknown

interface Options {
  readonly store?: Store
  readonly work?: Work
  readonly limits?: { readonly toolTimeout?: number; readonly maxDuration?: number }
}

function start(
  turns: readonly ScriptedTurn[],
  { store = memoryStore(), work = () => 'done', limits = {} }: Options = {},
) {
  const model = scriptedModel(turns)
  const clock = manualClock()
  const done: string[] = []
  const make = (policy: object = {}) =>
    tool({
      ...policy,
      inputSchema: z.object({ name: z.string() }),
      execute: ({ name }, context) => {
        done.push(name)
        return work(name, context)
      },
    })
  const form = tool({ inputSchema: z.object({}), outputSchema: z.string() })
  const agent = defineAgent({
    name: 'assistant',
    model,
    limits,
    tools: { work: make(), alone: make({ serial: true }), form },
  })
  const runtime = createRuntime(agent, { store, now: clock.now, sleep: clock.sleep })
  const session = runtime.session('trip')
  return { model, runtime, session, store, clock, done, heard: record(session, { since: 0 }) }
}

const call = (name: string, toolName = 'work') => reply.call(toolName, { name }, { toolCallId: name })
const form = reply.call('form', {}, { toolCallId: 'form' })
const promptOf = (
  { calls }: { readonly calls: readonly { readonly prompt: never }[] | readonly unknown[] },
  at: number,
) => problemsOf((calls[at] as { prompt: Parameters<typeof problemsOf>[0] } | undefined)?.prompt ?? [])

describe('a stop after the turn', () => {
  test('lets started calls finish, and leaves to the resume what comes after them', async () => {
    const gate = door()
    const store = memoryStore()
    const { session, runtime, heard, done, model } = start(
      [reply.all(call('a'), call('b', 'alone'), call('c', 'alone')), reply.text('Done')],
      { store, work: (name) => (name === 'a' ? gate.pass('finished') : 'done') },
    )
    const run = session.send('Go')
    await gate.reached
    const stopped = run.stop({ after: 'turn' })
    await expect.poll(async () => (await store.readInbox('trip')).length).toBe(1)
    gate.open()
    expect(await stopped).toMatchObject({ status: 'stopped', reason: 'requested', turns: 1 })
    expect(done).toEqual(['a'])
    expect(await heard.when('tool-execution-finished')).toMatchObject({ toolCallId: 'a', output: 'finished' })
    expectOrder(heard.events)

    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed', text: 'Done' })
    expect(done).toEqual(['a', 'b', 'c'])
    expect(promptOf(model, 1)).toEqual([])
    expectOrder(heard.events)
  })

  test('lets the answer finish that is being written, and starts none of its calls', async () => {
    const gate = door()
    const turn = async () => {
      await gate.pass()
      return reply.all(reply.text('I look'), call('a'))
    }
    const { session, done, runtime } = start([turn, reply.text('Done')])
    const run = session.send('Go')
    await gate.reached
    const stopped = run.stop({ after: 'turn' })
    gate.open()
    expect(await stopped).toMatchObject({ status: 'stopped', text: 'I look', turns: 1 })
    expect(done).toEqual([])
    expect(await runtime.runs.resume(run.runId).result).toMatchObject({ status: 'completed' })
    expect(done).toEqual(['a'])
  })

  test('leaves a call to the next run, too, which closes it', async () => {
    const gate = door()
    const { session, model, done } = start([reply.all(call('a'), call('b', 'alone')), reply.text('Fresh')], {
      work: () => gate.pass('finished'),
    })
    const run = session.send('Go')
    await gate.reached
    const stopped = run.stop({ after: 'turn' })
    gate.open()
    await stopped
    expect(await session.send('Never mind').result).toMatchObject({ text: 'Fresh' })
    expect(done).toEqual(['a'])
    expect(promptOf(model, 1)).toEqual([])
  })
})

describe('a question about a call in doubt', () => {
  /** A run that waits for somebody to say what became of its first call, while a second one waits for a form. */
  async function inDoubt() {
    const store = memoryStore()
    const alive = mortal(store)
    const first = start([reply.all(call('pay'), form)], { store: alive, work: () => new Promise(() => {}) })
    const { runId } = first.session.send('Go')
    await first.heard.when('tool-execution-started')
    alive.die()
    const second = start([reply.text('Fresh')], { store })
    const { approval } = await second.heard.when('approval-requested')
    await second.heard.when('run-waiting')
    expect(await second.runtime.runs.get(runId).stop({ after: 'turn' })).toMatchObject({ status: 'stopped' })
    return { ...second, runId, approval }
  }

  test('stays open after a stop after the turn, and is answered for the resume', async () => {
    const { runtime, session, heard, approval, runId, model, done } = await inDoubt()
    expect((await session.view.ready).approvals).toEqual([approval])
    expect(heard.of('approval-resolved')).toEqual([])
    await answer<'in-doubt'>(runtime, approval, { decision: 'supply-result', output: 'paid' })
    await session.rename('Nothing is taken up by that')
    expect(heard.of('approval-resolved')).toEqual([])

    const resumed = runtime.runs.resume(runId)
    await heard.when('approval-resolved')
    await session.addToolOutput({ tool: 'form', toolCallId: 'form', output: 'filled' })
    expect(await resumed.result).toMatchObject({ status: 'completed', text: 'Fresh' })
    expect(JSON.stringify(model.calls[0]?.prompt)).toContain('paid')
    expect(done).toEqual([])
    expectOrder(heard.events)
  })

  test('shows again with the resume where nobody has answered it', async () => {
    const { runtime, session, heard, approval, runId, model } = await inDoubt()
    const resumed = runtime.runs.resume(runId)
    await heard.nth(2, 'run-waiting')
    expect(await session.view.ready).toMatchObject({ approvals: [approval], run: { waitingFor: 'approval' } })
    await answer<'in-doubt'>(runtime, approval, { decision: 'abandon' })
    await session.addToolOutput({ tool: 'form', toolCallId: 'form', output: 'filled' })
    await resumed.result
    expect(promptOf(model, 0)).toEqual([])
    expectOrder(heard.events)
  })

  test('is withdrawn by the run that takes its place, also where it was answered', async () => {
    for (const answered of [false, true]) {
      const { runtime, session, heard, approval, model, store } = await inDoubt()
      if (answered) await answer<'in-doubt'>(runtime, approval, { decision: 'retry' })
      expect(await session.send('Never mind').result).toMatchObject({ text: 'Fresh' })
      expect(heard.of('approval-resolved')).toMatchObject([
        { approvalId: approval.id, answer: { decision: 'withdrawn' } },
      ])
      expect((await session.view.ready).approvals).toEqual([])
      expect(promptOf(model, 0)).toEqual([])
      expect(JSON.stringify(model.calls[0]?.prompt)).toContain('its outcome is unknown')
      await expect.poll(() => store.readInbox('trip')).toEqual([])
      expectOrder(heard.events)
    }
  })

  test('ends with its call in the run that takes its place, be the call still to be seen or not', async () => {
    for (const how of ['send', 'replace', 'regenerate'] as const) {
      const { runtime, session, heard, model, store, runId } = await inDoubt()
      const [user] = (await session.view.ready).messages
      const next =
        how === 'send'
          ? session.send('Never mind')
          : how === 'replace'
            ? session.send('Go elsewhere', { replaces: user?.id ?? '' })
            : session.regenerate()
      expect(await next.result).toMatchObject({ text: 'Fresh' })
      expect(promptOf(model, 0)).toEqual([])
      const end = { toolCallId: 'pay', toolName: 'work', outcome: 'failure', runId: next.runId }
      expect(heard.of('tool-execution-finished')).toMatchObject([end])
      expect(await store.readCalls(runId)).toMatchObject([{ state: 'finished', result: { outcome: 'failure' } }])
      const again = record(runtime.session('trip'), { since: 0 })
      await again.when('run-completed')
      expect(again.of('tool-execution-finished')).toMatchObject([end])
      expectOrder(heard.events)
      expectOrder(again.events)
    }
  })
})

describe('stop, stop after the turn and abort', () => {
  const words = ['stop', 'turn', 'abort'] as const
  type Word = (typeof words)[number]
  const say = (word: Word, run: { stop(options: object): Promise<unknown>; abort(): void }) =>
    word === 'abort' ? run.abort() : void run.stop({ after: word === 'turn' ? 'turn' : 'now' }).catch(() => {})
  const endOf = (word: Word) =>
    word === 'abort' ? { kind: 'run-cancelled', reason: 'aborted' } : { kind: 'run-stopped', reason: 'requested' }

  /** A run that works on a tool, or waits for a form, perhaps in its second leg. */
  async function underWay(waits: boolean, resumes: boolean) {
    const store = memoryStore()
    const gate = door()
    const asked = door()
    const turns = [() => asked.pass(waits ? form : call('slow')), reply.text('Never')]
    const here = start(turns, { store, work: () => gate.pass('finished') })
    let run = here.session.send('Go')
    const reached = (n: number) => here.heard.nth(n, waits ? 'run-waiting' : 'tool-execution-started')
    if (resumes) {
      // The first leg ends before its call has begun.
      await asked.reached
      const stopped = run.stop({ after: 'turn' })
      asked.open()
      await stopped
      run = here.runtime.runs.resume(run.runId)
    }
    asked.open()
    await reached(1)
    return { ...here, run, gate, store }
  }

  test.each(words)('%s works from any handle and tab, on a resumed run, and while it waits', async (word) => {
    for (const from of ['handle', 'session', 'looked-up', 'other tab'] as const)
      for (const waits of [false, true])
        for (const resumes of [false, true]) {
          const { run, runtime, session, store, heard, gate } = await underWay(waits, resumes)
          const elsewhere = from === 'other tab' ? start([], { store }) : undefined
          if (from === 'handle') say(word, run)
          else if (from === 'session') {
            if (word === 'abort') session.abort()
            else void session.stop({ after: word === 'turn' ? 'turn' : 'now' })
          } else say(word, (elsewhere?.runtime ?? runtime).runs.get(run.runId))
          if (word === 'turn' && !waits) {
            // What has started finishes first.
            await expect.poll(async () => (await store.readInbox('trip')).length).toBeGreaterThan(0)
            gate.open()
          }
          const where = `${from}, ${waits ? 'waiting' : 'working'}, ${resumes ? 'resumed' : 'first leg'}`
          await heard.nth(resumes && word !== 'abort' ? 2 : 1, word === 'abort' ? 'run-cancelled' : 'run-stopped')
          expect(
            heard.events.findLast(({ kind }) => kind.startsWith('run-')),
            where,
          ).toMatchObject(endOf(word))
          expect(
            heard.of('tool-execution-finished').map(({ outcome }) => outcome),
            where,
          ).toEqual(waits ? [] : [word === 'turn' ? 'success' : 'failure'])
          expectOrder(heard.events)
          gate.open()
        }
  })
})

describe('a tool that ignores its signal', () => {
  const rows = async (store: Store, runId: string) => (await store.readCalls(runId))[0]

  test.each(['stop', 'abort', 'deadline'] as const)(
    'does not hold up a %s; its late result is in the ledger alone',
    async (how) => {
      const gate = door()
      const { session, heard, store, clock } = start([call('slow')], {
        work: () => gate.pass('too late'),
        limits: { maxDuration: 1000 },
      })
      const run = session.send('Go')
      await gate.reached
      if (how === 'stop') void run.stop()
      else if (how === 'abort') run.abort()
      else clock.advance(1000)
      await heard.when(how === 'abort' ? 'run-cancelled' : 'run-stopped')
      const told = heard.events.length
      const before = await session.view.ready
      gate.open()
      await expect
        .poll(() => rows(store, run.runId))
        .toMatchObject({
          state: 'finished',
          result: { outcome: 'failure' },
          late: { outcome: 'success', output: 'too late' },
        })
      expect(heard.events.length).toBe(told)
      expect(await session.view.ready).toEqual(before)
      expectOrder(heard.events)
    },
  )

  test('does not hold up the run past its time-out either, and what it throws late is noted', async () => {
    for (const throws of [false, true]) {
      const gate = door()
      const after = door()
      const { session, heard, store, clock } = start([call('slow'), () => after.pass(reply.text('Without it'))], {
        work: async () => {
          await gate.pass()
          if (throws) throw new Error('broke late')
          return 'too late'
        },
        limits: { toolTimeout: 500 },
      })
      const run = session.send('Go')
      await gate.reached
      clock.advance(500)
      expect(await heard.when('tool-execution-finished')).toMatchObject({
        errorText: expect.stringContaining('500 ms'),
      })
      gate.open()
      const late = throws ? { outcome: 'failure', errorText: 'Error: broke late' } : { output: 'too late' }
      await expect.poll(() => rows(store, run.runId)).toMatchObject({ result: { outcome: 'failure' }, late })
      after.open()
      expect(await run.result).toMatchObject({ text: 'Without it' })
      expect(await rows(store, run.runId)).toMatchObject({ late })
      expect(heard.of('tool-execution-finished')).toHaveLength(1)
    }
  })

  test('has its result kept where it comes while the end is being written', async () => {
    const gate = door()
    const ending = door()
    let held = false
    const store = hooked(memoryStore(), async (method, [change], go) => {
      const { events = [] } = change as { events?: readonly { kind: string }[] }
      if (method === 'commit' && events.some(({ kind }) => kind === 'run-stopped') && !held) {
        held = true
        await ending.pass()
      }
      return go()
    })
    const { session } = start([call('slow')], { store, work: () => gate.pass('too late') })
    const run = session.send('Go')
    await gate.reached
    const stopped = run.stop()
    await ending.reached
    gate.open()
    ending.open()
    await stopped
    await expect.poll(() => rows(store, run.runId)).toMatchObject({ state: 'finished', late: { output: 'too late' } })
  })

  test('leaves no trace where it heeds its signal, or where another runtime has the session', async () => {
    const heeding = start([call('slow')], {
      work: (_, { abortSignal }) =>
        new Promise((_resolve, reject) => abortSignal.addEventListener('abort', () => reject(abortSignal.reason))),
    })
    const heeded = heeding.session.send('Go')
    await heeding.heard.when('tool-execution-started')
    await heeded.stop()
    await heeding.runtime.close()
    expect(await rows(heeding.store, heeded.runId)).not.toHaveProperty('late')

    const gate = door()
    const store = memoryStore()
    let noted = 0
    const watched = hooked(store, async (method, _, go) => {
      const result = await go()
      if (method === 'saveLate') noted++
      return result
    })
    const here = start([call('slow')], { store: watched, work: () => gate.pass('too late') })
    const run = here.session.send('Go')
    await gate.reached
    await run.stop()
    const there = start([reply.text('Mine')], { store })
    await there.session.send('On').result
    gate.open()
    await expect.poll(() => noted).toBe(1)
    expect(await rows(store, run.runId)).not.toHaveProperty('late')
  })
})
