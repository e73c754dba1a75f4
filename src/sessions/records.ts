import type { JSONObject, JSONValue, LanguageModelV4Citation, SharedV4ProviderMetadata } from '@ai-sdk/provider'
import type { WireError } from '../errors.ts'

// What is stored. These records are turnloop's own and versioned: never a provider's type, never a prompt.

/** Tokens of one or more model calls. What a provider did not report counts as 0. */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
  readonly reasoningTokens: number
}

/** The call settings that an agent or a run may set; the AI SDK's names and meanings. */
export interface CallSettings {
  readonly temperature?: number
  readonly maxOutputTokens?: number
  readonly topP?: number
  readonly topK?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  readonly stopSequences?: readonly string[]
  readonly seed?: number
  readonly reasoning?: 'provider-default' | 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'
  readonly headers?: Readonly<Record<string, string>>
  readonly providerOptions?: SharedV4ProviderMetadata
  readonly toolChoice?: 'auto' | 'none' | 'required' | { readonly type: 'tool'; readonly toolName: string }
}

export type ProviderMetadata = SharedV4ProviderMetadata

/** What a tool's result looks like in a prompt. */
export type ModelOutput =
  | { readonly type: 'text' | 'error-text'; readonly value: string; readonly providerOptions?: ProviderMetadata }
  | { readonly type: 'json' | 'error-json'; readonly value: JSONValue; readonly providerOptions?: ProviderMetadata }
  | { readonly type: 'execution-denied'; readonly reason?: string; readonly providerOptions?: ProviderMetadata }
  | { readonly type: 'content'; readonly value: readonly unknown[]; readonly providerOptions?: ProviderMetadata }

export type PartRecord =
  | {
      readonly type: 'text' | 'reasoning'
      readonly text: string
      /** Of a text only: what of it is supported by which source. */
      readonly citations?: LanguageModelV4Citation[]
      readonly providerMetadata?: ProviderMetadata
    }
  | { readonly type: 'custom'; readonly kind: `${string}.${string}`; readonly providerMetadata?: ProviderMetadata }
  | {
      readonly type: 'file' | 'reasoning-file'
      readonly mediaType: string
      readonly url: string
      readonly filename?: string
      readonly providerMetadata?: ProviderMetadata
    }
  | {
      readonly type: 'source-url'
      readonly sourceId: string
      readonly url: string
      readonly title?: string
      readonly providerMetadata?: ProviderMetadata
    }
  | {
      readonly type: 'source-document'
      readonly sourceId: string
      readonly mediaType: string
      readonly title: string
      readonly filename?: string
      readonly providerMetadata?: ProviderMetadata
    }
  | ToolCallPart
  | ToolResultPart

/** A part that comes whole, and stands for itself. */
export type WholePart = Extract<
  PartRecord,
  { type: 'custom' | 'file' | 'reasoning-file' | 'source-url' | 'source-document' }
>

/** A call as the model wrote it. */
export interface ToolCallPart {
  readonly type: 'tool-call'
  readonly toolCallId: string
  readonly toolName: string
  /** Parsed and validated; for an invalid call the parsed JSON where it was JSON, else the raw text. */
  readonly input: unknown
  /** Set for a call that can't be carried out: unknown tool, input that is no JSON or not of the schema. */
  readonly invalid?: string
  readonly dynamic?: boolean
  readonly title?: string
  /** The tool's `metadata`, for the UI. */
  readonly toolMetadata?: JSONObject
  readonly providerExecuted?: boolean
  readonly providerMetadata?: ProviderMetadata
}

/** The result of a call that the provider carried out, where it stood in the answer. Ours are in the tool message. */
export interface ToolResultPart {
  readonly type: 'tool-result'
  readonly toolCallId: string
  readonly toolName: string
  readonly output: unknown
  readonly isError?: boolean
  readonly modelOutput: ModelOutput
  readonly providerMetadata?: ProviderMetadata
}

interface MessageBase {
  readonly v: 1
  readonly id: string
  /** Position in the session, from 0, without gaps. */
  readonly index: number
  readonly runId: string
  readonly turn: number
  readonly agent: string
  readonly at: number
}

export interface UserMessageRecord extends MessageBase {
  readonly role: 'user'
  readonly parts: readonly PartRecord[]
}

export interface AssistantMessageRecord extends MessageBase {
  readonly role: 'assistant'
  readonly parts: readonly PartRecord[]
  readonly model?: string
  /** `partial`: a stop, an abort or a failure cut it. Its tool calls were dropped, its provider metadata isn't sent back. */
  readonly status: 'done' | 'partial'
  readonly usage?: Usage
  readonly finishReason?: string
}

/** The results of the assistant message before it. */
export interface ToolMessageRecord extends MessageBase {
  readonly role: 'tool'
  readonly results: readonly ToolResultRecord[]
}

export interface ToolResultRecord {
  readonly toolCallId: string
  readonly toolName: string
  readonly outcome: Outcome
  /** What the UI shows; absent where the outcome is no success. */
  readonly output?: unknown
  readonly errorText?: string
  /** What the model is told. */
  readonly modelOutput: ModelOutput
  readonly providerMetadata?: ProviderMetadata
}

export type Outcome = 'success' | 'failure' | 'denied'
export type MessageRecord = UserMessageRecord | AssistantMessageRecord | ToolMessageRecord

/** `['session', sessionId]`, the owner's. */
export interface SessionRecord {
  readonly v: 1
  readonly id: string
  readonly createdAt: number
  readonly updatedAt: number
  readonly messageCount: number
  /** Turns so far: turns are numbered continuously within a session, from 1. */
  readonly turn: number
  /** The last durable event's number; the first has 1. */
  readonly seq: number
  /** The id of the last commit: a repeat of it does nothing. */
  readonly commitId: string
  /** From the first message, until somebody renames the session (then it is in the settings). */
  readonly title: string
  readonly agent: string
  readonly usage: Usage
  /** The latest run, and how it stands. */
  readonly run?: { readonly runId: string; readonly status: RunStatus; readonly waitingFor?: WaitingFor }
}

/** `['settings', sessionId]`, anyone's. */
export interface SettingsRecord {
  readonly v: 1
  readonly title?: string
}

export type RunStatus = 'running' | 'waiting' | 'completed' | 'stopped' | 'failed' | 'cancelled'
export type WaitingFor = 'tool-results' | 'page'
export type StopReason = 'requested' | 'max-turns'
export type CancelReason = 'aborted' | 'disposed' | 'superseded'

/** What a run was asked, as it is stored: cloneable through and through. */
export interface RunRequestRecord {
  readonly input: string
  readonly agent?: string
  readonly model?: string
  readonly limits?: { readonly maxTurns?: number }
  readonly settings?: CallSettings
  readonly metadata?: unknown
}

/** `['run', runId]`. */
export interface RunRecord {
  readonly v: 1
  readonly runId: string
  readonly sessionId: string
  readonly agent: string
  readonly status: RunStatus
  readonly waitingFor?: WaitingFor
  readonly request: RunRequestRecord
  /** The page that asked; it carries out page tools first. */
  readonly pageId?: string
  /** Turns of this run so far. */
  readonly turns: number
  readonly usage: Usage
  readonly startedAt: number
  readonly endedAt?: number
  /** The index of the run's user message. */
  readonly firstIndex: number
  readonly finishReason?: string
  readonly reason?: StopReason | CancelReason
  readonly error?: WireError
}

/** `['call', runId, toolCallId]`: a row of the tool ledger. */
export interface CallRecord {
  readonly v: 1
  readonly runId: string
  readonly toolCallId: string
  readonly toolName: string
  readonly dynamic?: boolean
  readonly input: unknown
  readonly state: 'started' | 'finished'
  /** The page that carries it out; absent where the worker does. */
  readonly pageId?: string
  readonly startedAt: number
  readonly finishedAt?: number
  readonly result?: ToolResultRecord
}

/** `['inbox', sessionId, n]`: something said to a run, in order, until the owner applied it. */
export type InboxItem = {
  readonly v: 1
  readonly n: number
  readonly at: number
  readonly sessionId: string
  readonly runId: string
} & Said

export type Said =
  | { readonly type: 'input'; readonly request: RunRequestRecord; readonly pageId?: string }
  | { readonly type: 'stop'; readonly after: 'now' | 'turn' }
  | { readonly type: 'abort'; readonly cause: 'aborted' | 'disposed' }
  | {
      readonly type: 'tool-output'
      readonly toolCallId: string
      readonly output?: unknown
      readonly errorText?: string
    }

export const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 }
