/// <reference lib="esnext.disposable" />
import type { AgentError } from '../errors.ts'
import type { EventKind, EventOf } from '../events/kinds.ts'
import type {
  Ancestor,
  ApprovalAnswers,
  ApprovalReason,
  AuditEntry,
  CallSettings,
  CancelReason,
  FileRecord,
  LimitName,
  Limits,
  Risk,
  StopReason,
  Usage,
  WaitingFor,
} from '../sessions/records.ts'
import type { StorageStatus } from '../sessions/storage-status.ts'
import type { AgentName, App, Call, OutputOf, PageToolName, ToolName, ToolTypes } from './app.ts'
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

export interface RunListenOptions extends ListenOptions {
  /**
   * Hears the events of all delegated runs below, too, whichever tab advances them. What was told before is not replayed.
   * Aborting a run mutes those below it as well.
   */
  readonly descendants?: boolean
}

export interface SessionListenOptions extends RunListenOptions {
  /**
   * Replays the durable events after this `seq` (0: all), then goes on live, without gap or repeat. It counts the session's own
   * events alone, so that it can't be combined with `descendants`: listen twice.
   */
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
export interface RunOutput<Output = unknown> {
  readonly runId: string
  readonly sessionId: string
  readonly status: 'completed' | 'stopped'
  /** Why it stopped. */
  readonly reason?: StopReason
  /** The model's reason to end its last answer: `stop`, `length`, `content-filter` … */
  readonly finishReason?: string
  /** The text of the last answer, whole where it was continued. */
  readonly text: string
  /** What the agent's `output` made of that text, where it has one and the run completed. */
  readonly output?: Output
  readonly usage: Usage
  /** In the unit of the agent's `prices`; absent where a model has none. */
  readonly cost?: number
  readonly turns: number
}

export interface RunHandle<A extends App = App> extends InvocationHandle, AsyncDisposable {
  /** Changes once, where the run's input was sent with `whenBusy: 'steer'` and another run has heard it. */
  readonly runId: string
  /** Empty for a handle from `runs.get`, until its result has settled. */
  readonly sessionId: string
  /**
   * Resolves when the run completed or stopped; rejects with an `AgentError` when it failed, with an `AbortError` when it
   * was cancelled. One that nobody awaits is no unhandled rejection.
   */
  readonly result: Promise<RunOutput<OutputOf<A>>>
  /** This run's events, and with `descendants` those of the runs below it. The listener leaves with this run's end. */
  readonly on: Listen<A, RunListenOptions>
  /** Ends the run as stopped: now, or once the turn and the tools that it started are through. */
  stop(options?: { readonly after?: 'now' | 'turn' }): Promise<RunOutput<OutputOf<A>>>
  /**
   * Says something to the run, to be heard at its next turn; one whose input still waits hears it as it begins. Rejects with
   * `not-resumable` where it has ended. Resolves once it is stored.
   */
  steer(input: Input): Promise<InputReceipt>
  /** Disposing this handle no longer aborts the run. */
  detach(): this
}

/** A run that idles between its inputs. Handles of all other runs have it too, where the run may be an open one. */
export interface OpenRun<A extends App = App> extends RunHandle<A> {
  /**
   * Ends the run as completed once it has answered everything that was said to it. Rejects with `invalid-argument` where it
   * is not an open run.
   */
  close(): Promise<RunOutput<OutputOf<A>>>
}

/** An input that was stored, and waits to be heard. */
export interface InputReceipt {
  readonly inputId: string
  /**
   * Resolves once the run has heard it. Rejects with an `AbortError` where it was withdrawn, with `not-resumable` where the
   * run ended before. One that nobody awaits is no unhandled rejection.
   */
  readonly delivered: Promise<void>
}

/** A file beside an input. One by its URL stays where it is: the model reads it there, or the worker for it. */
export type InputFile =
  | Blob
  | URL
  | { readonly data: Uint8Array | ArrayBuffer; readonly mediaType: string; readonly filename?: string }

/** What the user says: a text, files (a form's `input.files`, too), or both. */
export type Input = string | { readonly text?: string; readonly files?: FileList | readonly InputFile[] }

export interface SendOptions<A extends App = App> {
  readonly agent?: AgentName<A>
  /** A name from `createRuntime`'s `models`. */
  readonly model?: A['model']
  /** Narrower than the agent's; the smaller one counts. */
  readonly limits?: Limits
  /** Overrides the agent's, field by field. Stored with the run: `headers` belong into the agent's settings, or the model. */
  readonly settings?: Omit<CallSettings, 'headers'>
  /** Handed to tools and listeners; cloneable, stored with the run. */
  readonly metadata?: unknown
  /** Aborts the run. */
  readonly signal?: AbortSignal
  /**
   * Edits: the id of the message of the user's whose place the input takes. That message and all after it are hidden, and
   * kept for `session.history()`. Never while a run of the session is under way or queued (`session-busy`, also with
   * `whenBusy: 'queue'`); `unknown-message` where there is no such message, or it is hidden.
   */
  readonly replaces?: string
  /**
   * Names the request: a second one with the same id on the same session gives the first one's run, whatever else it says, also
   * after a reload and from another tab. Its handle does not own the run. Not empty, 200 characters at most.
   */
  readonly clientRequestId?: string
  /**
   * While another run of the session is under way: wait for its end (the default), fail with `session-busy`, or say it to that
   * run, to be heard at its next turn. Then the handle follows that run, detached: its `runId` is the input's own id until the
   * input is heard (`input-delivered`), that run's from then on. The other options count only for a run that it starts itself.
   */
  readonly whenBusy?: 'queue' | 'steer' | 'reject'
}

export interface OpenOptions<A extends App = App> extends Omit<SendOptions<A>, 'whenBusy' | 'replaces'> {
  /** The first input; it may also come later, with `steer`. */
  readonly input?: Input
  /** Milliseconds without an input after which the run stops with `idle`. For ever by default. */
  readonly idleTimeout?: number
}

export interface StepOptions<A extends App = App> extends Omit<SendOptions<A>, 'whenBusy' | 'replaces'> {
  /**
   * `inline` (the default): the turn's calls are carried out as in any run. `external`: they are handed out in `toolCalls`;
   * `session.addToolOutput` takes one result for each before the next step.
   */
  readonly tools?: 'inline' | 'external'
}

/** Where a stepped run stands after a turn. */
export interface StepResult<A extends App = App> {
  /**
   * `needs-more-turns`: the next step asks the model again, once runs that it waits for have ended. `done`, `stopped`, `cancelled`, `failed`: the run has ended; a
   * stopped one goes on with the next step. `awaiting-approval`: somebody is asked. `pending-tool-calls`: calls need their
   * results.
   */
  readonly status:
    | 'needs-more-turns'
    | 'done'
    | 'awaiting-approval'
    | 'pending-tool-calls'
    | 'stopped'
    | 'cancelled'
    | 'failed'
  readonly runId: string
  readonly turn: number
  /** Of the run's last answer. */
  readonly text: string
  /** The calls of the last answer that have no result yet. */
  readonly toolCalls: readonly Call<A>[]
  /** Of the run so far. */
  readonly usage: Usage
  readonly cost?: number
  /** Why it failed, or which error stopped it. */
  readonly error?: AgentError
  /** Why it stopped or was cancelled. */
  readonly reason?: StopReason | CancelReason
}

export interface RunRequest<A extends App = App> extends SendOptions<A> {
  readonly input: Input
  /**
   * The run that is to start this one, as its model might: in the background, on a session of its own under that one's, within
   * its limits for depth, circles and children. It may be any agent of the runtime. `result` rejects with `unknown-run` where
   * there is no such run, with `not-resumable` where it has ended, or does before it hears of this, and with
   * `delegation-refused` where a limit forbids it.
   */
  readonly parent?: string
}

export interface Session<A extends App = App> {
  readonly id: string
  readonly view: SessionView<A>
  readonly on: Listen<A, SessionListenOptions>
  /** Starts a run; the handle owns it. */
  send(input: Input, options?: SendOptions<A>): RunHandle<A>
  /**
   * Asks again, without a new message: hides the answer with this id and all after it, or all after the user's last message,
   * and starts a run. Kept for `history()`. Fails with `session-busy` and `unknown-message` as `send` with `replaces` does.
   */
  regenerate(messageId?: string, options?: Omit<SendOptions<A>, 'replaces' | 'whenBusy'>): RunHandle<A>
  /** Every message that was stored, in order; `metadata.hidden` where an edit or `regenerate` took it out of the view. */
  history(): Promise<readonly Message<A>[]>
  /** What was allowed for good in this session. */
  readonly grants: GrantDesk
  /** Stops the run that is under way, if any. */
  stop(options?: { readonly after?: 'now' | 'turn' }): Promise<void>
  /** Cancels the run that is under way, if any, for good. */
  abort(reason?: unknown): void
  /**
   * Sends, and resolves with the answer's text. Rejects as the run's `result` does, and with `stopped` where the run stopped
   * before its answer was whole: a limit, a budget, somebody's stop.
   */
  ask(input: Input, options?: SendOptions<A>): Promise<string>
  /**
   * Starts a run that idles once it has answered, until the next input comes with `steer` (or with `send` and
   * `whenBusy: 'steer'`). It ends with `close()`, an idle time-out, a limit, a stop or an abort. Turns, tool calls and duration
   * are counted per input, tokens and cost over the whole run. The handle owns it.
   */
  open(options?: OpenOptions<A>): OpenRun<A>
  /**
   * Runs one turn and resolves with how the run then stands; nothing goes on before the next step, after a reload neither.
   * With an input it starts a stepped run (rejects with `session-busy` while any run is under way); without one it goes on
   * with the session's (`not-resumable` where there is none). Rejects with `missing-tool-output` while calls that were handed
   * out have no results. A step that is taken while another is under way comes after it. Whatever becomes of the run is a
   * `status`, no rejection. `signal` aborts the run.
   */
  step(input?: Input, options?: StepOptions<A>): Promise<StepResult<A>>
  /**
   * Takes back an input that waits: one that is queued, or steers a run. False where it was heard already, or is unknown.
   */
  withdraw(inputId: string): Promise<boolean>
  /**
   * The result of a call that waits for one: of a tool without `execute`, or of any that `step` handed out. Rejects with
   * `unknown-tool` where no such call is open, with `duplicate-tool-output` where it has its result.
   */
  addToolOutput<K extends ToolName<A>>(
    output: { readonly tool: K; readonly toolCallId: string } & (
      | { readonly output: ToolTypes<A>[K]['output'] }
      | { readonly errorText: string }
    ),
  ): Promise<void>
  /**
   * Takes the session from a tab that owns it and doesn't answer (`run.owner` is `not-responding`), and goes on with its run
   * here. What the other one still does is not stored; a tool that it has started may yet take effect.
   */
  takeOver(): Promise<void>
  /**
   * Chooses the session's model by its name in `models`, from the next turn on, and for good: a reload keeps it. A run's own
   * `model` counts for that run, unless this is said after it began. Rejects with `unknown-model`.
   */
  setModel(model: A['model']): Promise<void>
  rename(title: string): Promise<void>
  /**
   * A new session with the messages up to and including that one, or with all, with the settings, the files and the state as
   * they are now. Grants are not copied, and what it uses is counted anew. While a run is under way it has what is stored, and
   * results that say so for calls that are open. Rejects with `unknown-message` and `unknown-session`.
   */
  fork(options?: { readonly at?: string }): Promise<Session<A>>
  /** The bytes of a file of a message, by its `url` (`turnloop:blob/…`). Rejects with `unknown-file`. */
  file(url: string): Promise<Blob>
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
  /** The name that `setModel` chose. */
  readonly model?: string
  /** A window from the end. */
  readonly messages: readonly Message<A>[]
  readonly hasOlder: boolean
  /** The AI SDK's words: `submitted` while a run is queued, working or waiting; `error` until the next send. */
  readonly status: 'ready' | 'submitted' | 'streaming' | 'error'
  readonly run?: RunState
  /** Questions that wait for an answer, also those of runs below; `runtime.approvals` has those of all sessions. */
  readonly approvals: readonly Approval<A>[]
  /** Inputs that wait for the run before them. */
  readonly queue: readonly QueuedInput[]
  readonly usage: Usage
  /** In the unit of the agent's `prices`; absent where a model has none. */
  readonly cost?: number
  /** How full the model's context is: an estimate in tokens, and the model's window where it is known. */
  readonly context: { readonly tokens: number; readonly window?: number }
  readonly error?: AgentError
}

export interface QueuedInput {
  readonly inputId: string
  readonly text: string
  readonly files?: readonly FileRecord[]
  /** `queue`: starts a run of its own. `steer`: is heard by the run that is under way, at its next turn. */
  readonly mode: 'queue' | 'steer'
  /** The run that it was said to with `run.steer`: no other hears it. */
  readonly runId?: string
}

/** The run that is under way. */
export interface RunState {
  readonly runId: string
  /** `interrupted`: its owner is gone without having ended it, and it does not go on by itself. */
  readonly phase: 'queued' | 'model' | 'tools' | 'retrying' | 'waiting' | 'stopping' | 'interrupted'
  readonly waitingFor?: WaitingFor
  readonly turn: number
  /** While it is `retrying`: the attempt that failed, and when the next one comes (Unix time in milliseconds). */
  readonly attempt?: number
  readonly retryAt?: number
  /** Of this run so far. */
  readonly usage?: Usage
  readonly cost?: number
  /** Who advances it: a tab or worker that no longer answers can be relieved with `session.takeOver()`. */
  readonly owner: 'here' | 'elsewhere' | 'not-responding'
}

/** A question that outlasts every reload until somebody answers it, by its `reason`. */
export type Approval<A extends App = App> = {
  readonly id: string
  readonly sessionId: string
  readonly runId: string
  /** The agents from the top down to the one that asks. */
  readonly path: readonly string[]
  /** Of a delegated run: the runs above it, from the top. */
  readonly ancestors?: readonly Ancestor[]
  readonly title: string
  /** Unix time in milliseconds. */
  readonly askedAt: number
  /** When silence becomes a no. Unix time in milliseconds. */
  readonly expiresAt?: number
} & (
  | ({
      /** A tool, a rule or a middleware wants a person's word before this call starts. */
      readonly reason: 'policy'
      /** The input as canonical JSON (keys sorted): an answer binds it. */
      readonly arguments: string
      readonly risk: Risk
      /** What "always allow" would be remembered for. */
      readonly actionKey: string
      /** What it can be answered with. */
      readonly choices: readonly ApprovalAnswers['policy']['decision'][]
      readonly why?: string
      /** Content from outside is in the session, and the call sends something out: no grant counts. */
      readonly tainted?: true
    } & Call<A>)
  | ({
      /** A call that is not `idempotent` had started when its worker or page went away: nobody knows whether it took effect. */
      readonly reason: 'in-doubt'
      readonly startedAt: number
    } & Call<A>)
  | {
      /** The run was interrupted, and does not go on by itself. */
      readonly reason: 'interrupted'
      readonly interruptedAt: number
    }
  | ({
      /** The model makes the same call, or the same few, over and over. */
      readonly reason: 'doom-loop'
      readonly repetitions: number
      readonly description: string
    } & Call<A>)
  | {
      /** The run came to a limit of its own, or to the budget of the session or the day. */
      readonly reason: 'budget'
      readonly limit: LimitName
      readonly used: number
      readonly cap: number
    }
)

/** What an answer binds beside the approval. */
type Asked<R extends ApprovalReason> = R extends 'policy'
  ? { readonly toolCallId: string; readonly input: unknown }
  : unknown

export interface ApprovalDesk<A extends App = App> extends View<readonly Approval<A>[]> {
  /**
   * Answers an open approval, once, whichever tab it is asked in. Rejects with `unknown-approval` where it is not open any
   * more, with `approval-expired` after its `expiresAt`, with `approval-mismatch` where the approval names another call or
   * other arguments than were asked about, with `invalid-argument` for a decision that it doesn't know, and with
   * `invalid-input` for an input or a result that does not fit the tool.
   */
  answer<R extends ApprovalReason>(
    approval: { readonly id: string; readonly sessionId: string; readonly reason: R } & Asked<R>,
    answer: ApprovalAnswers[R],
  ): Promise<void>
}

/** A remembered "always allow" of a session. */
export interface Grant {
  /** What it holds for: the tool's name, and what its `actionKey` made of the input. */
  readonly actionKey: string
  readonly toolName: string
  /** Unix times in milliseconds. */
  readonly grantedAt: number
  readonly expiresAt?: number
}

/** Without those that have expired. */
export interface GrantDesk extends View<readonly Grant[]> {
  /** Takes a grant back: from the next decision on a person is asked again. False where there is none. */
  revoke(actionKey: string): Promise<boolean>
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
  /** Questions that wait for an answer. */
  readonly approvals: number
  /** Of a delegated run's session: where it comes from. It is listed under that session alone. */
  readonly parent?: { readonly sessionId: string; readonly runId: string }
}

/** A run, and the runs that it has started. */
export interface RunTree<A extends App = App> {
  readonly runId: string
  readonly sessionId: string
  readonly agent: AgentName<A>
  /** `queued`: it waits for its turn. `interrupted`: its owner is gone, and it does not go on by itself. */
  readonly status: 'queued' | 'running' | 'waiting' | 'interrupted' | 'completed' | 'stopped' | 'failed' | 'cancelled'
  /** While it has not ended. */
  readonly phase?: RunState['phase']
  readonly waitingFor?: WaitingFor
  /** No call of its parent waits for it. */
  readonly background?: boolean
  /** Its own, and that of all runs below it, as far as they have told. */
  readonly usage: Usage
  /** Of it and of all below, in the unit of the agents' `prices`; absent where a model has none. */
  readonly cost?: number
  /** Why it stopped or was cancelled. */
  readonly reason?: StopReason | CancelReason
  /** Why it failed, or which error stopped it. */
  readonly error?: AgentError
  /** Unix times in milliseconds. */
  readonly startedAt?: number
  readonly endedAt?: number
  /** In the order in which they were asked for. */
  readonly children: readonly RunTree<A>[]
}

export interface RuntimeInfo<A extends App = App> {
  readonly worker: 'starting' | 'ready' | 'lost'
  /** Whether the browser has a network, as far as it knows; an endpoint on this machine can be reached without one. */
  readonly online: boolean
  readonly agents: readonly { readonly name: AgentName<A>; readonly description?: string }[]
  readonly models: readonly { readonly name: A['model'] }[]
  readonly storage: StorageInfo
}

/** Where sessions are kept. */
export interface StorageInfo extends StorageStatus {
  /** Why the store can't be used. */
  readonly problem?: AgentError
}

export interface AgentRuntime<A extends App = App> extends AsyncDisposable {
  /** Events of all sessions that this runtime advances, and of those that somebody here views or listens to. */
  readonly on: Listen<A>
  /**
   * Starts a run, on a new session unless one is named. A callback gets a `control` whose `cancel()` cancels the run,
   * before it started too. With a `parent` the run is that one's child, on a new session under its own.
   */
  run(
    request: RunRequest<A> | ((context: SessionContext, control: Control) => RunRequest<A> | Promise<RunRequest<A>>),
    options?: { readonly session?: string },
  ): RunHandle<A>
  /**
   * A session by id, or a new one. Nothing is stored before the first input. `model` counts for as long as nobody has chosen
   * one with `setModel`.
   */
  session(id?: string, options?: { readonly agent?: AgentName<A>; readonly model?: A['model'] }): Session<A>
  readonly sessions: {
    /**
     * Newest first; `before` is the id of the last one of the page before. Those of delegated runs are not among them: `parent`
     * lists those under that session.
     */
    list(options?: {
      readonly limit?: number
      readonly before?: string
      readonly parent?: string
    }): Promise<readonly SessionInfo[]>
    view(options?: { readonly limit?: number; readonly parent?: string }): View<readonly SessionInfo[]>
    /**
     * The session as one JSON document, with its files: what was said, what its tools keep, what it used. Nothing of runs that
     * are under way, no grants, no keys. Rejects with `unknown-session`.
     */
    export(sessionId: string): Promise<Blob>
    /**
     * A new session of such a document. It counts as content from outside: tools that send something out ask. Rejects with
     * `invalid-document`, which says what is wrong, and nothing is stored.
     */
    import(document: Blob): Promise<Session<A>>
  }
  readonly runs: {
    /** A detached handle; `result` rejects with `unknown-run` where there is no such run. */
    get(runId: string): OpenRun<A>
    /**
     * Goes on with a run that was stopped or interrupted, under its own id; a run that is under way is only followed.
     * Detached. `result` rejects with `not-resumable` where the run has come to its end, or a later one took its place.
     */
    resume(runId: string): OpenRun<A>
    /**
     * What became of the run's calls, in order: who asked, who allowed or refused, how each came out. Rejects with
     * `unknown-run`; a run that still waits for its turn is not known yet.
     */
    audit(runId: string): Promise<readonly AuditEntry[]>
    /** The run with all that it has started, live; `undefined` until it is known. A view of its own for each call. */
    tree(runId: string): View<RunTree<A> | undefined>
  }
  /** The open questions of all sessions. */
  readonly approvals: ApprovalDesk<A>
  readonly info: View<RuntimeInfo<A>>
  /**
   * What model functions receive as `credentials`: short-lived tokens, a user's own key. Kept in memory only, never
   * stored, never in an event.
   */
  setCredentials(credentials: unknown): void
  /**
   * Asks the browser not to delete this origin's data by itself, and resolves with its answer, which `info` shows from then
   * on. Some browsers ask the user: call it on a click. Only a page can ask.
   */
  persist(): Promise<boolean>
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
