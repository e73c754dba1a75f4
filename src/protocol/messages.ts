import type { Message } from '../api/message.ts'
import type { TreeNode } from '../api/run-tree.ts'
import type { Approval, Grant, RunOutput, RuntimeInfo, SessionInfo, SessionSnapshot, StepResult } from '../api/types.ts'
import type { WireError } from '../errors.ts'
import type { AnyEvent, EventKind } from '../events/kinds.ts'
import { isObject } from '../is-object.ts'
import type { Ancestor, AuditEntry, RunRequestRecord, StepRecord } from '../sessions/records.ts'
import type { StorageStatus } from '../sessions/storage-status.ts'

// Everything that page and runtime say to each other. The same messages cross a port, cloned and in batches, and pass
// within one thread as they are.

/** Raised with every change that an older side would misread. */
export const protocolVersion = 2

/** What the page asks; each is answered by one `answer`. The table is closed: other names are refused. */
export interface Methods {
  /** Starts a run; answered at its end. */
  run: { params: RunParams; result: RunOutput }
  /** Answered at the run's end, at once where it has ended. */
  settled: { params: { readonly runId: string }; result: RunOutput }
  stop: {
    params: { readonly sessionId: string; readonly runId?: string; readonly after: 'now' | 'turn' }
    result: undefined
  }
  /** Withdraws the run's input where it still waits. Without `runId`: whatever is under way on the session. */
  abort: {
    params: {
      readonly sessionId: string
      readonly runId?: string
      readonly cause: 'aborted' | 'disposed'
      /** Only where this handle's request began the run; `false` where another one did. */
      readonly sentBy?: string
    }
    result: boolean
  }
  /** Opens a new leg of a run that was stopped or interrupted; answered at its end. */
  resume: { params: { readonly runId: string; readonly resumeId: string }; result: RunOutput }
  /** Takes a session from an owner that doesn't answer. */
  takeOver: { params: { readonly sessionId: string }; result: undefined }
  /** Says something to the run that is under way, to be heard at its next turn. */
  steer: {
    params: {
      readonly sessionId: string
      readonly runId: string
      readonly inputId: string
      readonly input: string
      readonly files?: readonly PortFile[]
    }
    result: undefined
  }
  /** Answered once what was said with `steer` is heard; refused where it never will be. */
  delivered: {
    params: { readonly sessionId: string; readonly runId: string; readonly inputId: string }
    result: undefined
  }
  /** Takes back an input that waits; false where there is none. */
  withdraw: { params: { readonly sessionId: string; readonly inputId: string }; result: boolean }
  /** An open run ends once it has answered everything. */
  close: { params: { readonly sessionId: string; readonly runId: string }; result: undefined }
  /** Starts a stepped run, or goes on with the session's; answered once one turn is through. */
  step: { params: StepParams; result: StepSummary }
  approvals: { params: undefined; result: readonly Approval[] }
  answer: {
    params: {
      readonly sessionId: string
      readonly approvalId: string
      readonly answer: unknown
      /** The call that was asked about, as whoever answers saw it. */
      readonly bound?: { readonly toolCallId?: unknown; readonly input?: unknown }
    }
    result: undefined
  }
  /** Those that hold; `expiresIn`: milliseconds until the next one does not. */
  grants: {
    params: { readonly sessionId: string }
    result: { readonly grants: readonly Grant[]; readonly expiresIn?: number }
  }
  /** False where there is no such grant. */
  revoke: { params: { readonly sessionId: string; readonly actionKey: string }; result: boolean }
  audit: { params: { readonly runId: string }; result: readonly AuditEntry[] }
  /** A run with all below it; nothing where it is not known yet. */
  tree: { params: { readonly runId: string }; result: TreeNode | undefined }
  toolOutput: {
    params: { readonly sessionId: string; readonly toolCallId: string; readonly tool: string } & (
      | { readonly output: unknown }
      | { readonly errorText: string }
    )
    result: undefined
  }
  messages: {
    /** Without `before`: the newest. */
    params: { readonly sessionId: string; readonly before?: string; readonly limit: number }
    result: { readonly messages: readonly Message[]; readonly hasOlder: boolean }
  }
  /** All messages, also hidden ones, in pages from the start: `next` is where the next one begins. */
  history: {
    params: { readonly sessionId: string; readonly from: number }
    result: { readonly messages: readonly Message[]; readonly next?: number }
  }
  /** A new session with the messages of another one, up to `at`. */
  fork: {
    params: { readonly sessionId: string; readonly forkId: string; readonly at?: string }
    result: undefined
  }
  exportSession: { params: { readonly sessionId: string }; result: Blob }
  /** The new session's id is the page's. */
  importSession: { params: { readonly sessionId: string; readonly document: Blob }; result: undefined }
  /** The bytes that a message's `turnloop:blob/…` stands for. */
  file: { params: { readonly sessionId: string; readonly url: string }; result: Blob }
  /** With `parent`: those of delegated runs under that session. */
  sessions: {
    params: { readonly limit: number; readonly before?: string; readonly parent?: string }
    result: readonly SessionInfo[]
  }
  rename: { params: { readonly sessionId: string; readonly title: string }; result: undefined }
  setModel: { params: { readonly sessionId: string; readonly model: string }; result: undefined }
  remove: { params: { readonly sessionId: string }; result: undefined }
  info: {
    params: undefined
    result: Omit<RuntimeInfo, 'worker' | 'storage'> & {
      readonly storage: StorageStatus & { readonly problem?: WireError }
    }
  }
}

export type Method = keyof Methods

/** A file beside an input, as the page hands it over. */
export type PortFile =
  | { readonly data: Blob; readonly mediaType: string; readonly filename?: string }
  | { readonly url: string }

export interface RunParams extends Omit<RunRequestRecord, 'regenerates' | 'files'> {
  readonly files?: readonly PortFile[]
  /** An answer's id; `true`: whatever came after the last message of the user's. */
  readonly regenerates?: string | true
  readonly runId: string
  readonly sessionId: string
  /** Names the handle, of a request with a `clientRequestId`. */
  readonly sentBy?: string
  /** The run that is to start this one. */
  readonly parent?: string
  readonly whenBusy: 'queue' | 'steer' | 'reject'
}

export interface StepParams extends Omit<RunRequestRecord, 'input' | 'files' | 'open' | 'step'> {
  readonly sessionId: string
  /** Of the run that an input starts. */
  readonly runId: string
  readonly stepId: string
  readonly tools: StepRecord['tools']
  /** Without one, the session's stepped run goes on. */
  readonly input?: string
  readonly files?: readonly PortFile[]
}

export type StepSummary = Omit<StepResult, 'error'> & { readonly error?: WireError }

/** What a listener wants to hear. With `since` or `window` it begins with a `joined`. */
export interface Interest {
  readonly sessionId?: string
  readonly runId?: string
  /** Those of all delegated runs below, too; not together with `since` or `window`. */
  readonly descendants?: boolean
  readonly kinds: readonly (EventKind | 'any')[]
  /** Replay durable events after this number. */
  readonly since?: number
  /** Begin with a snapshot that has this many messages. */
  readonly window?: number
}

export type ToRuntime =
  | {
      readonly type: 'call'
      readonly id: number
      readonly method: Method
      readonly params: unknown
      /** It was asked of a worker that is lost, which may have heard it. */
      readonly again?: boolean
    }
  | { readonly type: 'listen'; readonly id: number; readonly interest: Interest }
  | { readonly type: 'unlisten'; readonly id: number }
  | { readonly type: 'credentials'; readonly credentials: unknown }
  /** The browser lost the network, or has it again. */
  | { readonly type: 'online'; readonly online: boolean }
  /** The page got the focus. */
  | { readonly type: 'focus' }
  | {
      readonly type: 'page-tool-done'
      readonly runId: string
      readonly toolCallId: string
      readonly result: PageToolResult
    }

export type PageToolResult = { readonly output: unknown } | { readonly error: WireError }

/** Delivered in order, one queue for all: an answer never overtakes the events before it. */
export type ToPage =
  | AnyEvent
  | { readonly kind: '@answer'; readonly id: number; readonly result: unknown }
  | { readonly kind: '@refusal'; readonly id: number; readonly error: WireError }
  | Joined
  | {
      readonly kind: '@page-tool'
      readonly sessionId: string
      readonly runId: string
      readonly toolCallId: string
      readonly toolName: string
      readonly input: unknown
      /** The runs above its own. */
      readonly ancestors?: readonly Ancestor[]
    }
  | { readonly kind: '@page-tool-abort'; readonly runId: string; readonly toolCallId: string }

/** The start of a listener: a snapshot or a replay, and one merged delta per open part. Later events follow it. */
export interface Joined {
  readonly kind: '@joined'
  readonly id: number
  /** The session's last durable event that this listener has heard, or that is in its snapshot. */
  readonly seq?: number
  readonly snapshot?: SessionSnapshot
  readonly events: readonly AnyEvent[]
  /** The replay goes on with the next one; only the last lets live events follow. */
  readonly more?: boolean
  readonly error?: WireError
}

/** Between a page and its port, around the above. */
export type PortMessage =
  /** Both sides say it, whoever comes first, and nothing goes before. The worker's is an `answer` where it has heard the page's. */
  | { readonly type: 'hello'; readonly protocol: number; readonly page: PageHello }
  | { readonly type: 'hello'; readonly protocol: number; readonly answer: boolean; readonly lock?: string }
  /** What the page says in one task, so that a listener that is set right after `send` hears the run from its beginning. */
  | { readonly type: 'say'; readonly messages: readonly ToRuntime[] }
  /** In order, numbered from 1. */
  | { readonly type: 'batch'; readonly n: number; readonly items: readonly ToPage[] }
  /** All batches up to `n` have been handled. */
  | { readonly type: 'ack'; readonly n: number }
  /** The page leaves; with `close` a dedicated worker closes itself once no run is active. */
  | { readonly type: 'bye'; readonly close: boolean }

export interface PageHello {
  readonly pageId: string
  /** The page tools that it carries out. */
  readonly tools: readonly string[]
  /** Whether the browser has a network, as far as it knows. */
  readonly online?: boolean
  /** Its lifeline, where the worker may outlive it. */
  readonly lock?: string
}

/** The closed table of what may come over a port. */
const shapes: Readonly<Record<PortMessage['type'], (message: Readonly<Record<string, unknown>>) => boolean>> = {
  hello: ({ protocol }) => typeof protocol === 'number',
  say: ({ messages }) => Array.isArray(messages) && messages.every(isObject),
  batch: ({ n, items }) => typeof n === 'number' && Array.isArray(items),
  ack: ({ n }) => typeof n === 'number',
  bye: () => true,
}

/** Whether it is one of ours: others may post to a worker, and in it, too. */
export const isPortMessage = (data: unknown): data is PortMessage =>
  isObject(data) && Object.hasOwn(shapes, data.type as string) && shapes[data.type as PortMessage['type']](data)

/** The page's end of a connection to a runtime. */
export interface Link {
  send(message: ToRuntime): void
  close(): void
}
