import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { z } from 'zod'
import type { AnyEvent } from '../../src/events/kinds.ts'
import { isDurable } from '../../src/events/kinds.ts'
import { waitFor } from '../wait-for.ts'
import { manualModel } from './manual-model.ts'
import { type Recording, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

type Committed = Extract<AnyEvent, { kind: 'assistant-message-committed' }>

const echo = tool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => n })

/** Every listener of these joins at another moment of the same turn, and all must have heard the same. */
async function joinAtEveryEvent(store: Store) {
  const model = scriptedModel(
    [
      reply.all(
        reply.reasoning('some thought'),
        reply.text('some words and more'),
        reply.call('echo', { n: 1 }),
        reply.call('echo', { n: 2 }),
      ),
      reply.all(reply.text('the last'), reply.text('words')),
      reply.text('a second run'),
      reply.drop('one that breaks off'),
    ],
    { pace: 1 },
  )
  const runtime = createRuntime(defineAgent({ name: 'a', model, tools: { echo }, retry: { attempts: 1 } }), { store })
  const session = runtime.session('trip')
  const late: { readonly since: number; readonly from: number; readonly heard: Recording }[] = []
  const reference = record(session)
  session.on('any', ({ seq }) => {
    for (const since of new Set([0, seq - 1, seq, Math.floor(seq / 2)]))
      if (since >= 0) late.push({ since, from: reference.events.length - 1, heard: record(session, { since }) })
  })
  await session.send('first').result
  await session.send('second').result
  await session.send('third').result.catch(() => {})
  onTestFinished(() => runtime.close())
  return { reference: reference.events, late }
}

function expectSame(reference: readonly AnyEvent[], since: number, from: number, heard: readonly AnyEvent[]) {
  const durable = (events: readonly AnyEvent[]) => events.filter(({ kind }) => isDurable(kind))
  expect(durable(heard)).toEqual(durable(reference).filter(({ seq }) => seq > since))
  // What is written while it listens is heard from its first letter to its last, once.
  const texts = new Map<string, string>()
  const committed = new Set(
    reference
      .slice(0, from)
      .flatMap((event) => (event.kind.endsWith('-committed') ? [(event as Committed).message.id] : [])),
  )
  for (const event of heard) {
    if (event.kind === 'text-delta' || event.kind === 'reasoning-delta') {
      expect(committed, 'a delta of a message that was committed before').not.toContain(event.messageId)
      const key = `${event.messageId} ${event.partId}`
      expect(event.start).toBe(texts.get(key)?.length ?? 0)
      texts.set(key, (texts.get(key) ?? '') + event.delta)
    }
    if (event.kind !== 'assistant-message-committed') continue
    event.message.parts.forEach((part, index) => {
      if (!committed.has(event.message.id) && 'text' in part && texts.has(`${event.message.id} ${index}`))
        expect(texts.get(`${event.message.id} ${index}`)).toBe(part.text)
    })
  }
}

for (const [where, makeStore] of [
  ['in memory', memoryStore],
  ['in IndexedDB', () => indexedDbStore({ name: crypto.randomUUID() })],
] as const) {
  test(`a listener that joins at any moment misses nothing and hears nothing twice, ${where}`, async () => {
    const { reference, late } = await joinAtEveryEvent(makeStore())
    expect(late.length).toBeGreaterThan(80)
    const head = Math.max(...reference.map(({ seq }) => seq))
    // Hundreds of them join one after the other.
    await waitFor(() => {
      for (const { since, heard } of late) if (since < head) expect(heard.events.at(-1)?.kind).toBe('run-failed')
    })
    for (const { since, from, heard } of late) expectSame(reference, since, from, heard.events)
  })
}

describe('since', () => {
  test('begins with one merged delta per open part', async () => {
    const model = manualModel()
    const session = createRuntime(defineAgent({ name: 'a', model }), { store: memoryStore() }).session('trip')
    const heard = record(session)
    session.send('Hi')
    const call = await model.next()
    call.write({ type: 'reasoning-start', id: 'r' })
    for (const delta of ['One ', 'two ', 'three']) call.write({ type: 'reasoning-delta', id: 'r', delta })
    for (const delta of ['four ', 'five']) call.text(delta)
    call.write(
      { type: 'tool-input-start', id: 'c', toolName: 'x' },
      { type: 'tool-input-delta', id: 'c', delta: '{"a"' },
    )
    await heard.when('tool-call-delta')
    const late = record(session, { since: 4 })
    await late.when('tool-call-delta')
    const messageId = heard.of('model-started')[0]?.messageId
    expect(late.events).toMatchObject([
      { kind: 'model-started', messageId },
      { kind: 'reasoning-delta', messageId, partId: '0', start: 0, delta: 'One two three' },
      { kind: 'text-delta', messageId, partId: '1', start: 0, delta: 'four five' },
      { kind: 'tool-call-started', partId: '2', toolCallId: 'c', toolName: 'x' },
      { kind: 'tool-call-delta', partId: '2', delta: '{"a"' },
    ])
    call.text(' six')
    const next = await late.nth(2, 'text-delta')
    expect(next).toMatchObject({ start: 9, delta: ' six' })
  })

  test('replays only what was asked for', async () => {
    const model = scriptedModel([reply.text('one'), reply.text('two')])
    const session = createRuntime(defineAgent({ name: 'a', model }), { store: memoryStore() }).session('trip')
    await session.send('a').result
    await session.send('b').result
    const heard: string[] = []
    await new Promise<void>((resolve) => {
      session.on(
        ['run-started', 'run-completed'],
        (event) => {
          heard.push(event.kind === 'run-started' ? event.input : event.finishReason)
          if (heard.length === 4) resolve()
        },
        { since: 0 },
      )
    })
    expect(heard).toEqual(['a', 'stop', 'b', 'stop'])
  })

  test('fills in messages and calls as they stood', async () => {
    const model = scriptedModel([reply.call('echo', { n: 1 }, { toolCallId: 'a' }), reply.text('done')])
    const store = memoryStore()
    const agent = defineAgent({ name: 'a', model, tools: { echo } })
    const live = record(createRuntime(agent, { store }).session('trip'))
    await createRuntime(agent, { store })
      .session('trip')
      .send('Hi', { metadata: { from: 'test' } }).result
    const replayed = record(createRuntime(agent, { store: mortal(store) }).session('trip'), { since: 0 })
    await replayed.when('run-completed')
    await live.when('run-completed')
    expect(replayed.events).toEqual(live.events.filter(({ kind }) => isDurable(kind)))
    expect(replayed.of('assistant-message-committed')[0]?.message.parts).toMatchObject([{ state: 'input-available' }])
    expect(replayed.of('tool-message-committed')[0]?.message.parts).toMatchObject([
      { state: 'output-available', output: 1 },
    ])
  })

  test('rebuilds the error of a failed run', async () => {
    const model = scriptedModel([reply.fail(429, { 'retry-after': '3600' })])
    const session = createRuntime(defineAgent({ name: 'a', model }), { store: memoryStore() }).session('trip')
    await session.send('Hi').result.catch(() => {})
    const { error } = await record(session, { since: 0 }).when('run-failed')
    expect(error).toMatchObject({ name: 'AgentError', code: 'rate-limited', status: 429, recoverable: true })
    expect(error).toBeInstanceOf(Error)
  })

  test('ends with its listener, also while it is still reading', async () => {
    const reading = door()
    let armed = false
    const store = hooked(memoryStore(), async (method, _, call) => {
      if (armed && method === 'readEvents') await reading.pass()
      return call()
    })
    const model = scriptedModel([reply.text('one'), reply.text('two')])
    const session = createRuntime(defineAgent({ name: 'a', model }), { store }).session('trip')
    await session.send('a').result
    armed = true
    const heard: string[] = []
    const handle = session.on('any', ({ kind }) => void heard.push(kind), { since: 0 })
    await reading.reached
    handle.abort()
    armed = false
    reading.open()
    await session.send('b').result
    expect(heard).toEqual([])
  })

  test('of a store that fails is reported', async () => {
    const reported = vi.spyOn(globalThis, 'reportError').mockImplementation(() => {})
    onTestFinished(() => reported.mockRestore())
    const store = hooked(memoryStore(), (method, _, call) =>
      method === 'readEvents' ? Promise.reject(new Error('no disk')) : call(),
    )
    const session = createRuntime(defineAgent({ name: 'a', model: manualModel() }), { store }).session('trip')
    session.on('any', () => {}, { since: 0 })
    await waitFor(() => expect(reported).toHaveBeenCalledWith(expect.objectContaining({ message: 'no disk' })))
  })
})
