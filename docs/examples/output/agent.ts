import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

// #region agent
export const reporter = defineAgent({
  name: 'reporter',
  model: openai('gpt-5-mini'),
  instructions: 'You turn notes on the weather into data.',
  output: z.object({ city: z.string(), celsius: z.number() }),
})
// #endregion

export const runtime = createRuntime(reporter)
