import { expect, inject, test, vi } from 'vitest'
import { runtime, useKey } from '../../docs/examples/keys/own-key.ts'
import { serverAt } from '../server/client.ts'
import { say } from '../server/turns.ts'

test("a user's own key reaches the endpoint, and nothing that is stored", async () => {
  const script = await serverAt(inject('modelServer')).script([say('Hello.')], { cors: 'strict' })
  const realFetch = fetch
  vi.stubGlobal('fetch', (url: string, init: RequestInit) =>
    realFetch(String(url).replace('https://api.openai.com/v1', script.baseURL), init),
  )
  const told: unknown[] = []
  runtime.on('any', (event) => {
    told.push(event)
  })

  const { text, sessionId } = await useKey(runtime, 'sk-canary').result
  vi.unstubAllGlobals()

  expect(text).toBe('Hello.')
  const [request] = await script.requests()
  expect(request?.headers.authorization).toBe('Bearer sk-canary')
  expect(JSON.stringify([told, await dump('turnloop')])).not.toContain('sk-canary')
  await runtime.session(sessionId).delete()
  await runtime.close()
})

/** All that a database holds. */
async function dump(name: string): Promise<unknown[]> {
  const settled = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const database = await settled(indexedDB.open(name))
  const records = await Promise.all(
    [...database.objectStoreNames].map((store) => settled(database.transaction(store).objectStore(store).getAll())),
  )
  database.close()
  expect(records.flat().length).toBeGreaterThan(3)
  return records.flat()
}
