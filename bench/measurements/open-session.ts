import { connect } from 'turnloop'
import { createRuntime, defineAgent, indexedDbStore } from 'turnloop/runtime'
import { growLongSession, longSession } from '../long-session.ts'
import { alternate } from '../rounds.ts'
import { type Row, rowOf } from '../row.ts'
import { scriptModel } from '../script-model.ts'

/** Opening a session of 10,000 messages on its last 50, in a runtime that has opened nothing yet. */
export async function openSession(): Promise<Row[]> {
  await growLongSession()
  const agent = defineAgent({ name: 'bench', model: scriptModel({ deltas: 1 }) })
  const { here, worker } = await alternate(
    {
      here: () => ready(() => createRuntime(agent, { store: indexedDbStore({ name: longSession.database }) })),
      worker: () =>
        ready(() =>
          connect(() => new Worker(new URL('../long-session.worker.ts', import.meta.url), { type: 'module' })),
        ),
    },
    9,
  )
  return [
    rowOf({
      name: 'open 10,000 messages on the last 50',
      unit: 'ms',
      samples: here,
      atMost: 20,
      note: 'from createRuntime to view.ready, in one thread',
    }),
    rowOf({
      name: 'the same through a worker that is started for it',
      unit: 'ms',
      samples: worker,
      note: 'from connect to view.ready: the worker loads its script first',
    }),
  ]
}

async function ready(open: () => ReturnType<typeof createRuntime> | ReturnType<typeof connect>): Promise<number> {
  const begun = performance.now()
  const runtime = open()
  const { messages } = await runtime.session(longSession.id).view.ready
  const took = performance.now() - begun
  if (messages.length < 25 || messages.length > 50) throw new Error(`${messages.length} messages were shown.`)
  await runtime.close()
  return took
}
