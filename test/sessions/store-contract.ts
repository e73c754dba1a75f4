import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Claim, Store, StoreChange } from '../../src/sessions/store.ts'
import {
  allEvents,
  changeOf,
  claimed,
  messagesChange,
  runRecord,
  runStarted,
  sessionRecord,
  turnCompleted,
  userMessage,
} from './fixtures.ts'

export interface OpenStores {
  /** What two tabs have. The memory store is one object for both: whoever shares it, shares everything. */
  readonly here: Store
  readonly there: Store
  close(): Promise<void>
}

const lostOwnership = { name: 'AgentError', code: 'ownership-lost' }

/** What every store keeps to. */
export function describeStore(name: string, open: (now?: () => number) => OpenStores) {
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

    describe('ownership', () => {
      test('gives every claim a new and higher epoch', async () => {
        const first = await claimed(here, 's')
        first.release()
        const second = await claimed(there, 's')
        const other = await claimed(here, 'other')
        expect(second.epoch).toBeGreaterThan(first.epoch)
        expect(other.epoch).toBeGreaterThan(second.epoch)
      })

      test('takes epochs from the clock, and counts on where the clock stands still or went back', async () => {
        let time = 5000
        const clocked = open(() => time)
        const epochs = []
        for (const now of [5000, 5000, 4000, 7000]) {
          time = now
          const claim = await claimed(clocked.here, 's')
          epochs.push(claim.epoch)
          claim.release()
        }
        await clocked.close()
        expect(epochs).toEqual([5000, 5001, 5002, 7000])
      })

      test('lets a second claim wait until the first is released', async () => {
        const first = await claimed(here, 's')
        let granted = false
        const waiting = claimed(there, 's').then((claim) => {
          granted = true
          return claim
        })
        await here.commit(changeOf(first))
        expect(granted).toBe(false)
        first.release()
        expect((await waiting).epoch).toBeGreaterThan(first.epoch)
      })

      test('does not wait with ifAvailable', async () => {
        const first = await claimed(here, 's')
        expect(await there.claim('s', { ifAvailable: true })).toBeUndefined()
        first.release()
        expect(await there.claim('s', { ifAvailable: true })).toMatchObject({ sessionId: 's' })
      })

      test('stops waiting when the signal aborts, and leaves the lock to others', async () => {
        const first = await claimed(here, 's')
        const controller = new AbortController()
        const waiting = there.claim('s', { signal: controller.signal })
        const reason = new Error('no longer needed')
        controller.abort(reason)
        await expect(waiting).rejects.toBe(reason)
        await expect(there.claim('s', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
        first.release()
        await claimed(there, 's')
      })

      test('releases once, however often that is asked', async () => {
        const first = await claimed(here, 's')
        first.release()
        const second = await claimed(there, 's')
        first.release()
        expect(await here.claim('s', { ifAvailable: true })).toBeUndefined()
        second.release()
      })

      test('refuses the commit of an owner that another one followed', async () => {
        const first = await claimed(here, 's')
        await here.commit(changeOf(first))
        first.release()
        const second = await claimed(there, 's')
        await expect(here.commit(changeOf(first))).rejects.toMatchObject(lostOwnership)
        expect(await there.commit(changeOf(second))).toEqual({ seq: 2 })
        expect(await allEvents(here, 's')).toHaveLength(2)
      })

      test('refuses the commit of somebody who never claimed', async () => {
        await expect(here.commit(changeOf({ sessionId: 's', epoch: 1 }))).rejects.toMatchObject(lostOwnership)
        expect(await here.readSession('s', { messages: 10 })).toBeUndefined()
      })

      test('refuses the old owner of a session that was deleted, also once it was made anew', async () => {
        const old = await claimed(here, 's')
        await here.commit(changeOf(old))
        await there.deleteSession('s')
        await expect(here.commit(changeOf(old))).rejects.toMatchObject(lostOwnership)
        old.release()
        const fresh = await claimed(there, 's')
        expect(fresh.epoch).toBeGreaterThan(old.epoch)
        expect(await there.commit(changeOf(fresh))).toEqual({ seq: 1 })
        await expect(here.commit(changeOf(old))).rejects.toMatchObject(lostOwnership)
        expect(await allEvents(here, 's')).toHaveLength(1)
      })

      test('keeps sessions apart whose ids differ in any character', async () => {
        const ids = [
          '\ud800',
          '\ud801',
          '\ufffd',
          '%D800',
          '-',
          '--steal',
          'a:b',
          'a%3Ab',
          '',
          'é',
          'e\u0301',
          'a\0b',
          'a',
          '\u{1f44d}',
          '\udc4d\ud83d',
          'x'.repeat(100_000),
          'x'.repeat(100_001),
          '__proto__',
        ]
        const claims: Claim[] = []
        for (const id of ids) {
          const claim = await there.claim(id, { ifAvailable: true })
          expect(claim, id.slice(0, 20)).toBeDefined()
          if (claim) claims.push(claim)
        }
        for (const [i, claim] of claims.entries()) {
          await there.commit(changeOf(claim, { session: sessionRecord(claim.sessionId, { title: `title ${i}` }) }))
        }
        for (const [i, id] of ids.entries()) {
          expect(await here.readSession(id, { messages: 1 })).toMatchObject({ session: { id, title: `title ${i}` } })
        }
        expect(new Set((await here.listSessions({ limit: 100 })).map(({ session }) => session.id))).toEqual(
          new Set(ids),
        )
      })
    })

    describe('a commit', () => {
      test('numbers events from 1 without gaps, and answers with the last number', async () => {
        const claim = await claimed(here, 's')
        expect(await here.commit(changeOf(claim, { events: [runStarted(), turnCompleted()] }))).toEqual({ seq: 2 })
        expect(await here.commit(changeOf(claim, { events: [] }))).toEqual({ seq: 2 })
        expect(await here.commit(changeOf(claim, { events: [turnCompleted()] }))).toEqual({ seq: 3 })
        expect((await allEvents(there, 's')).map(({ seq, kind }) => [seq, kind])).toEqual([
          [1, 'run-started'],
          [2, 'turn-completed'],
          [3, 'turn-completed'],
        ])
        const state = await there.readSession('s', { messages: 0 })
        expect(state?.session.seq).toBe(3)
      })

      test('keeps session, run, calls and messages together', async () => {
        const claim = await claimed(here, 's')
        const run = runRecord('s')
        const call = {
          v: 1,
          runId: 'run',
          toolCallId: 'c',
          toolName: 't',
          input: { a: 1 },
          state: 'started',
          startedAt: 1,
        } as const
        const session = sessionRecord('s', { messageCount: 1, run: { runId: 'run', status: 'running' } })
        await here.commit(changeOf(claim, { session, run, calls: [call], messages: [userMessage(0)] }))
        await here.changeSettings('s', { title: 'Mine' })
        expect(await there.readSession('s', { messages: 10 })).toEqual({
          session: { ...session, seq: 1, commitId: expect.any(String) },
          settings: { v: 1, title: 'Mine' },
          messages: [userMessage(0)],
          run,
          calls: [call],
          inbox: [],
        })
      })

      test('that is repeated does nothing and answers the same, also after another owner came', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim))
        const change = messagesChange(claim, 0, 0)
        expect(await here.commit(change)).toEqual({ seq: 2 })
        expect(await here.commit(change)).toEqual({ seq: 2 })
        claim.release()
        await claimed(there, 's')
        expect(await here.commit(change)).toEqual({ seq: 2 })
        expect(await allEvents(there, 's')).toHaveLength(2)
      })

      test('is kept whole or not at all', async () => {
        const claim = await claimed(here, 's')
        await here.say('s', 'run', { type: 'stop', after: 'now' })
        const notCloneable = { ...userMessage(1), parts: [{ type: 'text', text: () => '' }] } as unknown as ReturnType<
          typeof userMessage
        >
        const change = changeOf(claim, {
          session: sessionRecord('s', { messageCount: 2 }),
          run: runRecord('s'),
          messages: [userMessage(0), notCloneable],
          applied: [1],
        })
        await expect(here.commit(change)).rejects.toMatchObject({ code: 'invalid-argument' })
        expect(await there.readSession('s', { messages: 10 })).toBeUndefined()
        expect(await there.readMessages('s', {})).toEqual([])
        expect(await there.readRun('run')).toBeUndefined()
        expect(await there.readActiveRuns()).toEqual([])
        expect(await there.readInbox('s')).toHaveLength(1)
        expect(await here.commit(messagesChange(claim, 0, 0))).toEqual({ seq: 1 })
      })

      test('stores a copy: what the caller changes later, or in what it read, changes nothing', async () => {
        const claim = await claimed(here, 's')
        const metadata = { colour: 'red' }
        const request = { input: 'Hello', metadata }
        await here.commit(changeOf(claim, { run: runRecord('s', 'run', { request }) }))
        metadata.colour = 'blue'
        const read = await here.readRun('run')
        expect(read?.request.metadata).toEqual({ colour: 'red' })
        ;(read?.request.metadata as typeof metadata).colour = 'green'
        expect((await here.readRun('run'))?.request.metadata).toEqual({ colour: 'red' })
      })

      test('lists a run as active until it ended', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { run: runRecord('s') }))
        expect(await there.readActiveRuns()).toMatchObject([{ runId: 'run', status: 'running' }])
        await here.commit(changeOf(claim, { run: runRecord('s', 'run', { status: 'waiting', waitingFor: 'page' }) }))
        expect(await there.readActiveRuns()).toMatchObject([{ runId: 'run', status: 'waiting' }])
        await here.commit(changeOf(claim, { run: runRecord('s', 'run', { status: 'completed' }) }))
        expect(await there.readActiveRuns()).toEqual([])
        expect(await there.readRun('run')).toMatchObject({ status: 'completed' })
      })
    })

    describe('the inbox', () => {
      test('keeps the order in which things were said', async () => {
        await here.say('s', 'one', { type: 'input', request: { input: '1' } })
        await there.say('s', 'two', { type: 'input', request: { input: '2' } })
        const item = await here.say('s', 'one', { type: 'stop', after: 'turn' })
        const inbox = await there.readInbox('s')
        expect(inbox.map(({ runId, type }) => [runId, type])).toEqual([
          ['one', 'input'],
          ['two', 'input'],
          ['one', 'stop'],
        ])
        expect(inbox.at(-1)).toEqual(item)
        expect(item).toMatchObject({ v: 1, sessionId: 's', runId: 'one', type: 'stop', after: 'turn' })
      })

      test('holds more items than a transaction reads', async () => {
        const said = Array.from({ length: 520 }, (_, i) =>
          here.say('s', `r${i}`, { type: 'input', request: { input: `${i}` } }),
        )
        const items = await Promise.all(said)
        expect(await there.readInbox('s')).toEqual(items)
        expect(await there.withdraw('s', 'r519')).toBe(true)
        expect(await there.readInbox('s')).toEqual(items.slice(0, -1))
      })

      test('loses an item with the commit that applies it, and never gives its number to another', async () => {
        const claim = await claimed(here, 's')
        const first = await there.say('s', 'run', { type: 'stop', after: 'now' })
        await here.commit(changeOf(claim, { applied: [first.n] }))
        expect(await there.readInbox('s')).toEqual([])
        const second = await there.say('s', 'run', { type: 'abort', cause: 'aborted' })
        expect(second.n).toBeGreaterThan(first.n)
        // A late commit that names the first one again leaves the second alone.
        await here.commit(changeOf(claim, { applied: [first.n] }))
        expect(await there.readInbox('s')).toEqual([second])
      })

      test('gives an input back with all that was said to its run, until an owner applied it', async () => {
        await here.say('s', 'one', { type: 'input', request: { input: '1' } })
        await here.say('s', 'two', { type: 'input', request: { input: '2' } })
        await here.say('s', 'one', { type: 'stop', after: 'now' })
        expect(await there.withdraw('s', 'one')).toBe(true)
        expect(await there.withdraw('s', 'one')).toBe(false)
        const [left, ...more] = await here.readInbox('s')
        expect([left?.runId, more]).toEqual(['two', []])
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { events: [runStarted('two')], applied: left ? [left.n] : [] }))
        expect(await there.withdraw('s', 'two')).toBe(false)
      })

      test('either withdraws an input or starts its run, whoever is first', async () => {
        for (let i = 0; i < 20; i++) {
          const sessionId = `s${i}`
          const claim = await claimed(here, sessionId)
          const { n } = await there.say(sessionId, `r${i}`, { type: 'input', request: { input: 'Hello' } })
          const start = () =>
            here.commit(
              changeOf(claim, { events: [runStarted(`r${i}`)], run: runRecord(sessionId, `r${i}`), applied: [n] }),
            )
          const take = () => there.withdraw(sessionId, `r${i}`)
          const [started, withdrawn] =
            i % 2 === 0
              ? await Promise.allSettled([start(), take()])
              : (await Promise.allSettled([take(), start()])).reverse()
          const took = withdrawn?.status === 'fulfilled' && withdrawn.value === true
          expect(took).toBe(started?.status === 'rejected')
          if (started?.status === 'rejected') expect(started.reason).toMatchObject({ code: 'aborted' })
          expect((await here.readRun(`r${i}`)) === undefined).toBe(took)
        }
      })
    })

    describe('reading', () => {
      test('gives the newest messages of a session, and its pages', async () => {
        const claim = await claimed(here, 's')
        for (let from = 0; from < 600; from += 200) await here.commit(messagesChange(claim, from, from + 199))
        const indexes = async (options: Parameters<Store['readMessages']>[1]) =>
          (await there.readMessages('s', options)).map(({ index }) => index)
        const count = (from: number, before: number) => Array.from({ length: before - from }, (_, i) => from + i)

        const state = await there.readSession('s', { messages: 3 })
        expect(state?.messages.map(({ index }) => index)).toEqual([597, 598, 599])
        expect(await indexes({})).toEqual(count(0, 600))
        expect(await indexes({ before: 597, limit: 50 })).toEqual(count(547, 597))
        expect(await indexes({ from: 10, before: 12 })).toEqual([10, 11])
        expect(await indexes({ from: 590, before: 1000 })).toEqual(count(590, 600))
        expect(await indexes({ before: 3, limit: 50 })).toEqual([0, 1, 2])
        expect(await indexes({ limit: 0 })).toEqual([])
        expect(await here.readMessages('nobody', {})).toEqual([])
      })

      test('gives events after any number, page by page, with what they refer to', async () => {
        const claim = await claimed(here, 's')
        for (let i = 0; i < 60; i++) await here.commit(messagesChange(claim, i * 10, i * 10 + 9))
        for (const since of [0, 1, 9, 10, 11, 555, 599]) {
          const page = await there.readEvents('s', { since, limit: 25 })
          const first = page.events[0]
          expect(first?.seq).toBe(since + 1)
          expect(page.events.map(({ seq }) => seq)).toEqual(page.events.map((_, i) => since + 1 + i))
          expect(page.events.length).toBeLessThan(35)
          expect(page.end).toBe(page.events.at(-1)?.seq === 600)
          expect([...page.messages.keys()].sort((a, b) => a - b)).toEqual(page.events.map(({ seq }) => seq - 1))
          expect(page.messages.get(since)).toEqual(userMessage(since))
        }
        expect(await there.readEvents('s', { since: 600 })).toMatchObject({ events: [], end: true })
        expect(await there.readEvents('nobody', { since: 0 })).toMatchObject({ events: [], end: true })
        expect((await allEvents(there, 's')).map(({ seq }) => seq)).toEqual(
          Array.from({ length: 600 }, (_, i) => i + 1),
        )
      })

      test('gives whole commits, also of more events than were asked for', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { events: Array.from({ length: 40 }, () => turnCompleted()) }))
        await here.commit(changeOf(claim))
        const page = await there.readEvents('s', { since: 0, limit: 1 })
        expect(page.events).toHaveLength(40)
        expect(page.end).toBe(false)
      })

      test('gives the calls that events refer to, and all calls of a run', async () => {
        const claim = await claimed(here, 's')
        const calls = Array.from({ length: 510 }, (_, i) => ({
          v: 1 as const,
          runId: 'run',
          toolCallId: `call ${String(i).padStart(4, '0')}`,
          toolName: 't',
          input: {},
          state: 'started' as const,
          startedAt: 1,
        }))
        const events = [{ ...turnCompleted(), kind: 'tool-execution-started' as const, toolCallId: 'call 0007' }]
        await here.commit(changeOf(claim, { calls, events, run: runRecord('s') }))
        expect(await there.readCalls('run')).toEqual(calls)
        expect(await there.readCalls('other')).toEqual([])
        const page = await there.readEvents('s', { since: 0 })
        expect([...page.calls]).toEqual([['run\ncall 0007', calls[7]]])
      })

      test('lists sessions newest first, with titles, in pages', async () => {
        for (let i = 0; i < 60; i++) {
          const claim = await claimed(here, `s${i}`)
          await here.commit(
            changeOf(claim, { session: sessionRecord(`s${i}`, { updatedAt: 1000 + i, title: `title ${i}` }) }),
          )
          claim.release()
        }
        await here.changeSettings('s58', { title: 'Renamed' })
        await here.say('s57', 'run', { type: 'input', request: { input: 'Hello' } })
        const first = await there.listSessions({ limit: 30 })
        expect(first.map(({ session }) => session.id)).toEqual(Array.from({ length: 30 }, (_, i) => `s${59 - i}`))
        expect(first[1]).toMatchObject({ settings: { title: 'Renamed' }, messages: [], calls: [] })
        expect(first[2]?.inbox).toHaveLength(1)
        const second = await there.listSessions({ limit: 30, before: 's30' })
        expect(second.map(({ session }) => session.id)).toEqual(Array.from({ length: 30 }, (_, i) => `s${29 - i}`))
        expect(await there.listSessions({ limit: 30, before: 's0' })).toEqual([])
        expect(await there.listSessions({ limit: 0 })).toEqual([])
      })

      test('lists on from where the page before ended, though sessions move or go meanwhile', async () => {
        const touch = async (id: string, updatedAt: number) => {
          const claim = await claimed(here, id)
          await here.commit(changeOf(claim, { session: sessionRecord(id, { updatedAt }) }))
          claim.release()
        }
        for (let i = 1; i <= 6; i++) await touch(`s${i}`, i)
        const ids = async (before?: string) =>
          (await there.listSessions({ limit: 2, ...(before && { before }) })).map(({ session }) => session.id)
        expect(await ids()).toEqual(['s6', 's5'])
        await touch('s5', 10)
        expect(await ids('s5')).toEqual(['s4', 's3'])
        await here.deleteSession('s3')
        expect(await ids('s3')).toEqual(['s2', 's1'])
        expect(await ids()).toEqual(['s5', 's6'])
        await expect(ids('nobody')).rejects.toMatchObject({ code: 'unknown-session' })
      })
    })

    describe('deleting', () => {
      test('removes everything of a session and nothing of others', async () => {
        const fill = async (id: string, runId: string) => {
          const claim = await claimed(here, id)
          const call = {
            v: 1,
            runId,
            toolCallId: 'c',
            toolName: 't',
            input: {},
            state: 'started',
            startedAt: 1,
          } as const
          const session = sessionRecord(id, { messageCount: 600, run: { runId, status: 'running' } })
          const past = `${runId}, the one before`
          await here.commit(
            changeOf(claim, {
              events: [runStarted(past)],
              run: runRecord(id, past),
              calls: [{ ...call, runId: past }],
            }),
          )
          await here.commit(changeOf(claim, { events: [runStarted(runId)], run: runRecord(id, runId), calls: [call] }))
          for (let from = 0; from < 600; from++) await here.commit(messagesChange(claim, from, from, { session }))
          claim.release()
          await here.changeSettings(id, { title: 'Mine' })
          await here.say(id, runId, { type: 'stop', after: 'now' })
        }
        await fill('gone', 'run 1')
        await fill('kept', 'run 2')
        await there.deleteSession('gone')

        expect(await here.readSession('gone', { messages: 10 })).toBeUndefined()
        expect(await here.readMessages('gone', {})).toEqual([])
        expect(await here.readEvents('gone', { since: 0 })).toMatchObject({ events: [], end: true })
        expect(await here.readInbox('gone')).toEqual([])
        for (const runId of ['run 1', 'run 1, the one before']) {
          expect(await here.readRun(runId)).toBeUndefined()
          expect(await here.readCalls(runId)).toEqual([])
        }
        expect((await here.readActiveRuns()).map(({ sessionId }) => sessionId)).toEqual(['kept', 'kept'])
        expect((await here.listSessions({ limit: 10 })).map(({ session }) => session.id)).toEqual(['kept'])
        expect(await here.readSession('kept', { messages: 1 })).toMatchObject({
          settings: { title: 'Mine' },
          inbox: [{}],
        })
        expect(await here.readMessages('kept', {})).toHaveLength(600)
        expect(await here.readCalls('run 2, the one before')).toHaveLength(1)

        const claim = await claimed(here, 'gone')
        await here.commit(messagesChange(claim, 0, 0))
        expect(await there.readSession('gone', { messages: 10 })).toEqual({
          session: expect.objectContaining({ seq: 1 }),
          messages: [userMessage(0)],
          calls: [],
          inbox: [],
        })
      })

      test('of a session that is not there is no mistake', async () => {
        await here.deleteSession('nobody')
      })
    })

    describe('watching', () => {
      test('tells of every change, made here or elsewhere', async () => {
        const heard: StoreChange[] = []
        const heardElsewhere: StoreChange[] = []
        const unwatch = here.watch((change) => heard.push(change))
        there.watch((change) => heardElsewhere.push(change))
        const claim = await claimed(here, '\ud800')
        await here.commit(
          changeOf(claim, { session: sessionRecord('\ud800', { run: { runId: 'run', status: 'waiting' } }) }),
        )
        await here.say('\ud800', 'run', { type: 'input', request: { input: 'Hello' } })
        await here.withdraw('\ud800', 'run')
        await here.changeSettings('\ud800', { title: 'Mine' })
        await here.deleteSession('\ud800')
        const said = { type: 'said', sessionId: '\ud800' }
        const all = [
          { type: 'committed', sessionId: '\ud800', seq: 1, status: 'waiting' },
          said,
          said,
          { type: 'settings', sessionId: '\ud800' },
          { type: 'deleted', sessionId: '\ud800' },
        ]
        expect(heard).toEqual(all)
        await expect.poll(() => heardElsewhere).toEqual(all)

        unwatch()
        await there.say('s', 'run', { type: 'stop', after: 'now' })
        await expect.poll(() => heardElsewhere.length).toBe(6)
        expect(heard).toHaveLength(5)
      })

      test('tells nothing of what was refused', async () => {
        const heard: StoreChange[] = []
        here.watch((change) => heard.push(change))
        await expect(here.commit(changeOf({ sessionId: 's', epoch: 1 }))).rejects.toMatchObject(lostOwnership)
        expect(await here.withdraw('s', 'run')).toBe(false)
        expect(heard).toEqual([])
      })
    })

    test('refuses to go on once it is closed, and lets go of its locks', async () => {
      await claimed(here, 's')
      const waiting = here.claim('s')
      const refused = expect(waiting).rejects.toMatchObject({ code: 'closed' })
      await here.close()
      await refused
      await expect(here.readSession('s', { messages: 1 })).rejects.toMatchObject({ code: 'closed' })
      await expect(here.claim('s')).rejects.toMatchObject({ code: 'closed' })
      await expect(here.say('s', 'run', { type: 'stop', after: 'now' })).rejects.toMatchObject({ code: 'closed' })
      if (there !== here) await claimed(there, 's')
      await here.close()
    })
  })
}
