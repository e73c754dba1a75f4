import { reply } from 'turnloop/testing'
import { describe, expect, it } from 'vitest'
import { family, gated, helperAgent, scripted, start, toldResults } from './family.ts'

describe('a step', () => {
  it('that comes to wait for a run is over, and the one after the end of that run goes on with its answer', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const helper = gated(reply.text('All is well.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const session = runtime.session('s')
    expect(await session.step('Ask')).toMatchObject({
      status: 'needs-more-turns',
      toolCalls: [{ toolName: 'agent_run' }],
    })
    expect(await session.step()).toMatchObject({ status: 'needs-more-turns', toolCalls: [{ toolName: 'agent_run' }] })
    helper.answer()
    await heard.when('delegation-finished')
    expect(await session.step()).toMatchObject({ status: 'done', text: 'Done.', toolCalls: [] })
    expect(toldResults(lead.calls[1])).toMatchObject([{ text: 'All is well.' }])
  })

  it('hands out the calls that would start agents, where it hands calls out', async () => {
    const lead = scripted(start('Go'), reply.text('Done.'))
    const helper = scripted()
    const { runtime } = family(lead, [helperAgent(helper)])
    const session = runtime.session('s')
    const { status, toolCalls } = await session.step('Ask', { tools: 'external' })
    expect(status).toBe('pending-tool-calls')
    const [call] = toolCalls
    await session.addToolOutput({ tool: 'agent_run', toolCallId: call?.toolCallId ?? '', output: 'Mine.' } as never)
    expect(await session.step()).toMatchObject({ status: 'done' })
    expect(helper.calls).toHaveLength(0)
  })

  it('after which runs in the background go on is followed by one in which the model hears of them', async () => {
    const lead = scripted(start('Go', { background: true }), reply.text('Started.'), reply.text('Done.'))
    const helper = gated(reply.text('All is well.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const session = runtime.session('s')
    expect((await session.step('Ask')).status).toBe('needs-more-turns')
    expect(await session.step()).toMatchObject({ status: 'needs-more-turns', text: 'Started.' })
    helper.answer()
    await heard.when('delegation-finished')
    expect(await session.step()).toMatchObject({ status: 'done', text: 'Done.' })
  })
})

describe('an open run', () => {
  it('idles once those that it has started have ended, and it has told of them', async () => {
    const lead = scripted(
      start('Go', { background: true }),
      reply.text('Started.'),
      reply.text('It is done.'),
      reply.text('Hello.'),
    )
    const helper = gated(reply.text('All is well.'))
    const { runtime, heard } = family(lead, [helperAgent(helper.model)])
    const run = runtime.session('s').open({ input: 'Ask' })
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'child')
    helper.answer()
    await heard.when('run-waiting', ({ waitingFor }) => waitingFor === 'input')
    await (await run.steer('Hi')).delivered
    expect((await run.close()).text).toBe('Hello.')
  })
})
