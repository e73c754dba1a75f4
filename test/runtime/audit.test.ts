import type { LanguageModelV4 } from '@ai-sdk/provider'
import {
  type Approval,
  createRuntime,
  defineAgent,
  indexedDbStore,
  memoryStore,
  type Policy,
  type Store,
  tool,
} from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { Change } from '../../src/sessions/store.ts'
import { manualClock } from './clock.ts'
import { manualModel } from './manual-model.ts'
import { answer, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

const stores: readonly (readonly [string, () => Store])[] = [
  ['memory', () => memoryStore()],
  ['indexedDB', () => indexedDbStore({ name: `test-${crypto.randomUUID()}` })],
]

const never = () => new Promise<never>(() => {})

describe.each(stores)('the audit trail of a run, %s,', (_, makeStore) => {
  const newStore = () => {
    const store = makeStore()
    onTestFinished(() => store.close())
    return store
  }

  /** A runtime whose tools do what their names say. */
  function start(store: Store, model: LanguageModelV4, options: object = {}, rules: object = {}) {
    const inputSchema = z.object({ n: z.number().optional() })
    const reached = door()
    const tools = {
      add: tool({ inputSchema, execute: () => 1 }),
      fail: tool({
        inputSchema,
        execute: () => {
          throw new Error(`No. ${'x'.repeat(1000)}`)
        },
      }),
      slow: tool({ inputSchema, timeout: 5000, execute: never }),
      hang: tool({ inputSchema, execute: () => reached.pass().then(never) }),
      lookup: tool({ inputSchema, idempotent: true, execute: () => reached.pass().then(never) }),
      form: tool({ inputSchema, outputSchema: z.object({ name: z.string() }) }),
    }
    const agent = defineAgent({ name: 'assistant', model, tools, ...rules })
    const runtime = createRuntime(agent, { store, ...options })
    onTestFinished(() => runtime.close())
    const session = runtime.session('trip')
    return { runtime, session, heard: record(session), reached }
  }

  const trailOf = async ({ runtime }: Pick<ReturnType<typeof start>, 'runtime'>, runId: string) =>
    (await runtime.runs.audit(runId)).map(({ toolCallId, transition, by }) => `${toolCallId} ${transition} by ${by}`)

  test('tells of every call when it was asked for, checked, started and through', async () => {
    const model = scriptedModel([
      reply.all(
        reply.call('add', {}, { toolCallId: 'a' }),
        reply.call('fail', {}, { toolCallId: 'f' }),
        reply.call('add', { n: 'one' }, { toolCallId: 'i' }),
        reply.call('nothing', {}, { toolCallId: 'u' }),
      ),
      reply.text('Done.'),
    ])
    let time = 1000
    const app = start(newStore(), model, { now: () => time++ })
    const { runId } = await app.session.send('Go').result
    const trail = await app.runtime.runs.audit(runId)
    expect((await trailOf(app, runId)).slice(0, 12)).toEqual([
      'a asked by model',
      'a valid by model',
      'f asked by model',
      'f valid by model',
      'i asked by model',
      'i invalid by model',
      'u asked by model',
      'u invalid by model',
      'a allowed by tool',
      'f allowed by tool',
      'a started by runtime',
      'f started by runtime',
    ])
    expect((await trailOf(app, runId)).slice(12).sort()).toEqual(['a finished by tool', 'f failed by tool'])
    expect(trail.every(({ turn }) => turn === 1)).toBe(true)
    expect(trail.map(({ at }) => at)).toEqual(trail.map(({ at }) => at).sort((a, b) => a - b))
    expect(trail[5]).toMatchObject({ toolName: 'add', detail: expect.stringContaining('Invalid input') })
    const { detail } = trail.find(({ transition }) => transition === 'failed') ?? {}
    expect(detail).toMatch(/^Error: No\. x+$/)
    expect(detail).toHaveLength(500)
  })

  test('is one record more in each commit that does something with calls, and none in the others', async () => {
    const store = newStore()
    const audits: number[] = []
    const watched = hooked(store, (method, [change], call) => {
      if (method === 'commit') audits.push((change as Change).audit?.length ?? 0)
      return call()
    })
    const model = scriptedModel([reply.call('add', {}), reply.text('Done.')])
    await start(watched, model).session.send('Go').result
    // The input; the answer, the start, the result; the second answer.
    expect(audits).toEqual([0, 1, 1, 1, 0])
  })

  test('says when a tool had no time left', async () => {
    const clock = manualClock()
    const model = scriptedModel([reply.call('slow', {}, { toolCallId: 's' }), reply.text('Done.')])
    const app = start(newStore(), model, clock)
    const handle = app.session.send('Go')
    expect(await clock.asleep()).toBe(5000)
    clock.advance(5000)
    await handle.result
    expect((await trailOf(app, handle.runId)).slice(3)).toEqual([
      's started by runtime',
      's timed-out by runtime',
      's failed by tool',
    ])
  })

  test('says who answered a call that waited for somebody', async () => {
    const model = scriptedModel([reply.call('form', {}, { toolCallId: 'f' }), reply.text('Done.')])
    const app = start(newStore(), model)
    const handle = app.session.send('Go')
    await app.heard.when('run-waiting')
    await app.session.addToolOutput({ tool: 'form', toolCallId: 'f', output: { name: 'Ada' } })
    await handle.result
    expect((await trailOf(app, handle.runId)).slice(3)).toEqual(['f started by person', 'f finished by person'])
  })

  test('says which calls the end of the run cut', async () => {
    const model = scriptedModel([
      reply.all(reply.call('hang', {}, { toolCallId: 'h' }), reply.call('form', {}, { toolCallId: 'f' })),
    ])
    const app = start(newStore(), model)
    const handle = app.session.send('Go')
    await app.reached.reached
    handle.abort()
    await expect(handle.result).rejects.toMatchObject({ name: 'AbortError' })
    expect((await trailOf(app, handle.runId)).slice(6)).toEqual([
      'h started by runtime',
      'h cut by runtime',
      'f cut by runtime',
    ])
    const cut = (await app.runtime.runs.audit(handle.runId)).slice(-2).map(({ detail }) => detail)
    expect(cut).toEqual([expect.stringContaining('outcome is unknown'), expect.stringContaining('Not started')])
  })

  test('says that calls which a stop had left are cut once another run takes the place', async () => {
    const model = scriptedModel([reply.call('form', {}, { toolCallId: 'f' }), reply.text('Done.')])
    const app = start(newStore(), model)
    const handle = app.session.send('Go')
    await app.heard.when('run-waiting')
    await handle.stop()
    const left = ['f asked by model', 'f valid by model', 'f allowed by tool']
    expect(await trailOf(app, handle.runId)).toEqual(left)
    const { runId } = await app.session.send('Something else').result
    expect(await trailOf(app, handle.runId)).toEqual([...left, 'f cut by runtime'])
    expect(await app.runtime.runs.audit(runId)).toEqual([])
  })

  /** A run whose owner died while `hang` and `lookup` were carried out; its `add` had finished. */
  async function diedInTools(store: Store) {
    const alive = mortal(store)
    const model = manualModel()
    const first = start(alive, model)
    const { runId } = first.session.send('Go')
    const call = await model.next()
    call.toolCall('hang', {}, 'h')
    call.toolCall('add', {}, 'a')
    call.toolCall('lookup', {}, 'l')
    call.finish('tool-calls')
    await first.heard.when('tool-execution-finished')
    alive.die()
    return runId
  }

  test('goes on in the next leg: what is taken from the ledger, and what is started again', async () => {
    const store = newStore()
    const runId = await diedInTools(store)
    const app = start(store, scriptedModel([reply.text('Done.')]))
    await app.reached.reached
    expect((await trailOf(app, runId)).slice(9)).toEqual([
      'h started by runtime',
      'a started by runtime',
      'l started by runtime',
      'a finished by tool',
      'a cached by runtime',
      'l retried by runtime',
    ])
  })

  test('tells what somebody made of a call in doubt', async () => {
    const store = newStore()
    const alive = mortal(store)
    const first = start(alive, scriptedModel([reply.call('hang', {}, { toolCallId: 'h' })]))
    const { runId } = first.session.send('Go')
    await first.reached.reached
    alive.die()
    const app = start(store, scriptedModel([reply.text('Done.')]))
    const { approval } = await app.heard.when('approval-requested')
    await answer(app.runtime, approval, { decision: 'supply-result', output: 7 })
    await app.runtime.runs.get(runId).result
    expect((await trailOf(app, runId)).slice(4)).toEqual(['h in-doubt by runtime', 'h settled by person'])
    expect((await app.runtime.runs.audit(runId)).slice(4)).toMatchObject([
      { approvalId: approval.id, detail: expect.stringContaining('hang') },
      { approvalId: approval.id, detail: 'supply-result' },
    ])
  })

  test('tells who allowed, changed and refused each call, and why', async () => {
    const answers: Record<string, object> = {
      always: { decision: 'allow-always' },
      edit: { decision: 'allow-once', input: { n: 9 } },
      no: { decision: 'deny', reason: 'Too much' },
    }
    const model = scriptedModel([
      reply.call('add', { n: 1 }, { toolCallId: 'always' }),
      reply.all(
        reply.call('add', { n: 2 }, { toolCallId: 'grant' }),
        reply.call('fail', { n: 3 }, { toolCallId: 'edit' }),
        reply.call('slow', { n: 4 }, { toolCallId: 'no' }),
        reply.call('hang', { n: 5 }, { toolCallId: 'never' }),
      ),
      reply.text('Done.'),
    ])
    const policy: Policy = ({ toolCallId }) => (toolCallId === 'never' ? { deny: 'Not today' } : { ask: 'Who knows?' })
    const app = start(newStore(), model, {}, { policy })
    const asked: Record<string, string> = {}
    app.session.on('approval-requested', ({ approval }) => {
      const { toolCallId } = approval as Extract<Approval, { reason: 'policy' }>
      asked[toolCallId] = approval.id
      void answer(app.runtime, approval, answers[toolCallId] as never)
    })
    const { runId } = await app.session.send('Go').result
    const decided = (await app.runtime.runs.audit(runId)).filter(({ transition }) => /allow|chang|den/.test(transition))
    const said = { by: 'person', approvalId: expect.any(String) }
    const of = (id: string) => decided.filter(({ toolCallId }) => toolCallId === id)
    expect(of('always')).toMatchObject([{ transition: 'allowed', ...said, detail: 'allow-always' }])
    expect(of('grant')).toMatchObject([{ transition: 'allowed', by: 'grant' }])
    expect(of('edit')).toMatchObject([
      { transition: 'changed', ...said },
      { transition: 'allowed', ...said, approvalId: asked.edit },
    ])
    expect(of('no')).toMatchObject([{ transition: 'denied', ...said, detail: expect.stringContaining('Too much') }])
    expect(of('never')).toMatchObject([{ transition: 'denied', by: 'policy', detail: 'Not today' }])
    const questions = (await app.runtime.runs.audit(runId)).filter(
      ({ transition }) => transition === 'approval-requested',
    )
    expect(questions.map(({ approvalId }) => approvalId)).toEqual(Object.values(asked))
    expect(questions.map(({ by, detail }) => [by, detail])).toEqual(
      Object.keys(asked).map(() => ['policy', 'Who knows?']),
    )
  })

  test('tells who let a loop go on, and who did not', async () => {
    const call = (id: string) => reply.call('add', { n: 1 }, { toolCallId: id })
    const model = scriptedModel([call('1'), call('2'), call('3'), call('4'), call('5'), call('6'), reply.text('Done.')])
    const app = start(newStore(), model)
    const handle = app.session.send('Go')
    const first = await app.heard.nth(1, 'approval-requested')
    await answer(app.runtime, first.approval, { decision: 'allow-once' })
    const second = await app.heard.nth(2, 'approval-requested')
    await answer(app.runtime, second.approval, { decision: 'deny' })
    await handle.result
    const decided = (await app.runtime.runs.audit(handle.runId)).filter(({ approvalId }) => approvalId !== undefined)
    expect(decided).toMatchObject([
      { transition: 'approval-requested', by: 'runtime', approvalId: first.approval.id },
      { transition: 'allowed', by: 'person', approvalId: first.approval.id },
      { transition: 'approval-requested', by: 'runtime', approvalId: second.approval.id },
      { transition: 'denied', by: 'person', approvalId: second.approval.id },
    ])
  })

  test('is refused where there is no such run, and empty where the run made no calls', async () => {
    const app = start(newStore(), scriptedModel([reply.text('Hello')]))
    await expect(app.runtime.runs.audit('nobody')).rejects.toMatchObject({ name: 'AgentError', code: 'unknown-run' })
    const { runId } = await app.session.send('Hi').result
    expect(await app.runtime.runs.audit(runId)).toEqual([])
  })
})
