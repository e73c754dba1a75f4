import { AgentError, createRuntime, defineAgent, indexedDbStore, memoryStore } from 'turnloop/runtime'
import { scriptedModel } from 'turnloop/testing'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { hooked } from '../runtime/stores.ts'

const agent = defineAgent({ name: 'assistant', model: scriptedModel([]) })

/** A runtime whose `info` somebody looks at. */
function watched(store = memoryStore()) {
  const runtime = createRuntime(agent, { store })
  onTestFinished(() => runtime.close())
  onTestFinished(runtime.info.subscribe(() => {}))
  return runtime
}

afterEach(() => void vi.restoreAllMocks())

test('info says how much room there is, and whether the browser may delete the data', async () => {
  const store = indexedDbStore({ name: crypto.randomUUID() })
  onTestFinished(() => store.close())
  const { storage } = await watched(store).info.ready
  expect(storage).toEqual({
    persisted: await navigator.storage.persisted(),
    usage: expect.any(Number),
    quota: expect.any(Number),
  })
})

test('persist asks the browser, and info shows what it granted', async () => {
  const store = indexedDbStore({ name: crypto.randomUUID() })
  onTestFinished(() => store.close())
  const runtime = watched(store)
  expect((await runtime.info.ready).storage.persisted).toBe(false)
  const asked = vi.spyOn(navigator.storage, 'persist').mockResolvedValue(true)
  vi.spyOn(navigator.storage, 'persisted').mockResolvedValue(true)
  expect(await runtime.persist()).toBe(true)
  expect(asked).toHaveBeenCalledOnce()
  await expect.poll(() => runtime.info.getSnapshot().storage.persisted).toBe(true)
})

test('sessions in memory are never persisted, whatever the browser says', async () => {
  vi.spyOn(navigator.storage, 'persisted').mockResolvedValue(true)
  expect((await watched().info.ready).storage).toEqual({ persisted: false })
})

test('info tells of a store that can not be used, typed', async () => {
  const lost = new AgentError('storage-lost', 'The data is gone: reload the page')
  const store = hooked(memoryStore(), (method, _, call) => (method === 'status' ? Promise.reject(lost) : call()))
  const { storage } = await watched(store).info.ready
  expect(storage).toMatchObject({ persisted: false, problem: { name: 'AgentError', code: 'storage-lost' } })
})
