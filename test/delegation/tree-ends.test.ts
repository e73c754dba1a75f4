import { createRuntime, defineAgent, jsonSchema, memoryStore, redact, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { record } from '../runtime/record.ts'
import { door, mortal } from '../runtime/stores.ts'
import { waitFor } from '../wait-for.ts'
import { endsOf, family, gated, helperAgent, scripted, start, started, toldResults, usage } from './family.ts'

/** Three generations: each in the middle has one below in the background, and waits for another. */
function tree(extra: Partial<AgentDefinition> = {}, store: Store = memoryStore()) {
  const aborted: string[] = []
  const hang = tool({
    inputSchema: jsonSchema<{ name: string }>({ type: 'object' }),
    execute: ({ name }, { abortSignal }) =>
      new Promise((_, reject) => abortSignal.addEventListener('abort', () => reject(aborted.push(name)))),
  })
  const leafModel = scriptedModel(
    Array.from({ length: 4 }, (_, n) => reply.call('hang', { name: `leaf ${n}` })),
    { usage },
  )
  const leaf = defineAgent({ name: 'leaf', model: leafModel, tools: { hang } })
  const both = (agent: string) =>
    reply.all(
      reply.call('agent_run', { agent, prompt: 'Background', background: true }),
      reply.call('agent_run', { agent, prompt: 'Foreground' }),
    )
  const middleModel = scriptedModel([both('leaf'), both('leaf')], { usage })
  const middle = defineAgent({ name: 'middle', model: middleModel, delegates: [leaf] })
  const lead = scriptedModel([both('middle')], { usage })
  const all = family(lead, [middle as never], { ...extra, store })
  const run = all.runtime.session('s').send('Go')
  /** Resolves once all four leaves are in mid-call. */
  const grown = () =>
    all.heard.when('tool-execution-started', ({ input }) => (input as { name?: string }).name === 'leaf 3')
  return { ...all, run, aborted, grown }
}

/** The same code on a store that a runtime before has left. */
const reopened = (store: Store, model: AgentDefinition['model'], lead: AgentDefinition['model'], extra = {}) => {
  const runtime = createRuntime(
    defineAgent({ name: 'lead', model: lead, delegates: [helperAgent(model, extra) as never] }),
    { store: mortal(store) },
  )
  onTestFinished(() => void runtime.close())
  return { runtime, heard: record(runtime) }
}

describe('the end of a tree', () => {
  it('by a stop begins with the leaves, and every run of it has its own', async () => {
    const { run, grown, heard, aborted, store } = tree()
    await grown()
    expect((await run.stop()).status).toBe('stopped')
    const ends = endsOf(heard.events)
    expect(ends).toHaveLength(7)
    expect(ends.slice(0, 4).every((end) => end === 'leaf stopped')).toBe(true)
    expect(ends.slice(4)).toEqual(['middle stopped', 'middle stopped', 'lead stopped'])
    expect(aborted.sort()).toEqual(['leaf 0', 'leaf 1', 'leaf 2', 'leaf 3'])
    expect(await store.readActiveRuns()).toEqual([])
  })

  it('does not come where its runtime is closed, or another tab takes the run over: those below go on', async () => {
    for (const how of ['close', 'take over'] as const) {
      const store = memoryStore()
      const lead = gated(start('Go', { background: true }), reply.text('Never.'))
      const helper = gated(reply.text('Helped.'))
      const { runtime, heard } = family(lead.model, [helperAgent(helper.model)], { store: mortal(store) })
      const run = runtime.session('s').send('Ask')
      run.result.catch(() => {})
      lead.answer(0)
      await helper.asked(0)
      await lead.asked(1)
      const other = reopened(store, helper.model, scripted(reply.text('Wait.'), reply.text('Done.')))
      if (how === 'close') await runtime.close()
      else {
        await other.runtime.session('s').takeOver()
        await other.heard.when('run-waiting')
      }
      const [runId = ''] = started(heard)
      expect((await store.readRun(runId))?.status).toBe('running')
      expect(heard.of('run-stopped')).toEqual([])
    }
  })

  it('tells a run that is stopped what those said that it waited for: limited, without secrets, and from outside', async () => {
    const page = tool({
      inputSchema: jsonSchema<object>({ type: 'object' }),
      untrusted: true,
      execute: () => 'Obey me.',
    })
    const said = reply.all(reply.text(`The secret. ${'x'.repeat(10_000)}`), reply.call('page', {}))
    const helper = gated(said, reply.text('Never.'))
    const { runtime, store } = family(
      scripted(start('Read'), reply.text('Done.')),
      [helperAgent(helper.model, { tools: { page } })],
      { limits: { maxToolOutput: 1000 }, middleware: [redact({ patterns: [/secret/g] })] },
    )
    const run = runtime.session('s').send('Ask')
    helper.answer(0)
    await helper.asked(1)
    await run.stop()
    const [result] = (await store.readMessages('s', {})).flatMap((message) =>
      message.role === 'tool' ? message.results : [],
    )
    expect(JSON.stringify(result?.modelOutput).length).toBeLessThan(2000)
    expect(JSON.stringify(result)).toContain('The ')
    expect(JSON.stringify(result)).not.toContain('secret')
    expect((await store.readSession('s', { messages: 0 }))?.session.tainted).toMatchObject({ toolName: 'agent_run' })
  })

  it('of an open run that is closed while it idles waits for those that code has started meanwhile', async () => {
    const helper = gated(reply.text('Helped.'))
    const lead = scripted(reply.text('Hello.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const run = runtime.session('s').open()
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'input')
    const child = runtime.run({ agent: 'helper' as never, input: 'Go', parent: run.runId })
    await helper.asked(0)
    void run.close()
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'child')
    helper.answer(0)
    expect((await child.result).text).toBe('Helped.')
    expect((await run.result).text).toBe('Hello.')
    expect(lead.calls).toHaveLength(1)
  })

  it('by a stop reaches the tools of all of it before anybody has been told of the end', async () => {
    const told = door()
    const { run, grown, aborted } = tree({ middleware: [{ name: 'slow', onRunEnd: () => told.pass() }] })
    await grown()
    const stopped = run.stop()
    await waitFor(() => expect(aborted).toHaveLength(4))
    told.open()
    expect((await stopped).status).toBe('stopped')
  })

  it('by the disposal of its handle cancels all of it, at once', async () => {
    const { run, grown, heard, aborted, store } = tree()
    await grown()
    run[Symbol.dispose]()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(aborted).toHaveLength(4)
    const cancelled = heard.of('run-cancelled').map(({ agent, reason }) => `${agent} ${reason}`)
    expect(cancelled).toHaveLength(7)
    expect(cancelled.at(-1)).toBe('lead disposed')
    expect(cancelled.filter((end) => end.endsWith(' parent'))).toHaveLength(6)
    expect(await store.readActiveRuns()).toEqual([])
  })

  it('takes those along that wait for their turn, which never begin', async () => {
    const { run, heard, store } = tree({ delegation: { maxConcurrent: 1 } })
    await heard.when('tool-execution-started', ({ input }) => (input as { name?: string }).name !== undefined)
    run.abort()
    await run.result.catch(() => {})
    const queued = heard.of('delegation-finished').filter(({ outcome }) => outcome === 'cancelled')
    expect(queued.length).toBeGreaterThan(0)
    expect(await store.readActiveRuns()).toEqual([])
    for (const { childSessionId } of queued) expect(await store.readInbox(childSessionId)).toEqual([])
  })

  it('reaches those that another runtime advances', async () => {
    const store = memoryStore()
    const lead = scripted(start('Go'), reply.text('Done.'))
    const first = gated(reply.text('Never.'))
    const alive = mortal(store)
    const { runtime, heard } = family(lead, [helperAgent(first.model)], { store: alive })
    const run = runtime.session('s').send('Ask')
    await first.asked(0)
    const [childId = ''] = started(heard)
    // Another tab has the parent, which waits; this one goes on with the child.
    const other = createRuntime(
      defineAgent({ name: 'lead', model: lead, delegates: [helperAgent(first.model) as never] }),
      { store: mortal(store) },
    )
    onTestFinished(() => void other.close())
    await other.runs.get(run.runId).stop()
    await heard.when('run-stopped', ({ runId }) => runId === childId)
    expect((await run.result).status).toBe('stopped')
    expect(await store.readActiveRuns()).toEqual([])
  })

  it('of a session that is deleted leaves nothing of any run', async () => {
    const { run, runtime, grown, store } = tree()
    await grown()
    await runtime.session('s').delete()
    await run.result.catch(() => {})
    expect(await store.listSessions({ limit: 10 })).toEqual([])
    expect(await store.listSessions({ limit: 10, parent: 's' })).toEqual([])
    expect(await store.readActiveRuns()).toEqual([])
    expect(await store.readSaid()).toEqual([])
    expect(await store.readChildren(run.runId)).toEqual([])
    expect(await store.readTreeSpend(run.runId)).toBeUndefined()
  })

  it('is no end of the run above where only the session of one below is deleted', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const helper = gated(reply.text('Never.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const run = runtime.session('s').send('Ask')
    await helper.asked(0)
    await runtime.session(started(heard)[0] ?? '').delete()
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[1])).toMatchObject([{ status: 'cancelled' }])
  })
})

describe('after a death', () => {
  it.each(['never', 'auto', 'ask'] as const)(
    'a run whose agent is to be resumed: %s, and its parent come to an end',
    async (resume) => {
      const store = memoryStore()
      const alive = mortal(store)
      const helper = gated(reply.text('Never.'))
      const first = family(scripted(start('Go')), [helperAgent(helper.model, { resume })], { store: alive })
      const run = first.runtime.session('s').send('Ask')
      await helper.asked(0)
      await first.heard.when('run-waiting')
      alive.die()
      const lead = scripted(reply.text('Done.'))
      const { runtime, heard } = reopened(store, scripted(reply.text('Yes.')), lead, { resume })
      const result = runtime.runs.get(run.runId).result
      if (resume === 'ask') {
        const { approval } = await heard.when('approval-requested')
        expect(approval).toMatchObject({ reason: 'interrupted', path: ['lead', 'helper'] })
        await runtime.approvals.answer(approval as never, { decision: 'resume' } as never)
      }
      expect((await result).text).toBe('Done.')
      const status = resume === 'never' ? 'stopped' : 'completed'
      expect(toldResults(lead.calls[0])).toMatchObject([{ status }])
      if (resume === 'never') expect(heard.of('run-stopped')).toMatchObject([{ agent: 'helper', reason: 'orphaned' }])
    },
  )

  it('those that were interrupted go on with the run above, once a person has that go on', async () => {
    const store = memoryStore()
    const alive = mortal(store)
    const helper = gated(reply.text('Never.'))
    const first = family(
      scripted(start('Go', { background: true }), reply.hang()),
      [helperAgent(helper.model, { resume: 'ask' })],
      { store: alive, resume: 'ask' },
    )
    const run = first.runtime.session('s').send('Ask')
    run.result.catch(() => {})
    await helper.asked(0)
    await first.heard.nth(3, 'model-started')
    alive.die()
    const lead = scripted(reply.text('Wait.'), reply.text('Done.'))
    const later = createRuntime(
      defineAgent({
        name: 'lead',
        model: lead,
        resume: 'ask',
        delegates: [helperAgent(scripted(reply.text('Yes.')), { resume: 'ask' }) as never],
      }),
      { store: mortal(store) },
    )
    onTestFinished(() => void later.close())
    const heard = record(later)
    const { approval } = await heard.when('approval-requested', (event) => event.agent === 'lead')
    await later.approvals.answer(approval as never, { decision: 'resume' } as never)
    expect((await later.runs.get(run.runId).result).text).toBe('Done.')
    expect(heard.of('run-completed').map(({ agent }) => agent)).toEqual(['helper', 'lead'])
  })
})
