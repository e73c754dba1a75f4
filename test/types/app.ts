// The agents that the other tasks here use, as a user writes them: no type is spelt out.
import { createOpenAI } from '@ai-sdk/openai'
import { dynamicTool, tool as sdkTool } from 'ai'
import { createRuntime, defineAgent, jsonSchema, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy has it' })

const elsewhere = {
  github_search: dynamicTool({
    description: 'Search',
    inputSchema: z.object({ q: z.string() }),
    execute: async () => [],
  }),
}

export const researcher = defineAgent({
  name: 'researcher',
  model: async () => openai('gpt-5-mini'),
  tools: {
    lookup: sdkTool({
      description: 'Look something up',
      inputSchema: z.object({ about: z.string() }),
      execute: async ({ about }) => ({ about, pages: 2 }),
    }),
  },
})

export const assistant = defineAgent({
  name: 'assistant',
  model: 'fast',
  instructions: 'You plan trips.',
  limits: { maxTurns: 20 },
  settings: { temperature: 0.2, reasoning: 'low' },
  tools: [
    {
      forecast: tool({
        description: 'Weather forecast for a city',
        inputSchema: z.object({ city: z.string() }),
        idempotent: true,
        execute: async ({ city }, { abortSignal, progress, custom, idempotencyKey, runId }) => {
          progress({ city, idempotencyKey })
          custom('asked', runId)
          return (await fetch(`/weather/${city}`, { signal: abortSignal })).json() as Promise<{ celsius: number }>
        },
        toModelOutput: ({ output, input }) => ({ type: 'text', value: `${output.celsius.toFixed()} in ${input.city}` }),
      }),
      count: tool({
        inputSchema: jsonSchema<{ to: number }>({ type: 'object' }),
        serial: true,
        timeout: 1000,
        execute: async function* ({ to }) {
          for (let n = 0; n < to; n++) yield { n }
        },
      }),
    },
    {
      highlight: tool({
        description: 'Highlight an element of the page',
        inputSchema: z.object({ selector: z.string() }),
        outputSchema: z.object({ found: z.number() }),
      }),
      pickDate: tool({
        description: 'Let the user pick a date',
        inputSchema: z.object({ from: z.string() }),
        outputSchema: z.object({ date: z.string() }),
      }),
    },
    elsewhere,
  ],
  toolPolicy: { github_search: { timeout: 5000 } },
})

export const runtime = createRuntime([assistant, researcher], {
  models: { fast: openai('gpt-5-mini'), smart: () => openai('gpt-5') },
})
export type Runtime = typeof runtime
