import type { ToolSet } from '@ai-sdk/provider-utils'
import type { AgentDefinition } from '../agent/define-agent.ts'
import type { ToolSource } from '../agent/tool-source.ts'
import { toolsOf } from '../agent/tools-of.ts'
import { AgentError, messageOf, report } from '../errors.ts'
import type { Sleep } from '../events/sleep.ts'
import { redact } from '../model/redact.ts'
import type { RunRecord } from '../sessions/records.ts'
import { newBudget } from '../tools/backtracking.ts'
import { vetTool } from '../tools/vet-tool.ts'
import type { Environment } from './environment.ts'
import type { Run } from './run.ts'
import { untilAborted } from './until-aborted.ts'

/** Milliseconds that a source may take. */
const patience = 10_000
/** Tools that one source may have; what comes after them is left out. */
const mostTools = 500

interface Given {
  /** What it gave, as it gave it. */
  readonly raw: ToolSet
  readonly tools: ToolSet
  /** What of it was left out, and why. */
  readonly problems: readonly string[]
}

interface Gathered {
  readonly tools: ToolSet
  readonly problems: readonly { readonly source: ToolSource; readonly text: string }[]
  /** Sources that took too long. */
  readonly slow: readonly ToolSource[]
}

interface Asking {
  readonly signal: AbortSignal
  readonly credentials: unknown
  /** Sources that are not asked. */
  readonly without?: ReadonlySet<ToolSource>
}

/** The tools of a runtime's agents: their own, and what their sources gave when they were asked last. */
export class ToolSources {
  readonly #sleep: Sleep
  readonly #closed = new AbortController()
  readonly #asked = new Set<ToolSource>()
  readonly #given = new WeakMap<ToolSource, Given>()
  readonly #known = new WeakMap<AgentDefinition, { readonly of: readonly Given[]; readonly gathered: Gathered }>()

  constructor(sleep: Sleep) {
    this.#sleep = sleep
  }

  /** The tools of an agent, as far as they are known by now. */
  known(agent: AgentDefinition): ToolSet {
    return this.#known.get(agent)?.gathered.tools ?? toolsOf(agent)
  }

  /** Asks an agent's sources. One that fails, or takes too long, is done without. Rejects with the signal's reason. */
  async gather(agent: AgentDefinition, { signal, credentials, without }: Asking): Promise<Gathered> {
    const { toolSources = [] } = agent
    const asked = toolSources.filter((source) => !without?.has(source))
    if (toolSources.length === 0) return { tools: toolsOf(agent), problems: [], slow: [] }
    const failed: { source: ToolSource; text: string }[] = []
    const slow: ToolSource[] = []
    const given = await Promise.all(
      asked.map(async (source) => {
        try {
          return { source, given: await this.#ask(source, credentials, signal) }
        } catch (error) {
          signal.throwIfAborted()
          if (error instanceof AgentError && error.code === 'timeout') slow.push(source)
          failed.push({ source, text: `It gives no tools: ${messageOf(error)}` })
          return undefined
        }
      }),
    )
    const merged = this.#merge(
      agent,
      given.filter((one) => one !== undefined),
    )
    return { ...merged, problems: [...failed, ...merged.problems], slow }
  }

  /** Where nothing has changed, the very same set: what is made of it for providers is kept with it. */
  #merge(agent: AgentDefinition, all: readonly { readonly source: ToolSource; readonly given: Given }[]): Gathered {
    const known = this.#known.get(agent)
    if (known?.of.length === all.length && all.every(({ given }, at) => known.of[at] === given)) return known.gathered
    const tools: ToolSet = { ...toolsOf(agent) }
    const problems: { source: ToolSource; text: string }[] = []
    for (const { source, given } of all) {
      problems.push(...given.problems.map((text) => ({ source, text })))
      for (const [name, tool] of Object.entries(given.tools)) {
        if (Object.hasOwn(tools, name)) problems.push({ source, text: `There is another tool named "${name}".` })
        else tools[name] = tool
      }
    }
    const gathered = { tools, problems, slow: [] }
    this.#known.set(agent, { of: all.map(({ given }) => given), gathered })
    return gathered
  }

  async #ask(source: ToolSource, credentials: unknown, outer: AbortSignal): Promise<Given> {
    const late = new AbortController()
    const over = new AbortController()
    const signal = AbortSignal.any([outer, this.#closed.signal, late.signal])
    this.#sleep(patience, over.signal).then(
      () => late.abort(new AgentError('timeout', `They did not come within ${patience} ms.`)),
      () => {},
    )
    this.#asked.add(source)
    try {
      const raw = await untilAborted(async () => source.tools({ credentials, signal }), signal)
      const before = this.#given.get(source)
      if (before?.raw === raw) return before
      const given = await untilAborted(() => vetted(raw), signal)
      this.#given.set(source, given)
      return given
    } finally {
      over.abort()
    }
  }

  /** Closes the sources that were asked; what fails in that is reported, and what takes too long is left. */
  async close(): Promise<void> {
    this.#closed.abort(new AgentError('closed', 'The runtime was closed.'))
    const asked = [...this.#asked].filter(({ close }) => close)
    if (asked.length === 0) return
    const over = new AbortController()
    const closing = Promise.all(asked.map(async (source) => source.close?.()).map((task) => task.catch(report)))
    await Promise.race([closing, this.#sleep(patience, over.signal).catch(() => {})])
    over.abort()
  }
}

async function vetted(raw: ToolSet): Promise<Given> {
  if (!raw || typeof raw !== 'object') throw new AgentError('invalid-argument', 'What it gave is no set of tools.')
  const tools: ToolSet = {}
  const problems: string[] = []
  const budget = newBudget()
  const entries = Object.entries(raw)
  if (entries.length > mostTools)
    problems.push(`It has ${entries.length} tools: those after the ${mostTools}th are left out.`)
  for (const [name, tool] of entries.slice(0, mostTools)) {
    try {
      tools[name] = await vetTool(name, tool, budget)
    } catch (error) {
      problems.push(messageOf(error))
    }
  }
  return { raw, tools, problems }
}

/** What was told of a run's sources; each problem once. */
const told = new WeakMap<Run, { readonly problems: Set<string>; readonly slow: Set<ToolSource> }>()

/**
 * The tools that the run can carry out from here on. A source that took too long is not asked again by this owner of the
 * run: each turn would wait for it.
 */
export async function gatherTools(run: Run): Promise<void> {
  const { agent, env, signal } = run
  if (!agent.toolSources?.length) return
  const before = told.get(run) ?? { problems: new Set(), slow: new Set() }
  told.set(run, before)
  const asking = { signal, credentials: env.credentials(), without: before.slow }
  const { tools, problems, slow } = await env.sources.gather(agent, asking)
  run.tools = tools
  for (const source of slow) before.slow.add(source)
  for (const { source, text } of problems) {
    const message = redact(`Tool source "${source.name}": ${text}`, run.secrets)
    if (!before.problems.has(message)) run.emit('notice', { code: 'tool-source', message })
    before.problems.add(message)
  }
}

/**
 * The tools of a run that nobody advances here, for whoever answers one of its calls: where they are a source's that nobody
 * has asked since the last reload, it is asked.
 */
export async function toolsFor(
  { agents, sources, credentials }: Environment,
  run: Pick<RunRecord, 'agent'> | undefined,
  call: { readonly toolName?: string },
): Promise<ToolSet> {
  const agent = run && agents.get(run.agent)
  if (!agent) return {}
  const known = sources.known(agent)
  if (call.toolName === undefined || Object.hasOwn(known, call.toolName)) return known
  const { signal } = new AbortController()
  return (await sources.gather(agent, { signal, credentials: credentials() })).tools
}
