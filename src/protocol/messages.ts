import type { Message } from '../api/message.ts'
import type { RunOutput, RuntimeInfo, SessionInfo, SessionSnapshot } from '../api/types.ts'
import type { WireError } from '../errors.ts'
import type { AnyEvent, EventKind } from '../events/kinds.ts'
import type { RunRequestRecord } from '../sessions/records.ts'

// Everything that page and runtime say to each other. The same messages cross a port, cloned and in batches, and pass
// within one thread as they are.

/** Raised with every change that an older side would misread. */
export const protocolVersion = 1

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
    params: { readonly sessionId: string; readonly runId?: string; readonly cause: 'aborted' | 'disposed' }
    result: undefined
  }
  toolOutput: {
    params: { readonly sessionId: string; readonly toolCallId: string; readonly tool: string } & (
      | { readonly output: unknown }
      | { readonly errorText: string }
    )
    result: undefined
  }
  messages: {
    params: { readonly sessionId: string; readonly before: string; readonly limit: number }
    result: { readonly messages: readonly Message[]; readonly hasOlder: boolean }
  }
  sessions: { params: { readonly limit: number; readonly before?: string }; result: readonly SessionInfo[] }
  rename: { params: { readonly sessionId: string; readonly title: string }; result: undefined }
  remove: { params: { readonly sessionId: string }; result: undefined }
  info: { params: undefined; result: Omit<RuntimeInfo, 'worker'> }
}

export type Method = keyof Methods

export interface RunParams extends RunRequestRecord {
  readonly runId: string
  readonly sessionId: string
  readonly whenBusy: 'queue' | 'reject'
}

/** What a listener wants to hear. With `since` or `window` it begins with a `joined`. */
export interface Interest {
  readonly sessionId?: string
  readonly runId?: string
  readonly kinds: readonly (EventKind | 'any')[]
  /** Replay durable events after this number. */
  readonly since?: number
  /** Begin with a snapshot that has this many messages. */
  readonly window?: number
}

export type ToRuntime =
  | { readonly type: 'call'; readonly id: number; readonly method: Method; readonly params: unknown }
  | { readonly type: 'listen'; readonly id: number; readonly interest: Interest }
  | { readonly type: 'unlisten'; readonly id: number }
  | { readonly type: 'credentials'; readonly credentials: unknown }
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
    }
  | { readonly kind: '@page-tool-abort'; readonly runId: string; readonly toolCallId: string }

/** The start of a listener: a snapshot or a replay, and one merged delta per open part. Later events follow it. */
export interface Joined {
  readonly kind: '@joined'
  readonly id: number
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
  /** Its lifeline, where the worker may outlive it. */
  readonly lock?: string
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

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
