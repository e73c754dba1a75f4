import { checkPrice, isCostLimited } from '../agent/check-limits.ts'
import { AgentError } from '../errors.ts'
import { namedModel } from '../model/resolve-model.ts'
import { blobIdOf } from '../sessions/blob-url.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import type { Store } from '../sessions/store.ts'
import { agentNamed } from './agents.ts'
import type { Table } from './methods.ts'
import { readHistory } from './read-history.ts'
import { findMessage } from './rewind.ts'
import { withdrawn } from './say.ts'
import { infoOf } from './snapshot.ts'

/** Sessions as a whole: what is in them, their settings, their end. */
export const sessionMethods = {
  async messages(engine, { sessionId, before, limit }) {
    const live = engine.live(sessionId)
    const { store } = engine.env
    const index = before === undefined ? undefined : (live.indexOf(before) ?? (await indexOf(store, sessionId, before)))
    const most = clamp(limit, 500)
    const found = await store.readMessages(sessionId, {
      ...(index === undefined ? undefined : { before: index }),
      limit: most + 1,
    })
    const records = found.slice(-most)
    live.remember(records)
    return { messages: foldMessages(records), hasOlder: found.length > most }
  },

  history: ({ env }, { sessionId, from }) => readHistory(env.store, sessionId, from),

  async sessions(engine, { limit, before, parent }) {
    const states = await engine.env.store.listSessions({
      limit: clamp(limit, 500),
      ...(before === undefined ? undefined : { before }),
      ...(parent === undefined ? undefined : { parent }),
    })
    return Promise.all(states.map(async (state) => infoOf(state, await engine.isInterrupted(state))))
  },

  async file({ env }, { sessionId, url }) {
    const blobId = blobIdOf(url)
    const blob = blobId === undefined ? undefined : await env.store.readBlob(sessionId, blobId)
    if (blob) return blob.data
    throw new AgentError('unknown-file', `The session has no file ${JSON.stringify(url)}: pass the url of a file part.`)
  },

  async rename(engine, { sessionId, title }) {
    if (typeof title !== 'string' || title.trim() === '')
      throw new AgentError('invalid-argument', 'The title is empty.')
    await engine.env.store.changeSettings(sessionId, { title: title.trim().slice(0, 200) })
    return undefined
  },

  async setModel({ env }, { sessionId, model }) {
    namedModel(model, env.models)
    const state = await env.store.readSession(sessionId, { messages: 0 })
    const agent = (state && env.agents.get(state.session.agent)) ?? agentNamed(env.agents, undefined)
    if (isCostLimited(agent) && !env.model) checkPrice(agent.name, agent.prices, model, env.models)
    await env.store.changeSettings(sessionId, { model, modelAt: env.now() })
    return undefined
  },

  async remove(engine, { sessionId }) {
    const { store } = engine.env
    await engine.inOrder(sessionId, async () => {
      // Nothing more is to start, and what runs ends as any aborted run does, before all of it goes.
      for (const { runId, type } of await store.readInbox(sessionId)) {
        if (type === 'input') await withdrawn(engine, sessionId, runId)
      }
      const live = engine.live(sessionId)
      live.run?.end({ kind: 'run-cancelled', reason: 'aborted' })
      if (live.run) await live.driving
      await store.deleteSession(sessionId)
    })
    return undefined
  },
} satisfies Pick<Table, 'messages' | 'history' | 'file' | 'sessions' | 'rename' | 'setModel' | 'remove'>

const clamp = (limit: unknown, most: number) =>
  typeof limit === 'number' && limit >= 1 ? Math.min(Math.floor(limit), most) : 50

/** A message by id, for a page whose worker has not read it before. It may have been hidden meanwhile. */
async function indexOf(store: Store, sessionId: string, id: string): Promise<number> {
  const found = await findMessage(store, sessionId, (record) => record.id === id, { hidden: true })
  if (found) return found.index
  throw new AgentError('invalid-argument', `There is no message "${id}" in this session.`)
}
