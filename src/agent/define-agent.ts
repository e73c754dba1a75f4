import type { LanguageModelV4 } from '@ai-sdk/provider'
import type { FlexibleSchema, ToolSet } from '@ai-sdk/provider-utils'
import type { AgentTypes } from '../api/app.ts'
import { checkDelegates } from '../delegation/check-delegates.ts'
import type { DelegationOptions } from '../delegation/options.ts'
import { AgentError } from '../errors.ts'
import type { CallSettings, Limits } from '../sessions/records.ts'
import type { AllTools, WithDelegates } from './agent-types.ts'
import { checkSpending } from './check-limits.ts'
import { checkMiddleware } from './check-middleware.ts'
import { checkModels } from './check-models.ts'
import { checkPolicy } from './check-policy.ts'
import { checkSchema } from './check-schema.ts'
import { checkSkills } from './check-skills.ts'
import { checkSources } from './check-sources.ts'
import { type ContextOptions, checkContext } from './context-options.ts'
import type { Middleware } from './middleware.ts'
import type { Policy } from './policy.ts'
import type { Skill } from './skill.ts'
import type { ToolPolicy } from './tool.ts'
import { checkToolErrors, type OnToolError } from './tool-errors.ts'
import { isToolName } from './tool-names.ts'
import type { ToolSource } from './tool-source.ts'
import { toolsOf } from './tools-of.ts'

/** Makes a model when a turn needs it, so that a provider can be a chunk of its own and keys stay out of the bundle. */
export type ModelFunction = (context: { readonly credentials: unknown }) => LanguageModelV4 | Promise<LanguageModelV4>
export type Model = LanguageModelV4 | ModelFunction

/** What a model's tokens cost, per million of them, in a unit of your own. */
export interface Price {
  readonly input: number
  /** Input that the provider read from its cache. The price of `input` by default. */
  readonly cachedInput?: number
  /** Output, reasoning included. */
  readonly output: number
}

export interface Amount {
  /** In and out together. */
  readonly tokens?: number
  /** In the unit of `prices`. */
  readonly cost?: number
}

/** What may be used up beyond one run; what exceeds it stops the run with `budget`. */
export interface Budget {
  readonly perSession?: Amount
  /** A UTC date, over all sessions and tabs of the database. */
  readonly perDay?: Amount
}

/** How often, and after which pause, a model is asked again whose failure may pass. Milliseconds. */
export interface RetryOptions {
  /** Attempts at one turn per model, the first included. 3 by default; 1: none is repeated. */
  readonly attempts?: number
  /**
   * The longest pause before the first repeat, doubled with each further one; the pause is drawn at random from all that is
   * shorter. 1000 by default.
   */
  readonly baseDelay?: number
  /** No pause of ours is longer. 30,000 by default. */
  readonly maxDelay?: number
  /**
   * The longest pause that an endpoint may ask for (`retry-after`, `retry-after-ms`); where it asks for more, the model is
   * not asked again. 60,000 by default.
   */
  readonly maxRetryAfter?: number
}

export interface ModelErrorContext {
  /** Of this model at this turn, from 1. */
  readonly attempt: number
  readonly provider: string
  readonly model: string
  readonly turn: number
  readonly sessionId: string
  readonly runId: string
  readonly agent: string
  /** The text that the attempt gave before it failed. */
  readonly partialText?: string
  /** Aborts with the run. */
  readonly signal: AbortSignal
}

/**
 * `retry`: the same model after the usual pause, whatever it failed with, as often as `retry.attempts` allows. `continue`:
 * as if nobody had been asked. `abort`: the run fails at once. `switchTo`: that model takes over, unless this turn has asked it
 * before; a model object that is none of the `fallbacks` is forgotten by a reload.
 */
export type ModelErrorDecision = 'retry' | 'continue' | 'abort' | { readonly switchTo: Model | string }

export interface InstructionsContext {
  /** What tools have set with `setState`; `undefined` where none has. A copy. */
  readonly state: unknown
  readonly sessionId: string
  readonly runId: string
  readonly agent: string
  readonly metadata?: unknown
  /** Aborts with the run. */
  readonly signal: AbortSignal
}

/** When repeated calls count as a loop. */
export interface DoomLoopOptions {
  /** Times that a call, or a cycle of calls, comes in a row; an integer of 2 or more. 3 by default. */
  readonly repetitions?: number
  /** Calls in the longest cycle that is looked for; an integer of 1 or more. 4 by default. */
  readonly longestCycle?: number
}

/** Milliseconds; `Infinity` for none. What exceeds them ends the run with `model-timeout`. */
export interface ModelTimeout {
  /** From the call to the first part of the answer. 60,000 by default. */
  readonly firstPart?: number
  /** From one part to the next. 60,000 by default. */
  readonly betweenParts?: number
  /** The whole answer. None by default. */
  readonly total?: number
}

// biome-ignore lint/suspicious/noExplicitAny: an agent with any output
export interface AgentDefinition<Name extends string = string, Tools extends ToolSet = ToolSet, Output = any>
  extends AgentTypes<Name, Tools, Output> {
  readonly name: Name
  readonly description?: string
  /** A model, a function that makes one, or a name from `createRuntime`'s `models`. */
  readonly model: Model | string
  /**
   * Models that take over, in this order, when every attempt of the one before has failed: for the rest of the run. Not where
   * credentials were refused, which somebody has to put right.
   */
  readonly fallbacks?: readonly (Model | string)[]
  readonly retry?: RetryOptions
  /**
   * May decide what becomes of a failed attempt; without an answer, `retry` and `fallbacks` do. Where it throws, the run fails.
   * Not asked where the code is at fault, or where the context is too large.
   */
  readonly onModelError?: (
    error: AgentError,
    context: ModelErrorContext,
  ) => ModelErrorDecision | undefined | Promise<ModelErrorDecision | undefined>
  /**
   * What becomes of a run whose connection fails while the browser is offline: it waits for the network, over reloads too,
   * and tries again every 30 seconds; or it is treated as any failure. `wait` by default.
   */
  readonly offline?: 'wait' | 'fail'
  /**
   * The system prompt, or a function that makes it before each call of the model. One that throws, or gives no string, ends the
   * run as failed (`invalid-argument`).
   */
  readonly instructions?: string | ((context: InstructionsContext) => string | Promise<string>)
  readonly tools?: Tools
  readonly toolPolicy?: Readonly<Record<string, ToolPolicy>>
  /** Sets of tools that are known only at run time, an MCP server's for example. */
  readonly toolSources?: readonly ToolSource[]
  /** Know-how that the model loads when it needs it: it sees names and descriptions, and the rest with the tool `load_skill`. */
  readonly skills?: readonly Skill[]
  /**
   * What the run's last answer is to be: JSON of this schema. It is validated, and stands as `output` in the run's result; it
   * must be JSON still once it is validated. A model whose answer doesn't fit is asked once more; then the run fails with
   * `invalid-output`.
   */
  readonly output?: FlexibleSchema<Output>
  /** Its word on every call, beside what the tools say themselves: the strictest wins. */
  readonly policy?: Policy
  /** Milliseconds after which an approval that nobody answered counts as denied. None by default: it waits. */
  readonly approvalTimeout?: number
  /** Agents that this one may start, itself or by name: its model gets tools for it. */
  // biome-ignore lint/suspicious/noExplicitAny: any agent
  readonly delegates?: readonly (AgentDefinition<any, any> | string)[]
  readonly delegation?: DelegationOptions
  readonly middleware?: readonly Middleware[]
  /** May decide what becomes of a call whose tool failed; without an answer the model gets the error as its result. */
  readonly onToolError?: OnToolError
  /**
   * Failed calls in a row after which the run stops with `tool-errors`, before the model is asked again. 5 by default; `Infinity`
   * for none. Those of one answer that could not be carried out (unknown tool, invalid input) count as one.
   */
  readonly maxConsecutiveToolErrors?: number
  readonly limits?: Limits
  /** At a limit of a run or a budget: it stops, or somebody is asked (an approval of reason `budget`). `stop` by default. */
  readonly onLimit?: 'stop' | 'ask'
  /** By the model's name in `models`, or its id. */
  readonly prices?: Readonly<Record<string, Price>>
  readonly budget?: Budget
  /**
   * What becomes of a call that goes on with a loop, before it is carried out. `ask`: somebody is asked (an approval of reason
   * `doom-loop`). `stop`: the run stops with `doom-loop`; who resumes it lets the call start. `warn`: the call is not carried
   * out, and the model is told so in place of a result. A model that neither speaks nor calls stops the run in any case.
   * `ask` by default.
   */
  readonly onDoomLoop?: 'ask' | 'stop' | 'warn'
  /** `false`: loops are not looked for. */
  readonly doomLoop?: DoomLoopOptions | false
  readonly modelTimeout?: ModelTimeout
  readonly settings?: CallSettings
  readonly context?: ContextOptions
  /**
   * What becomes of a run whose tab, worker or browser died: it goes on by itself, somebody is asked (an approval of reason
   * `interrupted`), or it ends as stopped (`orphaned`). `auto` by default. Runs resume once a page is there.
   */
  readonly resume?: 'auto' | 'ask' | 'never'
  /** Milliseconds after its last sign of life within which a run goes on by itself; later somebody is asked. 600,000 by default. */
  readonly resumeWithin?: number
}

/**
 * Defines an agent. `tools` is a set of AI SDK tools by name, or several sets, in which no name may stand twice.
 *
 * Throws `invalid-argument` for a definition that can't work, `unsupported-tool` for a tool that can't be carried out.
 */
export function defineAgent<
  const Name extends string,
  // A tuple, so that sets written in place stay apart: in an array each would get the others' names as `undefined`.
  const T extends ToolSet | readonly ToolSet[] = Record<never, never>,
  const S extends readonly Skill[] = readonly [],
  Output = never,
  // biome-ignore lint/suspicious/noExplicitAny: any agent
  const D extends readonly (AgentDefinition<any, any> | string)[] = readonly [],
>(
  definition: Omit<AgentDefinition<Name>, 'tools' | 'skills' | 'output' | 'delegates'> & {
    readonly tools?: T
    readonly skills?: S
    readonly output?: FlexibleSchema<Output>
    readonly delegates?: D
  },
): AgentDefinition<Name, AllTools<T, S, D>, Output> & WithDelegates<D> {
  const { name, model } = definition
  if (typeof name !== 'string' || !name)
    throw new AgentError('invalid-argument', 'defineAgent: give the agent a `name`.')
  if (!model)
    throw new AgentError('invalid-argument', `Agent "${name}": give it a \`model\`, for example openai('gpt-5-mini').`)
  checkSpending(definition as AgentDefinition)
  checkContext(name, definition.context)
  const { resume = 'auto', resumeWithin = 0 } = definition
  if (!['auto', 'ask', 'never'].includes(resume))
    throw new AgentError('invalid-argument', `Agent "${name}": resume must be 'auto', 'ask' or 'never'.`)
  if (!(typeof resumeWithin === 'number' && resumeWithin >= 0))
    throw new AgentError('invalid-argument', `Agent "${name}": resumeWithin must be milliseconds, 0 or more.`)
  checkLoops(definition)
  checkModels(definition)
  checkMiddleware(definition)
  checkToolErrors(definition)
  checkSources(definition)
  if (definition.output) checkSchema(definition.output, 'output')
  const { skills = [] } = definition
  const tools = mergeTools(name, definition.tools)
  checkSkills(definition, tools)
  mergeTools(name, [tools, ...skills.map((skill) => skill.tools ?? {})])
  const own = toolsOf({ tools, skills })
  checkDelegates(definition, own)
  const { delegates = [], delegation = {} } = definition
  const all = toolsOf({ tools, skills, delegates, delegation })
  for (const policy of Object.keys(definition.toolPolicy ?? {})) {
    if (!Object.hasOwn(all, policy) && !definition.toolSources?.length) {
      throw new AgentError(
        'invalid-argument',
        `Agent "${name}": toolPolicy names "${policy}", which is none of its tools.`,
      )
    }
  }
  checkPolicy(definition, all)
  return { ...definition, tools } as unknown as AgentDefinition<Name, AllTools<T, S, D>, Output> & WithDelegates<D>
}

function checkLoops({ name, onDoomLoop = 'ask', doomLoop = {} }: Omit<AgentDefinition, 'tools'>) {
  if (!['ask', 'stop', 'warn'].includes(onDoomLoop))
    throw new AgentError('invalid-argument', `Agent "${name}": onDoomLoop must be 'ask', 'stop' or 'warn'.`)
  const { repetitions = 3, longestCycle = 4 } = doomLoop || {}
  if (!(Number.isInteger(repetitions) && repetitions >= 2))
    throw new AgentError('invalid-argument', `Agent "${name}": doomLoop.repetitions must be an integer of 2 or more.`)
  if (!(Number.isInteger(longestCycle) && longestCycle >= 1))
    throw new AgentError('invalid-argument', `Agent "${name}": doomLoop.longestCycle must be an integer of 1 or more.`)
}

function mergeTools(agent: string, tools: ToolSet | readonly ToolSet[] = {}): ToolSet {
  const merged: ToolSet = {}
  for (const set of Array.isArray(tools) ? tools : [tools]) {
    for (const [name, tool] of Object.entries(set as ToolSet)) {
      if (!isToolName(name)) {
        throw new AgentError(
          'invalid-argument',
          `Agent "${agent}": tool name "${name}" must be 1 to 64 letters, digits, _ or -, as providers demand.`,
        )
      }
      if (Object.hasOwn(merged, name)) {
        throw new AgentError('invalid-argument', `Agent "${agent}" has two tools named "${name}": rename one of them.`)
      }
      checkTool(agent, name, tool)
      merged[name] = tool
    }
  }
  return merged
}

function checkTool(agent: string, name: string, tool: ToolSet[string]) {
  const refuse = (why: string) => new AgentError('unsupported-tool', `Agent "${agent}", tool "${name}": ${why}`)
  if (!tool || typeof tool !== 'object') throw refuse('is no tool; make it with tool({ … }).')
  if (tool.type === 'provider') return
  if (!tool.inputSchema) throw refuse('has no `inputSchema`.')
  checkSchema(tool.inputSchema, name)
}
