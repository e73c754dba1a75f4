import { createRuntime, defineAgent, fetchWithoutUserAgent, tool } from 'turnloop/runtime'
import { z } from 'zod'
import { calculate } from './calculate.ts'
import { offlineModel } from './offline-model.ts'
import { addTodo, completeTodo, deleteTodos, listTodos } from './todos.ts'

/** A user's own key, kept in memory only, and where it goes: the page hands it over with `setCredentials`. */
export interface OwnKey {
  readonly apiKey: string
  readonly baseURL: string
  readonly modelId: string
}

const tools = {
  calculate: tool({
    description: 'Calculates an arithmetic expression with + - * / % ^ ( ) and sqrt()',
    inputSchema: z.object({ expression: z.string().max(1000) }),
    idempotent: true,
    execute: ({ expression }) => ({ expression, value: calculate(expression) }),
  }),
  current_time: tool({
    description: 'The current date and time, in the given IANA time zone or else in the user’s',
    inputSchema: z.object({ timeZone: z.string().max(100).optional() }),
    idempotent: true,
    execute: ({ timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone }) => {
      const now = new Date()
      return {
        time: now.toLocaleTimeString('en-GB', { timeZone, timeStyle: 'short' }),
        date: now.toLocaleDateString('en-GB', { timeZone, dateStyle: 'full' }),
        timeZone,
      }
    },
  }),
  add_todo: tool({
    description: 'Adds an entry to the to-do list of this conversation',
    inputSchema: z.object({ text: z.string().min(1).max(500) }),
    execute: async ({ text }, { sessionId }) => ({ todos: await addTodo(sessionId, text) }),
  }),
  list_todos: tool({
    description: 'The to-do list of this conversation',
    inputSchema: z.object({}),
    idempotent: true,
    execute: async (_, { sessionId }) => ({ todos: await listTodos(sessionId) }),
  }),
  complete_todo: tool({
    description: 'Checks off an entry of the to-do list, named by its text or its number from 1',
    inputSchema: z.object({ entry: z.string().min(1).max(500) }),
    idempotent: true,
    execute: async ({ entry }, { sessionId }) => ({ todos: await completeTodo(sessionId, entry) }),
  }),
  // without `execute`: the page carries it out
  set_page_colors: tool({
    description: 'Changes the colours of the page that the user looks at',
    inputSchema: z.object({
      color: z.string().max(100).optional().describe('The tint: any CSS colour, or "default"'),
      scheme: z.enum(['light', 'dark', 'system']).optional(),
    }),
    outputSchema: z.object({ color: z.string(), scheme: z.string() }),
  }),
}

const assistant = defineAgent({
  name: 'assistant',
  model: 'offline',
  instructions:
    'You are the assistant of a demo page. Answer briefly, in Markdown. Use the tools for sums, the time, the to-do list and the colours of the page.',
  tools,
})

// The provider is a chunk of its own: it loads when one of these models is first used.
async function openai(settings: { readonly baseURL: string; readonly apiKey: string }) {
  const { createOpenAI } = await import('@ai-sdk/openai')
  return createOpenAI({ ...settings, fetch: fetchWithoutUserAgent })
}

export const runtime = createRuntime(assistant, {
  models: {
    offline: offlineModel(),
    /** The real endpoint, behind the proxy of the server that delivered this page; the key stays there. */
    proxied: async () => {
      const response = await fetch('/api/models')
      const { proxied } = (await response.json()) as { proxied?: { model: string; api: 'responses' | 'chat' } }
      if (!proxied) throw new Error('This server offers no real model. Start it with OPENAI_API_KEY=… npm run demo')
      const provider = await openai({
        baseURL: new URL('/api/openai', self.location.origin).href,
        apiKey: 'the proxy adds it',
      })
      return provider[proxied.api](proxied.model)
    },
    /** The user's own key, straight to the endpoint. */
    own: async ({ credentials }) => {
      const key = credentials as OwnKey | undefined
      if (!key?.apiKey) throw new Error('Enter your own key first: choose “My own key” as the model.')
      return (await openai(key))(key.modelId)
    },
  },
})

// A to-do list goes with its conversation.
runtime.on('session-deleted', ({ sessionId }) => deleteTodos(sessionId))
