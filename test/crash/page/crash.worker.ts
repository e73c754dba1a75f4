import { createOpenAI } from '@ai-sdk/openai'
import { createRuntime, defineAgent, indexedDbStore, type Message, serve, tool } from 'turnloop/runtime'
import { z } from 'zod'
import { counted } from '../plans.ts'
import { failpoints, fetchWithFailpoints } from './failpoints.ts'
import { pass, tell } from './passing.ts'

/** What the page says in the worker's name. */
export interface Life {
  readonly database: string
  readonly page: string
  /** Which worker of the page it is. */
  readonly life: string
}

const { database, page, life } = JSON.parse(self.name) as Life

const openai = createOpenAI({ baseURL: `${location.origin}/model/v1`, apiKey: 'none', fetch: fetchWithFailpoints })
const named = z.object({ name: z.string() })

/** A tool with an effect in the world, and points before, between and after its start and its effect. */
const effect = (
  toolName: string,
  idempotent: boolean,
  between?: (signal: AbortSignal) => Promise<void>,
  approval: 'never' | 'always' = 'never',
) =>
  tool({
    description: `The tool ${toolName}`,
    inputSchema: named,
    idempotent,
    approval,
    execute: async ({ name }, { toolCallId: call, idempotencyKey: key, abortSignal }) => {
      // Of a delegated run: the session at the top.
      const [session = ''] = name.split('/')
      await pass(session, `${toolName}:before-start`)
      await tell('/tool/start', { session, tool: toolName, name, call, key })
      await pass(session, `${toolName}:before-effect`)
      await between?.(abortSignal)
      await tell('/tool/effect', { session, key })
      await pass(session, `${toolName}:after-effect`)
      return { done: name }
    },
  })

const wait = (milliseconds: number) => (signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

const tools = {
  pay: effect('pay', false),
  lookup: effect('lookup', true),
  slow: effect('slow', false, wait(120)),
  ponder: tool({
    description: 'Thinks about it',
    inputSchema: named,
    idempotent: true,
    execute: async ({ name }) => ({ done: name }),
  }),
  count: tool({
    description: 'Counts itself',
    inputSchema: named,
    idempotent: true,
    serial: true,
    execute: async ({ name }, { sessionId: session, getState, setState }) => {
      setState([...(getState<string[]>() ?? []), name])
      await pass(session, 'count:set')
      return { done: name }
    },
  }),
  mark: tool({
    description: 'Marks something on the page',
    inputSchema: named,
    outputSchema: z.object({ done: z.string() }),
  }),
  form: tool({
    description: 'Asks the person',
    inputSchema: named,
    outputSchema: z.object({ done: z.string() }),
  }),
}

const common = { model: openai('gpt-5-mini'), instructions: 'Carry it out.', tools, resume: 'auto' } as const
/** The texts that the summary stands for: what was said must not be lost with them. */
const summarise = (messages: readonly Message[], { previous = '' }: { readonly previous?: string }) =>
  `${previous} ${messages
    .flatMap(({ role, parts }) => (role === 'user' ? parts : []))
    .map((part) => ('text' in part ? part.text : ''))
    .join(' ')}`

const agents = [
  defineAgent({ ...common, name: 'auto' }),
  defineAgent({ ...common, name: 'ask', resume: 'ask' }),
  defineAgent({ ...common, name: 'never', resume: 'never' }),
  defineAgent({ ...common, name: 'capped', limits: { maxTurns: 2 }, onLimit: 'ask' }),
  defineAgent({
    ...common,
    name: 'twofold',
    fallbacks: [openai('gpt-5-nano')],
    retry: { attempts: 2, baseDelay: 200 },
  }),
  defineAgent({ ...common, name: 'stateful', instructions: ({ state }) => counted((state ?? []) as string[]) }),
  defineAgent({ ...common, name: 'careful', tools: { ...tools, buy: effect('buy', false, undefined, 'always') } }),
  defineAgent({
    ...common,
    name: 'leading',
    delegates: ['auto', 'leading'],
    delegation: { allowCircles: true, maxDepth: 2 },
  }),
  defineAgent({ ...common, name: 'small', context: { window: 200, keep: 20, summarise } }),
] as const

export const runtime = createRuntime(agents, {
  store: failpoints(indexedDbStore({ name: database }), { page, life }),
})
serve(runtime)
