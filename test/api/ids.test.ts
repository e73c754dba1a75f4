import { connect } from 'turnloop'
import { createRuntime, defineAgent, memoryStore, serve } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { describe, expect, onTestFinished, test } from 'vitest'

function start() {
  const model = scriptedModel([reply.text('Hello'), reply.call('none', {}, { toolCallId: '' }), reply.text('Again')])
  const runtime = createRuntime(defineAgent({ name: 'assistant', model }), { store: memoryStore() })
  onTestFinished(() => runtime.close())
  return { runtime, model }
}

describe('where crypto.randomUUID is missing', () => {
  /** As in a page that is no secure context. */
  function without() {
    Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true })
    onTestFinished(() => void Reflect.deleteProperty(crypto, 'randomUUID'))
  }
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  test('a runtime makes ids of its own', async () => {
    without()
    const { runtime } = start()
    const session = runtime.session()
    const first = session.send('Hi')
    expect(await first.result).toMatchObject({ text: 'Hello' })
    const second = session.send('And now?')
    expect(await second.result).toMatchObject({ text: 'Again' })
    const ids = [session.id, first.runId, second.runId]
    const { messages } = await session.view.ready
    ids.push(...messages.map(({ id }) => id))
    for (const id of ids) expect(id).toMatch(uuid)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('a page connects, and runs', async () => {
    without()
    const { runtime } = start()
    const { port1, port2 } = new MessageChannel()
    serve(runtime, port2)
    const page = connect<typeof runtime>(port1)
    onTestFinished(() => page.close())
    expect(await page.session().send('Hi').result).toMatchObject({ text: 'Hello' })
    expect(await page.sessions.list()).toHaveLength(1)
  })
})

describe("a session's id", () => {
  test.each(['', 7, null])('that is %j is refused', async (id) => {
    const { runtime, model } = start()
    const refused = expect.objectContaining({ name: 'AgentError', code: 'invalid-argument' })
    expect(() => runtime.session(id as string)).toThrowError(refused)
    expect(() => runtime.run({ input: 'Hi' }, { session: id as string })).toThrowError(refused)
    expect(await runtime.sessions.list()).toEqual([])
    expect(model.calls).toEqual([])
  })

  test('is made where there is none', async () => {
    const { runtime } = start()
    const run = runtime.run({ input: 'Hi' })
    expect(run.sessionId).not.toBe('')
    expect(await run.result).toMatchObject({ sessionId: run.sessionId })
    expect(runtime.session().id).not.toBe(runtime.session().id)
  })
})
