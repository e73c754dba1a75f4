import { createRuntime, defineAgent, indexedDbStore, serve } from 'turnloop/runtime'
import { tools } from './add-tool.ts'
import { scriptModel } from './script-model.ts'
import { scripts } from './scripts.ts'
import { tellTime } from './worker-times.ts'

const agent = defineAgent({ name: 'bench', model: 'text', tools })

export const runtime = createRuntime(agent, {
  store: indexedDbStore({ name: 'bench' }),
  models: {
    text: scriptModel(scripts.text),
    'text and 20 tool calls': scriptModel(scripts['text and 20 tool calls']),
    /** Fed without pause: the stream always has the next part. */
    endless: scriptModel({ deltas: Number.POSITIVE_INFINITY, told: tellTime }),
    /** A fast model of today: 100 tokens a second. */
    paced: scriptModel({ deltas: Number.POSITIVE_INFINITY, pace: 10 }),
  },
})
serve(runtime)
