import '../disposable.ts'
import { AgentError, abortError } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import type { Interest } from '../protocol/messages.ts'
import { createListView } from '../view/list-view.ts'
import { createView } from '../view/view.ts'
import type { App } from './app.ts'
import { Channel, type Transport } from './channel.ts'
import { EventListener, type Handler } from './listener.ts'
import { Handle } from './run-handle.ts'
import { createSession } from './session.ts'
import type {
  AgentRuntime,
  Control,
  Listen,
  RunHandle,
  RunRequest,
  RuntimeInfo,
  SessionContext,
  SessionListenOptions,
} from './types.ts'

/** What sessions and handles share. */
export interface RuntimeCore<A extends App> {
  readonly channel: Channel
  listenTo(scope: { readonly sessionId?: string; readonly runId?: string }): Listen<A, SessionListenOptions>
  start(request: Request<A>, sessionId: string): RunHandle<A>
}

type Request<A extends App> =
  | RunRequest<A>
  | ((context: SessionContext, control: Control) => RunRequest<A> | Promise<RunRequest<A>>)

/** Runs whose metadata is kept. */
const mostMetadata = 1000

interface RuntimeOptions extends Transport {
  readonly newId: () => string
}

/** The public interface over a transport: the same on the page and beside the engine. */
export function createAgentRuntime<A extends App>(options: RuntimeOptions): AgentRuntime<A> {
  const { newId } = options
  const channel = new Channel(options)
  /** Metadata of the latest runs, for the handlers' context: a slow handler may be called after its run has ended. */
  const metadata = new Map<string, unknown>()
  const remember = (runId: string, data: unknown) => {
    metadata.set(runId, data)
    const [oldest] = metadata.keys()
    if (metadata.size > mostMetadata && oldest !== undefined) metadata.delete(oldest)
  }

  const contextOf = (event: AnyEvent): SessionContext => {
    const { sessionId, runId, agent } = event
    if (event.kind === 'run-started' && event.metadata !== undefined) remember(runId, event.metadata)
    const known = metadata.get(runId)
    return {
      sessionId,
      ...(runId ? { runId, agent } : undefined),
      ...(known === undefined ? undefined : { metadata: known }),
    }
  }

  /** The listeners of one run leave with its end: nothing more comes. */
  const listenToRun = (scope: { readonly sessionId?: string; readonly runId: string }) => {
    const listeners = new Set<EventListener>()
    let over = false
    const listen = core.listenTo(scope) as (...args: unknown[]) => EventListener
    const on = ((...args: unknown[]) => {
      const listener = listen(...args)
      if (over) listener.close()
      else listeners.add(listener)
      return listener
    }) as unknown as Listen<A>
    const ended = () => {
      over = true
      for (const listener of listeners) listener.close()
    }
    return { on, ended }
  }

  const core: RuntimeCore<A> = {
    channel,
    listenTo: (scope) =>
      ((
        kind: Interest['kinds'][number] | Interest['kinds'],
        handler: Handler,
        { since, ...rest }: SessionListenOptions = {},
      ) => {
        const kinds = typeof kind === 'string' ? [kind] : kind
        let leave: (() => void) | undefined
        const listener = new EventListener(handler, rest, contextOf, () => leave?.())
        leave = channel.listen(
          { ...scope, kinds, ...(since === undefined ? undefined : { since }) },
          (item) => listener.receive(item),
          (runId) => listener.mute(runId),
        )
        return listener
      }) as Listen<A, SessionListenOptions>,

    start: (request, sessionId) => {
      if (typeof request !== 'function') checkRequest(request)
      const runId = newId()
      const outer = typeof request === 'object' ? request.signal : undefined
      const handle: Handle<A> = new Handle<A>({
        channel,
        runId,
        sessionId,
        owned: true,
        ...listenToRun({ sessionId, runId }),
        signal: outer,
        output: async (signal, asked) => {
          const {
            input,
            agent,
            model,
            limits,
            settings,
            metadata: data,
            whenBusy = 'queue',
            signal: inner,
          } = typeof request === 'object' ? request : await resolve(request, { sessionId, runId }, signal)
          if (inner !== outer) inner?.addEventListener('abort', () => handle.abort(), { once: true })
          if (signal.aborted || inner?.aborted) throw abortError()
          if (data !== undefined) remember(runId, data)
          const fields = { agent, model, limits, settings, metadata: data }
          asked()
          return channel.call('run', { runId, sessionId, input, whenBusy, ...(fields as object) })
        },
      })
      return handle
    },
  }

  /** The request as the callback makes it; its `control` is the run's. */
  const resolve = async (
    request: Exclude<Request<A>, RunRequest<A>>,
    context: SessionContext,
    signal: AbortSignal,
  ): Promise<RunRequest<A>> => {
    const controller = new AbortController()
    const aborted = new Promise<never>((_, reject) =>
      controller.signal.addEventListener('abort', () => reject(abortError()), { once: true }),
    )
    aborted.catch(() => {})
    signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true })
    const control: Control = {
      cancel: () => controller.abort(abortError()),
      get cancelled() {
        return controller.signal.aborted
      },
      signal: controller.signal,
      timeout: undefined,
      concurrency: 1,
    }
    const made = await Promise.race([request(context, control), aborted])
    checkRequest(made)
    return { ...made, signal: made.signal ? AbortSignal.any([made.signal, controller.signal]) : controller.signal }
  }

  return {
    on: core.listenTo({}) as Listen<A>,
    run: (request, { session = newId() } = {}) => core.start(request, checkedId(session)),
    session: (id = newId(), defaults = {}) => createSession(core, checkedId(id), defaults),
    sessions: {
      list: ({ limit = 50, before } = {}) =>
        channel.call('sessions', { limit, ...(before === undefined ? undefined : { before }) }),
      view: ({ limit = 50 } = {}) =>
        createListView(
          {
            list: (page) => channel.call('sessions', page),
            listen: (kinds, changed) => channel.listen({ kinds }, changed),
            onState: (changed) => channel.onState(() => changed(channel.state === 'lost')),
          },
          { limit },
        ),
    },
    runs: {
      get: (runId) =>
        new Handle<A>({
          channel,
          runId,
          sessionId: '',
          owned: false,
          ...listenToRun({ runId }),
          output: (_, asked) => {
            asked()
            return channel.call('settled', { runId })
          },
        }),
    },
    info: createView<RuntimeInfo<A>>({
      initial: { worker: 'starting', agents: [], models: [] },
      attach: (set, fail) => {
        const load = () =>
          channel.call('info', undefined).then((info) => set({ ...(info as RuntimeInfo<A>), worker: 'ready' }), fail)
        const leave = channel.onState(() => {
          if (channel.state === 'lost') set((now) => ({ ...now, worker: 'lost' }))
          else void load()
        })
        void load()
        return leave
      },
    }),
    setCredentials: (credentials) => channel.setCredentials(credentials),
    close: () => channel.close(),
    [Symbol.asyncDispose]: () => channel.close(),
  }
}

function checkedId(id: unknown): string {
  if (typeof id === 'string' && id !== '') return id
  throw new AgentError('invalid-argument', "A session's id must be a string that is not empty.")
}

function checkRequest(request: unknown) {
  if (typeof request === 'object' && request !== null) return
  throw new AgentError('invalid-argument', 'run: pass a request, { input: … }, or a function that makes one.')
}
