import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { memoryStore } from 'turnloop/runtime'
import { reply } from 'turnloop/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { door, hooked } from '../runtime/stores.ts'
import { family, gated, helperAgent, scripted, start, started, type Turns, toldResults } from './family.ts'

/** The id that the last result names. */
const idIn = (call: LanguageModelV4CallOptions) => {
  const [result] = toldResults(call)
  return typeof result === 'object' ? result.run_id : ''
}
const goOn =
  (more: object = {}) =>
  (call: LanguageModelV4CallOptions) =>
    reply.call('agent_run', { run_id: idIn(call), ...more })

/** A helper that is stopped in its first answer, then goes on. */
async function stopped(...turns: Turns) {
  const lead = scripted(start('Go'), ...turns)
  const helper = gated(reply.text('Never.'), reply.text('All is well.'), reply.text('And more.'))
  const all = family(lead, [helperAgent(helper.model)])
  const run = all.runtime.session('s').send('Ask')
  await helper.asked(0)
  const [childId = ''] = started(all.heard)
  helper.answer(1)
  helper.answer(2)
  await all.runtime.runs.get(childId).stop()
  return { ...all, lead, helper, run, childId }
}

describe('an agent that stopped', () => {
  it('goes on under its id, in a new leg, with what it is told then', async () => {
    const { lead, helper, run, childId, heard } = await stopped(goOn({ prompt: 'Hurry.' }), reply.text('Done.'))
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toEqual([
      { run_id: childId, agent: 'helper', status: 'completed', text: 'All is well.' },
    ])
    const asked = JSON.stringify(helper.model.calls[1]?.prompt)
    expect(asked.match(/Hurry\./g)).toHaveLength(1)
    expect(heard.of('run-started').filter(({ runId }) => runId === childId)).toMatchObject([{}, { resumed: true }])
    expect(heard.of('delegation-started')).toMatchObject([{}, { childRunId: childId, resumed: true }])
    expect(heard.of('delegation-finished').map(({ outcome }) => outcome)).toEqual(['stopped', 'completed'])
  })

  it('goes on without a further prompt, too, and in the background', async () => {
    const { helper, run, lead } = await stopped(goOn({ background: true }), reply.text('Started.'), reply.text('Done.'))
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toMatchObject([{ status: 'running' }])
    expect(helper.model.calls).toHaveLength(2)
  })

  it('goes on for a later run of the session, whose child it then is', async () => {
    const { run, runtime, lead, childId, heard } = await stopped(
      reply.text('Done.'),
      (call) => reply.call('agent_run', { run_id: /"run_id":"([^"]+)"/.exec(JSON.stringify(call.prompt))?.[1] }),
      reply.text('Done again.'),
    )
    await run.result
    const later = runtime.session('s').send('Let it go on')
    expect((await later.result).text).toBe('Done again.')
    expect(toldResults(lead.calls[3])).toMatchObject([{ run_id: childId, status: 'completed' }])
    const legs = heard.of('run-started').filter(({ runId }) => runId === childId)
    expect(legs.map(({ parentRunId }) => parentRunId)).toEqual([run.runId, later.runId])
  })
})

describe('an agent that is to go on, and waits for its turn,', () => {
  /** Two helpers side by side in a family where one is under way at a time: the first one stops, and is to go on. */
  const two = async () => {
    const held = door()
    let isHeld = false
    const store = hooked(memoryStore(), async (method, [id], call) => {
      if (!isHeld || method !== 'readSession' || id === 's') return call()
      isHeld = false
      await held.pass()
      return call()
    })
    const lead = scripted(
      reply.all(start('One', { background: true }), start('Two', { background: true })),
      (call) => {
        isHeld = true
        return reply.call('agent_run', { run_id: idIn(call) })
      },
      reply.text('Done.'),
      reply.text('All done.'),
    )
    const helper = gated(reply.text('Never.'), reply.text('Two is well.'), reply.text('One is well.'))
    const all = family(lead, [helperAgent(helper.model)], { store, delegation: { maxConcurrent: 1 } })
    const run = all.runtime.session('s').send('Ask')
    await helper.asked(0)
    await held.reached
    const [first = ''] = started(all.heard)
    await all.runtime.runs.get(first).stop()
    held.open()
    await helper.asked(1)
    return { ...all, lead, helper, run, first }
  }

  it('is not taken for ended by an end before, which is heard late', async () => {
    const { first, helper, run, lead } = await two()
    helper.answer(1)
    await helper.asked(2)
    helper.answer(2)
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toMatchObject([{ run_id: first, status: 'completed', text: 'One is well.' }])
  })

  it('has it after those that waited before, even where the clock stands still', async () => {
    const now = Date.now()
    vi.spyOn(Date, 'now').mockImplementation(() => now)
    onTestFinished(() => void vi.restoreAllMocks())
    const { first, heard, helper, run } = await two()
    helper.answer(1)
    await helper.asked(2)
    helper.answer(2)
    await run.result
    const ends = heard.of('delegation-finished').map(({ childRunId }) => childRunId)
    expect(ends).toEqual([started(heard)[1], first])
  })

  it('is ended with its parent where somebody else has had it go on meanwhile', async () => {
    const { first, runtime, helper, run, store } = await two()
    runtime.runs.resume(first)
    await helper.asked(2)
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(await store.readRun(first)).toMatchObject({ status: 'cancelled', reason: 'parent' })
    expect(await store.readActiveRuns()).toEqual([])
  })

  it('stays stopped where somebody stops it again, and the call that waits for it is told so', async () => {
    const { first, runtime, helper, run, lead } = await two()
    await runtime.runs.get(first).stop()
    helper.answer(1)
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toMatchObject([{ run_id: first, status: 'stopped' }])
    expect(helper.model.calls).toHaveLength(2)
  })

  it('stays stopped where its parent ends before', async () => {
    const { first, runtime, heard, run, store } = await two()
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(await store.readRun(first)).toMatchObject({ status: 'stopped' })
    const ends = heard.of('delegation-finished').filter(({ childRunId }) => childRunId === first)
    expect(ends.map(({ outcome }) => outcome)).toEqual(['stopped'])
    expect((await runtime.runs.tree(run.runId).ready)?.children[0]).toMatchObject({ runId: first, status: 'stopped' })
  })
})

describe('an agent that stopped, and whose session has gone on without it,', () => {
  it('is only told of: nobody waits for it', async () => {
    const { run, runtime, lead, childId } = await stopped(
      reply.text('Done.'),
      (call) => reply.call('agent_run', { run_id: /"run_id":"([^"]+)"/.exec(JSON.stringify(call.prompt))?.[1] }),
      reply.text('Done again.'),
    )
    await run.result
    await runtime.session(childId).send('Something else').result
    expect((await runtime.session('s').send('Let it go on').result).text).toBe('Done again.')
    expect(toldResults(lead.calls[3])).toMatchObject([{ run_id: childId, status: 'stopped' }])
  })
})

describe('an agent that has ended', () => {
  it('only says how it stands, whether it completed or failed', async () => {
    const lead = scripted(
      reply.all(start('One'), start('Two')),
      (call) => {
        const ids = toldResults(call).map((result) => (typeof result === 'object' ? result.run_id : ''))
        return reply.all(...ids.map((run_id) => reply.call('agent_run', { run_id, prompt: 'Again' })))
      },
      reply.text('Done.'),
    )
    const helper = scripted(reply.text('Yes.'), reply.fail(400))
    const { runtime } = family(lead, [helperAgent(helper, { retry: { attempts: 1 } })])
    await runtime.session('s').send('Ask').result
    expect(toldResults(lead.calls[2])).toMatchObject([{ status: 'completed', text: 'Yes.' }, { status: 'failed' }])
    expect(helper.calls).toHaveLength(2)
  })
})

describe('an agent that is under way', () => {
  it('only says so, and is not asked a second time', async () => {
    const lead = scripted(
      start('Go', { background: true }),
      goOn({ prompt: 'Again' }),
      reply.text('Started.'),
      reply.text('Done.'),
    )
    const helper = gated(reply.text('Yes.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const run = runtime.session('s').send('Ask')
    await heard.when('run-waiting')
    expect(toldResults(lead.calls[2])).toMatchObject([{ status: 'running' }])
    helper.answer()
    await run.result
    expect(helper.model.calls).toHaveLength(1)
  })
})
