import { createRuntime, indexedDbStore, type Store } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { guide } from '../../docs/examples/page-tools/agent.worker.ts'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'

// What the README says of a reload: the runtime that was there is closed, and leaves its run as it stands.

const newStore = (name: string): Store => {
  const store = indexedDbStore({ name })
  onTestFinished(() => store.close())
  return store
}
const newName = () => `docs-${crypto.randomUUID()}`

describe('after a reload', () => {
  async function interrupted(name: string) {
    const model = scriptedModel([
      reply.call('forecast', { city: 'Porto' }),
      reply.all(reply.text('It is'), reply.hang()),
    ])
    vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
    const store = newStore(name)
    const agent = createRuntime(assistant, { model, store })
    const run = agent.session('trip').send('How warm is it?')
    let text = ''
    run.on('text-delta', ({ delta }) => {
      text += delta
    })
    await vi.waitFor(() => expect(text).toBe('It is'))
    await agent.close()
    await store.close()
    return run
  }
  const agentOn = (name: string, ...turns: ScriptedTurn[]) => {
    const model = scriptedModel(turns)
    const agent = createRuntime(assistant, { model, store: newStore(name) })
    onTestFinished(() => agent.close())
    return { agent, model }
  }

  it('an interrupted run is shown as such, with its finished turns and without the text in writing', async () => {
    const name = newName()
    const { runId } = await interrupted(name)
    const { agent } = agentOn(name)
    const snapshot = await agent.session('trip').view.ready
    expect(snapshot).toMatchObject({ status: 'ready', run: { runId, phase: 'interrupted' } })
    expect(snapshot.messages.map(({ role }) => role)).toEqual(['user', 'assistant'])
    expect(snapshot.messages[1]?.parts).toMatchObject([{ type: 'tool-forecast', output: { celsius: 21 } }])
    expect(await agent.sessions.list()).toMatchObject([{ id: 'trip', status: 'interrupted' }])
  })

  it('the next message supersedes it', async () => {
    const name = newName()
    const { runId } = await interrupted(name)
    const { agent } = agentOn(name, reply.text('Yes.'))
    const session = agent.session('trip')
    expect((await session.send('Are you there?').result).text).toBe('Yes.')
    const ends: unknown[] = []
    session.on(['run-completed', 'run-cancelled'], (end) => void ends.push({ run: end.runId === runId, ...end }), {
      since: 0,
    })
    await vi.waitFor(() =>
      expect(ends).toMatchObject([
        { run: true, kind: 'run-cancelled', reason: 'superseded' },
        { run: false, kind: 'run-completed' },
      ]),
    )
  })

  it('what was queued behind it runs before the next message', async () => {
    const name = newName()
    const store = newStore(name)
    const model = scriptedModel([reply.hang()])
    const first = createRuntime(assistant, { model, store })
    first.session('trip').send('First')
    await vi.waitFor(() => expect(model.calls).toHaveLength(1))
    const queued = new Promise<void>((resolve) => {
      first.on('input-queued', () => resolve())
    })
    first.session('trip').send('Second')
    await queued
    await first.close()
    await store.close()

    const { agent } = agentOn(name, reply.text('Two.'), reply.text('Three.'))
    const session = agent.session('trip')
    expect((await session.view.ready).queue).toMatchObject([{ text: 'Second' }])
    expect((await session.send('Third').result).text).toBe('Three.')
    const { messages } = await session.view.ready
    const texts = messages.flatMap(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : '')))
    expect(texts).toEqual(['First', 'Second', 'Two.', 'Third', 'Three.'])
  })

  it('what was queued behind it runs once it is stopped', async () => {
    const name = newName()
    const store = newStore(name)
    const model = scriptedModel([reply.hang()])
    const first = createRuntime(assistant, { model, store })
    first.session('trip').send('First')
    await vi.waitFor(() => expect(model.calls).toHaveLength(1))
    const queued = new Promise<void>((resolve) => {
      first.on('input-queued', () => resolve())
    })
    const { runId } = first.session('trip').send('Second')
    await queued
    await first.close()
    await store.close()

    const { agent, model: next } = agentOn(name, reply.text('Two.'))
    const session = agent.session('trip')
    expect((await session.view.ready).run).toMatchObject({ phase: 'interrupted' })
    expect(next.calls).toEqual([])
    await session.stop()
    await vi.waitFor(async () => expect((await agent.runs.get(runId).result).text).toBe('Two.'))
  })

  it('a message whose run had not begun runs when its session is viewed', async () => {
    const name = newName()
    const store = newStore(name)
    const first = createRuntime(assistant, { model: scriptedModel([]), store })
    // The page goes away before its turn comes.
    vi.spyOn(store, 'claim').mockReturnValue(new Promise(() => {}))
    const queued = new Promise<void>((resolve) => {
      first.on('input-queued', () => resolve())
    })
    const { runId } = first.session('trip').send('First')
    await queued
    first.close().catch(() => {})
    await store.close()

    const { agent, model } = agentOn(name, reply.text('One.'))
    expect(model.calls).toEqual([])
    const { view } = agent.session('trip')
    onTestFinished(view.subscribe(() => {}))
    await vi.waitFor(() => expect(view.getSnapshot()).toMatchObject({ status: 'ready', queue: [], messages: [{}, {}] }))
    expect((await agent.runs.get(runId).result).text).toBe('One.')
  })

  it('a stop ends it, too', async () => {
    const name = newName()
    const { runId } = await interrupted(name)
    const { agent } = agentOn(name)
    await agent.session('trip').stop()
    expect(await agent.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'requested' })
  })

  it('a call that had started is not started again', async () => {
    const name = newName()
    let starts = 0
    vi.stubGlobal('fetch', () => {
      starts++
      return new Promise(() => {})
    })
    const store = newStore(name)
    const first = createRuntime(assistant, { model: scriptedModel([reply.call('forecast', { city: 'Porto' })]), store })
    first.session('trip').send('How warm is it?')
    await vi.waitFor(() => expect(starts).toBe(1))
    // What a worker's death leaves: the call's start is written, its result never comes.
    vi.spyOn(store, 'commit').mockReturnValue(new Promise(() => {}))
    first.close().catch(() => {})
    await store.close()

    const { agent, model } = agentOn(name, reply.text('I could not find out.'))
    await agent.session('trip').send('And?').result
    expect(starts).toBe(1)
    const results = model.calls[0]?.prompt.filter(({ role }) => role === 'tool')
    expect(results).toMatchObject([{ content: [{ output: { value: expect.stringMatching(/unknown/) } }] }])
  })

  it('a call that waits for its answer goes on waiting', async () => {
    const name = newName()
    const store = newStore(name)
    const model = scriptedModel([reply.call('pick_date', { question: 'When?' }, { toolCallId: 'date' })])
    const first = createRuntime(guide, { model, store })
    const run = first.session('tour').send('Book it')
    await new Promise<void>((resolve) => run.on('run-waiting', () => resolve()))
    await first.close()
    await store.close()

    const second = createRuntime(guide, { model: scriptedModel([reply.text('Booked.')]), store: newStore(name) })
    onTestFinished(() => second.close())
    const session = second.session('tour')
    expect((await session.view.ready).run).toMatchObject({ phase: 'waiting', waitingFor: 'tool-results' })
    await session.addToolOutput({ tool: 'pick_date', toolCallId: 'date', output: { date: '2027-05-01' } })
    expect((await second.runs.get(run.runId).result).text).toBe('Booked.')
  })
})

describe('two tabs', () => {
  function tabs(...turns: ScriptedTurn[]) {
    const name = newName()
    const model = scriptedModel(turns)
    const [first, second] = [1, 2].map(() => {
      const agent = createRuntime(assistant, { model, store: newStore(name) })
      onTestFinished(() => agent.close())
      return agent.session('trip')
    })
    if (!first || !second) return expect.unreachable()
    onTestFinished(second.view.subscribe(() => {}))
    return { first, second, model }
  }
  const texts = (view: ReturnType<typeof tabs>['second']['view']) =>
    view
      .getSnapshot()
      .messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])))

  it('the other tab sees each step once it is saved, and what it sends waits its turn', async () => {
    let answer = () => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    const { first, second } = tabs(() => asked.then(() => reply.text('One.')), reply.text('Two.'))
    const deltas: string[] = []
    second.on('text-delta', ({ delta }) => {
      deltas.push(delta)
    })
    const run = first.send('First')
    await vi.waitFor(() => expect(texts(second.view)).toEqual(['First']))
    const queued = second.send('Second')
    await vi.waitFor(() => expect(second.view.getSnapshot().queue).toMatchObject([{ text: 'Second' }]))
    answer()
    expect((await run.result).text).toBe('One.')
    expect((await queued.result).text).toBe('Two.')
    await vi.waitFor(() => expect(texts(second.view)).toEqual(['First', 'One.', 'Second', 'Two.']))
    expect(deltas.join('')).not.toContain('One.')
  })

  it('a stop takes effect from the other tab', async () => {
    const { first, second, model } = tabs(reply.hang())
    const run = first.send('First')
    await vi.waitFor(() => expect(model.calls).toHaveLength(1))
    await second.stop()
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'requested' })
  })
})

it('a run that has not begun is withdrawn by a stop', async () => {
  const model = scriptedModel([reply.hang()])
  const agent = createRuntime(assistant, { model, store: newStore(newName()) })
  onTestFinished(() => agent.close())
  const session = agent.session('trip')
  session.send('First')
  await vi.waitFor(() => expect(model.calls).toHaveLength(1))
  const queued = session.send('Second')
  await expect(queued.stop()).rejects.toMatchObject({ name: 'AbortError' })
  const { messages } = await session.view.ready
  expect(messages.filter(({ role }) => role === 'user')).toHaveLength(1)
})
