import { createOpenAI } from '@ai-sdk/openai'
import { mcpTools } from 'turnloop/mcp'
import { defineAgent } from 'turnloop/runtime'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

// #region mcp
const tickets = mcpTools({
  url: new URL('/api/mcp', location.origin).href, // streamable HTTP; of another origin where it allows that (CORS)
  name: 'tickets',
  prefix: 'tickets_', // put before the names of its tools
  headers: ({ credentials }) => {
    const { ticketToken } = (credentials ?? {}) as { ticketToken?: string } // what `setCredentials` handed over
    return ticketToken ? { authorization: `Bearer ${ticketToken}` } : ({} as Record<string, string>)
  },
})

export const helper = defineAgent({
  name: 'helper',
  model: openai('gpt-5-mini'),
  toolSources: [tickets],
  toolPolicy: { tickets_close: { approval: 'always', risk: 'destructive', egress: true } },
})
// #endregion
