import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import {
  type AgentRuntime,
  type AnyEvent,
  createRuntime,
  type DelegationResult,
  defineAgent,
  memoryStore,
  type Store,
} from 'turnloop/runtime'
import { reply, type ScriptedTurn, scriptedModel } from 'turnloop/testing'
import { onTestFinished } from 'vitest'
import type { AgentDefinition } from '../../src/agent/define-agent.ts'
import { type Recording, record } from '../runtime/record.ts'

export type Turns = readonly ScriptedTurn[]
type Extra = Partial<Omit<AgentDefinition, 'name' | 'model'>>

export const usage = { inputTokens: 10, outputTokens: 5 }

/** A model that gives one answer after the other, and in between waits until the test lets it. */
export function gated(...turns: Turns) {
  const gates = turns.map(() => Promise.withResolvers<void>())
  const asked = turns.map(() => Promise.withResolvers<void>())
  const model = scriptedModel(
    turns.map((turn, at) => async (call: LanguageModelV4CallOptions) => {
      asked[at]?.resolve()
      await gates[at]?.promise
      return typeof turn === 'function' ? turn(call) : turn
    }),
    { usage },
  )
  return {
    model,
    /** Lets the n-th answer come, from 0. */
    answer: (at = 0) => gates[at]?.resolve(),
    /** Resolves once the n-th answer is asked for. */
    asked: (at = 0) => asked[at]?.promise,
  }
}

export const scripted = (...turns: Turns) => scriptedModel(turns, { usage })

export const helperAgent = (model: AgentDefinition['model'], extra: Extra = {}) =>
  defineAgent({ name: 'helper', description: 'Looks things up.', model, ...extra } as never) as AgentDefinition

export interface Family {
  readonly runtime: AgentRuntime
  readonly heard: Recording
  readonly store: Store
}

/** A runtime whose agent "lead" may start the others. */
export function family(
  model: AgentDefinition['model'],
  delegates: readonly (AgentDefinition | string)[],
  { store = memoryStore(), agents = [], ...extra }: Extra & { store?: Store; agents?: readonly AgentDefinition[] } = {},
): Family {
  const lead = defineAgent({ name: 'lead', model, delegates, ...extra } as never) as AgentDefinition
  const runtime = createRuntime([lead, ...agents], { store }) as unknown as AgentRuntime
  // One whose store is dead never comes to an end.
  onTestFinished(() => void runtime.close())
  return { runtime, heard: record(runtime), store }
}

/** A call of the tool that starts agents. */
export const start = (prompt: string, more: object = {}) =>
  reply.call('agent_run', { agent: 'helper', prompt, ...more })

/** What the calls of the last turn came to, as the model is told. */
export function toldResults(call: LanguageModelV4CallOptions | undefined): (DelegationResult | string)[] {
  const message = call?.prompt.findLast(({ role }) => role === 'tool')
  if (message?.role !== 'tool') return []
  return message.content.flatMap((part) =>
    part.type === 'tool-result' && 'value' in part.output ? [part.output.value as unknown as DelegationResult] : [],
  )
}

/** What the user's side of a prompt ends with, as text. */
export function lastWords(call: LanguageModelV4CallOptions | undefined): string {
  const last = call?.prompt.at(-1)
  if (last?.role !== 'user') return ''
  return last.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n')
}

/** The runs that were started, in order. */
export const started = (heard: Recording) => heard.of('delegation-started').map(({ childRunId }) => childRunId)

export const endsOf = (events: readonly AnyEvent[]) =>
  events
    .filter(({ kind }) => /^run-(completed|stopped|failed|cancelled)$/.test(kind))
    .map(({ kind, agent }) => `${agent} ${kind.slice(4)}`)
