import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { reader } from './agent.ts'

// #region test
test('reads pages over https, and keeps addresses to itself', async () => {
  const fetched = vi.fn(async (_url: string) => new Response('<p>Ask ann@example.org</p><script>steal()</script>'))
  vi.stubGlobal('fetch', fetched)
  const told = vi.spyOn(console, 'info').mockReturnValue()
  onTestFinished(() => void vi.unstubAllGlobals())
  const model = scriptedModel([reply.call('fetchPage', { url: 'http://example.org/' }), reply.text('Ask Ann.')])
  await using runtime = createRuntime(reader, { model, store: memoryStore() })
  await runtime.session('trip').send('Whom do I ask about Project-17? I am bob@example.org').result
  expect(fetched.mock.calls[0]?.[0]).toBe('https://example.org/')
  expect(model.calls[1]?.prompt).toMatchObject([
    { role: 'user', content: [{ text: 'Whom do I ask about [redacted]? I am [redacted]' }] },
    { role: 'assistant' },
    { role: 'tool', content: [{ output: { value: '<p>Ask [redacted]</p>' } }] },
  ])
  expect(told).toHaveBeenCalledWith(expect.stringContaining('completed'))
})
// #endregion
