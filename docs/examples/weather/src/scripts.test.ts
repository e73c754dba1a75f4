// #region script
import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test, vi } from 'vitest'
import { assistant } from './agent.worker.ts'

test('looks up two cities at once', async () => {
  vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
  const model = scriptedModel([
    reply.all(reply.call('forecast', { city: 'Porto' }), reply.call('forecast', { city: 'Lisbon' })),
    ({ prompt }) => reply.text(`${prompt.length} messages so far.`),
  ])
  await using runtime = createRuntime(assistant, { model, store: memoryStore() })
  const cities: string[] = []
  runtime.on('tool-execution-started', (call) => {
    if (!call.dynamic) cities.push(call.input.city)
  })

  const { text } = await runtime.session().send('Porto or Lisbon?').result

  expect(cities).toEqual(['Porto', 'Lisbon'])
  expect(text).toBe('3 messages so far.')
})
// #endregion

// #region failures
test('keeps what was written before the connection was lost', async () => {
  const model = scriptedModel([reply.fail(429), reply.drop('It'), reply.drop('It is 21'), reply.hang()])
  await using runtime = createRuntime(assistant, { model, store: memoryStore(), sleep: async () => {} })
  const session = runtime.session()
  const retried: string[] = []
  session.on('model-retried', ({ error }) => void retried.push(error.code))

  await expect(session.send('How warm is it?').result).rejects.toMatchObject({ code: 'model-interrupted' })
  expect(retried).toEqual(['rate-limited', 'model-interrupted']) // three attempts, and the last one's error
  const { messages } = await session.view.ready
  expect(messages[1]).toMatchObject({ parts: [{ text: 'It is 21' }], metadata: { status: 'partial' } })

  const run = session.send('Again')
  await vi.waitFor(() => expect(model.calls).toHaveLength(4))
  expect(await run.stop()).toMatchObject({ status: 'stopped', reason: 'requested' })
})
// #endregion

// #region clock
test('makes the same messages every time', async () => {
  const messages = async () => {
    let ids = 0
    const now = () => Date.UTC(2027, 4, 1)
    await using runtime = createRuntime(assistant, {
      model: scriptedModel([reply.text('Hello.')]),
      store: memoryStore({ now }),
      newId: () => `id-${++ids}`,
      now,
    })
    const session = runtime.session('s')
    await session.send('Hi').result
    return (await session.view.ready).messages
  }
  expect(await messages()).toEqual(await messages())
})
// #endregion
