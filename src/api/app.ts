import type { FlexibleSchema, InferToolInput, InferToolOutput, ToolSet } from '@ai-sdk/provider-utils'

// What the page knows of a runtime is types only: everything here is inferred from `typeof runtime` in the worker's module.

/** What `defineAgent` returns, as far as types need it. */
// biome-ignore lint/suspicious/noExplicitAny: an agent with any output
export interface AgentTypes<Name extends string = string, Tools extends ToolSet = ToolSet, Output = any> {
  readonly name: Name
  readonly tools?: Tools
  readonly output?: FlexibleSchema<Output>
}

/** The types of an app: its agents, its model names. */
export interface App {
  // biome-ignore lint/suspicious/noExplicitAny: any set of tools fits, and any output
  readonly agent: AgentTypes<string, any, any>
  readonly model: string
}

export type AgentName<A extends App> = A['agent']['name']

type ToolEntry<A extends App> = A['agent'] extends infer G
  ? // biome-ignore lint/suspicious/noExplicitAny: inference only
    G extends AgentTypes<any, infer T, any>
    ? { [K in keyof T & string]: [K, T[K]] }[keyof T & string]
    : never
  : never

/** The structured output of its agents; `never` where none has one. */
export type OutputOf<A extends App> = A['agent'] extends infer G
  ? // biome-ignore lint/suspicious/noExplicitAny: inference only
    G extends AgentTypes<any, any, infer O>
    ? O
    : never
  : never

/** The names of all tools of all agents. */
export type ToolName<A extends App> = ToolEntry<A>[0]
// biome-ignore lint/suspicious/noExplicitAny: inference only
type ToolNamed<A extends App, K> = Extract<ToolEntry<A>, [K, any]>[1]

/** Structurally the AI SDK's `UITools`: input and output of each tool by name. */
export type ToolTypes<A extends App> = {
  [K in ToolName<A>]: { input: InferToolInput<ToolNamed<A, K>>; output: InferToolOutput<ToolNamed<A, K>> }
}

/** Tools without `execute`: the page carries them out. */
export type PageToolName<A extends App> =
  ToolEntry<A> extends infer E
    ? E extends [infer K, infer T]
      ? // biome-ignore lint/suspicious/noExplicitAny: inference only
        T extends { execute: (...args: any[]) => any }
        ? never
        : K & string
      : never
    : never

/** A call of one of the app's own tools, its input typed by its name. */
export type KnownCall<A extends App> = {
  [K in ToolName<A>]: { readonly dynamic?: false; readonly toolName: K; readonly input: ToolTypes<A>[K]['input'] }
}[ToolName<A>]

/** A call of a tool that the types don't know: the provider's own, or one that doesn't exist. */
export interface DynamicCall {
  readonly dynamic: true
  readonly toolName: string
  readonly input: unknown
}

export type Call<A extends App> = { readonly toolCallId: string } & (KnownCall<A> | DynamicCall)

/** How a call ended. `denied` is no failure of the tool: somebody, or a rule, said no. */
export type CallOutcome<A extends App> = {
  readonly toolCallId: string
  /** Milliseconds from start to end. */
  readonly duration: number
  /** The result was taken from the ledger; the tool did not run. */
  readonly cached: boolean
} & (KnownOutcome<A> | (DynamicCall & (Succeeded<unknown> | Failed)))

type KnownOutcome<A extends App> = {
  [K in ToolName<A>]: { readonly dynamic?: false; readonly toolName: K; readonly input: ToolTypes<A>[K]['input'] } & (
    | Succeeded<ToolTypes<A>[K]['output']>
    | Failed
  )
}[ToolName<A>]

interface Succeeded<Output> {
  readonly outcome: 'success'
  readonly output: Output
}
interface Failed {
  readonly outcome: 'failure' | 'denied'
  readonly errorText: string
}
