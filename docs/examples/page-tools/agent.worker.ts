// src/agent.worker.ts
import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, serve, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

// #region tools
const highlight = tool({
  description: 'Highlights the elements of the page that a CSS selector matches',
  inputSchema: z.object({ selector: z.string() }),
  outputSchema: z.object({ found: z.number() }),
})
const pick_date = tool({
  description: 'Lets the user pick a date',
  inputSchema: z.object({ question: z.string() }),
  outputSchema: z.object({ date: z.string() }),
})
// #endregion

export const guide = defineAgent({ name: 'guide', model: openai('gpt-5-mini'), tools: { highlight, pick_date } })
export const runtime = createRuntime(guide)
serve(runtime)
