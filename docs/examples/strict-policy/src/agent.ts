import { createRuntime, defineAgent, tool } from 'turnloop/runtime'
import { z } from 'zod'

const assistant = defineAgent({
  name: 'assistant',
  // #region chunk
  model: async () => {
    const { createOpenAI } = await import('@ai-sdk/openai')
    return createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })('gpt-5-mini')
  },
  // #endregion
  tools: {
    add: tool({
      description: 'Adds two numbers',
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      execute: ({ a, b }) => ({ sum: a + b }),
    }),
  },
})

export const runtime = createRuntime(assistant)
