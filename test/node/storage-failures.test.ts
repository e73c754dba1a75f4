import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { servePage } from '../serve-page.ts'
import { problemsIn } from '../sessions/check-dump.ts'
import { type Remote, withPage } from './storage/with-page.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let site: Awaited<ReturnType<typeof servePage>>
beforeAll(async () => {
  site = await servePage(new URL('storage/page.html', import.meta.url))
})
afterAll(() => site?.close())

const complete = ({ ask }: Remote, input: string) => ask((storage, input) => storage.result(storage.send(input)), input)
/** The kinds of what the last run told, without the parts of an answer. */
const told = async ({ ask }: Remote, runId: string) => {
  const events = await ask((storage) => storage.events.map((event) => ({ ...event })))
  return events.filter((event) => event.runId === runId)
}

describe('a disk that is full', () => {
  // Set before the database is first opened: the browser counts on for half a minute with what it knew then.
  const room = 1_000_000
  const fill = ({ devTools, origin }: Remote) =>
    devTools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: room })
  const free = ({ devTools, origin }: Remote) => devTools.send('Storage.overrideQuotaForOrigin', { origin })

  const failed = { code: 'storage-full', message: expect.stringContaining('free disk space') }

  test('keeps nothing of an answer that did not fit, and starts none of its tools', () =>
    withPage(site.url, async (remote) => {
      const { ask, open } = remote
      await fill(remote)
      await open()
      expect(await complete(remote, 'Hello')).toEqual({ status: 'completed', text: 'You said: Hello' })
      const runId = await ask((storage) => storage.send('answer at length'))
      expect(await ask((storage, runId) => storage.result(runId), runId)).toEqual(failed)

      const events = await told(remote, runId)
      expect(events.at(-1)).toMatchObject({ kind: 'run-released', reason: 'storage-full' })
      expect(events.filter(({ kind }) => kind === 'run-released')).toHaveLength(1)
      await expect.poll(() => ask((storage) => storage.started)).toEqual([])
      const dump = await ask((storage) => storage.dump())
      expect(problemsIn(dump)).toEqual([])
      const roles = dump.entries.flatMap(([[kind], value]) =>
        kind === 'message' ? [(value as { role: string }).role] : [],
      )
      expect(roles).toEqual(['user', 'assistant', 'user'])
      expect(await ask((storage) => storage.view())).toMatchObject({ messages: 3 })

      await free(remote)
      await ask((storage, runId) => storage.resume(runId), runId)
      expect(await ask((storage, runId) => storage.result(runId), runId)).toEqual({
        status: 'completed',
        text: 'Done.',
      })
      await expect.poll(() => ask((storage) => storage.started)).toEqual(['small'])
      expect((await told(remote, runId)).filter(({ kind }) => kind === 'run-started')).toHaveLength(2)
      expect(problemsIn(await ask((storage) => storage.dump()))).toEqual([])
    }))

  test('keeps nothing of a result that did not fit, and starts no tool after it', () =>
    withPage(site.url, async (remote) => {
      const { ask, open } = remote
      await fill(remote)
      await open()
      const runId = await ask((storage) => storage.send('use big, then small'))
      expect(await ask((storage, runId) => storage.result(runId), runId)).toEqual(failed)

      expect((await told(remote, runId)).at(-1)).toMatchObject({ kind: 'run-released', reason: 'storage-full' })
      await expect.poll(() => ask((storage) => storage.started)).toEqual(['big'])
      const dump = await ask((storage) => storage.dump())
      expect(problemsIn(dump)).toEqual([])
      expect(dump.entries.flatMap(([[kind], value]) => (kind === 'call' ? [value] : []))).toMatchObject([
        { toolName: 'big', state: 'started' },
      ])

      await free(remote)
      await ask((storage, runId) => storage.resume(runId), runId)
      // Nobody knows what the first call came to: it starts again only because somebody says so.
      await ask((storage) => storage.heard('run-waiting'))
      await expect.poll(() => ask((storage) => storage.started)).toEqual(['big', 'small'])
      await ask((storage) => storage.retry())
      expect(await ask((storage, runId) => storage.result(runId), runId)).toEqual({
        status: 'completed',
        text: 'Done.',
      })
      await expect.poll(() => ask((storage) => storage.started)).toEqual(['big', 'small', 'big'])
      expect(problemsIn(await ask((storage) => storage.dump()))).toEqual([])
    }))

  test('lets a new message run, also while there is no room for more than that', () =>
    withPage(site.url, async (remote) => {
      await fill(remote)
      await remote.open()
      expect(await complete(remote, 'use big, then small')).toEqual(failed)
      expect(await complete(remote, 'Hello')).toMatchObject({ status: 'completed', text: 'You said: Hello' })
      await expect.poll(() => remote.ask((storage) => storage.started)).toEqual(['big'])
      expect(problemsIn(await remote.ask((storage) => storage.dump()))).toEqual([])
    }))
})

describe('an origin that is cleared under a live page', () => {
  const clear = ({ devTools, origin }: Remote) =>
    devTools.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
  const lost = { code: 'storage-lost', message: expect.stringContaining('reload') }

  const allRefuse = async (remote: Remote) => {
    const { ask, page } = remote
    expect(await ask((storage) => storage.list())).toEqual(lost)
    expect(await ask((storage) => storage.view())).toEqual(lost)
    expect(await complete(remote, 'Are you there?')).toEqual(lost)
    await expect
      .poll(() => ask((storage) => storage.shown()))
      .toEqual({ status: 'error', code: 'storage-lost', messages: 2 })
    expect(await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))).toEqual([])
  }
  const beginsAnew = async (remote: Remote) => {
    await remote.open()
    expect(await remote.ask((storage) => storage.list())).toEqual({ ids: [] })
    expect(await complete(remote, 'Hello again')).toMatchObject({ status: 'completed' })
    expect(await remote.ask((storage) => storage.list())).toEqual({ ids: ['trip'] })
    expect(problemsIn(await remote.ask((storage) => storage.dump()))).toEqual([])
  }

  test('is lost for whatever an idle page asks, and the next page begins anew', () =>
    withPage(site.url, async (remote) => {
      await remote.open()
      await complete(remote, 'Hello')
      await clear(remote)
      await allRefuse(remote)
      await beginsAnew(remote)
    }))

  test('releases the run that is under way, and starts no further tool', () =>
    withPage(site.url, async (remote) => {
      const { ask, open } = remote
      await open()
      const runId = await ask((storage) => storage.send('use patient, then small'))
      await ask((storage) => storage.heard('tool-execution-started'))
      await clear(remote)
      await ask((storage) => storage.endTool())
      expect(await ask((storage, runId) => storage.result(runId), runId)).toEqual(lost)
      expect((await told(remote, runId)).at(-1)).toMatchObject({ kind: 'run-released', reason: 'storage-lost' })
      await expect.poll(() => ask((storage) => storage.started)).toEqual(['patient'])
      await allRefuse(remote)
      await beginsAnew(remote)
    }))
})
