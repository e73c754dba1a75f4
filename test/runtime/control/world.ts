import { APICallError, type LanguageModelV4Prompt } from '@ai-sdk/provider'
import { type AgentRuntime, createRuntime, defineAgent, memoryStore, tool } from 'turnloop/runtime'
import { reply, scriptedModel } from 'turnloop/testing'
import { z } from 'zod'
import { type AnyEvent, isDurable } from '../../../src/events/kinds.ts'
import { macrotask } from '../../../src/events/macrotask.ts'
import { problemsOf } from '../check-prompt.ts'
import { manualClock } from '../clock.ts'
import { type MortalStore, mortal } from '../stores.ts'
import { hiddenTexts } from './checks.ts'
import type { PieceName, Script } from './scripts.ts'

const any = z.object({})
const page = z.string()
const later = async <T>(value: T) => {
  await macrotask()
  return value
}
const words = 'some words that take a little room in the context of the model'

const pieces: Readonly<Record<PieceName, ReturnType<typeof reply.text>>> = {
  text: reply.text(words),
  quick: reply.call('quick', {}),
  slow: reply.call('slow', {}),
  alone: reply.call('alone', {}),
  count: reply.call('count', {}),
  form: reply.call('form', {}),
  careful: reply.call('careful', {}),
  silence: reply.finish({ reason: 'stop' }),
  length: reply.all(reply.text('cut'), reply.finish({ reason: 'length' })),
  'server error': reply.fail(500),
  'too many requests': reply.fail(429, { 'retry-after': '2' }),
  refused: reply.fail(400),
  'too long': reply.fail(400),
  drop: reply.drop('half'),
  hang: reply.hang(),
}

const usage = { inputTokens: 100, cachedInputTokens: 40, outputTokens: 20, reasoningTokens: 5 }
const price = { input: 10_000, cachedInput: 5000, output: 50_000 }

/** Everything that outlasts a runtime, and the runtime that lives now. */
export class World {
  readonly store = memoryStore()
  readonly clock = manualClock()
  /** What is wrong with what a model was asked. */
  readonly problems: string[] = []
  readonly heard: AnyEvent[] = []
  readonly results: Promise<string>[] = []
  readonly #script: Script
  #texts = 0
  #life: Life

  constructor(script: Script) {
    this.#script = script
    this.#life = this.#live()
  }

  get runtime() {
    return this.#life.runtime
  }

  get session() {
    return this.#life.runtime.session('trip')
  }

  /** An input that nothing else says. */
  text() {
    return `question ${++this.#texts}.`
  }

  /** The runtime is gone at once, and another one takes its place. */
  die() {
    this.#life.store.die()
    this.#life = this.#live()
  }

  /** Whether what was asked of this runtime can still be answered. */
  alive(): () => boolean {
    const life = this.#life
    return () => life === this.#life
  }

  close() {
    return this.#life.runtime.close()
  }

  #live(): Life {
    const store = mortal(this.store)
    const { rules, first, second } = this.#script
    const { fallback, window, ownSummary, ...agent } = rules
    const runtime = createRuntime(
      defineAgent({
        name: 'assistant',
        model: 'first',
        tools,
        prices: { first: price, second: price },
        retry: { attempts: 2 },
        instructions: ({ state }) => `State: ${JSON.stringify(state ?? { count: 0 })}`,
        ...(fallback && { fallbacks: ['second'] }),
        ...agent,
        ...(window && {
          context: { window, ...(ownSummary && { summarise: async () => 'A short summary of it.' }) },
        }),
      }),
      {
        store,
        models: { first: this.#model('first', first, store), second: this.#model('second', second, store) },
        now: this.clock.now,
        sleep: this.clock.sleep,
      },
    )
    runtime.on('any', (event: AnyEvent) => void (isDurable(event.kind) && this.heard.push(event)))
    return { store, runtime }
  }

  #model(modelId: string, answers: readonly (readonly PieceName[])[], store: MortalStore) {
    let turn = 0
    return scriptedModel(
      Array.from({ length: 2000 }, () => ({ prompt }) => {
        this.#look(prompt, store)
        const answer = answers[turn++ % answers.length] ?? ['text' as const]
        if (answer[0] === 'too long') throw tooLong()
        return reply.all(...answer.map((piece) => pieces[piece]))
      }),
      { modelId, usage },
    )
  }

  #look(prompt: LanguageModelV4Prompt, store: MortalStore) {
    // Whoever is dead may ask on, since the test can't end it.
    if (this.#life.store !== store) return
    this.problems.push(...problemsOf(prompt))
    const said = JSON.stringify(prompt)
    for (const text of hiddenTexts(this.heard))
      if (text.startsWith('question') && said.includes(text)) this.problems.push(`"${text}" is hidden, and was told`)
  }
}
interface Life {
  readonly store: MortalStore
  readonly runtime: AgentRuntime
}

const tooLong = () =>
  new APICallError({
    message: 'Your input exceeds the context window of this model. Please adjust your input and try again.',
    url: 'https://model.invalid/v1/responses',
    requestBodyValues: {},
    statusCode: 400,
    responseBody: JSON.stringify({ error: { code: 'context_length_exceeded' } }),
    data: { error: { code: 'context_length_exceeded' } },
  })

const tools = {
  quick: tool({ inputSchema: any, idempotent: true, execute: () => 'quick' }),
  slow: tool({ inputSchema: any, execute: () => later('slow') }),
  alone: tool({ inputSchema: any, serial: true, execute: () => later('alone') }),
  count: tool({
    inputSchema: any,
    serial: true,
    idempotent: true,
    execute: (_, { getState, setState }) => {
      const { count = 0 } = getState<{ count: number }>() ?? {}
      setState({ count: count + 1 })
      return count
    },
  }),
  form: tool({ inputSchema: any, outputSchema: page }),
  careful: tool({ inputSchema: any, approval: 'always', execute: () => later('careful') }),
}
