import fc from 'fast-check'
import { expect } from 'vitest'
import { AgentError } from '../../src/errors.ts'
import type { StoredEvent } from '../../src/events/stored.ts'
import type { Change, Claim, Store } from '../../src/sessions/store.ts'
import { allEvents, changeOf, runRecord, sessionRecord, userMessage } from './fixtures.ts'

// Several owners of one session that do whatever they like, at the same time, and a book of what they were told.

export const sessionId = 's'

const actions = [
  'claim',
  'release',
  'commit',
  'commit twice',
  'late commit',
  'say',
  'start',
  'withdraw',
  'answer',
  'apply',
  'steal',
  'die',
  'lose the connection',
] as const
type Action = (typeof actions)[number] | 'delete'

/** What was acknowledged, over all owners. */
export interface Book {
  /** Messages, by the epoch of the owner that wrote them. */
  readonly written: { readonly epoch: number; readonly index: number; readonly seq: number; readonly text: string }[]
  readonly refused: string[]
  /** Messages whose writer died before it was answered, or lost its connection and then the session. */
  readonly unsure: Set<string>
  /** Inputs, by run. */
  readonly said: Set<string>
  readonly started: Set<string>
  readonly withdrawn: Set<string>
  /** What else was said, by number. */
  readonly answers: Set<number>
  /** The answers that a message applied, whether or not it was written. */
  readonly applied: Map<string, readonly number[]>
  deletions: number
}

export interface World {
  /** A store for an owner, as a page has one. */
  open(): Store
  /** The owner's page is gone, with whatever it had under way. */
  kill(store: Store): Promise<void>
  steal?(): Promise<void>
  /** Something ends a connection in its next write. */
  lose?(): void
  /** Connections that ended so. */
  losses?(): number
}

class Owner {
  readonly #world: World
  readonly #book: Book
  #store: Store
  #claim: Claim | undefined
  /** Released or lost, and still used by a careless owner. */
  #stale: Claim | undefined
  #count = 0

  constructor(world: World, book: Book) {
    this.#world = world
    this.#book = book
    this.#store = world.open()
  }

  async act(action: Action): Promise<unknown> {
    const book = this.#book
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
      case 'commit twice':
        return this.#write(this.#claim, { times: 2 })
      case 'late commit':
        return this.#write(this.#stale)
      case 'start':
        return this.#start()
      case 'say': {
        const runId = crypto.randomUUID()
        await this.#store.say(sessionId, runId, { type: 'input', request: { input: 'Hello' } })
        return book.said.add(runId)
      }
      case 'withdraw': {
        const item = (await this.#store.readInbox(sessionId)).find(({ type }) => type === 'input')
        if (item && (await this.#store.withdraw(sessionId, item.runId))) book.withdrawn.add(item.runId)
        return
      }
      case 'answer': {
        const runId = [...book.started].at(-1) ?? 'before any'
        const item = await this.#store.say(sessionId, runId, { type: 'stop', after: 'turn' })
        return item && book.answers.add(item.n)
      }
      case 'apply': {
        const items = await this.#store.readInbox(sessionId)
        const applied = items.filter(({ type }) => type !== 'input').map(({ n }) => n)
        return applied.length > 0 && this.#write(this.#claim, { applied })
      }
      case 'delete':
        book.deletions++
        return this.#store.deleteSession(sessionId)
      case 'steal':
        return this.#world.steal?.()
      case 'lose the connection':
        return this.#world.lose?.()
      case 'die': {
        // In the middle of a commit; nobody hears how that went.
        this.#write(this.#claim, { unheard: true }).catch(() => {})
        await this.#world.kill(this.#store)
        this.#claim?.release()
        this.#claim = this.#stale = undefined
        this.#store = this.#world.open()
      }
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

  /** One message, and an event that tells of it. */
  async #write(
    claim: Claim | undefined,
    {
      events = [],
      times = 1,
      unheard = false,
      ...more
    }: Partial<Change> & { readonly times?: number; readonly unheard?: boolean } = {},
  ) {
    if (!claim) return false
    const book = this.#book
    const text = crypto.randomUUID()
    const index = this.#count
    const event: StoredEvent = { ...userMessage(index), kind: 'user-message-committed', index }
    const change = changeOf(claim, {
      events: [event, ...events],
      messages: [userMessage(index, text)],
      session: sessionRecord(sessionId, { messageCount: index + 1 }),
      ...more,
    })
    const losses = this.#world.losses?.()
    if (more.applied) book.applied.set(text, more.applied)
    if (unheard) book.unsure.add(text)
    try {
      const { seq } = await this.#store.commit(change)
      if (unheard) return true
      this.#count++
      book.written.push({ epoch: claim.epoch, index, seq: seq - events.length, text })
      for (let time = 1; time < times; time++) {
        // It was kept; where others have written since, nobody can tell any more, and it is refused.
        const again = await this.#store.commit(change).catch(refusal)
        expect([seq, 'ownership-lost']).toContain(typeof again === 'string' ? again : again.seq)
      }
      return true
    } catch (error) {
      if (unheard) return false
      const code = refusal(error)
      expect(['ownership-lost', 'aborted']).toContain(code)
      // What was kept can't be told from what wasn't, once the connection was lost and others have written since.
      if (this.#world.losses?.() === losses) book.refused.push(text)
      else book.unsure.add(text)
      if (code === 'ownership-lost' && claim === this.#claim) await this.act('release')
      return false
    }
  }

  async #start() {
    const item = (await this.#store.readInbox(sessionId)).find(({ type }) => type === 'input')
    if (!item) return
    const { runId } = item
    const started: StoredEvent = { kind: 'run-started', at: 1, runId, agent: 'assistant', turn: 1, input: 'Hello' }
    const run = runRecord(sessionId, runId)
    if (await this.#write(this.#claim, { events: [started], applied: [item.n], run })) this.#book.started.add(runId)
  }
}

const refusal = (error: unknown) => {
  if (error instanceof AgentError) return error.code
  throw error
}

/** What one owner does, and how many microtasks it waits before each thing. */
const script = (...more: Action[]) =>
  fc.array(fc.tuple(fc.constantFrom(...actions, 'claim', 'commit', 'commit', ...more), fc.nat(5)), {
    minLength: 5,
    maxLength: 25,
    size: 'max',
  })

/** Of two or three owners; half of the time nobody deletes. */
export const scripts = fc.oneof(
  fc.array(script(), { minLength: 2, maxLength: 3 }),
  fc.array(script('delete'), { minLength: 2, maxLength: 3 }),
)

export async function play(world: World, scripts: readonly (readonly [Action, number][])[]): Promise<Book> {
  const book: Book = {
    written: [],
    refused: [],
    unsure: new Set(),
    said: new Set(),
    started: new Set(),
    withdrawn: new Set(),
    answers: new Set(),
    applied: new Map(),
    deletions: 0,
  }
  await Promise.all(
    scripts.map(async (steps) => {
      const owner = new Owner(world, book)
      for (const [action, pause] of steps) {
        for (let n = 0; n < pause; n++) await undefined
        await owner.act(action)
      }
      await owner.act('release')
    }),
  )
  return book
}

/** Compares what is stored with what was acknowledged. */
export async function check(store: Store, book: Book): Promise<void> {
  const state = await store.readSession(sessionId, { messages: 500 })
  const events = await allEvents(store, sessionId)
  const messages = await store.readMessages(sessionId, {})
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1))
  expect(state?.session.seq ?? 0).toBe(events.length)
  expect(state?.session.messageCount ?? 0).toBe(messages.length)
  expect(messages.map(({ index }) => index)).toEqual(messages.map((_, i) => i))

  const texts = messages.map((message) =>
    message.role === 'user' && message.parts[0]?.type === 'text' ? message.parts[0].text : '',
  )
  expect(new Set(texts).size).toBe(texts.length)
  for (const text of book.refused) expect(texts).not.toContain(text)
  // The session as it is began with its first message's owner; all that was acknowledged since must be there.
  const heard = texts.flatMap((text) => book.written.find((written) => written.text === text) ?? [])
  const unheard = texts.filter((text) => book.unsure.has(text))
  expect(heard.length + unheard.length).toBe(texts.length)
  const began = heard[0]?.epoch ?? Number.POSITIVE_INFINITY
  const due = book.written.filter(({ epoch }) => epoch >= began).sort((a, b) => a.index - b.index)
  expect(heard).toEqual(due)
  expect(heard.map(({ index }) => texts[index])).toEqual(heard.map(({ text }) => text))
  expect(heard.map(({ epoch }) => epoch)).toEqual(heard.map(({ epoch }) => epoch).sort((a, b) => a - b))
  const committed = events.filter(({ kind }) => kind === 'user-message-committed').map(({ seq }) => seq)
  expect(heard.map(({ seq }) => seq)).toEqual(heard.map(({ index }) => committed[index]))

  const inbox = await store.readInbox(sessionId)
  expect(inbox.map(({ n }) => n)).toEqual([...new Set(inbox.map(({ n }) => n))].sort((a, b) => a - b))
  const inputs = inbox.filter(({ type }) => type === 'input').map(({ runId }) => runId)
  const starts = events.flatMap((event) => (event.kind === 'run-started' ? [event.runId] : []))
  // No input twice: neither waiting, nor started, nor both.
  expect(new Set([...inputs, ...starts]).size).toBe(inputs.length + starts.length)
  for (const runId of inputs) {
    expect(book.said).toContain(runId)
    expect(book.started).not.toContain(runId)
  }
  for (const runId of book.withdrawn) expect([...inputs, ...starts, ...book.started]).not.toContain(runId)

  const answers = inbox.filter(({ type }) => type !== 'input').map(({ n }) => n)
  const applied = texts.flatMap((text) => book.applied.get(text) ?? [])
  expect(new Set(applied).size).toBe(applied.length)
  for (const n of answers) expect(applied).not.toContain(n)
  if (book.deletions > 0) return
  for (const runId of book.started) expect(starts).toContain(runId)
  expect(book.said).toEqual(new Set([...inputs, ...starts, ...book.withdrawn]))
  for (const n of book.answers) expect([...answers, ...applied], `answer ${n}`).toContain(n)
}
