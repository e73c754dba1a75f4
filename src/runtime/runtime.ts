import type { WithAgentsBelow } from '../agent/agent-types.ts'
import { checkPrice, isCostLimited } from '../agent/check-limits.ts'
import { type AgentDefinition, defineAgent, type Model } from '../agent/define-agent.ts'
import { createAgentRuntime } from '../api/agent-runtime.ts'
import { watchNetwork } from '../api/network.ts'
import type { AgentRuntime } from '../api/types.ts'
import { delegateNames } from '../delegation/options.ts'
import { AgentError } from '../errors.ts'
import { Bus } from '../events/bus.ts'
import { macrotask } from '../events/macrotask.ts'
import { sleep } from '../events/sleep.ts'
import { checkSpecification } from '../model/resolve-model.ts'
import { newId } from '../new-id.ts'
import { indexedDbStore } from '../sessions/indexeddb-store.ts'
import type { Store } from '../sessions/store.ts'
import { Pages } from '../tools/pages.ts'
import { Engine } from './engine.ts'
import type { Environment } from './environment.ts'
import { Network } from './network.ts'
import { ToolSources } from './tool-sources.ts'

export interface RuntimeOptions<M extends string = string> {
  /** `indexedDbStore()` by default; `memoryStore()` where there is none, and in tests. One that is passed is the caller's to close. */
  readonly store?: Store
  /** Models by name, for agents and for `send(…, { model })`. */
  readonly models?: Readonly<Record<M, Model>>
  /** Takes the place of every model: for tests. */
  readonly model?: Model
  /** For tests: ids, unique each, the clock, in Unix milliseconds, and what waits for it. */
  readonly newId?: () => string
  readonly now?: () => number
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>
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
): AgentRuntime<{ agent: WithAgentsBelow<G>; model: M }> {
  const byName = new Map<string, AgentDefinition>()
  for (const agent of withDelegates((Array.isArray(agents) ? agents : [agents]) as readonly AnyAgent[])) {
    if (byName.has(agent.name))
      throw new AgentError('invalid-argument', `Two agents are named "${agent.name}": rename one of them.`)
    byName.set(agent.name, defineAgent(agent) as AgentDefinition)
  }
  if (byName.size === 0) throw new AgentError('invalid-argument', 'createRuntime: pass at least one agent.')
  const models = (options.models ?? {}) as Readonly<Record<string, Model>>
  for (const agent of byName.values()) {
    const unknown = delegateNames(agent).find((delegate) => !byName.has(delegate))
    if (unknown !== undefined)
      throw new AgentError(
        'invalid-argument',
        `Agent "${agent.name}": delegates names "${unknown}", which is none of the runtime's agents: pass it to createRuntime.`,
      )
    for (const model of [agent.model, ...(agent.fallbacks ?? [])]) checkModel(model, models, options.model)
    if (!options.model && isCostLimited(agent))
      for (const model of [agent.model, ...(agent.fallbacks ?? [])]) checkPrice(agent.name, agent.prices, model, models)
  }
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
    network: new Network(),
    sources: new ToolSources(options.sleep ?? sleep),
    newId: options.newId ?? newId,
    now: options.now ?? Date.now,
    sleep: options.sleep ?? sleep,
    credentials: () => credentials,
    others: {
      nudge: (sessionId) => engine.conductor.nudge(engine.live(sessionId)),
      runOf: (sessionId) => engine.known(sessionId)?.run,
      below: (runId) => engine.runsBelow(runId),
    },
  }
  const engine: Engine = new Engine(env)
  const closed = new AbortController()
  let tellNetwork: (online: boolean) => void = () => {}
  const runtime = createAgentRuntime<{ agent: WithAgentsBelow<G>; model: M }>({
    open: (receive) => {
      watchNetwork((online) => tellNetwork(online), closed.signal)
      const connection = engine.connect({ post: receive, setCredentials: (value) => (credentials = value) })
      // After what is said in this very task.
      void macrotask().then(() => connection.greeted().catch(() => {}))
      return { send: (message) => connection.hear(message), close: () => connection.close() }
    },
    network: (tell) => {
      tellNetwork = tell
    },
    close: () => {
      closed.abort()
      return engine.close()
    },
    newId: env.newId,
  })
  engines.set(runtime, { engine, setCredentials: (value) => (credentials = value) })
  return runtime
}

/** The agents, and those that they may start. */
function withDelegates(agents: readonly AnyAgent[]): ReadonlySet<AnyAgent> {
  const all = new Set(agents)
  // A set's iteration goes on to what is added meanwhile.
  for (const { delegates = [] } of all)
    for (const delegate of delegates) if (typeof delegate === 'object') all.add(delegate)
  return all
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
