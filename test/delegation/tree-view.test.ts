import { createRuntime, defineAgent, jsonSchema, memoryStore, type RunTree, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { record } from '../runtime/record.ts'
import { door, hooked } from '../runtime/stores.ts'
import { waitFor } from '../wait-for.ts'

const usage = { inputTokens: 10, outputTokens: 5 }
const prices = { scripted: { input: 1_000_000, output: 0 } }

/** A model whose answers are given one by one. */
function gated(...texts: readonly string[]) {
  const gates = texts.map(() => Promise.withResolvers<void>())
  const model = scriptedModel(
    texts.map((text, at) => async () => {
      await gates[at]?.promise
      return reply.text(text)
    }) as never,
    { usage },
  )
  return { model, answer: (at = 0) => gates[at]?.resolve() }
}

function family({ background = false, store = memoryStore(), now = Date.now } = {}) {
  const helper = gated('Read.', 'Read more.')
  const helperAgent = defineAgent({ name: 'helper', model: helper.model, prices })
  const leadModel = scriptedModel(
    [
      reply.call('agent_run', { agent: 'helper', prompt: 'One', ...(background && { background }) }),
      reply.text('Done.'),
      reply.text('All done.'),
    ],
    { usage },
  )
  const lead = defineAgent({ name: 'lead', model: leadModel, delegates: [helperAgent], prices })
  const make = () => {
    const runtime = createRuntime(lead, { store, now })
    onTestFinished(() => runtime.close())
    return runtime
  }
  return { make, runtime: make(), helper, store }
}

/** What a watched tree has shown. */
function watched(tree: { subscribe(changed: () => void): () => void; getSnapshot(): RunTree | undefined }) {
  const shown: (RunTree | undefined)[] = []
  onTestFinished(tree.subscribe(() => shown.push(tree.getSnapshot())))
  const until = (isIt: (tree: RunTree) => boolean) =>
    waitFor(() => {
      const now = tree.getSnapshot()
      if (!now || !isIt(now)) throw new Error(`The tree is ${JSON.stringify(now)}`)
      return now
    })
  return { shown, until }
}

describe('the tree of a run', () => {
  it('shows the run, its children, their phases, and usage that counts upward as soon as it is recorded', async () => {
    const { runtime, helper } = family()
    const run = runtime.session('s').send('Go')
    const { until } = watched(runtime.runs.tree(run.runId))
    const waiting = await until(({ status, children }) => status === 'waiting' && children[0]?.status === 'running')
    expect(waiting).toMatchObject({ agent: 'lead', phase: 'waiting', waitingFor: 'child', usage: { inputTokens: 10 } })
    expect(waiting.children[0]).toMatchObject({ agent: 'helper', phase: 'model', children: [] })
    helper.answer()
    const { usage: used, cost } = await run.result
    const ended = await until(({ status }) => status === 'completed')
    expect(ended.children[0]).toMatchObject({ status: 'completed', usage: { inputTokens: 10, outputTokens: 5 } })
    expect(ended.usage).toEqual(used)
    expect(ended.cost).toBe(cost)
    expect(used.inputTokens).toBe(30)
  })

  it('is the same for somebody who looks once all has ended', async () => {
    const { runtime, helper, make } = family()
    const run = runtime.session('s').send('Go')
    const { until } = watched(runtime.runs.tree(run.runId))
    helper.answer()
    await run.result
    const seen = await until(({ status }) => status === 'completed')
    expect(await make().runs.tree(run.runId).ready).toEqual(seen)
    expect(await runtime.runs.tree('nobody').ready).toBeUndefined()
  })

  it('tells when a run began and ended as its events do, whenever somebody looks', async () => {
    let now = 0
    const { runtime, helper, make } = family({ now: () => ++now })
    const heard = record(runtime)
    const run = runtime.session('s').send('Go')
    const { until } = watched(runtime.runs.tree(run.runId))
    helper.answer()
    await run.result
    const seen = await until(({ status }) => status === 'completed')
    const [began, helperBegan] = heard.of('run-started')
    const [helperEnded, ended] = heard.of('run-completed')
    expect(seen).toMatchObject({
      startedAt: began?.at,
      endedAt: ended?.at,
      children: [{ startedAt: helperBegan?.at, endedAt: helperEnded?.at }],
    })
    expect(await make().runs.tree(run.runId).ready).toEqual(seen)
  })

  it('follows runs that another runtime advances', async () => {
    const { runtime, helper, make } = family({ background: true })
    const run = runtime.session('s').send('Go')
    const { until } = watched(make().runs.tree(run.runId))
    await until(({ children }) => children[0]?.status === 'running')
    helper.answer()
    const { usage: used } = await run.result
    const ended = await until(({ status }) => status === 'completed')
    expect(ended.usage).toEqual(used)
    expect(ended.children[0]).toMatchObject({ status: 'completed', background: true })
  })

  it('misses nothing that another runtime does while somebody begins to look', async () => {
    const store = memoryStore()
    const helper = gated('Read.')
    const helperAgent = defineAgent({ name: 'helper', model: helper.model })
    const go = (agent: string) => reply.call('agent_run', { agent, prompt: 'Go' })
    const middle = defineAgent({
      name: 'middle',
      model: scriptedModel([go('helper'), reply.text('Done.')]),
      delegates: [helperAgent],
    })
    const lead = defineAgent({
      name: 'lead',
      model: scriptedModel([go('middle'), reply.text('Done.')]),
      delegates: [middle],
    })
    const runtime = createRuntime(lead, { store })
    const held = door()
    // What it looks for is found only once all has ended.
    const late = hooked(store, async (method, [options], call) => {
      const found = await call()
      if (method === 'listSessions' && (options as { parent?: string }).parent) await held.pass()
      return found
    })
    const other = createRuntime(lead, { store: late })
    onTestFinished(() => Promise.all([runtime.close(), other.close()]).then(() => {}))
    const heard = record(runtime)
    const run = runtime.session('s').send('Go')
    await heard.when('model-started', ({ agent }) => agent === 'helper')
    const { until } = watched(other.runs.tree(run.runId))
    await held.reached
    // By then whoever does not wait has read it.
    for (let n = 0; n < 20; n++) await other.runs.audit(run.runId)
    helper.answer()
    await run.result
    held.open()
    const seen = await until(({ status }) => status === 'completed')
    expect(seen.children[0]?.children[0]).toMatchObject({ agent: 'helper', status: 'completed' })
    expect(seen).toEqual(await runtime.runs.tree(run.runId).ready)
  })

  it('shows all that an agent has done and used that goes on for a later run', async () => {
    const store = memoryStore()
    const stuck = Promise.withResolvers<never>()
    const helper = scriptedModel([reply.call('look', {}), () => stuck.promise, reply.text('Read.')], { usage })
    const look = tool({ inputSchema: jsonSchema<object>({ type: 'object' }), execute: () => 'Seen.' })
    const asked = door()
    let runId = ''
    const lead = defineAgent({
      name: 'lead',
      model: scriptedModel(
        [
          reply.call('agent_run', { agent: 'helper', prompt: 'Go' }),
          reply.text('It stopped.'),
          async () => {
            await asked.pass()
            return reply.call('agent_run', { run_id: runId })
          },
          reply.text('Done.'),
        ],
        { usage },
      ),
      delegates: [defineAgent({ name: 'helper', model: helper, tools: { look } })],
    })
    const runtime = createRuntime(lead, { store })
    onTestFinished(() => runtime.close())
    const heard = record(runtime)
    const session = runtime.session('s')
    const first = session.send('Go')
    runId = (await heard.when('delegation-started')).childRunId
    await heard.when('model-started', ({ agent, turn }) => agent === 'helper' && turn === 2)
    await runtime.runs.get(runId).stop()
    await first.result
    const run = session.send('Go on')
    const { until } = watched(runtime.runs.tree(run.runId))
    await until(({ phase }) => phase === 'model')
    asked.open()
    await run.result
    const seen = await until(({ status }) => status === 'completed')
    const other = createRuntime(lead, { store })
    onTestFinished(() => other.close())
    expect(seen).toEqual(await other.runs.tree(run.runId).ready)
  })

  it('keeps the identity of what did not change', async () => {
    const { runtime, helper } = family({ background: true })
    const run = runtime.session('s').send('Go')
    const { until } = watched(runtime.runs.tree(run.runId))
    const before = await until(
      ({ waitingFor, children }) => waitingFor === 'child' && children[0]?.status === 'running',
    )
    await runtime.session('other').rename('Other')
    expect(runtime.runs.tree(run.runId)).not.toBe(undefined)
    helper.answer()
    await run.result
    const after = await until(({ status }) => status === 'completed')
    expect(after).not.toBe(before)
    const again = await until(({ status }) => status === 'completed')
    expect(again.children[0]).toBe(after.children[0])
  })

  it('shows what a stop leaves of it, leaves first', async () => {
    const { runtime } = family()
    const run = runtime.session('s').send('Go')
    const { until, shown } = watched(runtime.runs.tree(run.runId))
    await until(({ children }) => children[0]?.phase === 'model')
    await run.stop()
    const stopped = await until(({ status }) => status === 'stopped')
    expect(stopped).toMatchObject({ reason: 'requested', children: [{ status: 'stopped', reason: 'requested' }] })
    expect(stopped.phase).toBeUndefined()
    expect(shown.length).toBeGreaterThan(0)
  })

  it('says the same as the store after every kind of end, and what it sums up is what the run was charged', async () => {
    const store = memoryStore()
    const model = (...turns: Parameters<typeof scriptedModel>[0]) => scriptedModel(turns, { usage })
    const scripted = { prices: { 'scripted-model': { input: 1, output: 2 } }, retry: { attempts: 1 } }
    const well = defineAgent({ name: 'well', model: model(reply.text('Well.'), reply.text('Well.')), ...scripted })
    const broken = defineAgent({ name: 'broken', model: model(reply.fail(400)), ...scripted })
    const slow = defineAgent({ name: 'slow', model: model(reply.hang(), reply.text('At last.')), ...scripted })
    const middle = defineAgent({
      name: 'middle',
      model: model(reply.call('agent_run', { agent: 'well', prompt: 'Go' }), reply.text('Through.')),
      delegates: [well],
      ...scripted,
    })
    const go = (agent: string, background = false) => reply.call('agent_run', { agent, prompt: 'Go', background })
    let slowId = ''
    const lead = defineAgent({
      name: 'lead',
      model: model(
        reply.all(go('middle', true), go('broken', true), go('well')),
        go('slow'),
        () => reply.call('agent_run', { run_id: slowId }),
        reply.text('Done.'),
        reply.text('All done.'),
      ),
      delegates: [well, broken, slow, middle],
      delegation: { maxConcurrent: 2 },
      ...scripted,
    })
    const make = () => {
      const runtime = createRuntime(lead, { store })
      onTestFinished(() => runtime.close())
      return runtime
    }
    const runtime = make()
    const run = runtime.session('s').send('Go')
    const views = [runtime, make()].map((one) => watched(one.runs.tree(run.runId)))
    run.on(
      'model-started',
      ({ agent, runId, turn }) => {
        if (agent !== 'slow' || turn > 1 || slowId) return
        slowId = runId
        void runtime.runs.get(runId).stop()
      },
      { descendants: true },
    )
    const { usage: used, cost } = await run.result
    const stored = await make().runs.tree(run.runId).ready
    expect(stored).toMatchObject({ status: 'completed', usage: used, cost })
    expect(stored?.children.map(({ agent, status }) => `${agent} ${status}`)).toEqual([
      'middle completed',
      'broken failed',
      'well completed',
      'slow completed',
    ])
    expect(stored?.children[0]?.children).toMatchObject([{ agent: 'well', status: 'completed' }])
    for (const { until } of views) {
      const seen = await until(
        (tree) => JSON.stringify(tree.usage) === JSON.stringify(used) && tree.status === 'completed',
      )
      // Whoever adds them up in another order comes to another last digit.
      expect(seen).toEqual({ ...stored, cost: expect.closeTo(stored?.cost ?? 0, 10) })
    }
  })
})
