import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { record } from '../runtime/record.ts'
import { family, gated, helperAgent, scripted, start, started, toldResults, usage } from './family.ts'

describe('runs of one parent', () => {
  it('are four at once, unless the agent says otherwise; the others have their turn in order', async () => {
    const prompts = ['One', 'Two', 'Three', 'Four', 'Five', 'Six']
    const lead = scripted(reply.all(...prompts.map((prompt) => start(prompt))), reply.text('Done.'))
    const helper = gated(...prompts.map((prompt) => reply.text(`${prompt}!`)))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const run = runtime.session('s').send('Ask')
    await Promise.all([0, 1, 2, 3].map((at) => helper.asked(at)))
    expect(started(heard)).toHaveLength(6)
    expect(heard.of('run-started').filter(({ agent }) => agent === 'helper')).toHaveLength(4)
    helper.answer(1)
    await helper.asked(4)
    expect(helper.model.calls[4]?.prompt).toMatchObject([{ content: [{ text: 'Five' }] }])
    helper.answer(4)
    await helper.asked(5)
    for (const at of [0, 2, 3, 5]) helper.answer(at)
    await run.result
    expect(toldResults(lead.calls[1]).map((result) => typeof result === 'object' && result.text)).toEqual(
      prompts.map((prompt) => `${prompt}!`),
    )
  })

  it('make room for the next where one fails or is stopped', async () => {
    const lead = scripted(reply.all(start('One'), start('Two'), start('Three')), reply.text('Done.'))
    const helper = gated(reply.fail(400), reply.text('Two!'), reply.text('Three!'))
    const agent = helperAgent(helper.model, { retry: { attempts: 1 } })
    const { runtime, heard } = family(lead, [agent], { delegation: { maxConcurrent: 1 } })
    const run = runtime.session('s').send('Ask')
    await helper.asked(0)
    helper.answer(0)
    await helper.asked(1)
    await runtime.runs.get(started(heard)[1] ?? '').stop()
    await helper.asked(2)
    helper.answer(2)
    await run.result
    expect(toldResults(lead.calls[1])).toMatchObject([
      { status: 'failed' },
      { status: 'stopped' },
      { status: 'completed', text: 'Three!' },
    ])
  })

  it('do not hold up each other where they start runs themselves', async () => {
    const leaf = helperAgent(scripted(...Array.from({ length: 4 }, () => reply.text('Leaf.'))))
    const middleTurns = [0, 1].flatMap(() => [reply.all(start('a'), start('b')), reply.text('Middle.')])
    // Both ask at the same time: the first turn of each comes first.
    const [first, answer, second, last] = middleTurns
    const middle = defineAgent({
      name: 'middle',
      model: scriptedModel([first, second, answer, last] as never, { usage }),
      delegates: [leaf],
      delegation: { maxConcurrent: 1 },
    })
    const call = (prompt: string) => reply.call('agent_run', { agent: 'middle', prompt })
    const lead = scripted(reply.all(call('One'), call('Two')), reply.text('Done.'))
    const { runtime } = family(lead, [middle as never], { delegation: { maxConcurrent: 2 } })
    expect((await runtime.session('s').send('Ask').result).text).toBe('Done.')
    expect(toldResults(lead.calls[1])).toMatchObject([{ text: 'Middle.' }, { text: 'Middle.' }])
  })

  it('are as many as the agent may start; a further call fails, and the run goes on', async () => {
    const lead = scripted(reply.all(start('One'), start('Two')), start('Three'), reply.text('Done.'))
    const helper = scripted(reply.text('Yes.'), reply.text('Yes.'))
    const { runtime } = family(lead, [helperAgent(helper)], { delegation: { maxChildren: 2 } })
    expect((await runtime.session('s').send('Ask').result).text).toBe('Done.')
    expect(toldResults(lead.calls[2])).toEqual([expect.stringContaining('started 2 agents')])
    expect(helper.calls).toHaveLength(2)
  })

  it('that wait for their turn go on by themselves, too, where the run leaves them', async () => {
    const lead = scripted(
      reply.all(start('One', { background: true }), start('Two', { background: true })),
      reply.text('Done.'),
    )
    const helper = gated(reply.text('One!'), reply.text('Two!'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)], {
      delegation: { maxConcurrent: 1, onEnd: 'detach' },
    })
    await runtime.session('s').send('Ask').result
    await helper.asked(1)
    helper.answer(0)
    helper.answer(1)
    const results = await Promise.all(started(heard).map((runId) => runtime.runs.get(runId).result))
    expect(results.map(({ text }) => text)).toEqual(['One!', 'Two!'])
  })
})

describe('a tree', () => {
  const chain = (length: number, options: object = {}) => {
    const models = Array.from({ length }, (_, at) =>
      scriptedModel([reply.call('agent_run', { agent: `a${at + 1}`, prompt: 'Down' }), reply.text(`End of a${at}.`)], {
        usage,
      }),
    )
    const agents = models.map((model, at) =>
      defineAgent({ name: `a${at}`, model, ...(at + 1 < length && { delegates: [`a${at + 1}`] }), ...options }),
    )
    const runtime = createRuntime(agents, { store: memoryStore() })
    onTestFinished(() => runtime.close())
    return { runtime, models, heard: record(runtime) }
  }

  it('is three runs deep, unless an agent says otherwise', async () => {
    const { runtime, models, heard } = chain(5)
    await runtime.session('s').send('Go').result
    expect(models.map(({ calls }) => calls.length)).toEqual([2, 2, 2, 2, 0])
    const deepest = heard.of('run-completed')[0]
    expect(deepest?.ancestors?.map(({ agent }) => agent)).toEqual(['a0', 'a1', 'a2'])
    // It is not even told of a tool for it.
    expect(models[3]?.calls[0]?.tools).toBeUndefined()
    expect(toldResults(models[3]?.calls[1])).toEqual([expect.any(String)])
  })

  it('is no deeper than the narrowest of the agents above allows', async () => {
    const { models, runtime } = chain(3, { delegation: { maxDepth: 1 } })
    await runtime.session('s').send('Go').result
    expect(models.map(({ calls }) => calls.length)).toEqual([2, 2, 0])
  })

  it('has no circles: an agent starts neither itself nor one above, and is told whom it may start', async () => {
    const turns = (agent: string) => [reply.call('agent_run', { agent, prompt: 'Round' }), reply.text('Done.')]
    const models = [
      scriptedModel(turns('b'), { usage }),
      scriptedModel(
        [
          reply.all(
            reply.call('agent_run', { agent: 'a', prompt: 'Round' }),
            reply.call('agent_run', { agent: 'b', prompt: 'Round' }),
          ),
          reply.text('Done.'),
        ],
        { usage },
      ),
      scriptedModel([]),
    ]
    const agents = [
      defineAgent({ name: 'a', model: models[0] as never, delegates: ['b'] }),
      defineAgent({ name: 'b', model: models[1] as never, delegates: ['a', 'b', 'c'] }),
      defineAgent({ name: 'c', model: models[2] as never }),
    ]
    const runtime = createRuntime(agents, { store: memoryStore() })
    onTestFinished(() => runtime.close())
    await runtime.session('s').send('Go').result
    const told = toldResults(models[1]?.calls[1])
    expect(told).toEqual([expect.stringContaining('You can start: c.'), expect.stringContaining('You can start: c.')])
  })

  it('may have circles where the agents allow it, which its depth ends', async () => {
    const again = () => reply.call('agent_run', { agent: 'a', prompt: 'Round' })
    const model = scriptedModel(
      [again(), again(), again(), again(), ...Array.from({ length: 4 }, () => reply.text('Done.'))],
      { usage },
    )
    const agent = defineAgent({ name: 'a', model, delegates: ['a'], delegation: { allowCircles: true } })
    const runtime = createRuntime(agent, { store: memoryStore() })
    onTestFinished(() => runtime.close())
    expect((await runtime.session('s').send('Go').result).text).toBe('Done.')
    expect(model.calls).toHaveLength(8)
  })
})

describe('a definition', () => {
  const model = scripted()

  it('names agents that there are', () => {
    const lead = defineAgent({ name: 'lead', model, delegates: ['nobody'] })
    expect(() => createRuntime(lead)).toThrow('delegates names "nobody"')
  })

  it('brings the agents along that it has as delegates, each name once', async () => {
    const helper = defineAgent({ name: 'helper', model })
    const runtime = createRuntime(defineAgent({ name: 'lead', model, delegates: [helper] }), { store: memoryStore() })
    onTestFinished(() => runtime.close())
    expect((await runtime.info.ready).agents.map(({ name }) => name)).toEqual(['lead', 'helper'])
    const other = defineAgent({ name: 'helper', model })
    expect(() => createRuntime([other, defineAgent({ name: 'lead', model, delegates: [helper] })])).toThrow(
      'Two agents are named "helper"',
    )
  })

  it.each([
    [{ delegates: 'helper' }, 'must be a list'],
    [{ delegates: [''] }, 'must be agents'],
    [{ delegates: [null] }, 'must be agents'],
    [{ delegates: ['a', 'a'] }, 'twice'],
    [{ delegation: { maxDepth: 0 } }, 'maxDepth'],
    [{ delegation: { maxConcurrent: 1.5 } }, 'maxConcurrent'],
    [{ delegation: { maxChildren: -1 } }, 'maxChildren'],
    [{ delegation: { onEnd: 'kill' } }, 'onEnd'],
    [{ delegation: { toolNames: { run: 'two words' } } }, 'toolNames'],
    [{ delegation: { toolNames: { run: 'same', stop: 'same' } } }, 'must differ'],
  ])('%j is refused', (options, problem) => {
    expect(() => defineAgent({ name: 'lead', model, ...options } as never)).toThrow(problem)
  })
})
