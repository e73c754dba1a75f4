import { createRuntime, defineAgent, indexedDbStore, serve } from 'turnloop/runtime'
import { tools } from './add-tool.ts'
import { leadModel } from './lead-model.ts'
import { scriptModel } from './script-model.ts'
import { scripts } from './scripts.ts'
import { tellTime } from './worker-times.ts'

const agent = defineAgent({ name: 'bench', model: 'text', tools, doomLoop: false })

/** Starts a hundred others in one turn, ten at once. */
const leadOf = (name: 'lead' | 'paced-lead', helper: typeof quick | typeof paced) =>
  defineAgent({
    name,
    model: 'lead',
    delegates: [helper],
    delegation: { maxConcurrent: 10, maxChildren: 100 },
    instructions: helper.name,
  })
const quick = defineAgent({ name: 'quick', model: 'short' })
const paced = defineAgent({ name: 'paced', model: 'paced' })

export const runtime = createRuntime([agent, quick, paced, leadOf('lead', quick), leadOf('paced-lead', paced)], {
  store: indexedDbStore({ name: 'bench' }),
  models: {
    text: scriptModel(scripts.text),
    'text and 20 tool calls': scriptModel(scripts['text and 20 tool calls']),
    /** Fed without pause: the stream always has the next part. */
    endless: scriptModel({ deltas: Number.POSITIVE_INFINITY, told: tellTime }),
    short: scriptModel({ deltas: 40 }),
    lead: leadModel(100),
    /** A fast model of today: 100 tokens a second. */
    paced: scriptModel({ deltas: Number.POSITIVE_INFINITY, pace: 10 }),
  },
})
serve(runtime)
