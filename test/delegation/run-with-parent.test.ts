import { type AgentDefinition, type AnyEvent, createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { gated, lastWords } from './family.ts'

const usage = { inputTokens: 10, outputTokens: 5 }

type Options = Partial<Pick<AgentDefinition, 'model' | 'delegation'>>

/** A lead that answers when it is let, and a helper that is none of its delegates. */
function family({ lead = {}, helper = {} }: { lead?: Options; helper?: Options } = {}) {
  const gate = Promise.withResolvers<void>()
  const store = memoryStore()
  const leadModel = scriptedModel(
    [() => gate.promise.then(() => reply.text('Done.')), reply.text('All done.'), reply.text('Further.')],
    { usage },
  )
  const helperModel = scriptedModel([reply.text('Well.'), reply.text('Well again.'), reply.text('Briefly well.')], {
    usage,
  })
  const leadAgent = defineAgent({ name: 'lead', model: leadModel, ...lead })
  const helperAgent = defineAgent({ name: 'helper', model: helperModel, ...helper })
  const make = () => {
    const runtime = createRuntime([leadAgent, helperAgent], { store })
    onTestFinished(() => runtime.close())
    return runtime
  }
  const runtime = make()
  const events: AnyEvent[] = []
  runtime.on('any', (event) => void events.push(event as AnyEvent))
  return { runtime, make, events, helperModel, leadModel, answer: () => gate.resolve() }
}

const code = (result: Promise<unknown>) =>
  result.then(
    () => 'resolved',
    (error) => (error.name === 'AbortError' ? error.name : error.code),
  )

describe('a run that code starts with a parent', () => {
  it("is that run's child, on a session of its own of the same id, and is told and counted as one", async () => {
    const { runtime, events, answer } = family()
    const parent = runtime.session('s').send('Go')
    const child = runtime.run({ agent: 'helper', input: 'How is it?', parent: parent.runId })
    expect(child.sessionId).toBe(child.runId)
    const output = await child.result
    expect(output).toMatchObject({ runId: child.runId, sessionId: child.runId, text: 'Well.' })
    answer()
    const { usage: used } = await parent.result
    expect(used.inputTokens).toBe(20)
    const own = events.filter(({ runId, kind }) => runId === child.runId && kind !== 'input-queued')
    expect(own.every(({ parentRunId }) => parentRunId === parent.runId)).toBe(true)
    const [info] = await runtime.sessions.list({ parent: 's' })
    expect(info).toMatchObject({ id: child.runId, parent: { sessionId: 's', runId: parent.runId } })
    expect((await runtime.sessions.list()).map(({ id }) => id)).toEqual(['s'])
  })

  it('is heard by the owner of the parent, wherever the handle is', async () => {
    const { runtime, make, answer } = family()
    const parent = runtime.session('s').send('Go')
    await new Promise<void>((resolve) => void parent.on('run-started', () => resolve()))
    const child = make().run({ agent: 'helper', input: 'How is it?', parent: parent.runId })
    await expect(child.result).resolves.toMatchObject({ text: 'Well.' })
    answer()
    await parent.result
  })

  it('is the same for the same clientRequestId', async () => {
    const { runtime, answer, helperModel } = family()
    const parent = runtime.session('s').send('Go')
    const request = { agent: 'helper', input: 'How is it?', parent: parent.runId, clientRequestId: 'one' } as const
    const [first, second] = [runtime.run(request), runtime.run(request)]
    expect(second.runId).toBe(first.runId)
    await Promise.all([first.result, second.result])
    expect(helperModel.calls).toHaveLength(1)
    answer()
    await parent.result
  })

  it.each([
    ['an agent that is above already', {}, 'lead', 'delegation-refused'],
    ['an agent that nobody knows', {}, 'nobody', 'unknown-agent'],
    ['more children than its parent may have', { delegation: { maxChildren: 1 } }, 'helper', 'delegation-refused'],
  ])('rejects for %s, here and in another tab', async (_, delegation, agent, expected) => {
    const { runtime, make, answer } = family({ lead: delegation })
    const parent = runtime.session('s').send('Go')
    await new Promise<void>((resolve) => void parent.on('run-started', () => resolve()))
    const first = runtime.run({ agent: 'helper', input: 'First', parent: parent.runId })
    await first.result
    const request = { agent, input: 'Go', parent: parent.runId } as never
    expect(await code(runtime.run(request).result)).toBe(expected)
    expect(await code(make().run(request).result)).toBe(expected)
    answer()
    await parent.result
  })

  it('rejects where it would be too deep', async () => {
    const { runtime, answer } = family({
      lead: { delegation: { maxDepth: 1 } },
      helper: { model: scriptedModel([reply.hang()]) },
    })
    const parent = runtime.session('s').send('Go')
    const child = runtime.run({ agent: 'helper', input: 'Go', parent: parent.runId })
    const below = runtime.run({ agent: 'helper', input: 'Go', parent: child.runId })
    expect(await code(below.result)).toBe('delegation-refused')
    child.abort()
    expect(await code(child.result)).toBe('AbortError')
    answer()
    await parent.result
  })

  it('is told of to a model without tools for agents, which is sent to none', async () => {
    const lead = gated(reply.text('Hello.'), reply.text('Done.'))
    const helper = gated(reply.text('Helped.'))
    const runtime = createRuntime(
      [
        defineAgent({ name: 'lead', model: lead.model }),
        defineAgent({ name: 'helper', description: 'Looks things up.', model: helper.model }),
      ],
      { store: memoryStore() },
    )
    onTestFinished(() => void runtime.close())
    const run = runtime.session('s').send('Ask')
    await lead.asked(0)
    const child = runtime.run({ agent: 'helper', input: 'Go', parent: run.runId })
    await helper.asked(0)
    lead.answer(0)
    helper.answer(0)
    await child.result
    lead.answer(1)
    await run.result
    expect(lead.model.calls[1]?.tools ?? []).toEqual([])
    expect(lastWords(lead.model.calls[1])).toMatch(/agents that were started beside you\.\]\n- helper, .*: completed$/)
  })

  it('rejects for a parent that is unknown, has ended, or ends before it hears of it', async () => {
    const { runtime, answer, make, events } = family()
    expect(await code(runtime.run({ agent: 'helper', input: 'Go', parent: 'nobody' }).result)).toBe('unknown-run')
    const parent = runtime.session('s').send('Go')
    const queued = runtime.session('s').send('Later')
    const under = runtime.run({ agent: 'helper', input: 'Go', parent: queued.runId })
    await waitFor(() =>
      expect(events.some(({ kind, runId }) => kind === 'input-queued' && runId === under.runId)).toBe(true),
    )
    queued.abort()
    expect(await code(under.result)).toBe('not-resumable')
    answer()
    await parent.result
    const late = { agent: 'helper', input: 'Go', parent: parent.runId } as const
    expect(await code(runtime.run(late).result)).toBe('not-resumable')
    expect(await code(make().run(late).result)).toBe('not-resumable')
  })

  it('is taken back by its handle while it waits for its turn, and makes room', async () => {
    const { runtime, make, answer, events } = family({
      lead: { delegation: { maxConcurrent: 1 } },
      helper: { model: scriptedModel([reply.hang(), reply.text('Well.')]) },
    })
    const parent = runtime.session('s').send('Go')
    const start = (of = runtime) => of.run({ agent: 'helper', input: 'Go', parent: parent.runId })
    const first = start()
    await waitFor(() =>
      expect(events.some(({ kind, agent }) => kind === 'model-started' && agent === 'helper')).toBe(true),
    )
    const second = start()
    const third = start(make())
    const last = start()
    await waitFor(() => expect(events.filter(({ kind }) => kind === 'delegation-started')).toHaveLength(4))
    second.abort()
    third[Symbol.dispose]()
    expect(await code(second.result)).toBe('AbortError')
    expect(await code(third.result)).toBe('AbortError')
    await first.stop()
    await expect(last.result).resolves.toMatchObject({ text: 'Well.' })
    answer()
    await parent.result
    const begun = events.flatMap((event) => (event.kind === 'run-started' ? [event.runId] : []))
    expect(begun).toEqual([parent.runId, first.runId, last.runId])
  })

  it('hears what its handle says while it waits', async () => {
    const { runtime, answer, helperModel, events } = family({ lead: { delegation: { maxConcurrent: 1 } } })
    const parent = runtime.session('s').send('Go')
    runtime.run({ agent: 'helper', input: 'First', parent: parent.runId })
    const child = runtime.run({ agent: 'helper', input: 'Second', parent: parent.runId })
    const { delivered } = await child.steer('and be brief')
    await Promise.all([child.result, delivered])
    expect(JSON.stringify(helperModel.calls)).toContain('and be brief')
    expect(events.length).toBeGreaterThan(0)
    answer()
    await parent.result
  })

  it('is waited for by whoever looks it up, also before it begins', async () => {
    const { runtime, make, answer, events } = family({ lead: { delegation: { maxConcurrent: 1 } } })
    const parent = runtime.session('s').send('Go')
    runtime.run({ agent: 'helper', input: 'First', parent: parent.runId })
    const child = runtime.run({ agent: 'helper', input: 'Second', parent: parent.runId })
    await waitFor(() => expect(events.filter(({ kind }) => kind === 'delegation-started')).toHaveLength(2))
    const found = make().runs.get(child.runId)
    expect((await found.result).text).toBe((await child.result).text)
    expect(await code(runtime.runs.get('child:x:nobody').result)).toBe('unknown-run')
    answer()
    await parent.result
  })

  it('rejects where the session of its parent is deleted before it is heard', async () => {
    const { runtime, make, events } = family()
    runtime.session('s').send('Go')
    const queued = runtime.session('s').send('Later')
    const under = make().run({ agent: 'helper', input: 'Go', parent: queued.runId })
    await waitFor(() => expect(events.some(({ kind }) => kind === 'model-started')).toBe(true))
    await runtime.session('s').delete()
    expect(['not-resumable', 'unknown-run']).toContain(await code(under.result))
  })

  it('takes files along', async () => {
    const { runtime, answer, helperModel } = family()
    const parent = runtime.session('s').send('Go')
    const files = [new Blob(['One two'], { type: 'text/plain' })]
    const child = runtime.run({ agent: 'helper', input: { text: 'Read', files }, parent: parent.runId })
    await child.result
    expect(JSON.stringify(helperModel.calls[0]?.prompt)).toContain('text/plain')
    const { messages } = await runtime.session(child.sessionId).view.ready
    const part = messages[0]?.parts.find(({ type }) => type === 'file')
    const url = part?.type === 'file' ? part.url : ''
    expect(await (await runtime.session(child.sessionId).file(url)).text()).toBe('One two')
    answer()
    await parent.result
  })

  it('refuses what it can not mean', () => {
    const { runtime } = family()
    const request = { input: 'Go', parent: 'p' }
    expect(() => runtime.run(request, { session: 's' })).toThrow(/session of its own/)
    expect(() => runtime.run({ ...request, whenBusy: 'steer' })).toThrow(/begins its session/)
    expect(() => runtime.run({ ...request, parent: '' })).toThrow(/run's id/)
    expect(() => runtime.session('s').send('Go', { parent: 'p' } as never)).toThrow(/runtime.run/)
  })
})
