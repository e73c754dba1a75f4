import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { reporter } from './agent.ts'

// #region output
test('gives data, after a second try', async () => {
  const model = scriptedModel([reply.text('21 degrees in Porto'), reply.text('{"city":"Porto","celsius":21}')])
  await using runtime = createRuntime(reporter, { model, store: memoryStore() })
  const session = runtime.session('weather')
  const { output } = await session.send('Porto had 21 degrees').result
  expect(output?.celsius).toBe(21) // typed as the schema says
  expect(model.calls).toHaveLength(2) // the first answer was no JSON: the model was told so
  expect(await session.history()).toHaveLength(2) // and it is not in the history
})
// #endregion
