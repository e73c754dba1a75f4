import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AgentError } from '../../src/errors.ts'
import type { StoredEvent } from '../../src/events/stored.ts'
import { indexedDbStore } from '../../src/sessions/indexeddb-store.ts'
import { memoryStore } from '../../src/sessions/memory-store.ts'
import type { Claim, Store } from '../../src/sessions/store.ts'
import { allEvents, changeOf, sessionRecord, userMessage } from './fixtures.ts'

// Whatever several owners do to one session at once, and whoever of them is stale: what was acknowledged is there, in
// order and whole, and nothing else is.

type Action = 'claim' | 'release' | 'commit' | 'late commit' | 'start' | 'say' | 'withdraw' | 'delete' | 'steal'

const sessionId = 's'

/** What was acknowledged, over all owners. */
interface Ledger {
  /** Texts of messages, by the epoch of the owner that wrote them, in order. */
  readonly written: { readonly epoch: number; readonly index: number; readonly seq: number; readonly text: string }[]
  readonly refused: string[]
  readonly said: Set<string>
  readonly started: Set<string>
  readonly withdrawn: Set<string>
  deletions: number
}

class Owner {
  readonly #store: Store
  readonly #ledger: Ledger
  readonly #steal: (() => Promise<void>) | undefined
  #claim: Claim | undefined
  /** Released or lost, and still used by a careless owner. */
  #stale: Claim | undefined
  #count = 0

  constructor(store: Store, ledger: Ledger, steal: (() => Promise<void>) | undefined) {
    this.#store = store
    this.#ledger = ledger
    this.#steal = steal
  }

  async act(action: Action): Promise<unknown> {
    switch (action) {
      case 'claim':
        return this.#take()
      case 'release':
        this.#stale = this.#claim ?? this.#stale
        this.#claim?.release()
        this.#claim = undefined
        return
      case 'commit':
        return this.#write(this.#claim)
      case 'late commit':
        return this.#write(this.#stale)
      case 'start':
        return this.#start()
      case 'say': {
        const runId = crypto.randomUUID()
        await this.#store.say(sessionId, runId, { type: 'input', request: { input: 'Hello' } })
        this.#ledger.said.add(runId)
        return
      }
      case 'withdraw': {
        const [item] = await this.#store.readInbox(sessionId)
        if (item && (await this.#store.withdraw(sessionId, item.runId))) this.#ledger.withdrawn.add(item.runId)
        return
      }
      case 'delete':
        this.#ledger.deletions++
        return this.#store.deleteSession(sessionId)
      case 'steal':
        return this.#steal?.()
    }
  }

  async #take() {
    if (this.#claim) return
    // A lock may be stolen before its claim is through.
    this.#claim = await this.#store.claim(sessionId, { ifAvailable: true }).catch((error) => {
      expect(error).toMatchObject({ code: 'ownership-lost' })
      return undefined
    })
    this.#count = (await this.#store.readSession(sessionId, { messages: 0 }))?.session.messageCount ?? 0
  }

  async #write(claim: Claim | undefined, events: StoredEvent[] = [], applied: number[] = []) {
    if (!claim) return false
    const text = crypto.randomUUID()
    const index = this.#count
    const event: StoredEvent = { ...userMessage(index), kind: 'user-message-committed', index }
    const change = changeOf(claim, {
      events: [event, ...events],
      messages: [userMessage(index, text)],
      session: sessionRecord(sessionId, { messageCount: index + 1 }),
      applied,
    })
    try {
      const { seq } = await this.#store.commit(change)
      this.#count++
      this.#ledger.written.push({ epoch: claim.epoch, index, seq: seq - events.length, text })
      return true
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      expect(['ownership-lost', 'aborted']).toContain(error.code)
      this.#ledger.refused.push(text)
      if (error.code === 'ownership-lost' && claim === this.#claim) await this.act('release')
      return false
    }
  }

  async #start() {
    const [item] = await this.#store.readInbox(sessionId)
    if (!item) return
    const { runId } = item
    const started: StoredEvent = { kind: 'run-started', at: 1, runId, agent: 'assistant', turn: 1, input: 'Hello' }
    if (await this.#write(this.#claim, [started], [item.n])) this.#ledger.started.add(runId)
  }
}

const actions: Action[] = [
  'claim',
  'claim',
  'commit',
  'commit',
  'commit',
  'late commit',
  'say',
  'start',
  'withdraw',
  'release',
  'steal',
]
/** What one owner does, and how many microtasks it waits before each thing. */
const script = (...more: Action[]) =>
  fc.array(fc.tuple(fc.constantFrom(...actions, ...more), fc.nat(5)), { minLength: 5, maxLength: 25, size: 'max' })

/** Of two or three owners; half of the time nobody deletes. */
const scripts = fc.oneof(
  fc.array(script(), { minLength: 2, maxLength: 3 }),
  fc.array(script('delete'), { minLength: 2, maxLength: 3 }),
)

async function play(
  stores: readonly Store[],
  scripts: readonly (readonly [Action, number][])[],
  steal?: () => Promise<void>,
) {
  const ledger: Ledger = {
    written: [],
    refused: [],
    said: new Set(),
    started: new Set(),
    withdrawn: new Set(),
    deletions: 0,
  }
  await Promise.all(
    scripts.map(async (steps, i) => {
      const owner = new Owner(stores[i] as Store, ledger, steal)
      for (const [action, pause] of steps) {
        for (let n = 0; n < pause; n++) await undefined
        await owner.act(action)
      }
      await owner.act('release')
    }),
  )
  return ledger
}

async function check(store: Store, ledger: Ledger) {
  const state = await store.readSession(sessionId, { messages: 500 })
  const events = await allEvents(store, sessionId)
  const messages = await store.readMessages(sessionId, {})
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1))
  expect(state?.session.seq ?? 0).toBe(events.length)
  expect(state?.session.messageCount ?? 0).toBe(messages.length)
  expect(messages.map(({ index }) => index)).toEqual(messages.map((_, i) => i))

  // The session as it is began with the first message's owner; all that was acknowledged since must be there.
  const texts = messages.map((message) =>
    message.role === 'user' && message.parts[0]?.type === 'text' ? message.parts[0].text : '',
  )
  const kept = texts.map((text) => ledger.written.find((written) => written.text === text))
  expect(kept).not.toContain(undefined)
  const began = kept[0]?.epoch ?? Number.POSITIVE_INFINITY
  const due = ledger.written.filter(({ epoch }) => epoch >= began).sort((a, b) => a.index - b.index)
  expect(texts).toEqual(due.map(({ text }) => text))
  expect(kept.map((written) => written?.epoch)).toEqual(
    kept.map((written) => written?.epoch ?? 0).sort((a, b) => a - b),
  )
  const committed = events.filter(({ kind }) => kind === 'user-message-committed')
  expect(due.map(({ seq }) => seq)).toEqual(committed.map(({ seq }) => seq))
  for (const text of ledger.refused) expect(texts).not.toContain(text)

  const inbox = await store.readInbox(sessionId)
  expect(inbox.map(({ n }) => n)).toEqual(inbox.map(({ n }) => n).sort((a, b) => a - b))
  for (const { runId } of inbox) {
    expect(ledger.said).toContain(runId)
    expect(ledger.started).not.toContain(runId)
    expect(ledger.withdrawn).not.toContain(runId)
  }
  for (const runId of ledger.withdrawn) expect(ledger.started).not.toContain(runId)
  if (ledger.deletions > 0) return
  const waiting = new Set(inbox.map(({ runId }) => runId))
  expect(ledger.said).toEqual(new Set([...waiting, ...ledger.started, ...ledger.withdrawn]))
}

describe('any interleaving of owners leaves what was acknowledged, and nothing else', () => {
  test('in memory', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (scripts) => {
        const store = memoryStore({ now: () => 1 })
        await check(store, await play([store, store, store], scripts))
        await store.close()
      }),
      { numRuns: 300 },
    )
  })

  test('in IndexedDB, with stolen locks', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async (scripts) => {
        const name = crypto.randomUUID()
        const stores = [0, 1, 2].map(() => indexedDbStore({ name }))
        const steal = () =>
          navigator.locks.request(`turnloop:${name}:${sessionId}`, { steal: true }, async () => {}).catch(() => {})
        await check(stores[0] as Store, await play(stores, scripts, steal))
        await Promise.all(stores.map((store) => store.close()))
        indexedDB.deleteDatabase(name)
      }),
      { numRuns: 25, interruptAfterTimeLimit: 10_000 },
    )
  })
})
