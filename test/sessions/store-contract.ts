import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { InboxItem, Said } from '../../src/sessions/records.ts'
import type { Claim, Store, StoreChange } from '../../src/sessions/store.ts'
import {
  allEvents,
  changeOf,
  claimed,
  grantOf,
  messagesChange,
  noteOn,
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
      test('keeps summaries beside each other, for as long as their session is there', async () => {
        const summary = (n: number) => ({ v: 1 as const, n, at: 1, text: `Summary ${n}`, before: 4 * n, covers: 4 * n })
        const claim = await claimed(here, 's')
        const other = await claimed(here, 'other')
        await here.commit(changeOf(claim, { summary: summary(1) }))
        await here.commit(changeOf(claim, { summary: summary(2) }))
        await here.commit(changeOf(other, { summary: summary(1) }))
        expect(await there.readSummary('s', 1)).toEqual(summary(1))
        expect(await there.readSummary('s', 2)).toEqual(summary(2))
        expect(await there.readSummary('s', 3)).toBeUndefined()
        await there.deleteSession('s')
        expect(await there.readSummary('s', 1)).toBeUndefined()
        expect(await there.readSummary('s', 2)).toBeUndefined()
        expect(await there.readSummary('other', 1)).toEqual(summary(1))
      })

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
          approvals: [],
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

    describe('what a day has used', () => {
      const day = '2026-01-15'
      const usage = { inputTokens: 10, outputTokens: 2, cachedInputTokens: 4, reasoningTokens: 1 }

      test('is nothing before something was used', async () => {
        expect(await here.readSpend(day)).toBeUndefined()
      })

      test('grows with the commits of all sessions and tabs, each day for itself', async () => {
        const claims = await Promise.all(['a', 'b', 'c', 'd'].map((id) => claimed(id < 'c' ? here : there, id)))
        await Promise.all(
          claims.map((claim, i) =>
            (i < 2 ? here : there).commit(changeOf(claim, { spend: { day, usage, cost: 0.25 } })),
          ),
        )
        const [claim] = claims as [Claim]
        await here.commit(changeOf(claim, { spend: { day: '2026-01-16', usage, cost: 2 } }))
        await here.commit(changeOf(claim))
        const all = { inputTokens: 40, outputTokens: 8, cachedInputTokens: 16, reasoningTokens: 4 }
        expect(await there.readSpend(day)).toEqual({ v: 1, day, usage: all, cost: 1 })
        expect(await here.readSpend('2026-01-16')).toMatchObject({ usage, cost: 2 })
      })

      test('is booked once, however often its commit is made, and not where that is refused', async () => {
        const claim = await claimed(here, 's')
        const change = changeOf(claim, { spend: { day, usage, cost: 1 } })
        await here.commit(change)
        await here.commit(change)
        await expect(here.commit({ ...change, id: 'other', epoch: 0 })).rejects.toMatchObject(lostOwnership)
        expect(await here.readSpend(day)).toMatchObject({ usage, cost: 1 })
      })

      test('outlasts its sessions', async () => {
        await here.commit(changeOf(await claimed(here, 's'), { spend: { day, usage, cost: 1 } }))
        await here.deleteSession('s')
        expect(await here.readSpend(day)).toMatchObject({ cost: 1 })
      })
    })

    describe('a late result', () => {
      const result = {
        toolCallId: 'c',
        toolName: 'send',
        outcome: 'success',
        modelOutput: { type: 'text', value: 'ok' },
      } as const
      const row = {
        v: 1,
        runId: 'run',
        toolCallId: 'c',
        toolName: 'send',
        input: {},
        state: 'finished',
        startedAt: 1,
      } as const

      test('is noted with its call, and changes nothing else', async () => {
        const claim = await claimed(here, 's')
        await here.commit(
          changeOf(claim, {
            calls: [row],
            run: runRecord('s'),
            session: sessionRecord('s', { run: { runId: 'run', status: 'running' } }),
          }),
        )
        const before = await here.readSession('s', { messages: 5 })
        const heard: StoreChange[] = []
        here.watch((change) => heard.push(change))
        await here.saveLate('s', { epoch: claim.epoch, runId: 'run', toolCallId: 'c', result })
        expect(await here.readSession('s', { messages: 5 })).toEqual({ ...before, calls: [{ ...row, late: result }] })
        expect(heard).toEqual([])
      })

      test('is dropped where another owner followed, the call is not known, or its session was deleted', async () => {
        const claim = await claimed(here, 's')
        await here.commit(
          changeOf(claim, {
            calls: [row],
            run: runRecord('s'),
            session: sessionRecord('s', { run: { runId: 'run', status: 'running' } }),
          }),
        )
        await here.saveLate('s', { epoch: claim.epoch, runId: 'run', toolCallId: 'other', result })
        claim.release()
        const next = await claimed(there, 's')
        await here.saveLate('s', { epoch: claim.epoch, runId: 'run', toolCallId: 'c', result })
        expect(await here.readCalls('run')).toEqual([row])
        await there.deleteSession('s')
        await there.saveLate('s', { epoch: next.epoch, runId: 'run', toolCallId: 'c', result })
        expect(await there.readCalls('run')).toEqual([])
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
        const first = (await there.say('s', 'run', { type: 'stop', after: 'now' })) as InboxItem
        await here.commit(changeOf(claim, { applied: [first.n] }))
        expect(await there.readInbox('s')).toEqual([])
        const second = (await there.say('s', 'run', { type: 'abort', cause: 'aborted' })) as InboxItem
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

      test('gives back an input that steers a run, by its id, and nothing else of that run', async () => {
        const claim = await claimed(here, 's')
        await here.say('s', 'run', { type: 'steer', inputId: 'a', input: 'one' })
        await here.say('s', 'run', { type: 'steer', inputId: 'b', input: 'two' })
        const stop = await here.say('s', 'run', { type: 'stop', after: 'turn' })
        expect(await there.withdraw('s', 'a', 'steer')).toBe(true)
        expect(await there.withdraw('s', 'a', 'steer')).toBe(false)
        expect(await there.withdraw('s', 'run', 'steer')).toBe(false)
        const [left, ...others] = await here.readInbox('s')
        expect([left, others]).toMatchObject([{ inputId: 'b' }, [stop]])
        const delivered = {
          ...turnCompleted(),
          kind: 'input-delivered',
          inputId: 'a',
          input: 'one',
          mode: 'steer',
        } as const
        await expect(here.commit(changeOf(claim, { events: [delivered], applied: [1_000_000] }))).rejects.toMatchObject(
          {
            code: 'aborted',
          },
        )
        await here.commit(changeOf(claim, { events: [delivered], applied: left ? [left.n] : [] }))
        expect(await there.withdraw('s', 'b', 'steer')).toBe(false)
      })

      test('holds up the completion of a run that is still to hear an input, but not of one that the input supersedes', async () => {
        const claim = await claimed(here, 's')
        const completed = () => changeOf(claim, { run: { ...runRecord('s'), status: 'completed', endedAt: 5 } })
        const request = { input: 'one' }
        const said = await there.say('s', 'other', { type: 'input', request, steers: true })
        expect(await here.commit(completed())).toMatchObject({ heldUp: true })
        expect((await here.commit({ ...completed(), applied: said ? [said.n] : [] })).heldUp).toBeUndefined()
        await there.say('s', 'other', { type: 'input', request, steers: true, supersedes: 'run' })
        await there.say('s', 'another', { type: 'input', request })
        expect((await here.commit(completed())).heldUp).toBeUndefined()
      })

      test('takes one result per call', async () => {
        const output = { type: 'tool-output', toolCallId: 'c', output: 1 } as const
        const refused = { code: 'duplicate-tool-output' }
        await here.say('s', 'run', output)
        await expect(there.say('s', 'run', output)).rejects.toMatchObject(refused)
        await there.say('s', 'run', { ...output, toolCallId: 'd' })
        const claim = await claimed(here, 's')
        const said = await here.readInbox('s')
        const result = {
          toolCallId: 'c',
          toolName: 't',
          outcome: 'success',
          modelOutput: { type: 'text', value: '1' },
        } as const
        const row = {
          v: 1,
          runId: 'run',
          toolCallId: 'c',
          toolName: 't',
          input: {},
          state: 'finished',
          startedAt: 1,
          result,
        } as const
        await here.commit(changeOf(claim, { calls: [row], applied: said.map(({ n }) => n) }))
        await expect(there.say('s', 'run', output)).rejects.toMatchObject(refused)
      })

      test('either withdraws an input or starts its run, whoever is first', async () => {
        for (let i = 0; i < 20; i++) {
          const sessionId = `s${i}`
          const claim = await claimed(here, sessionId)
          const said = await there.say(sessionId, `r${i}`, { type: 'input', request: { input: 'Hello' } })
          const { n } = said as InboxItem
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

    describe('a request with an id of its own', () => {
      const request = (clientRequestId: string): Said => ({
        type: 'input',
        request: { input: 'Hello', clientRequestId },
      })

      test('is said once, however many tabs say it at the same moment', async () => {
        const said = await Promise.all([here, there, here].map((store) => store.say('s', 'run', request('once'))))
        expect(said.filter((item) => item === undefined)).toHaveLength(2)
        expect(await there.readInbox('s')).toEqual(said.filter((item) => item !== undefined))
        expect(await there.say('s', 'other', request('other'))).toBeDefined()
      })

      test('is not said again once its run has begun, nor when that has ended', async () => {
        const claim = await claimed(here, 's')
        for (const status of ['running', 'completed'] as const) {
          await here.commit(changeOf(claim, { run: runRecord('s', 'run', { status }) }))
          expect(await there.say('s', 'run', request('once'))).toBeUndefined()
        }
        expect(await there.readInbox('s')).toEqual([])
      })

      test('is said again once its input was withdrawn, or its session deleted', async () => {
        await here.say('s', 'run', request('once'))
        await here.withdraw('s', 'run')
        expect(await there.say('s', 'run', request('once'))).toBeDefined()
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { events: [runStarted()], run: runRecord('s') }))
        await here.deleteSession('s')
        expect(await there.say('s', 'run', request('once'))).toBeDefined()
      })

      test('is found among more items than a transaction reads', async () => {
        for (let n = 0; n < 520; n++) await here.say('s', `r${n}`, { type: 'stop', after: 'now' })
        await here.say('s', 'run', request('once'))
        expect(await there.say('s', 'run', request('once'))).toBeUndefined()
      })
    })

    describe('the state of a session', () => {
      const stateOf = async (store: Store, id = 's') => (await store.readSession(id, { messages: 0 }))?.state

      test('is what the last commit made of it, and cleared by undefined', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim))
        expect(await stateOf(there)).toBeUndefined()
        await here.commit(changeOf(claim, { state: { value: { count: 1 } } }))
        await here.commit(changeOf(claim))
        expect(await stateOf(there)).toEqual({ v: 1, value: { count: 1 } })
        await here.commit(changeOf(claim, { state: { value: null } }))
        expect(await stateOf(there)).toEqual({ v: 1, value: null })
        await here.commit(changeOf(claim, { state: { value: undefined } }))
        expect(await stateOf(there)).toBeUndefined()
      })

      test('is written by the owner alone, and goes with the session', async () => {
        const old = await claimed(here, 's')
        await here.commit(changeOf(old, { state: { value: 'kept' } }))
        old.release()
        const claim = await claimed(there, 's')
        await expect(here.commit(changeOf(old, { state: { value: 'late' } }))).rejects.toMatchObject(lostOwnership)
        expect(await stateOf(here)).toMatchObject({ value: 'kept' })
        await there.deleteSession('s')
        claim.release()
        const anew = await claimed(here, 's')
        await here.commit(changeOf(anew))
        expect(await stateOf(here)).toBeUndefined()
      })
    })

    describe('grants', () => {
      const keysOf = async (store: Store) => (await store.readGrants('s')).map(({ actionKey }) => actionKey)

      test('come with the commit of an answer, one per action key, and are read in every tab', async () => {
        const claim = await claimed(here, 's')
        expect(await there.readGrants('s')).toEqual([])
        await here.commit(changeOf(claim, { grants: [grantOf('pay', { expiresAt: 5 }), grantOf('mail')] }))
        await here.commit(changeOf(claim, { grants: [grantOf('pay', { grantedAt: 2 })] }))
        expect(await there.readGrants('s')).toEqual([grantOf('mail'), grantOf('pay', { grantedAt: 2 })])
        expect(await there.readGrants('other')).toEqual([])
      })

      test('are not written with a commit that is refused', async () => {
        await expect(
          here.commit(changeOf({ sessionId: 's', epoch: 1 }, { grants: [grantOf('pay')] })),
        ).rejects.toMatchObject(lostOwnership)
        expect(await keysOf(there)).toEqual([])
      })

      test('are more than a transaction reads', async () => {
        const claim = await claimed(here, 's')
        const names = Array.from({ length: 501 }, (_, n) => `tool\n${String(n).padStart(3, '0')}`)
        await here.commit(changeOf(claim, { grants: names.map((name) => grantOf(name)) }))
        expect(await keysOf(there)).toEqual(names)
      })

      test('are taken back by anybody, once, and all tabs are told', async () => {
        const heard: StoreChange[] = []
        const heardElsewhere: StoreChange[] = []
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { grants: [grantOf('pay'), grantOf('mail')] }))
        here.watch((change) => heard.push(change))
        there.watch((change) => heardElsewhere.push(change))
        expect(await there.revokeGrant('s', 'pay')).toBe(true)
        expect(await there.revokeGrant('s', 'pay')).toBe(false)
        expect(await here.revokeGrant('other', 'mail')).toBe(false)
        expect(await keysOf(here)).toEqual(['mail'])
        const told = [{ type: 'grants', sessionId: 's' }]
        await expect.poll(() => heard).toEqual(told)
        await expect.poll(() => heardElsewhere).toEqual(told)
      })

      test('go with their session', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { grants: [grantOf('pay')] }))
        await there.deleteSession('s')
        claim.release()
        await here.commit(changeOf(await claimed(here, 's')))
        expect(await keysOf(here)).toEqual([])
      })
    })

    describe('the audit trail of a run', () => {
      test('is read in the order of its commits, whole, and is its own', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { events: [runStarted()], run: runRecord('s') }))
        expect(await there.readAudit('run')).toEqual([])
        for (let n = 1; n <= 12; n++) await here.commit(changeOf(claim, { audit: [noteOn('run', n)] }))
        await here.commit(
          changeOf(claim, { run: runRecord('s', 'next'), audit: [noteOn('run', 13), noteOn('next', 1)] }),
        )
        expect((await there.readAudit('run')).map(({ n }) => n)).toEqual(Array.from({ length: 13 }, (_, n) => n + 1))
        expect(await there.readAudit('next')).toEqual([noteOn('next', 1)])
        expect(await there.readAudit('nobody')).toEqual([])
      })

      test('has more records than a transaction reads', async () => {
        const claim = await claimed(here, 's')
        const audit = Array.from({ length: 501 }, (_, n) => noteOn('run', n + 1))
        await here.commit(changeOf(claim, { events: [runStarted()], run: runRecord('s'), audit }))
        expect(await there.readAudit('run')).toEqual(audit)
      })

      test('is written by the owner alone, and goes with the session', async () => {
        const claim = await claimed(here, 's')
        await here.commit(changeOf(claim, { events: [runStarted()], run: runRecord('s'), audit: [noteOn('run', 1)] }))
        const stranger = { sessionId: 's', epoch: claim.epoch - 1 }
        await expect(there.commit(changeOf(stranger, { audit: [noteOn('run', 2)] }))).rejects.toMatchObject(
          lostOwnership,
        )
        expect(await there.readAudit('run')).toHaveLength(1)
        await there.deleteSession('s')
        expect(await here.readAudit('run')).toEqual([])
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

      test('leaves out messages that were rewound, unless they are asked for, and keeps them for the events', async () => {
        const claim = await claimed(here, 's')
        const session = sessionRecord('s', {
          messageCount: 1300,
          hidden: [
            [0, 20],
            [300, 1200],
            [1298, 1299],
          ],
        })
        await here.commit(messagesChange(claim, 0, 1299, { session }))
        const indexes = async (options: Parameters<Store['readMessages']>[1]) =>
          (await there.readMessages('s', options)).map(({ index }) => index)
        const count = (from: number, before: number) => Array.from({ length: before - from }, (_, i) => from + i)
        const newest = async (messages: number) =>
          (await there.readSession('s', { messages }))?.messages.map(({ index }) => index)

        expect(await newest(3)).toEqual([1296, 1297, 1299])
        expect(await newest(120)).toEqual([...count(279, 300), ...count(1200, 1298), 1299])
        expect(await newest(500)).toEqual([...count(20, 300), ...count(1200, 1298), 1299])
        expect(await indexes({})).toEqual([...count(20, 300), ...count(1200, 1298), 1299])
        expect(await indexes({ before: 1202, limit: 5 })).toEqual([297, 298, 299, 1200, 1201])
        expect(await indexes({ from: 299, before: 1201 })).toEqual([299, 1200])
        expect(await indexes({ from: 400, before: 500 })).toEqual([])
        expect(await indexes({ hidden: true })).toEqual(count(0, 1300))
        expect(await indexes({ from: 299, before: 302, hidden: true })).toEqual([299, 300, 301])
        const page = await there.readEvents('s', { since: 400, limit: 1 })
        expect(page.messages.get(400)).toEqual(userMessage(400))
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
          approvals: [],
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
