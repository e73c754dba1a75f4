import { defineAgent } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it } from 'vitest'
import { budgetAbove } from '../../src/runtime/budgets-above.ts'
import type { Run } from '../../src/runtime/run.ts'
import { noUsage } from '../../src/sessions/records.ts'
import { family, gated, helperAgent, scripted, start, started, toldResults, usage } from './family.ts'

// Every call of a model uses 15 tokens.
const price = { 'scripted-model': { input: 1_000_000, output: 0 } }

describe('what delegated runs use', () => {
  it('counts for the runs above and their sessions, and once for the day', async () => {
    const leaf = scripted(reply.text('Leaf.'))
    const middle = scripted(reply.call('agent_run', { agent: 'leaf', prompt: 'Go' }), reply.text('Middle.'))
    const lead = scripted(start('Go'), reply.text('Done.'))
    const leafAgent = defineAgent({ name: 'leaf', model: leaf, prices: price })
    const middleAgent = helperAgent(middle, { delegates: [leafAgent as never], prices: price })
    const { runtime, heard, store } = family(lead, [middleAgent], { prices: price })
    const run = runtime.session('s').send('Ask')
    // 5 calls of 10 and 5 tokens.
    expect(await run.result).toMatchObject({ usage: { inputTokens: 50, outputTokens: 25 }, cost: 50 })
    expect(heard.of('run-completed').map(({ agent, usage, cost }) => [agent, usage.inputTokens, cost])).toEqual([
      ['leaf', 10, 10],
      ['helper', 30, 30],
      ['lead', 50, 50],
    ])
    expect(await runtime.session('s').view.ready).toMatchObject({ usage: { inputTokens: 50 }, cost: 50 })
    const day = new Date().toISOString().slice(0, 10)
    expect(await store.readSpend(day)).toMatchObject({ usage: { inputTokens: 50 }, cost: 50 })
  })

  it('makes the cost unknown where a model below has no price', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const { runtime } = family(lead, [helperAgent(scripted(reply.text('Yes.')))], { prices: price })
    const output = await runtime.session('s').send('Ask').result
    expect(output.usage.inputTokens).toBe(30)
    expect(output).not.toHaveProperty('cost')
  })

  it('is all there after a run below was stopped and went on', async () => {
    const lead = scripted(
      start('Go'),
      (call) => {
        const [result] = toldResults(call)
        return reply.call('agent_run', { run_id: typeof result === 'object' ? result.run_id : '' })
      },
      reply.text('Done.'),
    )
    const helper = gated(reply.call('agent_output', { run_id: 'none' }), reply.text('Never.'), reply.text('Yes.'))
    const { runtime, heard } = family(lead, [
      helperAgent(helper.model, { delegates: ['helper'], delegation: { allowCircles: true } }),
    ])
    const run = runtime.session('s').send('Ask')
    helper.answer(0)
    await helper.asked(1)
    await runtime.runs.get(started(heard)[0] ?? '').stop()
    helper.answer(2)
    const { usage: all } = await run.result
    const recorded = heard.of('usage-recorded').filter(({ below }) => !below)
    const sum = recorded.reduce((total, event) => total + event.usage.inputTokens, 0)
    expect(all.inputTokens).toBe(sum)
  })
})

describe('a budget', () => {
  it.each([
    ['tokens', { maxTokens: 40 }, 'tokens'],
    ['cost', { maxCost: 25 }, 'budget'],
  ])('of %s stops the tree, and is exceeded by no more than the calls in flight', async (_, limits, reason) => {
    const look = () => reply.call('agent_output', { run_id: 'none' })
    const turns = Array.from({ length: 40 }, look)
    const model = scriptedModel(turns, { usage })
    const helper = helperAgent(model, {
      prices: price,
      delegates: ['helper'],
      delegation: { allowCircles: true },
      maxConsecutiveToolErrors: 100,
      doomLoop: false,
    })
    const lead = scripted(reply.all(start('One'), start('Two')), reply.text('Done.'))
    const { runtime, heard } = family(lead, [helper], { limits, prices: price })
    const output = await runtime.session('s').send('Ask').result
    expect(output).toMatchObject({ status: 'stopped', reason })
    expect(heard.of('run-stopped').map(({ agent, reason }) => `${agent} ${reason}`)).toEqual([
      `helper ${reason}`,
      `helper ${reason}`,
      `lead ${reason}`,
    ])
    // 15 tokens a call: three reach either limit, and one more may be in flight.
    expect(output.usage.inputTokens + output.usage.outputTokens).toBeLessThanOrEqual(60)
  })

  it('of cost refuses a model below that has no price', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const helper = scripted(reply.text('Yes.'))
    const { runtime } = family(lead, [helperAgent(helper)], { limits: { maxCost: 100 }, prices: price })
    await runtime.session('s').send('Ask').result
    expect(toldResults(lead.calls[1])).toMatchObject([{ status: 'failed', error: expect.stringContaining('no price') }])
    expect(helper.calls).toHaveLength(0)
  })

  it('of a session or a day stops those below, too', async () => {
    for (const budget of [{ perSession: { tokens: 30 } }, { perDay: { tokens: 30 } }]) {
      const lead = scripted(start('Go'), reply.text('Done.'))
      const turns = [reply.call('agent_output', { run_id: 'none' }), reply.text('Yes.')]
      const helper = helperAgent(scripted(...turns), { delegates: ['helper'], delegation: { allowCircles: true } })
      const { runtime, heard } = family(lead, [helper], { budget })
      await runtime.session('s').send('Ask').result
      expect(heard.of('run-stopped')).toMatchObject([{ agent: 'helper', reason: 'budget' }, { agent: 'lead' }])
    }
  })

  it('of a session counts nothing twice that the run above counts while one below looks', async () => {
    const used = (inputTokens: number) => ({ usage: { ...noUsage, inputTokens } })
    // The run above has used 30, and those below it another 30, which it counts between two reads.
    let isCounted = false
    const above = () => ({
      runId: 'lead',
      request: {},
      ...used(isCounted ? 60 : 30),
      ...(isCounted && { counted: used(30) }),
    })
    const read = async (value: () => unknown) => {
      const found = value()
      isCounted = true
      return found
    }
    const store = {
      readRun: () => read(above),
      readSession: () => read(() => ({ session: used(isCounted ? 60 : 30), run: above() })),
      readTreeSpend: () => read(() => used(30)),
    }
    const agent = defineAgent({ name: 'lead', model: 'scripted', budget: { perSession: { tokens: 75 } } })
    const run = {
      record: { ancestors: [{ runId: 'lead', sessionId: 's', agent: 'lead' }] },
      env: { store, now: Date.now, agents: new Map([['lead', agent]]) },
    }
    expect(await budgetAbove(run as unknown as Run)).toBeUndefined()
  })

  it('about which somebody is asked stops those below, and the run above asks', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const turns = [reply.call('agent_output', { run_id: 'none' }), reply.text('Yes.')]
    const helper = helperAgent(scripted(...turns), { delegates: ['helper'], delegation: { allowCircles: true } })
    const { runtime, heard } = family(lead, [helper], { limits: { maxTokens: 30 }, onLimit: 'ask' })
    const run = runtime.session('s').send('Ask')
    const { approval } = await heard.when('approval-requested')
    expect(approval).toMatchObject({ reason: 'budget', limit: 'maxTokens', path: ['lead'] })
    expect(heard.of('run-stopped')).toMatchObject([{ agent: 'helper', reason: 'tokens' }])
    await runtime.approvals.answer(approval as never, { decision: 'extend', by: 1000 } as never)
    expect((await run.result).text).toBe('Done.')
  })
})
