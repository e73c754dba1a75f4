import { AgentError, report, toAgentError } from '../errors.ts'
import { commit } from './commit.ts'
import type { Database, Durability, Work } from './database.ts'
import { markDeleted, sweepDeleted } from './delete-session.ts'
import { say, withdraw } from './inbox.ts'
import { keys, type Place, ranges } from './keys.ts'
import { closedError, type Lock, type Ownership } from './ownership.ts'
import { isOrphan, listedPerRead, maxRecords, readEvents, readListed, readRun, readSession } from './read.ts'
import type { CallRecord, InboxItem, MessageRecord, RunRecord } from './records.ts'
import type { Store, StoreChange } from './store.ts'

/** Ends of pages of the list that are remembered. */
const maxPlaces = 1000

/** The store, over any database and any kind of locks. `now` gives Unix time in milliseconds. */
export function createStore(database: Database, ownership: Ownership, now: () => number): Store {
  let closed = false
  const transact = async <T>(mode: 'readonly' | 'readwrite', work: Work<T>, durability?: Durability) => {
    if (closed) throw closedError()
    try {
      return await database.transact(mode, work, durability)
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'DataCloneError')) throw toAgentError(error)
      const message = `Only what structuredClone can copy can be stored: ${error.message}`
      throw new AgentError('invalid-argument', message, { cause: error })
    }
  }
  const read = <T>(work: Work<T>) => transact('readonly', work)
  const write = <T>(work: Work<T>, durability?: Durability) => transact('readwrite', work, durability)

  const listeners = new Set<(change: StoreChange) => void>()
  let unlisten: (() => void) | undefined
  const tell = (change: StoreChange) => {
    for (const listener of [...listeners]) {
      try {
        listener(change)
      } catch (error) {
        report(error)
      }
    }
  }
  const announce = (change: StoreChange) => {
    tell(change)
    ownership.ping(change)
  }

  /** Commits a new epoch; what is left of a deleted session of this id goes first. */
  const takeOver = async (sessionId: string, lock: Lock): Promise<number> => {
    for (;;) {
      const epoch = await write(async (tx) => {
        if (lock.lost.aborted) throw lock.lost.reason
        if (await sweepDeleted(tx, sessionId)) return undefined
        const next = Math.max(((await tx.get(keys.epoch)) ?? 0) + 1, now())
        tx.put(keys.epoch, next)
        tx.put(keys.owner(sessionId), { v: 1, epoch: next })
        return next
      })
      if (epoch !== undefined) return epoch
    }
  }

  /** Finishes every deletion, also one whose page died on the way. */
  const sweep = async () => {
    for (;;) {
      const sessionIds = await read((tx) => tx.getAll(ranges.deleted, maxRecords))
      if (sessionIds.length === 0) return
      for (const sessionId of sessionIds) {
        while (await write((tx) => sweepDeleted(tx, sessionId)));
      }
    }
  }
  let swept = false

  // A page of the list goes on where the one before ended, even where the session that ended it has moved since.
  const places = new Map<string, Place>()
  const placeOf = async (sessionId: string): Promise<Place> => {
    const place = places.get(sessionId)
    if (place) return place
    const session = await read((tx) => tx.get(keys.session(sessionId)))
    if (session) return { sessionId, updatedAt: session.updatedAt }
    throw new AgentError(
      'unknown-session',
      `No session ${JSON.stringify(sessionId)} to list on from: list without \`before\``,
    )
  }
  const rememberPlace = (place: Place) => {
    places.delete(place.sessionId)
    places.set(place.sessionId, place)
    for (const oldest of places.keys()) {
      if (places.size <= maxPlaces) break
      places.delete(oldest)
    }
  }

  return {
    async claim(sessionId, { signal, ifAvailable } = {}) {
      if (closed) throw closedError()
      const lock = await ownership.lock(sessionId, { signal, ifAvailable })
      if (!lock) return undefined
      try {
        const epoch = await takeOver(sessionId, lock)
        signal?.throwIfAborted()
        if (!swept) {
          swept = true
          sweep().catch(() => {
            swept = false
          })
        }
        return { sessionId, epoch, lost: lock.lost, release: lock.release }
      } catch (error) {
        lock.release()
        throw error
      }
    },

    async commit(change) {
      const committed = await write((tx) => commit(tx, change), change.durability)
      const status = change.session.run?.status
      const { seq } = committed
      announce({ type: 'committed', sessionId: change.sessionId, seq, ...(status && { status }) })
      return committed
    },

    async say(sessionId, runId, said) {
      const at = now()
      let earlier: number | undefined
      const item = await write(async (tx) => {
        const written = await say(tx, { sessionId, runId, at, said, earlier })
        earlier = written.n
        return written
      })
      announce({ type: 'said', sessionId })
      return item
    },

    async withdraw(sessionId, runId) {
      let found = false
      const withdrawn = await write(async (tx) => {
        if (await withdraw(tx, sessionId, runId)) {
          found = true
          return true
        }
        // It was there before the connection was lost: either that transaction removed it, or an owner applied it since.
        return found && !(await tx.get(keys.run(runId)))
      })
      if (withdrawn) announce({ type: 'said', sessionId })
      return withdrawn
    },

    readInbox: (sessionId) =>
      readPages<InboxItem>((last) =>
        read((tx) => tx.getAll(ranges.inbox(sessionId, last ? last.n + 1 : 0), maxRecords)),
      ),

    async changeSettings(sessionId, change) {
      await write(async (tx) => {
        const settings = await tx.get(keys.settings(sessionId))
        tx.put(keys.settings(sessionId), { ...settings, ...change, v: 1 })
      })
      announce({ type: 'settings', sessionId })
    },

    async deleteSession(sessionId) {
      await write((tx) => markDeleted(tx, sessionId))
      announce({ type: 'deleted', sessionId })
      await sweep()
    },

    readSession: (sessionId, { messages }) => read((tx) => readSession(tx, sessionId, messages)),

    async readMessages(sessionId, { from = 0, before = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY }) {
      const messages: MessageRecord[] = []
      const count = (await read((tx) => tx.get(keys.session(sessionId))))?.messageCount ?? 0
      const end = Math.min(before, count)
      for (let index = Math.max(from, end - limit, 0); index < end; index += maxRecords) {
        const range = ranges.messages(sessionId, index, Math.min(end, index + maxRecords))
        messages.push(...(await read((tx) => tx.getAll(range, maxRecords))))
      }
      return messages
    },

    readEvents: (sessionId, options) => read((tx) => readEvents(tx, sessionId, options)),
    readRun: (runId) => read((tx) => readRun(tx, runId)),

    async readCalls(runId) {
      if (await read((tx) => isOrphan(tx, runId))) return []
      return readPages<CallRecord>((last) => read((tx) => tx.getAll(ranges.calls(runId, last), maxRecords)))
    },

    async readActiveRuns() {
      const runIds = await readPages<string>((last) => read((tx) => tx.getAll(ranges.active(last), maxRecords)))
      const runs: RunRecord[] = []
      for (let i = 0; i < runIds.length; i += listedPerRead) {
        const some = runIds.slice(i, i + listedPerRead)
        const found = await read((tx) => Promise.all(some.map((runId) => readRun(tx, runId))))
        runs.push(...found.filter((run) => run !== undefined))
      }
      return runs
    },

    async listSessions({ limit, before }) {
      const start = before === undefined ? undefined : await placeOf(before)
      const listed = await readPages<Place>(
        (last, count) => read((tx) => tx.getAll(ranges.recent(last ?? start), count)),
        limit,
      )
      const end = listed.at(-1)
      if (end) rememberPlace(end)
      const pages = []
      for (let i = 0; i < listed.length; i += listedPerRead) {
        pages.push(await read((tx) => readListed(tx, listed.slice(i, i + listedPerRead))))
      }
      return pages.flat()
    },

    watch(listener) {
      // One entry per call, so that each undo is its own.
      const own = (change: StoreChange) => listener(change)
      listeners.add(own)
      unlisten ??= ownership.listen(tell)
      return () => {
        listeners.delete(own)
        if (listeners.size > 0) return
        unlisten?.()
        unlisten = undefined
      }
    },

    async close() {
      closed = true
      listeners.clear()
      ownership.close()
      database.close()
    },
  }
}

/** Everything up to `limit`, no more than `maxRecords` a transaction. `readPage` reads on after `last`. */
async function readPages<T>(
  readPage: (last: T | undefined, count: number) => Promise<T[]>,
  limit = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const all: T[] = []
  for (;;) {
    const wanted = Math.min(maxRecords, limit - all.length)
    if (!(wanted > 0)) return all
    const page = await readPage(all.at(-1), wanted)
    all.push(...page)
    if (page.length < wanted) return all
  }
}
