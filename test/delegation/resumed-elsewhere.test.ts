import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { defineAgent } from 'turnloop/runtime'
import { reply } from 'turnloop/testing'
import { describe, expect, it } from 'vitest'
import { family, gated, helperAgent, scripted, start, started, type Turns, toldResults } from './family.ts'

const price = { 'scripted-model': { input: 1_000_000, output: 0 } }
const goOn = (run_id: string | undefined, more: object = {}) => reply.call('agent_run', { run_id, ...more })
const toldId = (call: LanguageModelV4CallOptions) => /"run_id":"([^"]+)"/.exec(JSON.stringify(call.prompt))?.[1]

/** Two helpers where one is under way at a time: the first one stopped, and waits to go on behind the second. */
async function queued(more: object = {}, ...turns: Turns) {
  const gate = Promise.withResolvers<void>()
  let first = ''
  const lead = scripted(
    reply.all(start('One', { background: true }), start('Two', { background: true })),
    async () => {
      await gate.promise
      return goOn(first, more)
    },
    ...turns,
    reply.text('Done.'),
    reply.text('All done.'),
  )
  const helper = gated(reply.text('Never.'), reply.text('Two is well.'), reply.text('More.'))
  const all = family(lead, [helperAgent(helper.model)], { delegation: { maxConcurrent: 1 } })
  const run = all.runtime.session('s').send('Ask')
  await helper.asked(0)
  ;[first = ''] = started(all.heard)
  await all.runtime.runs.get(first).stop()
  await helper.asked(1)
  gate.resolve()
  return { ...all, lead, helper, run, first }
}

/** A helper in the background is stopped while its lead is in mid-turn. */
async function stoppedBelow(lead: ReturnType<typeof gated>, helper: ReturnType<typeof gated>) {
  const all = family(lead.model, [helperAgent(helper.model)])
  const run = all.runtime.session('s').send('Ask')
  lead.answer(0)
  await helper.asked(0)
  await lead.asked(1)
  const [runId = ''] = started(all.heard)
  await all.runtime.runs.get(runId).stop()
  await all.heard.when('delegation-finished')
  return { ...all, run, runId }
}

describe('an agent that waits to go on', () => {
  it('is stopped at once by the tool, and never goes on', async () => {
    let runId = ''
    const { store, helper, run, first, lead, heard } = await queued({ background: true }, () =>
      reply.call('agent_stop', { run_id: runId }),
    )
    runId = first
    await heard.when('run-waiting')
    expect(toldResults(lead.calls[3])).toMatchObject([{ run_id: first, status: 'stopped' }])
    helper.answer(1)
    await run.result
    expect(await store.readRun(first)).toMatchObject({ status: 'stopped', leg: 1 })
    expect(helper.model.calls).toHaveLength(2)
  })

  it('is stopped by the tool, too, where a person has had it go on meanwhile', async () => {
    const gate = Promise.withResolvers<void>()
    let runId = ''
    const { runtime, store, helper, run, first, lead, heard } = await queued({ background: true }, async () => {
      await gate.promise
      return reply.call('agent_stop', { run_id: runId })
    })
    runId = first
    await heard.when('delegation-started', ({ resumed }) => resumed === true)
    runtime.runs.resume(first).result.catch(() => {})
    await helper.asked(2)
    gate.resolve()
    await heard.when('run-stopped', () => heard.of('run-stopped').length > 1)
    expect(await store.readRun(first)).toMatchObject({ status: 'stopped', leg: 2 })
    helper.answer(1)
    await run.result
    expect(toldResults(lead.calls[3])).toMatchObject([{ run_id: first, status: 'stopped' }])
  })

  it('is not waited for once its session has gone on without it', async () => {
    const { runtime, helper, run, first, lead, heard } = await queued()
    await heard.when('run-waiting')
    const other = runtime.session(first).send('Something else')
    await helper.asked(2)
    helper.answer(2)
    await other.result
    helper.answer(1)
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toMatchObject([{ run_id: first, status: 'stopped' }])
  })

  it('is not waited for once its session is deleted', async () => {
    const { runtime, helper, run, first, lead, heard } = await queued()
    await heard.when('run-waiting')
    await runtime.session(first).delete()
    helper.answer(1)
    expect((await run.result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toMatchObject([{ run_id: first, status: 'cancelled' }])
  })
})

describe('an agent that waits for its turn', () => {
  it('is ended by the tool that stops it without having its turn', async () => {
    let second = ''
    const gate = Promise.withResolvers<void>()
    const lead = scripted(
      reply.all(start('One', { background: true }), start('Two', { background: true })),
      async () => {
        await gate.promise
        return reply.call('agent_stop', { run_id: second })
      },
      reply.text('Done.'),
      reply.text('All done.'),
    )
    const helper = gated(reply.text('One!'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)], { delegation: { maxConcurrent: 1 } })
    const run = runtime.session('s').send('Ask')
    await helper.asked(0)
    second = started(heard)[1] ?? ''
    gate.resolve()
    await heard.when('run-waiting')
    expect(toldResults(lead.calls[2])).toMatchObject([{ run_id: second, status: 'cancelled' }])
    helper.answer(0)
    await run.result
    expect(helper.model.calls).toHaveLength(1)
  })
})

describe('an agent that stopped', () => {
  it('goes on for the first of two calls of a turn; the second only says how it stands', async () => {
    const lead = scripted(
      start('Go'),
      (call) => reply.all(goOn(toldId(call), { prompt: 'First' }), goOn(toldId(call), { prompt: 'Second' })),
      reply.text('Done.'),
    )
    const helper = gated(reply.text('Never.'), reply.text('One.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const run = runtime.session('s').send('Ask')
    await helper.asked(0)
    helper.answer(1)
    await runtime.runs.get(started(heard)[0] ?? '').stop()
    await run.result
    expect(toldResults(lead.calls[2])).toMatchObject([{ status: 'completed', text: 'One.' }, { status: 'running' }])
    expect(JSON.stringify(helper.model.calls[1]?.prompt)).toContain('First')
    expect(heard.of('delegation-started')).toHaveLength(2)
  })

  it('does not go on below an agent of its own name that started nobody', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const helper = scripted(reply.fail(401), (call) => goOn(toldId(call)), reply.text('Done.'))
    const other = defineAgent({ name: 'other', model: scripted() })
    const { runtime, heard } = family(lead, [helperAgent(helper, { delegates: [other as never] })])
    await runtime.session('s').send('Ask').result
    await runtime.session('s').send('Again', { agent: 'helper' as never }).result
    expect(JSON.stringify(helper.calls[2]?.prompt)).toContain('is above it already')
    expect(heard.of('run-started').filter(({ resumed }) => resumed)).toEqual([])
  })

  it('is refused a model without a price by a later run that limits its cost', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'), (call) => goOn(toldId(call)), reply.text('Done again.'))
    const helper = gated(reply.text('Never.'), reply.text('Paid.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)], { prices: price })
    const run = runtime.session('s').send('Ask')
    await helper.asked(0)
    helper.answer(1)
    await runtime.runs.get(started(heard)[0] ?? '').stop()
    await run.result
    await runtime.session('s').send('Again', { limits: { maxCost: 100 } }).result
    expect(toldResults(lead.calls[3])).toMatchObject([{ status: 'failed', error: expect.stringContaining('no price') }])
    expect(helper.model.calls).toHaveLength(1)
  })

  it('and that a person has go on ends with its parent again', async () => {
    const lead = gated(start('Go', { background: true }), reply.text('Never.'))
    const helper = gated(reply.text('Never.'), reply.text('Never either.'))
    const { runtime, run, runId, store } = await stoppedBelow(lead, helper)
    runtime.runs.resume(runId).result.catch(() => {})
    await helper.asked(1)
    run.abort()
    await expect(run.result).rejects.toMatchObject({ name: 'AbortError' })
    expect(await store.readRun(runId)).toMatchObject({ status: 'cancelled', reason: 'parent' })
  })

  it('and that a person has go on is waited for by its parent, and told of', async () => {
    const lead = gated(start('Go', { background: true }), reply.text('Started.'), reply.text('Done.'))
    const helper = gated(reply.text('Never.'), reply.text('All is well.'))
    const { runtime, run, runId, heard } = await stoppedBelow(lead, helper)
    const resumed = runtime.runs.resume(runId)
    await helper.asked(1)
    lead.answer(1)
    await heard.when('run-waiting')
    lead.answer(2)
    helper.answer(1)
    expect((await resumed.result).text).toBe('All is well.')
    expect((await run.result).text).toBe('Done.')
    expect(JSON.stringify(lead.model.calls[2]?.prompt)).toContain('completed')
  })
})
