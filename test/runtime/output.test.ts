import { createRuntime, defineAgent, memoryStore, type Store, tool } from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { problemsOf } from './check-prompt.ts'
import { manualClock } from './clock.ts'
import { expectOrder, record } from './record.ts'
import { door, hooked, mortal } from './stores.ts'

const weather = z.object({ city: z.string(), celsius: z.number() })
const json = (value: unknown) => JSON.stringify(value)
const porto = { city: 'Porto', celsius: 21 }

interface Options {
  readonly store?: Store
  readonly more?: object
}

function answering(turns: readonly ScriptedTurn[], { store = memoryStore(), more = {} }: Options = {}) {
  const model = scriptedModel(turns, { usage: { inputTokens: 10, outputTokens: 5 } })
  const agent = defineAgent({ name: 'reporter', model, output: weather, ...more })
  const runtime = createRuntime(agent, { store })
  const session = runtime.session('trip')
  return { model, runtime, session, heard: record(session) }
}

describe('an agent with an output', () => {
  test('gives it typed and validated, and its text as it was', async () => {
    const { session, model } = answering([reply.text(json(porto))])
    const { output, text } = await session.send('Go').result
    expect(output?.city).toBe('Porto')
    expect(output).toEqual(porto)
    expect(text).toBe(json(porto))
    expect(model.calls[0]?.responseFormat).toEqual({
      type: 'json',
      name: 'reporter',
      schema: expect.objectContaining({ type: 'object', required: ['city', 'celsius'], additionalProperties: false }),
    })
  })

  test('takes JSON out of a code fence', async () => {
    const { session } = answering([reply.text(`\n\`\`\`json\n${json(porto)}\n\`\`\`\n`)])
    expect((await session.send('Go').result).output).toEqual(porto)
  })

  test('may call tools before: only the last answer is to fit', async () => {
    const look = tool({ inputSchema: z.object({}), execute: () => 21 })
    const { session, model } = answering(
      [reply.all(reply.text('Let me look.'), reply.call('look', {})), reply.text(json(porto))],
      { more: { tools: { look } } },
    )
    expect((await session.send('Go').result).output).toEqual(porto)
    expect(model.calls[0]?.tools).toHaveLength(1)
  })

  test('asks once more where the answer does not fit: with it and with what is wrong, and books both', async () => {
    const { session, model, heard } = answering([reply.text(json({ city: 'Porto' })), reply.text(json(porto))])
    const { output, usage, turns } = await session.send('Go').result
    expect(output).toEqual(porto)
    expect(usage).toMatchObject({ inputTokens: 20, outputTokens: 10 })
    expect(turns).toBe(1)
    const [, again] = model.calls
    expect(again?.prompt.slice(-2)).toMatchObject([
      { role: 'assistant', content: [{ text: json({ city: 'Porto' }) }] },
      { role: 'user', content: [{ text: expect.stringContaining('celsius') }] },
    ])
    expect(problemsOf(again?.prompt ?? [])).toEqual([])
    expect(await session.history()).toHaveLength(2)
    expect(heard.of('message-voided')).toHaveLength(1)
    expectOrder(heard.events)
  })

  test.each([
    ['is no JSON', 'Porto has 21 degrees'],
    ['is empty', ''],
    ['has a forbidden key', '{"__proto__":{},"city":"a","celsius":1}'],
    ['is nested without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['was cut', '{"city":"Por'],
  ])('fails the run where the second answer %s, too, and keeps what there is of it', async (_, text) => {
    const { session, heard } = answering([reply.text(text), reply.text(text)])
    await expect(session.send('Go').result).rejects.toMatchObject({ code: 'invalid-output', recoverable: false })
    expect(heard.of('run-failed')).toHaveLength(1)
    expect(heard.of('usage-recorded').at(-1)?.run).toMatchObject({ inputTokens: 20 })
    const last = (await session.history()).at(-1)
    if (text) expect(last).toMatchObject({ role: 'assistant', metadata: { status: 'partial' } })
    expectOrder(heard.events)
  })

  test('does not go on with an answer that was as long as answers may be, but asks anew', async () => {
    const cut = reply.all(reply.text('{"city":'), reply.finish({ reason: 'length' }))
    const { session, model } = answering([cut, reply.text(json(porto))])
    expect((await session.send('Go').result).output).toEqual(porto)
    expect(model.calls).toHaveLength(2)
  })

  test('asks once more within its limits only', async () => {
    const { session } = answering([reply.text('no')], { more: { limits: { maxTokens: 12 } } })
    const { status, reason, output } = await session.send('Go').result
    expect({ status, reason, output }).toEqual({ status: 'stopped', reason: 'tokens', output: undefined })
  })

  test('gives text where it is asked for text', async () => {
    const { session } = answering([reply.text(json(porto))])
    expect(await session.ask('Go')).toBe(json(porto))
  })

  test('stores what validation made of it', async () => {
    const trimmed = z.object({ city: z.string().trim().toUpperCase() })
    const { session } = answering([reply.text('{"city":" porto "}')], { more: { output: trimmed } })
    expect((await session.send('Go').result).output).toEqual({ city: 'PORTO' })
  })

  test('can be stopped while its validation takes for ever', async () => {
    const wait = door()
    const never = z.string().refine(() => wait.pass(true))
    const { session } = answering([reply.text('"x"')], { more: { output: never } })
    const run = session.send('Go')
    await wait.reached
    expect((await run.stop()).status).toBe('stopped')
  })
})

describe('an output survives', () => {
  test('a reload', async () => {
    const store = memoryStore()
    const first = answering([reply.text(json(porto))], { store: mortal(store) })
    const { runId } = await first.session.send('Go').result
    const second = answering([], { store: mortal(store) })
    expect((await second.runtime.runs.get(runId).result).output).toEqual(porto)
  })

  test('the death of its owner before the second answer: it is still the second', async () => {
    const store = memoryStore()
    const first = mortal(store)
    const hang = door()
    const dying = answering([reply.text('no'), () => hang.pass(reply.text(''))], { store: first })
    const { runId } = dying.session.send('Go').detach()
    await hang.reached
    first.die()
    const second = answering([reply.text('no again')], { store: mortal(store) })
    await expect(second.runtime.runs.get(runId).result).rejects.toMatchObject({ code: 'invalid-output' })
    expect(second.model.calls[0]?.prompt.at(-2)).toMatchObject({ role: 'assistant', content: [{ text: 'no' }] })
  })

  test('somebody who steers the run in the last moment: the next answer is it', async () => {
    const reached = door()
    let held = false
    const store = hooked(memoryStore(), async (method, [change], call) => {
      const events = method === 'commit' ? (change as { events: readonly { kind: string }[] }).events : []
      if (!held && events.some(({ kind }) => kind === 'run-completed')) {
        held = true
        await reached.pass()
      }
      return call()
    })
    const { session } = answering([reply.text(json(porto)), reply.text(json({ ...porto, celsius: 22 }))], { store })
    const run = session.send('Go')
    await reached.reached
    await run.steer('And tomorrow?')
    reached.open()
    expect((await run.result).output).toEqual({ city: 'Porto', celsius: 22 })
  })

  test('the inputs of an open run: each answer may be repaired once', async () => {
    const { session, heard } = answering([
      reply.text('no'),
      reply.text(json(porto)),
      reply.text('no'),
      reply.text(json({ ...porto, celsius: 3 })),
    ])
    const run = session.open({ input: 'Go' })
    await heard.nth(1, 'run-waiting')
    await run.steer('Again')
    await heard.nth(2, 'run-waiting')
    expect((await run.close()).output).toEqual({ city: 'Porto', celsius: 3 })
  })
})

test('an agent without an output has none, and its provider is told of none', async () => {
  const model = scriptedModel([reply.text('Hello')])
  const runtime = createRuntime(defineAgent({ name: 'plain', model }), { store: memoryStore(), ...manualClock() })
  const result = await runtime.session('trip').send('Go').result
  expect(result).not.toHaveProperty('output')
  expect(model.calls[0]).not.toHaveProperty('responseFormat')
})
