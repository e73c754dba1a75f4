import { createRuntime, memoryStore } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { expect, test, vi } from 'vitest'
import { clerk } from './agent.worker.ts'

// #region restart
test('hands the service the same key, whoever charges in the end', async () => {
  const keys: (string | null)[] = []
  vi.stubGlobal('fetch', (_: string, { headers }: RequestInit) => {
    keys.push(new Headers(headers).get('idempotency-key'))
    return keys.length === 1 ? new Promise(() => {}) : Promise.resolve(Response.json({ receipt: 'r-1' }))
  })
  const store = memoryStore()
  const first = createRuntime(clerk, {
    model: scriptedModel([reply.call('charge', { order: 'o-1', cents: 4200 })]),
    store,
  })
  const { runId } = first.session('counter').send('Charge order 1')
  await vi.waitFor(() => expect(keys).toHaveLength(1))
  await first.close() // as a closed tab leaves it: the call has started, and has no result

  await using second = createRuntime(clerk, { model: scriptedModel([reply.text('Charged.')]), store })
  const { text } = await second.runs.get(runId).result

  expect(text).toBe('Charged.')
  expect(keys).toEqual([keys[0], keys[0]])
})
// #endregion
