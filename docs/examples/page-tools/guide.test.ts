import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { guide } from './agent.worker.ts'

// #region answer
test('asks for a date, and goes on with it', async () => {
  const model = scriptedModel([
    reply.call('pick_date', { question: 'When?' }, { toolCallId: 'date' }),
    reply.text('See you then.'),
  ])
  await using runtime = createRuntime(guide, { model, store: memoryStore() })
  const session = runtime.session()
  const run = session.send('Book a tour')
  run.on('run-waiting', () =>
    session.addToolOutput({ tool: 'pick_date', toolCallId: 'date', output: { date: '2027-05-01' } }),
  )

  expect((await run.result).text).toBe('See you then.')
  expect(model.calls[1]?.prompt.at(-1)).toMatchObject({ content: [{ output: { value: { date: '2027-05-01' } } }] })
})
// #endregion
