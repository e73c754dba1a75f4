import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test } from 'vitest'
import { support } from './agent.ts'

// #region load
test('learns to refund when it has to', async () => {
  const model = scriptedModel([
    reply.call('load_skill', { name: 'refunds' }),
    reply.call('refund', { order: '17' }),
    reply.text('Refunded.'),
  ])
  await using runtime = createRuntime(support, { model, store: memoryStore() })
  runtime.on('approval-requested', ({ approval }) => {
    if (approval.reason === 'policy') void runtime.approvals.answer(approval, { decision: 'allow-once' })
  })
  expect((await runtime.session('desk').send('I want my money back').result).text).toBe('Refunded.')
  const toolsOf = (turn: number) => model.calls[turn]?.tools?.map(({ name }) => name)
  expect(toolsOf(0)).toEqual(['load_skill'])
  expect(toolsOf(1)).toEqual(['load_skill', 'refund'])
  expect(JSON.stringify(model.calls[0]?.prompt[0])).toContain('- letters: Writes formal letters.')
  expect(JSON.stringify(model.calls[1]?.prompt.at(-1))).toContain('Never refund an order twice.')
})
// #endregion
