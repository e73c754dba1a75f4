import { describe, expect, it, onTestFinished } from 'vitest'
import { waitFor } from '../wait-for.ts'
import { workplace } from './fixtures/real-worker.ts'

describe('a page and an agent in a worker', () => {
  it('streams, calls tools, and is still there after a reload', async () => {
    const place = workplace()
    const { model } = place
    const page = place.open()
    const session = page.session('trip')
    const shown: string[] = []
    onTestFinished(
      session.view.subscribe(() => {
        const { status, messages } = session.view.getSnapshot()
        const last = messages.at(-1)?.parts.at(-1)
        shown.push(`${status} ${last?.type === 'text' ? last.text : (last?.type ?? '')}`)
      }),
    )
    const text: string[] = []
    session.on('text-delta', ({ delta }) => void text.push(delta))
    const kinds: string[] = []
    session.on('any', ({ kind }) => void (kind.endsWith('-delta') || kinds.push(kind)))

    const run = session.send('What is 2 + 3?')
    const first = await model.next()
    first.text('Let me see. ')
    await waitFor(() => expect(shown).toContain('streaming Let me see. '))
    first.toolCall('c1', 'add', { a: 2, b: 3 })
    first.finish()
    const second = await model.next()
    expect(second.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [{ toolName: 'add', output: { type: 'json', value: 5 } }],
    })
    second.say('It is 5.')
    expect(await run.result).toMatchObject({ status: 'completed', text: 'It is 5.', turns: 2, finishReason: 'stop' })
    expect(text.join('')).toBe('Let me see. It is 5.')
    expect(kinds).toEqual([
      'input-queued',
      'session-created',
      'run-started',
      'input-delivered',
      'user-message-committed',
      'checkpoint-saved',
      'turn-started',
      'context-built',
      'model-started',
      'tool-call-completed',
      'assistant-message-committed',
      'usage-recorded',
      'checkpoint-saved',
      'tool-execution-started',
      'tool-execution-finished',
      'tool-message-committed',
      'turn-completed',
      'checkpoint-saved',
      'turn-started',
      'context-built',
      'model-started',
      'assistant-message-committed',
      'usage-recorded',
      'turn-completed',
      'run-completed',
    ])
    await waitFor(() => expect(session.view.getSnapshot().status).toBe('ready'))
    const before = session.view.getSnapshot()
    expect(before.messages.map(({ role, parts }) => [role, parts])).toMatchObject([
      ['user', [{ type: 'text', text: 'What is 2 + 3?' }]],
      [
        'assistant',
        [
          { type: 'text', text: 'Let me see. ' },
          { type: 'tool-add', state: 'output-available', input: { a: 2, b: 3 }, output: 5 },
        ],
      ],
      ['assistant', [{ type: 'text', text: 'It is 5.' }]],
    ])
    expect(before.title).toBe('What is 2 + 3?')

    // A reload: the page and its worker are gone.
    await page.close()
    place.kill()
    const reloaded = place.open()
    expect(await reloaded.sessions.list()).toMatchObject([{ id: 'trip', title: 'What is 2 + 3?', status: 'ready' }])
    const after = await reloaded.session('trip').view.ready
    expect(after).toEqual(before)
    const again = reloaded.session('trip').send('Thanks')
    const third = await model.next()
    expect(third.prompt.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
    third.say('Welcome.')
    expect((await again.result).text).toBe('Welcome.')
  })

  it('goes on by itself with a run that a reload interrupted', async () => {
    const place = workplace()
    const page = place.open()
    const { runId } = page.session('s').send('Hi')
    ;(await place.model.next()).text('Half an ans')
    await waitFor(async () => expect((await page.session('s').view.ready).status).toBe('streaming'))
    await page.close()
    place.kill()

    const reloaded = place.open()
    const session = reloaded.session('s')
    onTestFinished(session.view.subscribe(() => {}))
    expect(await session.view.ready).toMatchObject({ status: 'submitted', run: { runId, phase: 'model' } })
    const ends: string[] = []
    session.on(['run-started', 'run-cancelled', 'run-completed'], ({ kind }) => void ends.push(kind), { since: 0 })
    const call = await place.model.next()
    expect(call.prompt.filter(({ role }) => role === 'user')).toHaveLength(1)
    call.say('Whole.')
    expect((await reloaded.runs.get(runId).result).text).toBe('Whole.')
    await waitFor(() => expect(ends).toEqual(['run-started', 'run-started', 'run-completed']))
    await waitFor(() =>
      expect(session.view.getSnapshot()).toMatchObject({
        status: 'ready',
        messages: [{}, { parts: [{ text: 'Whole.' }] }],
      }),
    )
  })

  it('lists, renames and deletes sessions', async () => {
    const place = workplace()
    const page = place.open()
    const list = page.sessions.view()
    onTestFinished(list.subscribe(() => {}))
    for (const id of ['one', 'two']) {
      const run = page.session(id).send(`Hello ${id}`)
      ;(await place.model.next()).say('Hi')
      await run.result
    }
    await waitFor(() =>
      expect(list.getSnapshot().map(({ id, status }) => [id, status])).toEqual([
        ['two', 'ready'],
        ['one', 'ready'],
      ]),
    )
    await page.session('one').rename('First')
    await waitFor(() => expect(list.getSnapshot().map(({ title }) => title)).toEqual(['Hello two', 'First']))
    await page.session('two').delete()
    await waitFor(() => expect(list.getSnapshot().map(({ id }) => id)).toEqual(['one']))
    expect((await page.session('two').view.ready).messages).toEqual([])
  })

  it('tells what it is made of', async () => {
    const page = workplace().open()
    onTestFinished(page.info.subscribe(() => {}))
    expect(page.info.getSnapshot()).toMatchObject({ worker: 'starting', agents: [], models: [] })
    expect(await page.info.ready).toEqual({
      worker: 'ready',
      online: true,
      agents: [{ name: 'assistant', description: 'Helps' }],
      models: [{ name: 'other' }],
      storage: { persisted: false, usage: expect.any(Number), quota: expect.any(Number) },
    })
  })
})
