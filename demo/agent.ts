import { AgentError, createRuntime, defineAgent, fetchWithoutUserAgent } from 'turnloop/runtime'
import { offlineModel } from './offline-model.ts'
import { budget, limits, prices, windows } from './tariff.ts'
import { deleteTodos } from './todos.ts'
import { tools } from './tools.ts'

/** A user's own key, kept in memory only, and where it goes: the page hands it over with `setCredentials`. */
export interface OwnKey {
  readonly apiKey: string
  readonly baseURL: string
  readonly modelId: string
}

const helper = defineAgent({
  name: 'helper',
  description: 'Finds out about one topic, and sums it up.',
  model: 'offline',
  limits,
  prices,
  context: { window: windows },
  instructions: 'You help the assistant of a demo page with one topic. Answer briefly, in Markdown.',
  tools: { calculate: tools.calculate },
})

const assistant = defineAgent({
  name: 'assistant',
  model: 'offline',
  fallbacks: ['brief'],
  limits,
  onLimit: 'ask',
  prices,
  budget,
  context: { window: windows },
  instructions:
    'You are the assistant of a demo page. Answer briefly, in Markdown. Use the tools for sums, the time, the to-do list, pizzas, mails, web pages and the colours of the page.',
  tools,
  delegates: [helper],
  // nothing waits for ever: silence is a no
  approvalTimeout: 3_600_000,
})

// The provider is a chunk of its own: it loads when one of these models is first used.
async function openai(settings: { readonly baseURL: string; readonly apiKey: string }) {
  const { createOpenAI } = await import('@ai-sdk/openai')
  return createOpenAI({ ...settings, fetch: fetchWithoutUserAgent })
}

export const runtime = createRuntime(assistant, {
  models: {
    offline: offlineModel(),
    brief: offlineModel({ brief: true }),
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
      // Stops the run, which can be continued once there is a key: after a reload, for example.
      if (!key?.apiKey) {
        throw new AgentError(
          'unauthorized',
          'Your own key is not kept over a reload: choose “My own key” as the model.',
        )
      }
      return (await openai(key))(key.modelId)
    },
  },
})

// A to-do list goes with its conversation.
runtime.on('session-deleted', ({ sessionId }) => deleteTodos(sessionId))
