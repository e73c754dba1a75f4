// #region runtime
import { AgentError, createRuntime, defineAgent, fetchWithoutUserAgent } from 'turnloop/runtime'

const assistant = defineAgent({ name: 'assistant', model: 'own' })

export const runtime = createRuntime(assistant, {
  models: {
    own: async ({ credentials }) => {
      const { apiKey } = (credentials ?? {}) as { apiKey?: string }
      // After a reload there is none: the run that resumes stops with `credentials`, and goes on once there is one.
      if (!apiKey) throw new AgentError('unauthorized', 'Enter your key.')
      const { createOpenAI } = await import('@ai-sdk/openai')
      return createOpenAI({ apiKey, fetch: fetchWithoutUserAgent })('gpt-5-mini')
    },
  },
})
// #endregion

export function useKey(agent: typeof runtime, apiKey: string) {
  // #region page
  agent.setCredentials({ apiKey })
  const run = agent.session().send('Hello')
  // #endregion
  return run
}
