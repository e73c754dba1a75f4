import type { JSONObject, JSONValue, LanguageModelV4Citation, SharedV4ProviderMetadata } from '@ai-sdk/provider'
import type { WireError } from '../errors.ts'
import type { ApprovalAnswer } from './approval-records.ts'
import type { Editor } from './call-records.ts'
import type { Ancestor, Delegation, TreeSpend } from './delegation-records.ts'

export type * from './approval-records.ts'
export type * from './call-records.ts'
export type * from './delegation-records.ts'

// What is stored. These records are turnloop's own and versioned: never a provider's type, never a prompt.

/** Tokens of one or more model calls. What a provider did not report counts as 0. */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cachedInputTokens: number
  readonly reasoningTokens: number
}

/** What a run may use up. What exceeds it stops the run; a run's own limits may only be narrower than its agent's. */
export interface Limits {
  /** Turns of one run (`max-turns`). 50 by default. */
  readonly maxTurns?: number
  /** Tool calls that one run starts (`tool-calls`). */
  readonly maxToolCalls?: number
  /** Tokens of one run, in and out together (`tokens`). */
  readonly maxTokens?: number
  /** Cost of one run, in the unit of the agent's `prices` (`budget`). */
  readonly maxCost?: number
  /**
   * Milliseconds that one run works (`deadline`). What it waits for people, pages and the network is not counted; a pause before
   * another attempt at a turn is: then it still works.
   */
  readonly maxDuration?: number
  /** Milliseconds that a call of a tool without a `timeout` of its own may take; then the model gets an error result. */
  readonly toolTimeout?: number
  /** Bytes (UTF-8) that the model is told of one tool's output: of a longer one the head and the tail, with the cut said. 64 KiB by default. */
  readonly maxToolOutput?: number
  /** Characters of one input; a longer one is refused. 200,000 by default. */
  readonly maxInput?: number
  /** Bytes of one file: of an input, of a tool's result or by its URL. 20 MiB by default. */
  readonly maxFileSize?: number
  /** Files of one input. 20 by default. */
  readonly maxFiles?: number
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
      /** Bytes, where they are stored apart. */
      readonly size?: number
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
  /** It comes from outside. */
  readonly untrusted?: true
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
  /** It comes from outside: a model is told of it within a frame. */
  readonly untrusted?: true
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
  /** The messages that are not to be seen, `[from, before]` by index: ascending, and apart from each other. */
  readonly hidden?: readonly (readonly [from: number, before: number])[]
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
  /** What the calls that have a price have cost. */
  readonly cost?: number
  /** A call had no price: the cost is not known. */
  readonly unpriced?: boolean
  /** Since when content from outside is in the session, and the tool that brought it: tools that send something out then ask. */
  readonly tainted?: { readonly at: number; readonly toolName: string }
  /** Of a delegated run's session: the runs above it, from the top. It is listed under the session of the last of them. */
  readonly ancestors?: readonly Ancestor[]
  /** The session that it was forked from. */
  readonly forkedFrom?: { readonly sessionId: string; readonly messageId?: string }
  /** The newest summary's number, and how many there are. */
  readonly summaries?: number
  /** Tokens that the model's context held with its last answer, 0 after a rewind, and the model's window where it is known. */
  readonly contextTokens?: number
  readonly contextWindow?: number | undefined
  /** Tokens that providers report for each that was estimated; 1 until one has. */
  readonly tokenRatio?: number
  /** The latest run, and how it stands. */
  readonly run?: {
    readonly runId: string
    readonly status: RunStatus
    readonly waitingFor?: WaitingFor
    readonly interruptedAt?: number
    readonly wakeAt?: number
  }
}

/**
 * `['summary', sessionId, n]`: what the older messages came to, those that earlier summaries had included. Never changed. It
 * counts while `covers` messages before `before` can be seen: a rewind that hides one of them ends its use.
 */
export interface SummaryRecord {
  readonly v: 1
  /** From 1. */
  readonly n: number
  readonly at: number
  readonly text: string
  /** The index of the first message that is not in it. */
  readonly before: number
  readonly covers: number
}

/** `['settings', sessionId]`, anyone's. */
export interface SettingsRecord {
  readonly v: 1
  readonly title?: string
  /** The name of the model that somebody chose, and when. */
  readonly model?: string
  readonly modelAt?: number
}

export type RunStatus = 'running' | 'waiting' | 'completed' | 'stopped' | 'failed' | 'cancelled'
/**
 * `input`: an open run has answered everything. `step`: a stepped run goes on with the next `session.step()`. `child`: runs
 * that it started are to end first.
 */
export type WaitingFor = 'tool-results' | 'page' | 'approval' | 'offline' | 'input' | 'step' | 'child'
/**
 * `tokens`, `budget` (cost, and the session's or the day's budget), `deadline`, `tool-calls`, `max-turns`: a limit. `idle`:
 * an open run got no input for too long. `orphaned`: its owner died, and its agent is not to be resumed. `crash-loop`: three
 * legs in a row came to nothing.
 */
export type StopReason =
  | 'requested'
  | 'max-turns'
  | 'tool-calls'
  | 'tokens'
  | 'budget'
  | 'deadline'
  | 'doom-loop'
  | 'tool-errors'
  | 'idle'
  | 'credentials'
  | 'crash-loop'
  | 'orphaned'
/** `parent`: the run that started it was cancelled. */
export type CancelReason = 'aborted' | 'disposed' | 'superseded' | 'parent'

/** A file beside the text of an input: its bytes are stored under `blobId`, or it stays at its address. */
export interface FileRecord {
  readonly mediaType: string
  /** A blob's address (`turnloop:blob/…`), or the file's own. */
  readonly url: string
  readonly filename?: string
  /** Bytes, where they are stored. */
  readonly size?: number
}

/** What a run was asked, as it is stored: cloneable through and through. */
export interface RunRequestRecord {
  readonly input: string
  readonly files?: readonly FileRecord[]
  /** The id of the user's message whose place this input takes; it and all after it are hidden. */
  readonly replaces?: string
  /** The run has no input of its own: it gives this answer anew, or answers this message of the user's. */
  readonly regenerates?: string
  readonly agent?: string
  readonly model?: string
  /** Where nobody chose a model for the session. */
  readonly defaultModel?: string
  readonly limits?: Limits
  readonly settings?: CallSettings
  readonly metadata?: unknown
  readonly clientRequestId?: string
  /** The run idles between its inputs; without a first one, `input` is empty. */
  readonly open?: OpenRequest
  /** The run is advanced turn by turn: its first step. */
  readonly step?: StepRecord
  /** Another run started it. */
  readonly delegation?: Delegation
}

/** How long an open run waits for its next input, in milliseconds. For ever by default. */
export interface OpenRequest {
  readonly idleTimeout?: number
}

/** A step of a stepped run. `external`: the calls of its turn are handed out. */
export interface StepRecord {
  readonly id: string
  readonly tools: 'inline' | 'external'
  /** Nothing goes on before the next one. */
  readonly over?: true
}

/** The step at whose boundary a run stands. */
export type CheckpointStep = 'user-input' | 'before-model' | 'before-tool-calls' | 'after-tool-calls'

/** Where a run goes on from after its owner died. Of constant size: it refers to the messages before it. */
export interface Checkpoint {
  readonly step: CheckpointStep
  readonly turn: number
  readonly messageCount: number
  readonly at: number
}

/** How a run came to ask another model. */
export interface SwitchRecord {
  /** Unix time in milliseconds: a choice of the session's model that comes later counts instead. */
  readonly at: number
  /** How many of the agent's fallbacks have had their turn; the last of them is asked, but for `to`. */
  readonly fallbacks: number
  /** The name that `onModelError` gave. */
  readonly to?: string
  /** The models that were asked at this turn, as events call them: none is asked twice at one, also after a wait. */
  readonly turn?: number
  readonly asked?: readonly string[]
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
  /** Names the handle that sent the request, where others may have sent the same one: only that handle owns the run. */
  readonly sentBy?: string
  /** Turns of this run so far. */
  readonly turns: number
  readonly usage: Usage
  /** What the calls that have a price have cost. */
  readonly cost?: number
  /** A call had no price: the cost is not known. */
  readonly unpriced?: boolean
  /** Milliseconds that it has worked so far, without what it waited for. */
  readonly ranFor?: number
  /** What somebody allowed beyond its limits. */
  readonly extended?: { readonly [L in LimitName]?: number }
  /** The message of the last call of a model that was booked without one: a draft of it is not booked again. */
  readonly booked?: string
  /** Where an open run stood when it got its last input: its turns, calls and time are counted from there. */
  readonly baseline?: Baseline
  /** Since when an open run has answered everything, and waits for its next input. Unix time in milliseconds. */
  readonly idle?: number | undefined
  /** The latest step of a stepped run. */
  readonly step?: StepRecord
  /** Of a delegated run: the runs above it, from the top; the last one is its parent. */
  readonly ancestors?: readonly Ancestor[]
  /** How many runs it has started. */
  readonly children?: number
  /** What the runs below it had used when that was last added to its own usage. */
  readonly counted?: TreeSpend
  /** It has answered, and ends once the runs that it started have. */
  readonly lingers?: true | undefined
  /** When what the run waits for ends by itself. Unix time in milliseconds. */
  readonly wakeAt?: number | undefined
  /** Summaries that failed in a row. */
  readonly failedSummaries?: number
  /** What is known of the loops that it went into. */
  readonly doomLoop?: DoomLoopRecord
  /** Records of its audit trail so far. */
  readonly audits?: number
  /** Calls that somebody allowed, and that have not started yet. */
  readonly allowed?: readonly AllowedRecord[]
  /** Calls in a row that failed; a success and a new input end it. -1: the run is to stop, whatever comes. */
  readonly toolErrors?: number
  /** The model that took over from the one that was chosen, for the rest of the run. */
  readonly switched?: SwitchRecord
  /** The turn that was begun last came to nothing: its number is the next one's. */
  readonly turnGivenBack?: boolean | undefined
  /** Counts from 1; each resume opens the next one. */
  readonly leg: number
  /** Legs that resumed by themselves since the checkpoint last moved. */
  readonly resumes: number
  readonly checkpoint: Checkpoint
  /** Set while somebody is asked whether the interrupted run is to go on. */
  readonly interruptedAt?: number | undefined
  /** When it last went on: after a wait, or in a new leg. Unix time in milliseconds. */
  readonly wentOnAt?: number
  /** The request that opened the leg, where a person made one. */
  readonly resumeId?: string
  readonly startedAt: number
  readonly endedAt?: number
  /** The index of the run's first message. */
  readonly firstIndex: number
  readonly finishReason?: string
  /** What its last answer came to, where its agent wants a structured one. */
  readonly output?: JSONValue
  /** An answer that did not fit the agent's `output`, and why not: its turn is asked again, once. */
  readonly repair?: { readonly turn: number; readonly text: string; readonly problem: string } | undefined
  readonly reason?: StopReason | CancelReason
  readonly error?: WireError
}

/** What a question about a limit names: one of the run's own limits, or the budget of the session or the day. */
export type LimitName = keyof Limits | 'sessionTokens' | 'sessionCost' | 'dayTokens' | 'dayCost'

/** A yes to a call that has not started yet. It holds for one leg: after a death the call is put to the policy again. */
export interface AllowedRecord {
  readonly toolCallId: string
  readonly leg: number
  readonly by: 'person'
  readonly approvalId: string
  /** What takes the place of the model's input. */
  readonly edited?: { readonly input: unknown; readonly by: Editor }
}

/** What counts anew with each input of an open run. `ranFor` is in milliseconds. */
export interface Baseline {
  readonly turns: number
  readonly toolCalls: number
  readonly ranFor: number
}

/** Deeds are named by the call's id, or by that of an answer that neither speaks nor calls. */
export interface DoomLoopRecord {
  /** Where the last loop was found: it is told once. */
  readonly at: string
  /** What a person let start, in a leg; what came up to it counts no more. A yes that was not used in the leg is void. */
  readonly allowed?: { readonly id: string; readonly leg: number }
  /** The calls that a person refused last. */
  readonly denied?: { readonly ids: readonly string[]; readonly reason?: string }
}

/** `['spend', day]`: what the runs of all sessions used on a UTC date. */
export interface SpendRecord {
  readonly v: 1
  /** `YYYY-MM-DD`. */
  readonly day: string
  readonly usage: Usage
  /** Of the calls that have a price. */
  readonly cost: number
}

/**
 * `['draft', sessionId]`: the answer that is being written, from when the model is asked, for who looks at the session after
 * its owner died. Its message may have no parts yet; that of a summary has none.
 */
export interface DraftRecord {
  readonly v: 1
  readonly epoch: number
  readonly runId: string
  readonly leg: number
  readonly at: number
  readonly message: AssistantMessageRecord
  /** What the call comes to so far, by estimate: booked where nobody is left who hears the provider's word on it. */
  readonly usage?: Usage
  readonly cost?: number
}

/** `['state', sessionId]`: what tools keep for later turns. Small, and JSON. */
export interface StateRecord {
  readonly v: 1
  readonly value: JSONValue
}

/** `['blob', sessionId, blobId]`: the bytes of a file. Never changed. */
export interface BlobRecord {
  readonly v: 1
  readonly blobId: string
  readonly data: Blob
  readonly mediaType: string
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
  | {
      readonly type: 'input'
      readonly request: RunRequestRecord
      readonly pageId?: string
      readonly sentBy?: string
      /** The run that was interrupted, and would not have gone on by itself, when this was said. */
      readonly supersedes?: string
      /** The session's latest run when a rewinding was asked for: after a further one it is refused. */
      readonly after?: string
      /** A run that is under way when it is read hears it at its next turn; else it starts one. */
      readonly steers?: true
    }
  /** Delivered to the run that is under way at its next turn. */
  | {
      readonly type: 'steer'
      readonly inputId: string
      readonly input: string
      readonly files?: readonly FileRecord[]
    }
  | {
      readonly type: 'resume'
      readonly resumeId: string
      readonly pageId?: string
      /** Another run has it go on: from now on that one is its parent. */
      readonly delegation?: Delegation
      /** What it is to hear first. */
      readonly steer?: { readonly inputId: string; readonly input: string }
    }
  /** Code starts a run that is to be this one's child. */
  | {
      readonly type: 'delegate'
      readonly childRunId: string
      readonly request: RunRequestRecord
      readonly pageId?: string
      readonly sentBy?: string
    }
  /** A run that it has started, and that has not begun, is to end. */
  | { readonly type: 'end-child'; readonly childRunId: string }
  /** A leg of a child has ended; without one, it will not begin, or not go on. */
  | { readonly type: 'child-ended'; readonly childRunId: string; readonly leg?: number }
  /** A child that had stopped goes on, and this run hasn't asked for it. */
  | { readonly type: 'child-resumed'; readonly childRunId: string }
  /** An open run is to end once it has answered everything. */
  | { readonly type: 'close' }
  /** A stepped run is to go on by one turn. */
  | {
      readonly type: 'step'
      readonly stepId: string
      readonly tools: StepRecord['tools']
      /** The run had been stopped: this has it go on. */
      readonly resumes?: true
      readonly pageId?: string
    }
  | { readonly type: 'answer'; readonly approvalId: string; readonly answer: ApprovalAnswer }
  | { readonly type: 'stop'; readonly after: 'now' | 'turn' }
  | { readonly type: 'abort'; readonly cause: 'aborted' | 'disposed' | 'parent' }
  | {
      readonly type: 'tool-output'
      readonly toolCallId: string
      readonly output?: unknown
      readonly errorText?: string
    }

export const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, reasoningTokens: 0 }

export const addUsage = (a: Usage, b: Usage): Usage => ({
  inputTokens: a.inputTokens + b.inputTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
  reasoningTokens: a.reasoningTokens + b.reasoningTokens,
})

export const isUsed = ({ inputTokens, outputTokens }: Usage) => inputTokens + outputTokens > 0
