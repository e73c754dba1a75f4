import type { JSONSchema7 } from '@ai-sdk/provider'
import type { FlexibleSchema, Schema, Tool } from '@ai-sdk/provider-utils'
import type { Risk } from '../sessions/approval-records.ts'

/** What a tool's `execute` receives beside its input. */
export interface ToolContext {
  readonly toolCallId: string
  /** Aborts with the run, and at the tool's `timeout`. */
  readonly abortSignal: AbortSignal
  readonly sessionId: string
  readonly runId: string
  readonly agent: string
  /** The run's `metadata`. */
  readonly metadata?: unknown
  /** The same for every attempt at this call: hand it to the service that must not act twice. */
  readonly idempotencyKey: string
  /**
   * The session's state: what a tool has set, in this run or an earlier one, and `undefined` before. A copy. Calls that run at
   * the same time see each other's.
   */
  getState<T = unknown>(): T | undefined
  /**
   * Sets the session's state, whole: JSON of at most 64 KiB; `undefined` clears it. It is stored in one step with this call's
   * result, and dropped where the call fails, times out or is cut. Of calls that run at the same time, the last to set it wins:
   * make a tool `serial` where its state depends on what it read.
   *
   * Throws `invalid-argument` for what is no JSON, `state-too-large`, and `aborted` once the call has ended.
   */
  setState(value: unknown): void
  /** Tells listeners how far the tool is (`tool-execution-progress`). `data` is told as JSON, and not stored. */
  progress(data: unknown): void
  /** Emits a `custom` event. `data` is told as JSON, and not stored. */
  custom(name: string, data: unknown): void
}

/** How turnloop treats a tool; beside `execute`, or in the agent's `toolPolicy`, which wins. */
// biome-ignore lint/suspicious/noExplicitAny: an agent's `toolPolicy` doesn't know its tools' inputs
export interface ToolPolicy<Input = any> {
  /** Whether a person is asked before the tool runs; a function decides by the validated input. `never` by default. */
  readonly approval?: 'always' | 'never' | ((input: Input) => boolean | Promise<boolean>)
  /** How much harm a call can do, for whoever is asked. `sensitive` by default. */
  readonly risk?: Risk
  /**
   * What an "always allow" is remembered for, within this tool: the host that is written to, for example. By default all
   * calls of the tool; of a `destructive` one only those with the same input.
   */
  readonly actionKey?: (input: Input) => string
  /** Its output comes from outside (web pages, mail): the session counts as tainted from its first result on. */
  readonly untrusted?: boolean
  /** It sends something out: in a tainted session a person is asked each time, whatever was granted. */
  readonly egress?: boolean
  /** May run again with the same `idempotencyKey`, after a crash for example. */
  readonly idempotent?: boolean
  /** Runs alone: not beside other calls of the same turn. */
  readonly serial?: boolean
  /** Milliseconds after which a call's signal aborts and the model gets an error result. */
  readonly timeout?: number
  /** May be called over and over with the same input, as a clock or a queue: never counts as a doom loop. */
  readonly repeatable?: boolean
}

interface ToolBase<Input, Output> extends ToolPolicy<NoInfer<Input>> {
  readonly description?: string
  readonly title?: string
  readonly inputSchema: FlexibleSchema<Input>
  readonly toModelOutput?: Tool<NoInfer<Input>, NoInfer<Output>>['toModelOutput']
}

type Execute<Input, Output, Context> = (
  input: Input,
  context: Context,
) => AsyncIterable<Output> | PromiseLike<Output> | Output

/** A tool that runs in the worker. The AI SDK's `tool()` objects fit as they are; this types the context and adds the policy. */
export function tool<Input, Output>(
  definition: ToolBase<Input, Output> & {
    readonly outputSchema?: FlexibleSchema<Output>
    readonly execute: Execute<Input, Output, ToolContext>
  },
  // biome-ignore lint/suspicious/noExplicitAny: the AI SDK's own options differ from ours, and both must fit
): Tool<Input, Output> & { execute: Execute<Input, Output, any> }
/** A tool without `execute`: the page carries it out, or `session.addToolOutput` answers it. */
export function tool<Input, Output>(
  definition: ToolBase<Input, Output> & { readonly outputSchema: FlexibleSchema<Output>; readonly execute?: undefined },
): Tool<Input, Output> & { execute?: undefined }
export function tool(definition: object): object {
  return definition
}

const schemaMark = Symbol.for('vercel.ai.schema')

/**
 * A tool's schema from JSON Schema (draft 7), for those who don't use zod. Without `validate` nothing is checked beyond
 * its being JSON. The same shape as the AI SDK's `jsonSchema`.
 */
export function jsonSchema<T = unknown>(
  schema: JSONSchema7,
  options: { readonly validate?: Schema<T>['validate'] } = {},
): Schema<T> {
  return { [schemaMark]: true, jsonSchema: schema, validate: options.validate } as unknown as Schema<T>
}
