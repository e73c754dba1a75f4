import { type AgentDefinition, createRuntime, defineAgent, indexedDbStore, type Store } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { guide } from '../../docs/examples/page-tools/agent.worker.ts'
import { assistant } from '../../docs/examples/weather/src/agent.worker.ts'
import { waitFor } from '../wait-for.ts'

// What the documents say of a reload: the runtime that was there is closed, and leaves its run as it stands.

afterEach(() => vi.unstubAllGlobals())

const newStore = (name: string): Store => {
  const store = indexedDbStore({ name })
  onTestFinished(() => store.close())
  return store
}
const newName = () => `docs-${crypto.randomUUID()}`

const cautious = defineAgent({ ...assistant, resume: 'ask' })
const forgetful = defineAgent({ ...assistant, resume: 'never' })

/** A run that was left in mid-answer, after a turn with a tool, and with a draft of what it had written. */
async function interrupted(name: string, agent: typeof assistant = assistant) {
  const fetched = vi.fn(async () => Response.json({ celsius: 21 }))
  vi.stubGlobal('fetch', fetched)
  const store = newStore(name)
  const model = scriptedModel([reply.call('forecast', { city: 'Porto' }), reply.all(reply.text('It is'), reply.hang())])
  const runtime = createRuntime(agent, { model, store })
  const run = runtime.session('trip').send('How warm is it?')
  const written = async () => (await store.readSession('trip', { messages: 0 }))?.draft?.message.parts
  await waitFor(async () => expect(await written()).toHaveLength(1))
  await runtime.close()
  await store.close()
  return { runId: run.runId, fetched }
}

/** A runtime as the next page has it. */
function next(name: string, agent: typeof assistant, ...turns: ScriptedTurn[]) {
  const model = scriptedModel(turns)
  const runtime = createRuntime(agent, { model, store: newStore(name) })
  onTestFinished(() => runtime.close())
  return { runtime, model }
}

describe('after a reload', () => {
  it('an interrupted run goes on by itself, and its answer is written anew', async () => {
    const name = newName()
    const { runId, fetched } = await interrupted(name)
    const { runtime, model } = next(name, assistant, reply.text('It is 21 degrees.'))
    const told: { kind: string; resumed?: boolean | undefined }[] = []
    runtime.session('trip').on(
      ['run-started', 'checkpoint-saved', 'run-completed'],
      (event) => {
        told.push(event.kind === 'run-started' ? { kind: event.kind, resumed: event.resumed } : { kind: event.kind })
      },
      { since: 0 },
    )
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'completed', text: 'It is 21 degrees.' })
    expect(fetched).toHaveBeenCalledOnce()
    expect(model.calls[0]?.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    const { messages } = await runtime.session('trip').view.ready
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'assistant'])
    await waitFor(() => expect(told.at(-1)).toEqual({ kind: 'run-completed' }))
    expect(told.filter(({ kind }) => kind === 'run-started')).toEqual([
      { kind: 'run-started', resumed: undefined },
      { kind: 'run-started', resumed: true },
    ])
    expect(told.filter(({ kind }) => kind === 'run-completed')).toHaveLength(1)
  })

  it('it shows what there is of the answer, and somebody is asked, where its agent says so', async () => {
    const name = newName()
    const { runId } = await interrupted(name, cautious)
    const { runtime, model } = next(name, cautious, reply.text('It is 21 degrees.'))
    const { view } = runtime.session('trip')
    onTestFinished(view.subscribe(() => {}))
    await waitFor(() => expect(view.getSnapshot().approvals).toHaveLength(1))
    const { status, run, messages, approvals } = view.getSnapshot()
    expect({ status, run }).toMatchObject({ status: 'ready', run: { runId, phase: 'interrupted' } })
    expect(messages.at(-1)).toMatchObject({ metadata: { status: 'partial' }, parts: [{ text: 'It is' }] })
    expect(await runtime.sessions.list()).toMatchObject([{ id: 'trip', status: 'interrupted', approvals: 1 }])
    expect(model.calls).toEqual([])
    const [approval] = approvals
    if (approval?.reason !== 'interrupted') return expect.unreachable()
    await runtime.approvals.answer(approval, { decision: 'resume' })
    expect((await runtime.runs.get(runId).result).text).toBe('It is 21 degrees.')
  })

  it('somebody is asked where it was interrupted more than ten minutes ago', async () => {
    const name = newName()
    await interrupted(name)
    const model = scriptedModel([])
    const later = () => Date.now() + 11 * 60_000
    const runtime = createRuntime(assistant, { model, store: newStore(name), now: later })
    onTestFinished(() => runtime.close())
    onTestFinished(runtime.approvals.subscribe(() => {}))
    await waitFor(() => expect(runtime.approvals.getSnapshot()).toMatchObject([{ reason: 'interrupted' }]))
    expect(model.calls).toEqual([])
  })

  it('it ends as stopped where its agent is not to resume, and resumes when somebody asks', async () => {
    const name = newName()
    const { runId } = await interrupted(name, forgetful)
    const { runtime } = next(name, forgetful, reply.text(' 21 degrees.'))
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'orphaned', text: 'It is' })
    expect((await runtime.runs.resume(runId).result).text).toBe(' 21 degrees.')
    await expect(runtime.runs.resume(runId).result).rejects.toMatchObject({ code: 'not-resumable' })
  })

  it('it ends as stopped when three legs in a row have come to nothing', async () => {
    const name = newName()
    const { runId } = await interrupted(name)
    for (let leg = 2; leg <= 4; leg++) {
      const store = newStore(name)
      const model = scriptedModel([reply.hang()])
      const runtime = createRuntime(assistant, { model, store })
      await runtime.sessions.list()
      await waitFor(() => expect(model.calls).toHaveLength(1))
      await runtime.close()
      await store.close()
    }
    const { runtime, model } = next(name, assistant)
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'crash-loop' })
    expect(model.calls).toEqual([])
  })

  it('the next message supersedes it where it does not go on by itself', async () => {
    const name = newName()
    const { runId } = await interrupted(name, cautious)
    const { runtime } = next(name, cautious, reply.text('Yes.'))
    const session = runtime.session('trip')
    expect((await session.send('Are you there?').result).text).toBe('Yes.')
    const ends: unknown[] = []
    session.on(['run-completed', 'run-cancelled'], (end) => void ends.push({ run: end.runId === runId, ...end }), {
      since: 0,
    })
    await waitFor(() =>
      expect(ends).toMatchObject([
        { run: true, kind: 'run-cancelled', reason: 'superseded' },
        { run: false, kind: 'run-completed' },
      ]),
    )
    const { messages, approvals } = await session.view.ready
    expect(messages[2]).toMatchObject({ metadata: { runId, status: 'partial' }, parts: [{ text: 'It is' }] })
    expect(approvals).toEqual([])
  })

  it('a message waits its turn where it goes on, and what was queued before runs first', async () => {
    const name = newName()
    const store = newStore(name)
    const model = scriptedModel([reply.hang()])
    const first = createRuntime(assistant, { model, store })
    first.session('trip').send('First')
    await waitFor(() => expect(model.calls).toHaveLength(1))
    const queued = new Promise<void>((resolve) => {
      first.on('input-queued', () => resolve())
    })
    first.session('trip').send('Second')
    await queued
    await first.close()
    await store.close()

    const { runtime } = next(name, assistant, reply.text('One.'), reply.text('Two.'), reply.text('Three.'))
    const session = runtime.session('trip')
    expect((await session.send('Third').result).text).toBe('Three.')
    const { messages } = await session.view.ready
    const texts = messages.flatMap(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : '')))
    expect(texts).toEqual(['First', 'One.', 'Second', 'Two.', 'Third', 'Three.'])
  })

  it('a stop in the task of the first call comes before the resume', async () => {
    const name = newName()
    const { runId } = await interrupted(name)
    const { runtime, model } = next(name, assistant)
    await runtime.session('trip').stop()
    expect(await runtime.runs.get(runId).result).toMatchObject({ status: 'stopped', reason: 'requested' })
    expect(model.calls).toEqual([])
  })

  it('a message whose run had not begun runs by itself', async () => {
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

    const { runtime } = next(name, assistant, reply.text('One.'))
    await runtime.sessions.list()
    await waitFor(async () => expect((await runtime.runs.get(runId).result).text).toBe('One.'))
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
    const store = newStore(name)
    const one = createRuntime(assistant as AgentDefinition, { model, store })
    const two = createRuntime(assistant as AgentDefinition, { model, store: newStore(name) })
    onTestFinished(async () => {
      await one.close()
      await two.close()
    })
    const [first, second] = [one.session('trip'), two.session('trip')]
    onTestFinished(second.view.subscribe(() => {}))
    /** Its lock is free, and it says nothing more. */
    const dies = () => store.close()
    return { dies, two, first, second, model }
  }
  type Tab = ReturnType<typeof tabs>['second']
  const texts = ({ view }: Tab) =>
    view
      .getSnapshot()
      .messages.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])))

  it('the other tab sees the text as it streams, and what it sends waits its turn', async () => {
    const { first, second } = tabs(reply.all(reply.text('One.'), reply.hang()), reply.text('Two.'))
    await second.view.ready
    const run = first.send('First')
    await waitFor(() => expect(texts(second)).toEqual(['First', 'One.']))
    expect(second.view.getSnapshot()).toMatchObject({ status: 'streaming', run: { owner: 'elsewhere' } })
    const queued = second.send('Second')
    await waitFor(() => expect(second.view.getSnapshot().queue).toMatchObject([{ text: 'Second' }]))
    await run.stop()
    expect((await queued.result).text).toBe('Two.')
    await waitFor(() => expect(texts(second)).toEqual(['First', 'One.', 'Second', 'Two.']))
  })

  it('a stop takes effect from the other tab', async () => {
    const { first, second, model } = tabs(reply.hang())
    const run = first.send('First')
    await waitFor(() => expect(model.calls).toHaveLength(1))
    await second.stop()
    expect(await run.result).toMatchObject({ status: 'stopped', reason: 'requested' })
  })

  it('the other tab goes on with a run whose owner has died', async () => {
    const { dies, two, first, second, model } = tabs(reply.hang(), reply.text('One.'))
    const { runId } = first.send('First')
    await waitFor(() => expect(model.calls).toHaveLength(1))
    await second.view.ready
    await dies()
    expect((await two.runs.get(runId).result).text).toBe('One.')
    await waitFor(() => expect(texts(second)).toEqual(['First', 'One.']))
  })

  it('a tab takes a session over from one that holds it, which can write nothing more', async () => {
    const { first, second, two, model } = tabs(reply.hang(), reply.text('One.'))
    const run = first.send('First')
    const released = new Promise<string>((resolve) => run.on('run-released', ({ reason }) => resolve(reason)))
    await waitFor(() => expect(model.calls).toHaveLength(1))
    await second.takeOver()
    expect(await released).toBe('ownership-lost')
    expect((await two.runs.get(run.runId).result).text).toBe('One.')
    // Who began it learns what has become of it.
    expect((await run.result).text).toBe('One.')
  })
})

it('a run that has not begun is withdrawn by a stop', async () => {
  const model = scriptedModel([reply.hang()])
  const agent = createRuntime(assistant, { model, store: newStore(newName()) })
  onTestFinished(() => agent.close())
  const session = agent.session('trip')
  session.send('First')
  await waitFor(() => expect(model.calls).toHaveLength(1))
  const queued = session.send('Second')
  await expect(queued.stop()).rejects.toMatchObject({ name: 'AbortError' })
  const { messages } = await session.view.ready
  expect(messages.filter(({ role }) => role === 'user')).toHaveLength(1)
})
