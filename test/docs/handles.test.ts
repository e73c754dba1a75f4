import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'
import * as handles from '../../docs/examples/weather/src/handles.ts'
import { waitFor } from '../wait-for.ts'

function agentWith(...turns: ScriptedTurn[]) {
  const model = scriptedModel(turns)
  const agent = createRuntime(assistant, { model, store: memoryStore() })
  onTestFinished(() => agent.close())
  return { agent, model }
}

beforeEach(() => localStorage.clear())
afterEach(() => vi.unstubAllGlobals())

describe('the examples of handles', () => {
  it('print text as it comes, and what tools found', async () => {
    vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
    const { agent } = agentWith(reply.call('forecast', { city: 'Porto' }), reply.text('It is warm.'))
    let printed = ''
    const { text, turns } = await handles.follow(agent, (more) => {
      printed += more
    })
    expect(printed).toBe('Porto: 21 °C\nIt is warm.')
    expect({ text, turns }).toEqual({ text: 'It is warm.', turns: 2 })
  })

  it('end a run as stopped, for good', async () => {
    const { agent } = agentWith(reply.all(reply.text('Porto is'), reply.hang()))
    const run = agent.session().send('Tell me everything about Porto.')
    await new Promise<void>((resolve) => run.on('text-delta', () => resolve()))
    await handles.end(run)
    expect(run.finished).toBe(true)
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'requested' })
  })

  it('tell a failure by its code', async () => {
    const show = vi.fn()
    await handles.settle(agentWith(reply.text('21 degrees.')).agent, show)
    expect(show).toHaveBeenLastCalledWith('completed', '21 degrees.')
    await handles.settle(agentWith(reply.fail(401)).agent, show)
    expect(show).toHaveBeenLastCalledWith('stopped', 'credentials')
    await handles.settle(agentWith(reply.fail(429, { 'retry-after': '3600' })).agent, show)
    expect(show).toHaveBeenLastCalledWith('rate-limited', expect.stringMatching('429'))
  })

  it('go on with another key where the endpoint refused the first', async () => {
    const { agent, model } = agentWith(reply.fail(403), reply.text('21 degrees.'))
    const askForKey = vi.fn(async () => 'another')
    const runId = await handles.withKey(agent, askForKey)
    expect(askForKey).toHaveBeenCalledOnce()
    expect(await agent.runs.get(runId).result).toMatchObject({ status: 'completed', text: '21 degrees.' })
    expect(model.calls).toHaveLength(2)
  })

  it('steer a run, which hears it at its next turn', async () => {
    let found = (_: Response) => {}
    vi.stubGlobal('fetch', () => new Promise<Response>((resolve) => (found = resolve)))
    const { agent, model } = agentWith(reply.call('forecast', { city: 'Porto' }), reply.text('70 °F.'))
    const run = agent.session().send('How warm is it in Porto?')
    await new Promise<void>((resolve) => run.on('tool-execution-started', () => resolve()))
    await handles.steer(run)
    await waitFor(() => found(Response.json({ celsius: 21 })))
    expect((await run.result).text).toBe('70 °F.')
    expect(model.calls[1]?.prompt.at(-1)).toMatchObject({ role: 'user', content: [{ text: 'In Fahrenheit, please' }] })
  })

  it('abort with the block that they stand in', async () => {
    const { agent, model } = agentWith(reply.text('4'), reply.hang())
    expect(await handles.askOnce(agent, '2 + 2?')).toBe('4')
    const ends: string[] = []
    agent.on(['run-completed', 'run-cancelled'], ({ kind }) => {
      ends.push(kind)
    })
    const session = new Promise<string>((resolve) => agent.on('run-started', (event) => resolve(event.sessionId)))
    const asked = handles.askOnce(agent, 'And then?')
    await waitFor(() => expect(model.calls).toHaveLength(2))
    // Its result is what the block waits for: whoever ends the run ends the block.
    agent.session(await session).abort()
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
    expect(ends).toEqual(['run-cancelled'])
  })

  it('archive what was stored, once, from where they had come to', async () => {
    const sent: string[] = []
    let status = 200
    vi.stubGlobal('fetch', async (_url: string, { body }: RequestInit) => {
      sent.push(JSON.parse(String(body)).role)
      return new Response(null, { status })
    })
    const { agent } = agentWith(reply.text('Hello.'), reply.text('Yes?'))
    await agent.session('trip').send('Hi').result
    const first = handles.archive(agent)
    await waitFor(() => expect(sent).toEqual(['user', 'assistant']))
    expect(first.finished).toBe(false)

    status = 500
    await agent.session('trip').send('You there?').result
    await waitFor(() => expect(first.finished).toBe(true))
    expect(sent.splice(0)).toEqual(['user', 'assistant', 'user'])

    status = 200
    const second = handles.archive(agent)
    await waitFor(() => expect(sent).toEqual(['user', 'assistant']))
    second.abort()
  })
})
