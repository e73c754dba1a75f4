import { type AnyEvent, createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished } from 'vitest'

const usage = { inputTokens: 10, outputTokens: 5 }

function family(
  parentTurns: Parameters<typeof scriptedModel>[0],
  childTurns: Parameters<typeof scriptedModel>[0],
  options = {},
) {
  const helperModel = scriptedModel(childTurns, { usage })
  const leadModel = scriptedModel(parentTurns, { usage })
  const helper = defineAgent({ name: 'helper', description: 'Looks things up.', model: helperModel })
  const lead = defineAgent({ name: 'lead', model: leadModel, delegates: [helper], ...options })
  const runtime = createRuntime(lead, { store: memoryStore() })
  onTestFinished(() => runtime.close())
  const events: AnyEvent[] = []
  runtime.on('any', (event) => void events.push(event as AnyEvent))
  return { runtime, leadModel, helperModel, events, session: runtime.session('s') }
}

describe('an agent that starts another one', () => {
  it('waits for its answer, which is the result of the call', async () => {
    const { session, leadModel, helperModel, events } = family(
      [reply.call('agent_run', { agent: 'helper', prompt: 'What is up?' }), reply.text('Done.')],
      [reply.text('All is well.')],
    )
    const output = await session.send('Ask the helper').result
    expect(output.text).toBe('Done.')
    expect(helperModel.calls).toHaveLength(1)
    const last = leadModel.calls[1]?.prompt.at(-1)
    expect(JSON.stringify(last)).toContain('All is well.')
    expect(JSON.stringify(leadModel.calls[0]?.prompt[0])).toContain('helper: Looks things up.')
    expect(output.usage.inputTokens).toBe(30)
    const child = events.find(({ kind }) => kind === 'delegation-started') as never as {
      childRunId: string
      runId: string
    }
    expect(
      events.filter(({ runId }) => runId === child.childRunId).every((event) => event.parentRunId === child.runId),
    ).toBe(true)
    expect(events.map(({ kind }) => kind)).toContain('delegation-finished')
  })

  it('goes on at once with one in the background, and ends after it', async () => {
    const { session, leadModel } = family(
      [
        reply.call('agent_run', { agent: 'helper', prompt: 'Go', background: true }),
        reply.text('Started.'),
        reply.text('Done.'),
      ],
      [reply.text('All is well.')],
    )
    const output = await session.send('Ask the helper').result
    expect(output.text).toBe('Done.')
    expect(JSON.stringify(leadModel.calls[2]?.prompt.at(-1))).toContain('completed')
  })

  it('stops the one that it waits for when it is stopped', async () => {
    const { session, runtime, events } = family(
      [reply.call('agent_run', { agent: 'helper', prompt: 'Go' }), reply.text('Done.')],
      [() => new Promise(() => {})],
    )
    const run = session.send('Ask the helper')
    await new Promise<void>((resolve) =>
      runtime.on('model-started', ({ agent }) => {
        if ((agent as string) === 'helper') resolve()
      }),
    )
    const output = await run.stop()
    expect(output.status).toBe('stopped')
    expect(events.filter(({ kind }) => kind === 'run-stopped').map(({ agent }) => agent)).toEqual(['helper', 'lead'])
  })
})
