import { createRuntime, defineAgent, indexedDbStore, serve } from 'turnloop/runtime'
import { longSession } from './long-session.ts'
import { scriptModel } from './script-model.ts'

export const runtime = createRuntime(defineAgent({ name: 'bench', model: scriptModel({ deltas: 1 }) }), {
  store: indexedDbStore({ name: longSession.database }),
})
serve(runtime)
