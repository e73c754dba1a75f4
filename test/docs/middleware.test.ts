import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { reader } from '../../docs/examples/middleware/agent.ts'
import { record } from '../runtime/record.ts'

it('the example of middleware refuses what is no web page', async () => {
  const told = vi.spyOn(console, 'info').mockReturnValue()
  onTestFinished(() => told.mockRestore())
  const model = scriptedModel([
    reply.call('fetchPage', { url: 'ftp://example.org/' }),
    reply.text('I can not read that.'),
  ])
  await using runtime = createRuntime(reader, { model, store: memoryStore() })
  const heard = record(runtime)
  await runtime.session('trip').send('Read it').result
  expect(heard.of('tool-execution-finished')).toMatchObject([
    { outcome: 'denied', errorText: expect.stringContaining('only web pages can be read') },
  ])
})
