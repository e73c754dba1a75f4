import { AgentError } from '../errors.ts'
import { forkSession } from './copy-session.ts'
import type { Engine } from './engine.ts'
import { exportSession } from './export-session.ts'
import { importSession } from './import-session.ts'
import type { Table } from './methods.ts'

/** Sessions that are made of others, and documents of them. */
export const copyMethods = {
  fork: (engine, { sessionId, forkId, at }, _, again) =>
    make(engine, forkId, again, () => forkSession(engine.env, sessionId, forkId, at)),

  exportSession: ({ env }, { sessionId }) => exportSession(env, sessionId),

  importSession: (engine, { sessionId, document }, _, again) =>
    make(engine, sessionId, again, () => importSession(engine.env, sessionId, document)),
} satisfies Pick<Table, 'fork' | 'exportSession' | 'importSession'>

/** Once, also where the worker was lost that was asked for it. */
async function make({ env }: Engine, id: string, again: boolean, task: () => Promise<void>): Promise<undefined> {
  if (typeof id !== 'string' || id === '') throw new AgentError('invalid-argument', 'A session needs an id.')
  if (again && (await env.store.readSession(id, { messages: 0 }))) return undefined
  await task()
  return undefined
}
