import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, it } from 'vitest'
import { reporter } from '../../docs/examples/output/agent.ts'
import { support } from '../../docs/examples/skills/agent.ts'

it('a skill that was parsed gives its instructions', async () => {
  const model = scriptedModel([reply.call('load_skill', { name: 'letters' }), reply.text('Dear …')])
  await using runtime = createRuntime(support, { model, store: memoryStore() })
  await runtime.session().send('Write to the mayor').result
  expect(model.calls[1]?.prompt.at(-1)).toMatchObject({
    content: [{ output: { value: 'Begin with "Dear", and end with "Yours sincerely".' } }],
  })
})

it('an answer that does not fit twice fails the run', async () => {
  const model = scriptedModel([reply.text('Warm.'), reply.text('{"city":"Porto"}')])
  await using runtime = createRuntime(reporter, { model, store: memoryStore() })
  await expect(runtime.session().send('Porto was warm').result).rejects.toMatchObject({ code: 'invalid-output' })
})
