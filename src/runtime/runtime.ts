import { type AgentDefinition, defineAgent, type Model } from '../agent/define-agent.ts'
import { createAgentRuntime } from '../api/agent-runtime.ts'
import type { AgentRuntime } from '../api/types.ts'
import { AgentError } from '../errors.ts'
import { Bus } from '../events/bus.ts'
import { checkSpecification } from '../model/resolve-model.ts'
import { newId } from '../new-id.ts'
import { indexedDbStore } from '../sessions/indexeddb-store.ts'
import type { Store } from '../sessions/store.ts'
import { Pages } from '../tools/pages.ts'
import { Engine } from './engine.ts'
import type { Environment } from './environment.ts'

export interface RuntimeOptions<M extends string = string> {
  /** `indexedDbStore()` by default; `memoryStore()` where there is none, and in tests. One that is passed is the caller's to close. */
  readonly store?: Store
  /** Models by name, for agents and for `send(…, { model })`. */
  readonly models?: Readonly<Record<M, Model>>
  /** Takes the place of every model: for tests. */
  readonly model?: Model
  /** For tests: ids, unique each, and the clock, in Unix milliseconds. */
  readonly newId?: () => string
  readonly now?: () => number
}

// biome-ignore lint/suspicious/noExplicitAny: any agent
type AnyAgent = AgentDefinition<any, any>

/**
 * A runtime for these agents; the first one is the default. It is used as it is, or put behind a port with `serve`. Opens
 * nothing before its first use.
 *
 * Throws `invalid-argument` and `unsupported-model` for what can't work.
 */
export function createRuntime<const G extends AnyAgent, M extends string = never>(
  agents: G | readonly G[],
  options: RuntimeOptions<M> = {},
): AgentRuntime<{ agent: G; model: M }> {
  const byName = new Map<string, AgentDefinition>()
  for (const agent of (Array.isArray(agents) ? agents : [agents]) as readonly AnyAgent[]) {
    if (byName.has(agent.name))
      throw new AgentError('invalid-argument', `Two agents are named "${agent.name}": rename one of them.`)
    byName.set(agent.name, defineAgent(agent) as AgentDefinition)
  }
  if (byName.size === 0) throw new AgentError('invalid-argument', 'createRuntime: pass at least one agent.')
  const models = (options.models ?? {}) as Readonly<Record<string, Model>>
  for (const { model } of byName.values()) checkModel(model, models, options.model)
  for (const model of [...Object.values(models), options.model])
    if (typeof model === 'object') checkSpecification(model)

  let credentials: unknown
  const env: Environment = {
    agents: byName,
    models,
    model: options.model,
    store: options.store ?? indexedDbStore(),
    ownsStore: options.store === undefined,
    bus: new Bus(),
    pages: new Pages(),
    newId: options.newId ?? newId,
    now: options.now ?? Date.now,
    credentials: () => credentials,
  }
  const engine = new Engine(env)
  const runtime = createAgentRuntime<{ agent: G; model: M }>({
    open: (receive) => {
      const connection = engine.connect({ post: receive, setCredentials: (value) => (credentials = value) })
      return { send: (message) => connection.hear(message), close: () => connection.close() }
    },
    close: () => engine.close(),
    newId: env.newId,
  })
  engines.set(runtime, { engine, setCredentials: (value) => (credentials = value) })
  return runtime
}

function checkModel(model: Model | string, models: Readonly<Record<string, Model>>, override: Model | undefined) {
  if (override) return
  if (typeof model === 'object') checkSpecification(model)
  if (typeof model === 'string' && !Object.hasOwn(models, model)) {
    const known = Object.keys(models).join(', ') || 'none'
    throw new AgentError(
      'unknown-model',
      `There is no model "${model}". The models are: ${known}. Name it in createRuntime(agents, { models }).`,
    )
  }
}

interface Inside {
  readonly engine: Engine
  readonly setCredentials: (credentials: unknown) => void
}

const engines = new WeakMap<object, Inside>()

/** The inside of a runtime that `createRuntime` made, for `serve`. */
export function insideOf(runtime: object): Inside {
  const inside = engines.get(runtime)
  if (inside) return inside
  throw new AgentError('invalid-argument', 'serve: pass a runtime that createRuntime made.')
}
