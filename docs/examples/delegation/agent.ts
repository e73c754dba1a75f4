import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

const search = tool({
  description: 'Searches the library',
  inputSchema: z.object({ words: z.string() }),
  idempotent: true,
  untrusted: true,
  execute: ({ words }) => `Nothing about ${words} yet.`,
})

// #region agents
export const researcher = defineAgent({
  name: 'researcher',
  description: 'Finds out about one topic, and sums it up in a few lines.', // the model of "lead" sees this
  model: openai('gpt-5-mini'),
  instructions: 'You look things up. Answer in five lines at most.',
  tools: { search },
})

export const lead = defineAgent({
  name: 'lead',
  model: openai('gpt-5'),
  instructions: 'You answer questions. Give each topic to a helper of its own.',
  delegates: [researcher], // an agent, or its name
  limits: { maxTokens: 200_000 }, // for all of the tree together
})

export const runtime = createRuntime(lead)
// #endregion

// #region options
export const careful = defineAgent({
  name: 'careful',
  model: openai('gpt-5'),
  delegates: [researcher],
  delegation: {
    maxDepth: 1, // a helper starts no helpers
    maxConcurrent: 2, // further ones wait for their turn
    maxChildren: 10, // in one run
    onEnd: 'stop', // what still works in the background stops with the answer
    toolNames: { run: 'ask_helper', stop: 'stop_helper', output: 'read_helper' },
  },
})
// #endregion
