import type { JSONSchema7 } from '@ai-sdk/provider'
import type { FlexibleSchema, Schema, Tool } from '@ai-sdk/provider-utils'

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
  /** Tells listeners how far the tool is (`tool-execution-progress`). `data` is told as JSON, and not stored. */
  progress(data: unknown): void
  /** Emits a `custom` event. `data` is told as JSON, and not stored. */
  custom(name: string, data: unknown): void
}

/** How turnloop treats a tool; beside `execute`, or in the agent's `toolPolicy`, which wins. */
export interface ToolPolicy {
  /** May run again with the same `idempotencyKey`, after a crash for example. */
  readonly idempotent?: boolean
  /** Runs alone: not beside other calls of the same turn. */
  readonly serial?: boolean
  /** Milliseconds after which a call's signal aborts and the model gets an error result. */
  readonly timeout?: number
}

interface ToolBase<Input, Output> extends ToolPolicy {
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
