import { AgentError, report, toAgentError } from '../errors.ts'
import { newId } from '../new-id.ts'
import { commit } from './commit.ts'
import { abandonSession, addToSession, beginSession, finishSession, stepsOf, taken } from './create-session.ts'
import type { Database, Durability, Work } from './database.ts'
import { markDeleted, sweepDeleted } from './delete-session.ts'
import { inParts, visible } from './hidden.ts'
import { say, wasHeard, withdraw } from './inbox.ts'
import { keys, type Place, placeOf as placeOfSession, type Question, ranges } from './keys.ts'
import { closedError, type Lock, type Ownership } from './ownership.ts'
import {
  isOrphan,
  listedPerRead,
  maxRecords,
  readApprovals,
  readEvents,
  readListed,
  readRun,
  readSession,
  readSpans,
} from './read.ts'
import type {
  ApprovalRecord,
  AuditRecord,
  CallRecord,
  ChildRecord,
  GrantRecord,
  InboxItem,
  MessageRecord,
  RunRecord,
} from './records.ts'
import type { Store, StoreChange } from './store.ts'

/** Milliseconds that a new session waits for somebody who is about to make one of the same id. */
const makingPatience = 5000
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

  /** Gives up what others had begun to write whole and left in the midst of it. */
  const abandonLeft = async () => {
    for (const { sessionId } of await read((tx) => tx.getAll(ranges.making, maxRecords))) {
      const lock = await ownership.lock(sessionId, { ifAvailable: true })
      if (!lock) continue
      await write((tx) => abandonSession(tx, sessionId)).finally(lock.release)
    }
  }

  /** Finishes every deletion, also one whose page died on the way. */
  const sweep = async () => {
    await abandonLeft()
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
    if (session) return placeOfSession(session).place
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

  const readChildren = (parentRunId: string) =>
    readPages<ChildRecord>((last, count) => read((tx) => tx.getAll(ranges.children(parentRunId, last), count)))

  const deleteSession = async (sessionId: string): Promise<void> => {
    // Those under it first: nobody would find them any more. One that has not begun is known to its parent's run alone.
    const session = await read((tx) => tx.get(keys.session(sessionId)))
    const children = session?.run ? await readChildren(session.run.runId) : []
    for (const child of children) if (child.sessionId !== sessionId) await deleteSession(child.sessionId)
    for (;;) {
      const [under] = await read((tx) => tx.getAll(ranges.under(sessionId), 1))
      if (!under) break
      await deleteSession(under.sessionId)
    }
    const told = await write((tx) => markDeleted(tx, sessionId, now()))
    announce({ type: 'deleted', sessionId })
    for (const changed of told) announce({ type: 'said', sessionId: changed })
    await sweep()
  }

  return {
    async claim(sessionId, { signal, ifAvailable, steal } = {}) {
      if (closed) throw closedError()
      const lock = await ownership.lock(sessionId, { signal, ifAvailable, steal })
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

    async whenFree(sessionId, { signal } = {}) {
      if (closed) throw closedError()
      await ownership.whenFree(sessionId, { signal })
    },

    isFree: (sessionId) =>
      closed ? Promise.reject(closedError()) : ownership.whenFree(sessionId, { ifAvailable: true }),

    async saveDraft(sessionId, draft) {
      await write(async (tx) => {
        const owner = await tx.get(keys.owner(sessionId))
        if (owner?.epoch === draft.epoch) tx.put(keys.draft(sessionId), draft)
      })
    },

    async saveLate(sessionId, { epoch, runId, toolCallId, result }) {
      await write(async (tx) => {
        const at = keys.call(runId, toolCallId)
        const [owner, row] = await Promise.all([tx.get(keys.owner(sessionId)), tx.get(at)])
        if (owner?.epoch === epoch && row) tx.put(at, { ...row, late: result })
      })
    },

    async commit(change) {
      const committed = await write((tx) => commit(tx, change), change.durability)
      const { status, wakeAt } = change.session.run ?? {}
      const { seq, heldUp } = committed
      if (heldUp) return committed
      announce({
        type: 'committed',
        sessionId: change.sessionId,
        seq,
        ...(status && { status }),
        ...(wakeAt && { wakeAt }),
      })
      const { tells = [] } = change
      // What can't be said to a session that is gone comes back.
      const told = [...tells, ...(tells.some(({ said }) => said.type === 'resume') ? [change] : [])]
      for (const sessionId of new Set(told.map((one) => one.sessionId))) announce({ type: 'said', sessionId })
      return committed
    },

    async say(sessionId, runId, said, blobs = []) {
      const at = now()
      const id = newId()
      const item = await write((tx) => say(tx, { id, sessionId, runId, at, said, blobs }))
      if (item) announce({ type: 'said', sessionId })
      return item
    },

    async withdraw(sessionId, id, type = 'input') {
      let told: readonly string[] | undefined
      const withdrawn = await write(async (tx) => {
        const now = await withdraw(tx, sessionId, id, type)
        told = now ?? told
        if (now) return true
        // It was there before the connection was lost: either that transaction removed it, or an owner applied it since.
        return told !== undefined && (type === 'resume' || !(await wasHeard(tx, sessionId, id)))
      })
      for (const changed of withdrawn ? [sessionId, ...(told ?? [])] : [])
        announce({ type: 'said', sessionId: changed })
      return withdrawn
    },

    readInbox: (sessionId) =>
      readPages<InboxItem>((last) =>
        read((tx) => tx.getAll(ranges.inbox(sessionId, last ? last.n + 1 : 0), maxRecords)),
      ),

    readSettings: (sessionId) => read((tx) => tx.get(keys.settings(sessionId))),

    async changeSettings(sessionId, change) {
      await write(async (tx) => {
        const settings = await tx.get(keys.settings(sessionId))
        tx.put(keys.settings(sessionId), { ...settings, ...change, v: 1 })
      })
      announce({ type: 'settings', sessionId })
    },

    async createSession(made) {
      if (closed) throw closedError()
      const { id } = made.session
      const token = newId()
      if (await read((tx) => tx.get(keys.session(id)))) throw taken(id)
      const lock = await ownership.lock(id, { signal: AbortSignal.timeout(makingPatience) }).catch((error) => {
        throw error instanceof AgentError ? error : taken(id)
      })
      if (!lock) throw taken(id)
      try {
        await write((tx) => beginSession(tx, id, token))
        for (const step of stepsOf(made)) await write((tx) => addToSession(tx, id, token, step))
        await write((tx) => finishSession(tx, made, token))
      } catch (error) {
        await write((tx) => abandonSession(tx, id, token))
          .then(sweep)
          .catch(() => {})
        throw error
      } finally {
        lock.release()
      }
      announce({ type: 'committed', sessionId: id, seq: 0 })
    },

    deleteSession,

    readSession: (sessionId, { messages }) => read((tx) => readSession(tx, sessionId, messages)),

    async readMessages(sessionId, { from = 0, before = Number.POSITIVE_INFINITY, limit, hidden = false }) {
      const messages: MessageRecord[] = []
      const session = await read((tx) => tx.get(keys.session(sessionId)))
      const end = Math.min(before, session?.messageCount ?? 0)
      const spans = visible(hidden ? undefined : session?.hidden, Math.max(from, 0), end, limit)
      for (const part of inParts(spans, maxRecords))
        messages.push(...(await read((tx) => readSpans(tx, sessionId, part))))
      return messages
    },

    readEvents: (sessionId, options) => read((tx) => readEvents(tx, sessionId, options)),
    readSpend: (day) => read((tx) => tx.get(keys.spend(day))),
    readSummary: (sessionId, n) => read((tx) => tx.get(keys.summary(sessionId, n))),
    readRun: (runId) => read((tx) => readRun(tx, runId)),

    async readCalls(runId) {
      if (await read((tx) => isOrphan(tx, runId))) return []
      return readPages<CallRecord>((last) => read((tx) => tx.getAll(ranges.calls(runId, last), maxRecords)))
    },

    async readAudit(runId) {
      if (await read((tx) => isOrphan(tx, runId))) return []
      return readPages<AuditRecord>((last, count) => read((tx) => tx.getAll(ranges.audit(runId, last), count)))
    },

    readGrants: (sessionId) =>
      readPages<GrantRecord>((last, count) => read((tx) => tx.getAll(ranges.grants(sessionId, last), count))),

    async revokeGrant(sessionId, actionKey) {
      const at = keys.grant(sessionId, actionKey)
      const revoked = await write(async (tx) => {
        const grant = await tx.get(at)
        if (grant) tx.delete(at)
        return grant !== undefined
      })
      if (revoked) announce({ type: 'grants', sessionId })
      return revoked
    },

    readBlob: (sessionId, blobId) => read((tx) => tx.get(keys.blob(sessionId, blobId))),

    readChildren,

    readTreeSpend: (runId) => read((tx) => tx.get(keys.tree(runId))),

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

    readSaid: () => readPages<InboxItem>((last, count) => read((tx) => tx.getAll(ranges.said(last), count))),

    async readApprovals() {
      const asked = await readPages<Question>((last, count) => read((tx) => tx.getAll(ranges.allAsked(last), count)))
      const approvals: ApprovalRecord[] = []
      for (let i = 0; i < asked.length; i += maxRecords) {
        approvals.push(...(await read((tx) => readApprovals(tx, asked.slice(i, i + maxRecords)))))
      }
      return approvals.sort((a, b) => a.askedAt - b.askedAt)
    },

    async listSessions({ limit, before, parent }) {
      const start = before === undefined ? undefined : await placeOf(before)
      const range = (after: Place | undefined) =>
        parent === undefined ? ranges.recent(after) : ranges.under(parent, after)
      const listed = await readPages<Place>(
        (last, count) => read((tx) => tx.getAll(range(last ?? start), count)),
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

    announce,

    async status() {
      await read((tx) => tx.get(keys.epoch))
      return database.status()
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
