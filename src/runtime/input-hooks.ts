import type { AgentDefinition } from '../agent/define-agent.ts'
import type { AgentError } from '../errors.ts'
import { toJson } from '../tools/tool-output.ts'
import type { Engine } from './engine.ts'
import { foldHooks, textIn } from './hooks.ts'
import { tellInput } from './input-events.ts'
import { jsonTexts, textsOf } from './texts.ts'

interface HookedInput {
  readonly sessionId: string
  readonly runId: string
  readonly input: string
  readonly turn: number
  readonly metadata?: unknown
}

/** An input as its agent's middleware leaves it; nothing of it is stored before. Rejects with `middleware-failed`. */
export async function onInput(
  engine: Engine,
  agent: AgentDefinition,
  { sessionId, runId, input, turn, metadata }: HookedInput,
  signal: AbortSignal = engine.conductor.closing,
): Promise<string> {
  const { env } = engine
  const { middleware = [] } = agent
  const custom = (name: string, data: unknown) =>
    tellInput(
      env,
      engine.live(sessionId),
      'custom',
      { runId, agent: agent.name },
      { name: String(name), data: toJson(data) },
    )
  const context = { sessionId, runId, agent: agent.name, turn, custom, ...(metadata === undefined ? {} : { metadata }) }
  const text = await foldHooks(
    { middleware, sleep: env.sleep, signal, context },
    {
      hook: 'onInput',
      value: input,
      given: (text) => [{ text }],
      fields: ['text'],
      take: (text, fields) => textIn(fields, 'text') ?? text,
    },
  )
  return inTexts(agent, text)
}

/** The same for a run that is to begin. Who takes it back meanwhile waits for no hook. */
export async function preparedInput(engine: Engine, agent: AgentDefinition, given: HookedInput): Promise<string> {
  const { conductor, preparing } = engine
  const controller = new AbortController()
  preparing.set(given.runId, controller)
  try {
    return await onInput(engine, agent, given, AbortSignal.any([controller.signal, conductor.closing]))
  } finally {
    preparing.delete(given.runId)
  }
}

/** What somebody says from outside, its texts as the agent's middleware leaves them. Throws `middleware-failed`. */
export function inTexts<T>(agent: Pick<AgentDefinition, 'middleware'> | undefined, said: T): T {
  let failure: AgentError | undefined
  const onText = textsOf(agent?.middleware, (error) => {
    failure ??= error
  })
  const result = onText ? jsonTexts(said, onText) : said
  if (failure) throw failure
  return result
}
