import { createOpenAI } from '@ai-sdk/openai'
import { defineAgent, type Middleware, redact, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

const fetchPage = tool({
  description: 'Reads a web page',
  inputSchema: z.object({ url: z.url() }),
  execute: ({ url }, { abortSignal }) => fetch(url, { signal: abortSignal }).then((response) => response.text()),
  idempotent: true,
})

// #region middleware
const officeHours: Middleware = {
  name: 'office-hours',
  timeout: 5000, // of each call of a hook, in milliseconds; 30,000 by default
  beforeTool: ({ toolName, input }) => {
    const { url } = input as { url: string }
    if (toolName === 'fetchPage' && url.startsWith('http:')) return { input: { url: url.replace('http:', 'https:') } }
    if (!url.startsWith('https:')) return { deny: 'only web pages can be read' }
  },
  afterTool: (_call, { output }) =>
    typeof output === 'string' ? { output: output.replace(/<script[\s\S]*?<\/script>/g, '') } : undefined,
  onRunEnd: ({ status, usage }, { runId }) => console.info(`${runId} ${status}: ${usage.outputTokens} tokens`),
}

export const reader = defineAgent({
  name: 'reader',
  model: openai('gpt-5-mini'),
  tools: { fetchPage },
  middleware: [redact({ kinds: ['email', 'card', 'key'], patterns: [/\bproject-\d+\b/i] }), officeHours],
})
// #endregion
