// src/agent.worker.ts
import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, serve, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

const forecast = tool({
  description: 'Weather forecast for a city',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }, { abortSignal }) => {
    const response = await fetch(`/api/forecast?city=${encodeURIComponent(city)}`, { signal: abortSignal })
    return (await response.json()) as { celsius: number }
  },
})

export const assistant = defineAgent({ name: 'assistant', model: openai('gpt-5-mini'), tools: { forecast } })
export const runtime = createRuntime(assistant)
serve(runtime)
