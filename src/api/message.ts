import type { JSONObject, LanguageModelV4Citation } from '@ai-sdk/provider'
import type { ProviderMetadata, Usage } from '../sessions/records.ts'
import type { App, ToolTypes } from './app.ts'

// Structurally the AI SDK's `UIMessage`, so that its components render them; a type test keeps the two assignable.

export interface MessageMetadata {
  readonly runId: string
  readonly turn: number
  readonly agent: string
  readonly model?: string
  /** Unix time in milliseconds. */
  readonly at: number
  readonly usage?: Usage
  /** `partial`: cut by a stop, an abort or a failure. */
  readonly status: 'streaming' | 'done' | 'partial'
  /** The session was rewound past it: only `session.history()` has it. */
  readonly hidden?: true
}

/** One message of a session: the user's input, or one turn of an agent with the results of its tool calls in place. */
export interface Message<A extends App = App> {
  id: string
  role: 'user' | 'assistant'
  metadata: MessageMetadata
  parts: MessagePart<A>[]
}

export type MessagePart<A extends App = App> =
  | {
      type: 'text'
      text: string
      state?: 'streaming' | 'done'
      /** What of the text is supported by which source. */
      citations?: LanguageModelV4Citation[]
      providerMetadata?: ProviderMetadata
    }
  | { type: 'reasoning'; text: string; state?: 'streaming' | 'done'; providerMetadata?: ProviderMetadata }
  | { type: 'custom'; kind: `${string}.${string}`; providerMetadata?: ProviderMetadata }
  | { type: 'file'; mediaType: string; url: string; filename?: string; providerMetadata?: ProviderMetadata }
  | { type: 'reasoning-file'; mediaType: string; url: string; providerMetadata?: ProviderMetadata }
  | { type: 'source-url'; sourceId: string; url: string; title?: string; providerMetadata?: ProviderMetadata }
  | {
      type: 'source-document'
      sourceId: string
      mediaType: string
      title: string
      filename?: string
      providerMetadata?: ProviderMetadata
    }
  | ToolPart<A>
  | DynamicToolPart

/** A call of one of the app's tools: `type` is `tool-` and its name. */
export type ToolPart<A extends App = App> = {
  [K in keyof ToolTypes<A> & string]: { type: `tool-${K}` } & ToolPartState<
    ToolTypes<A>[K]['input'],
    ToolTypes<A>[K]['output']
  >
}[keyof ToolTypes<A> & string]

/** A call of a tool that the types don't know. */
export type DynamicToolPart = { type: 'dynamic-tool'; toolName: string } & ToolPartState<unknown, unknown>

export type ToolPartState<Input, Output> = {
  toolCallId: string
  title?: string
  /** The tool's own `metadata`. */
  toolMetadata?: JSONObject
  providerExecuted?: boolean
  callProviderMetadata?: ProviderMetadata
} & (
  | { state: 'input-streaming'; input?: undefined; rawInput?: string; output?: never; errorText?: never }
  | { state: 'input-available'; input: Input; output?: never; errorText?: never }
  | {
      state: 'output-available'
      input: Input
      output: Output
      /** More is to come: an intermediate value of a tool that streams. */
      preliminary?: boolean
      resultProviderMetadata?: ProviderMetadata
      errorText?: never
    }
  | {
      state: 'output-error'
      input: Input | undefined
      errorText: string
      resultProviderMetadata?: ProviderMetadata
      output?: never
    }
)
