/// <reference lib="esnext.disposable" />
import type { AgentError } from '../errors.ts'
import type { EventKind, EventOf } from '../events/kinds.ts'
import type { CallSettings, StopReason, Usage, WaitingFor } from '../sessions/records.ts'
import type { AgentName, App, PageToolName, ToolTypes } from './app.ts'
import type { Message } from './message.ts'

// The public interface: the same on the page, in the worker and without one.

/** A live, immutable snapshot for a UI. Both functions are bound: `useSyncExternalStore` takes them as they are. */
export interface View<T> {
  /** The same object until right before `changed` is called; what did not change keeps its identity. */
  readonly getSnapshot: () => T
  /**
   * Calls `changed` at most once per frame (every 50 ms in a hidden page). The first subscriber attaches the view, the
   * last one to leave detaches it. Returns its undo.
   */
  readonly subscribe: (changed: () => void) => () => void
  /** The first loaded snapshot; attaches the view for as long as that takes. */
  readonly ready: Promise<T>
}

export interface InvocationHandle extends Disposable {
  readonly finished: boolean
  /** Ends what the handle stands for, at once. A listener's signals abort with `reason`. `[Symbol.dispose]()` does the same, but for a run that the handle doesn't own. */
  abort(reason?: unknown): void
}

export interface SessionContext {
  readonly sessionId: string
  readonly runId?: string
  readonly agent?: string
  readonly metadata?: unknown
}

/** A handler's own controls. */
export interface Control {
  /** Ends the listener (or, in `runtime.run(callback)`, cancels the run). */
  cancel(): void
  readonly cancelled: boolean
  /** Aborts on `cancel`, and when this call of the handler exceeds `timeout`. */
  readonly signal: AbortSignal
  /** Milliseconds that one call may take; a call past it is reported with `reportError`, and its signal aborts. */
  timeout: number | undefined
  /** Async calls at once; further events wait in order. */
  concurrency: number
}

export interface ListenOptions {
  /** Ends the listener. */
  readonly signal?: AbortSignal
  readonly timeout?: number
  readonly concurrency?: number
}

export interface SessionListenOptions extends ListenOptions {
  /** Replays the durable events after this `seq` (0: all), then goes on live, without gap or repeat. */
  readonly since?: number
}

/**
 * Listens to one kind, several, or `any`. A handler that throws or rejects never reaches the run or other handlers: the
 * error goes to `reportError`.
 */
export type Listen<A extends App, Options = ListenOptions> = <const K extends EventKind | 'any'>(
  kind: K | readonly K[],
  handler: (event: EventOf<A, K>, context: SessionContext, control: Control) => void | Promise<void>,
  options?: Options,
) => InvocationHandle

/** What a run ended with, where it did not fail. */
export interface RunOutput {
  readonly runId: string
  readonly sessionId: string
  readonly status: 'completed' | 'stopped'
  /** Why it stopped. */
  readonly reason?: StopReason
  /** The model's reason to end its last answer: `stop`, `length`, `content-filter` … */
  readonly finishReason?: string
  /** The text of the last answer. */
  readonly text: string
  readonly usage: Usage
  readonly turns: number
}

export interface RunHandle<A extends App = App> extends InvocationHandle, AsyncDisposable {
  readonly runId: string
  /** Empty for a handle from `runs.get`, until its result has settled. */
  readonly sessionId: string
  /**
   * Resolves when the run completed or stopped; rejects with an `AgentError` when it failed, with an `AbortError` when it
   * was cancelled. One that nobody awaits is no unhandled rejection.
   */
  readonly result: Promise<RunOutput>
  /** This run's events. */
  readonly on: Listen<A>
  /** Ends the run as stopped: now, or once the turn and the tools that it started are through. */
  stop(options?: { readonly after?: 'now' | 'turn' }): Promise<RunOutput>
  /** Disposing this handle no longer aborts the run. */
  detach(): this
}

/** The user's text; not empty. */
export type Input = string

export interface SendOptions<A extends App = App> {
  readonly agent?: AgentName<A>
  /** A name from `createRuntime`'s `models`. */
  readonly model?: A['model']
  readonly limits?: { readonly maxTurns?: number }
  /** Overrides the agent's, field by field. */
  readonly settings?: CallSettings
  /** Handed to tools and listeners; cloneable, stored with the run. */
  readonly metadata?: unknown
  /** Aborts the run. */
  readonly signal?: AbortSignal
  /** While another run of the session is under way: wait for its end (the default), or fail with `session-busy`. */
  readonly whenBusy?: 'queue' | 'reject'
}

export interface RunRequest<A extends App = App> extends SendOptions<A> {
  readonly input: Input
}

export interface Session<A extends App = App> {
  readonly id: string
  readonly view: SessionView<A>
  readonly on: Listen<A, SessionListenOptions>
  /** Starts a run; the handle owns it. */
  send(input: Input, options?: SendOptions<A>): RunHandle<A>
  /** Stops the run that is under way, if any. */
  stop(options?: { readonly after?: 'now' | 'turn' }): Promise<void>
  /** Cancels the run that is under way, if any, for good. */
  abort(reason?: unknown): void
  /** Answers a waiting call of a tool without `execute`. Rejects with `unknown-tool` where no such call is open. */
  addToolOutput<K extends PageToolName<A>>(
    output: { readonly tool: K; readonly toolCallId: string } & (
      | { readonly output: ToolTypes<A>[K]['output'] }
      | { readonly errorText: string }
    ),
  ): Promise<void>
  rename(title: string): Promise<void>
  /** Aborts its run and deletes everything of it. */
  delete(): Promise<void>
}

export interface SessionView<A extends App = App> extends View<SessionSnapshot<A>> {
  /** Puts up to `limit` (50) older messages in front of the window. */
  loadOlder(limit?: number): Promise<void>
}

export interface SessionSnapshot<A extends App = App> {
  readonly id: string
  /** False until the store has answered. */
  readonly loaded: boolean
  readonly title?: string
  readonly agent?: AgentName<A>
  /** A window from the end. */
  readonly messages: readonly Message<A>[]
  readonly hasOlder: boolean
  /** The AI SDK's words: `submitted` while a run is queued, working or waiting; `error` until the next send. */
  readonly status: 'ready' | 'submitted' | 'streaming' | 'error'
  readonly run?: RunState
  /** Inputs that wait for the run before them. */
  readonly queue: readonly QueuedInput[]
  readonly usage: Usage
  readonly error?: AgentError
}

export interface QueuedInput {
  readonly inputId: string
  readonly text: string
  readonly mode: 'queue'
}

/** The run that is under way. */
export interface RunState {
  readonly runId: string
  /** `interrupted`: its owner is gone without having ended it. */
  readonly phase: 'queued' | 'model' | 'tools' | 'waiting' | 'stopping' | 'interrupted'
  readonly waitingFor?: WaitingFor
  readonly turn: number
}

export interface SessionInfo {
  readonly id: string
  readonly title: string
  readonly agent: string
  /** Unix times in milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
  readonly messageCount: number
  readonly status: 'ready' | 'running' | 'waiting' | 'interrupted'
}

export interface RuntimeInfo<A extends App = App> {
  readonly worker: 'starting' | 'ready' | 'lost'
  readonly agents: readonly { readonly name: AgentName<A>; readonly description?: string }[]
  readonly models: readonly { readonly name: A['model'] }[]
}

export interface AgentRuntime<A extends App = App> extends AsyncDisposable {
  /** Events of all sessions that this runtime advances, and of those that somebody here views or listens to. */
  readonly on: Listen<A>
  /**
   * Starts a run, on a new session unless one is named. A callback gets a `control` whose `cancel()` cancels the run,
   * before it started too.
   */
  run(
    request: RunRequest<A> | ((context: SessionContext, control: Control) => RunRequest<A> | Promise<RunRequest<A>>),
    options?: { readonly session?: string },
  ): RunHandle<A>
  /** A session by id, or a new one. Nothing is stored before the first input. */
  session(id?: string, options?: { readonly agent?: AgentName<A>; readonly model?: A['model'] }): Session<A>
  readonly sessions: {
    /** Newest first; `before` is the id of the last one of the page before. */
    list(options?: { readonly limit?: number; readonly before?: string }): Promise<readonly SessionInfo[]>
    view(options?: { readonly limit?: number }): View<readonly SessionInfo[]>
  }
  readonly runs: {
    /** A detached handle; `result` rejects with `unknown-run` where there is no such run. */
    get(runId: string): RunHandle<A>
  }
  readonly info: View<RuntimeInfo<A>>
  /**
   * What model functions receive as `credentials`: short-lived tokens, a user's own key. Kept in memory only, never
   * stored, never in an event.
   */
  setCredentials(credentials: unknown): void
  /** Detaches its runs and lets go of worker and store. */
  close(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: inference only
export type AppOf<R> = R extends AgentRuntime<infer A> ? A : any

/** What the page implements, by tool name; typed from the worker's types. */
export type PageTools<A extends App> = {
  readonly [K in PageToolName<A>]?: (
    input: ToolTypes<A>[K]['input'],
    options: PageToolOptions,
  ) => ToolTypes<A>[K]['output'] | Promise<ToolTypes<A>[K]['output']>
}

export interface PageToolOptions {
  /** Aborts with the run, and at the tool's time-out. */
  readonly signal: AbortSignal
  readonly toolCallId: string
  readonly sessionId: string
  readonly runId: string
}
