import { createRuntime, defineAgent, indexedDbStore, memoryStore, type Store } from 'turnloop/runtime'
import { scriptModel } from './script-model.ts'

type Change = Parameters<Store['commit']>[0]
type WholeRun = Change & Required<Pick<Change, 'messages'>>

export const longSession = { database: 'bench-long', id: '00000000-0000-4000-8000-000000010000', messages: 10_000 }

/** Grows the session of 10,000 messages, once per profile: pages that come later find it on disk. */
export async function growLongSession(): Promise<void> {
  const store = indexedDbStore({ name: longSession.database })
  const known = await store.readSession(longSession.id, { messages: 0 })
  if ((known?.session.messageCount ?? 0) < longSession.messages)
    await growSession(store, longSession.id, longSession.messages)
  await store.close()
}

/** Writes a session as real runs would: what one commits, over and over, with ids and numbers of its own. */
export async function growSession(store: Store, sessionId: string, messages: number): Promise<void> {
  const whole = await commitOfOneRun()
  const claim = await store.claim(sessionId)
  if (!claim) throw new Error('The session has another owner.')
  const waiting: Promise<unknown>[] = []
  for (let index = 0, turn = 1; index < messages; index += whole.messages.length, turn++) {
    const place: Place = { sessionId, epoch: claim.epoch, runId: crypto.randomUUID(), index, turn }
    waiting.push(store.commit(moved(whole, place)))
    if (waiting.length >= 100) await Promise.all(waiting.splice(0))
  }
  await Promise.all(waiting)
  claim.release()
}

/** What a run of one question and one answer of some 200 characters commits, its commits as one. */
async function commitOfOneRun(): Promise<WholeRun> {
  const store = memoryStore()
  const changes: Change[] = []
  const recording: Store = {
    ...store,
    commit: (change) => {
      changes.push(change)
      return store.commit(change)
    },
  }
  const runtime = createRuntime(defineAgent({ name: 'bench', model: scriptModel({ deltas: 40 }) }), {
    store: recording,
  })
  await runtime.run({ input: 'A question of the length that people write to such an assistant?' }).result
  await runtime.close()
  const last = changes.at(-1)
  if (!last) throw new Error('The run committed nothing.')
  return {
    ...last,
    messages: changes.flatMap(({ messages = [] }) => messages),
    events: changes.flatMap(({ events }) => events),
  }
}

interface Place {
  readonly sessionId: string
  readonly epoch: number
  readonly runId: string
  /** Of the run's first message. */
  readonly index: number
  readonly turn: number
}

function moved(change: WholeRun, { sessionId, epoch, runId, index, turn }: Place): Change {
  const { session, run, messages, events } = change
  return {
    ...change,
    id: crypto.randomUUID(),
    sessionId,
    epoch,
    applied: [],
    session: {
      ...session,
      id: sessionId,
      messageCount: session.messageCount + index,
      turn,
      ...(session.run && { run: { ...session.run, runId } }),
    },
    messages: messages.map((message) => ({
      ...message,
      id: crypto.randomUUID(),
      index: message.index + index,
      runId,
      turn,
    })),
    // An event refers to messages by their index.
    events: events.map(
      (event) => ({ ...event, runId, turn, ...('index' in event && { index: event.index + index }) }) as typeof event,
    ),
    ...(run && { run: { ...run, runId, sessionId, firstIndex: index } }),
  }
}
