// src/agent.worker.ts
import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, serve, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

const order = z.object({ order: z.string(), cents: z.number().int().positive() })

// #region repeatable
const charge = tool({
  description: 'Charges the card that the customer has on file',
  inputSchema: order,
  idempotent: true, // may run again after a crash: the service knows the key, and charges once
  execute: async (payment, { idempotencyKey, abortSignal }) => {
    const response = await fetch('/api/charges', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(payment),
      signal: abortSignal,
    })
    if (!response.ok) throw new Error(`The charge was refused (${response.status})`)
    return (await response.json()) as { receipt: string }
  },
})
// #endregion

// #region once
const post_letter = tool({
  description: 'Posts a letter to the customer',
  inputSchema: z.object({ text: z.string() }),
  outputSchema: z.object({ letter: z.string() }), // a result that a person supplies is checked against it
  execute: async ({ text }, { abortSignal }) => {
    const response = await fetch('/api/letters', { method: 'POST', body: text, signal: abortSignal })
    if (!response.ok) throw new Error(`The letter was not posted (${response.status})`)
    return (await response.json()) as { letter: string }
  },
})
// #endregion

// #region agent
export const clerk = defineAgent({
  name: 'clerk',
  model: openai('gpt-5-mini'),
  tools: { charge, post_letter },
  resume: 'auto', // the default; 'ask' asks a person first, 'never' ends the run as stopped
  resumeWithin: 60_000, // after a minute without a sign of life a person is asked
})
// #endregion

export const runtime = createRuntime(clerk)
serve(runtime)
