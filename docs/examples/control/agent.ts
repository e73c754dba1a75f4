import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, type InstructionsContext, tool } from 'turnloop/runtime'
import { z } from 'zod'

const openai = createOpenAI({ baseURL: '/api/openai', apiKey: 'the proxy adds it' })

const fetchPrice = async ({ hotel }: { readonly hotel: string }) => {
  const response = await fetch(`/api/prices/${encodeURIComponent(hotel)}`)
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  return response.text()
}

// #region state
const note = tool({
  description: 'Notes what the traveller prefers',
  inputSchema: z.object({ preference: z.string() }),
  execute: ({ preference }, { getState, setState }) => {
    const { preferences = [] } = getState<{ preferences?: string[] }>() ?? {}
    setState({ preferences: [...preferences, preference] }) // stored with this call's result, or not at all
    return 'noted'
  },
})
// #endregion

const search = tool({
  description: 'Finds hotels in a city',
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => [`Hotel ${city}`],
})

// #region instructions
const instructions = ({ state }: InstructionsContext) => {
  const { preferences = [] } = (state ?? {}) as { preferences?: string[] }
  return ['You plan trips.', ...preferences.map((preference) => `The traveller prefers: ${preference}`)].join('\n')
}
// #endregion

// #region agent
export const planner = defineAgent({
  name: 'planner',
  model: openai('gpt-5-mini'),
  fallbacks: [openai('gpt-5-nano')], // asked when every attempt of the model before has failed
  tools: { note, search },
  limits: { maxTurns: 20, maxToolCalls: 40, maxCost: 0.5, maxDuration: 10 * 60_000, toolTimeout: 30_000 },
  onLimit: 'ask', // somebody may extend it; 'stop' (the default) ends the run as stopped
  prices: {
    'gpt-5-mini': { input: 0.25, cachedInput: 0.025, output: 2 }, // per million tokens, in a unit of your own
    'gpt-5-nano': { input: 0.05, cachedInput: 0.005, output: 0.4 },
    'gpt-5': { input: 1.25, cachedInput: 0.125, output: 10 },
  },
  budget: { perSession: { cost: 2 }, perDay: { cost: 10 } },
  context: { window: 272_000 }, // tokens that the models take; or by model id
  instructions,
})
// #endregion

// #region runtime
export const runtime = createRuntime(planner, {
  models: { fast: openai('gpt-5-nano'), careful: openai('gpt-5') },
})
// #endregion

// #region failures
export const stubborn = defineAgent({
  name: 'stubborn',
  model: openai('gpt-5-mini'),
  tools: { prices: tool({ inputSchema: z.object({ hotel: z.string() }), execute: fetchPrice, idempotent: true }) },
  onToolError: (error, { toolName }, { attempt }) => {
    if (attempt < 3 && String(error).includes('HTTP 5')) return 'retry' // an idempotent tool only, after a pause; three attempts at most
    return toolName === 'prices' ? { result: 'not known' } : 'continue' // the model gets the error
  },
  maxConsecutiveToolErrors: 3,
})
// #endregion

// #region decide
export const careful = defineAgent({
  name: 'careful',
  model: 'careful',
  fallbacks: ['fast'],
  retry: { attempts: 4, baseDelay: 500, maxDelay: 20_000 },
  onModelError: (error, { attempt }) => {
    if (error.code === 'bad-request') return { switchTo: 'fast' } // perhaps the other one takes it
    if (error.code === 'overloaded' && attempt >= 2) return { switchTo: 'fast' }
    return 'continue' // as if nobody had been asked: `retry` and `fallbacks` decide
  },
})
// #endregion
