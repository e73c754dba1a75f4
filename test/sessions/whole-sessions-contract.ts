import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BlobRecord, Said } from '../../src/sessions/records.ts'
import type { NewSession, Store, StoreChange } from '../../src/sessions/store.ts'
import { changeOf, claimed, runStarted, sessionRecord, userMessage } from './fixtures.ts'
import type { OpenStores } from './store-contract.ts'

const blob = (blobId: string, size = 3): BlobRecord => ({
  v: 1,
  blobId,
  data: new Blob([new Uint8Array(size).fill(7)], { type: 'image/png' }),
  mediaType: 'image/png',
})

const made = (id: string, change: Partial<NewSession> = {}): NewSession => {
  const { messages = [userMessage(0), userMessage(1)] } = change
  return {
    session: sessionRecord(id, { messageCount: messages.length, updatedAt: 5 }),
    settings: { v: 1, title: 'Mine' },
    state: { v: 1, value: { a: 1 } },
    summaries: [{ v: 1, n: 1, at: 1, text: 'All', before: 1, covers: 1 }],
    blobs: [blob('b1')],
    ...change,
    messages,
  }
}

const file = (blobId: string) => ({ mediaType: 'image/png', url: `turnloop:blob/${blobId}`, size: 3 })
const input = (...blobIds: string[]): Said => ({ type: 'input', request: { input: 'Hi', files: blobIds.map(file) } })

/** What every store does with files, and with sessions that come whole. */
export function describeWholeSessions(name: string, open: (now?: () => number) => OpenStores) {
  describe(name, () => {
    let stores: OpenStores
    let here: Store
    let there: Store
    beforeEach(() => {
      stores = open()
      here = stores.here
      there = stores.there
    })
    afterEach(() => stores.close())
    const bytesOf = async (sessionId: string, blobId: string) => {
      const found = await there.readBlob(sessionId, blobId)
      return found && [found.mediaType, found.data.type, ...new Uint8Array(await found.data.arrayBuffer())]
    }

    describe('the files of an input', () => {
      test('are there with it, and for everybody', async () => {
        await here.say('s', 'run', input('b1'), [blob('b1')])
        expect(await bytesOf('s', 'b1')).toEqual(['image/png', 'image/png', 7, 7, 7])
        expect(await there.readBlob('other', 'b1')).toBeUndefined()
      })

      test('go with it when it is withdrawn, and nothing else does', async () => {
        await here.say('s', 'one', input('b1'), [blob('b1')])
        await here.say('s', 'two', input('b2'), [blob('b2')])
        const steer: Said = { type: 'steer', inputId: 'i', input: '', files: [file('b3')] }
        await here.say('s', 'two', steer, [blob('b3')])
        await there.withdraw('s', 'i', 'steer')
        await there.withdraw('s', 'one')
        expect(await here.readBlob('s', 'b1')).toBeUndefined()
        expect(await here.readBlob('s', 'b3')).toBeUndefined()
        expect(await here.readBlob('s', 'b2')).toBeDefined()
      })

      test('are not written where the request was made before', async () => {
        const named: Said = { type: 'input', request: { input: 'Hi', clientRequestId: 'a', files: [file('b1')] } }
        await here.say('s', 'run', named, [blob('b1')])
        expect(await there.say('s', 'run', named, [blob('b2')])).toBeUndefined()
        expect(await here.readBlob('s', 'b2')).toBeUndefined()
      })

      test('stay with the message that it becomes, and go where it becomes none', async () => {
        const claim = await claimed(here, 's')
        const heard = await here.say('s', 'run', input('b1'), [blob('b1')])
        const message = { ...userMessage(0), role: 'user' as const, parts: [{ type: 'file' as const, ...file('b1') }] }
        const applied = [heard?.n ?? 0]
        const session = sessionRecord('s', { messageCount: 1 })
        await here.commit(changeOf(claim, { applied, session, messages: [message], events: [runStarted()] }))
        expect(await here.readBlob('s', 'b1')).toBeDefined()
        const lost = await here.say('s', 'run', input('b2'), [blob('b2')])
        await here.commit(changeOf(claim, { applied: [lost?.n ?? 0], session }))
        expect(await here.readBlob('s', 'b2')).toBeUndefined()
        expect(await here.readBlob('s', 'b1')).toBeDefined()
      })

      test('go with their session', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { blobs: [blob('b1')] }))
        expect(await here.readBlob('s', 'b1')).toBeDefined()
        await there.deleteSession('s')
        expect(await here.readBlob('s', 'b1')).toBeUndefined()
      })
    })

    describe('a session that comes whole', () => {
      test('is there with all that it has, listed and told of', async () => {
        const heard: StoreChange[] = []
        there.watch((change) => heard.push(change))
        await here.createSession(made('s'))
        const state = await there.readSession('s', { messages: 10 })
        expect(state).toMatchObject({
          session: { id: 's', seq: 0, messageCount: 2 },
          settings: { title: 'Mine' },
          state: { value: { a: 1 } },
          messages: [{ id: 'm0' }, { id: 'm1' }],
        })
        expect(state?.run).toBeUndefined()
        expect(await there.readSummary('s', 1)).toMatchObject({ text: 'All' })
        expect(await bytesOf('s', 'b1')).toHaveLength(5)
        expect((await there.listSessions({ limit: 5 })).map(({ session }) => session.id)).toEqual(['s'])
        await expect.poll(() => heard).toContainEqual({ type: 'committed', sessionId: 's', seq: 0 })
      })

      test('is advanced and deleted like any other', async () => {
        await here.createSession(made('s'))
        const claim = await claimed(there, 's')
        expect(await there.commit(changeOf(claim))).toEqual({ seq: 1 })
        claim.release()
        await here.deleteSession('s')
        expect(await there.readSession('s', { messages: 1 })).toBeUndefined()
        expect(await there.readBlob('s', 'b1')).toBeUndefined()
        await here.createSession(made('s', { messages: [userMessage(0)], blobs: [] }))
        expect(await there.readMessages('s', { hidden: true })).toHaveLength(1)
      })

      test('does not take the place of another one', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim))
        await expect(there.createSession(made('s'))).rejects.toMatchObject({ code: 'invalid-argument' })
        claim.release()
        await expect(there.createSession(made('s'))).rejects.toMatchObject({ code: 'invalid-argument' })
        expect((await here.readSession('s', { messages: 1 }))?.messages).toEqual([])
      })

      test('may be long, and have large files', async () => {
        const messages = Array.from({ length: 250 }, (_, index) => userMessage(index))
        const blobs = Array.from({ length: 5 }, (_, i) => blob(`b${i}`, 3 * 1024 * 1024))
        await here.createSession(made('s', { messages, blobs }))
        expect(await there.readMessages('s', {})).toHaveLength(250)
        for (const { blobId } of blobs) expect((await there.readBlob('s', blobId))?.data.size).toBe(3 * 1024 * 1024)
      })

      test('leaves nothing where it could not be written whole', async () => {
        const messages = [...Array.from({ length: 150 }, (_, index) => userMessage(index))]
        const broken = { ...userMessage(150), parts: [() => {}] } as never
        await expect(here.createSession(made('s', { messages: [...messages, broken] }))).rejects.toMatchObject({
          code: 'invalid-argument',
        })
        expect(await there.readSession('s', { messages: 1 })).toBeUndefined()
        await here.createSession(made('s', { messages: [userMessage(0)] }))
        expect(await there.readMessages('s', { hidden: true })).toHaveLength(1)
      })
    })
  })
}
