// #region test
import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test, vi } from 'vitest'
import { assistant } from './agent.worker.ts'

test('looks the forecast up, then answers', async () => {
  vi.stubGlobal('fetch', async () => Response.json({ celsius: 21 }))
  const model = scriptedModel([reply.call('forecast', { city: 'Porto' }), reply.text('21 degrees.')])
  await using runtime = createRuntime(assistant, { model, store: memoryStore() })

  const { text, turns } = await runtime.session().send('How warm is it in Porto?').result

  expect({ text, turns }).toEqual({ text: '21 degrees.', turns: 2 })
  expect(model.calls[1]?.prompt.at(-1)).toMatchObject({
    role: 'tool',
    content: [{ toolName: 'forecast', output: { type: 'json', value: { celsius: 21 } } }],
  })
})
// #endregion
