import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'

function family() {
  const helper = defineAgent({ name: 'helper', model: scriptedModel([reply.text('Well.'), reply.text('Again.')]) })
  const lead = defineAgent({
    name: 'lead',
    model: scriptedModel([reply.call('agent_run', { agent: 'helper', prompt: 'How is it?' }), reply.text('Done.')]),
    delegates: [helper],
  })
  const runtime = createRuntime(lead, { store: memoryStore() })
  onTestFinished(() => runtime.close())
  return runtime
}

describe('the session of a delegated run', () => {
  it('is listed under the one that it comes from, and nowhere else', async () => {
    const runtime = family()
    const under = runtime.sessions.view({ parent: 's' })
    const top = runtime.sessions.view()
    onTestFinished(under.subscribe(() => {}))
    onTestFinished(top.subscribe(() => {}))
    const run = runtime.session('s').send('Go')
    await run.result
    await waitFor(() => expect(under.getSnapshot()).toHaveLength(1))
    expect(under.getSnapshot()[0]).toMatchObject({
      title: 'How is it?',
      agent: 'helper',
      parent: { sessionId: 's', runId: run.runId },
    })
    expect(top.getSnapshot().map(({ id }) => id)).toEqual(['s'])
    expect(top.getSnapshot()[0]).not.toHaveProperty('parent')
    expect(await runtime.sessions.list({ parent: under.getSnapshot()[0]?.id as string })).toEqual([])
  })

  it('has a view as any other, and goes on with a run of its own when somebody speaks to it', async () => {
    const runtime = family()
    await runtime.session('s').send('Go').result
    const [info] = await runtime.sessions.list({ parent: 's' })
    const session = runtime.session(info?.id)
    const before = await session.view.ready
    expect(before.messages.map(({ role }) => role)).toEqual(['user', 'assistant'])
    const parents: (string | undefined)[] = []
    session.on('any', ({ parentRunId }) => void parents.push(parentRunId))
    runtime.session('s').on('run-started', () => expect.unreachable(), { descendants: true })
    await expect(session.send('And now?').result).resolves.toMatchObject({ text: 'Again.' })
    expect(new Set(parents)).toEqual(new Set([undefined]))
    expect((await runtime.sessions.list({ parent: 's' })).map(({ id }) => id)).toEqual([info?.id])
  })

  it('goes with the session that it is under', async () => {
    const runtime = family()
    await runtime.session('s').send('Go').result
    await runtime.session('s').delete()
    expect(await runtime.sessions.list({ parent: 's' })).toEqual([])
  })
})
