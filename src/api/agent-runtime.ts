import '../disposable.ts'
import { childIdOf, parentIdOf } from '../delegation/child-id.ts'
import { AgentError, abortError, fromWire } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import type { Interest, Methods, RunParams } from '../protocol/messages.ts'
import { requestPersistence } from '../sessions/storage-status.ts'
import { createListView } from '../view/list-view.ts'
import { createTreeView } from '../view/tree-view.ts'
import { createView } from '../view/view.ts'
import type { App } from './app.ts'
import { createApprovalDesk } from './approval-desk.ts'
import { Channel, type Transport } from './channel.ts'
import { EventListener, type Handler } from './listener.ts'
import { isOnline } from './network.ts'
import { portInput } from './port-input.ts'
import { Handle } from './run-handle.ts'
import { createSession } from './session.ts'
import type {
  AgentRuntime,
  ApprovalDesk,
  Control,
  Listen,
  OpenRun,
  RunRequest,
  RunTree,
  RuntimeInfo,
  SessionContext,
  SessionListenOptions,
  View,
} from './types.ts'

interface Scope {
  readonly sessionId?: string
  readonly runId?: string
}

/** What sessions and handles share. */
export interface RuntimeCore<A extends App> {
  readonly channel: Channel
  /** The open questions of all sessions, for the views of sessions: who holds one does not hold `runtime.approvals`. */
  readonly questions: ApprovalDesk<A>
  /** `hears`: only events of which it says so. */
  listenTo(scope: Scope, hears?: (event: AnyEvent) => boolean): Listen<A, SessionListenOptions>
  readonly newId: () => string
  /** `regenerates`: without an input, an answer anew by its id, or the last one. */
  start(request: Request<A>, sessionId: string, regenerates?: string | true): OpenRun<A>
}

/** A request as the interface itself makes it. */
interface Asked<A extends App> extends RunRequest<A> {
  readonly open?: RunParams['open']
  /** The session's, where nobody chose one. */
  readonly defaultModel?: A['model'] | undefined
}

type Request<A extends App> =
  | Asked<A>
  | ((context: SessionContext, control: Control) => RunRequest<A> | Promise<RunRequest<A>>)

/** Runs whose metadata is kept. */
const mostMetadata = 1000

interface RuntimeOptions extends Transport {
  readonly newId: () => string
}

/** The public interface over a transport: the same on the page and beside the engine. */
export function createAgentRuntime<A extends App>(options: RuntimeOptions): AgentRuntime<A> {
  const { newId } = options
  let infoChanged = () => {}
  const channel = new Channel({
    ...options,
    network: (tell) =>
      options.network?.((online) => {
        tell(online)
        infoChanged()
      }),
  })
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
  const listenToRun = (scope: Scope, hears?: (event: AnyEvent) => boolean) => {
    const listeners = new Set<EventListener>()
    let over = false
    const listen = core.listenTo(scope, hears) as (...args: unknown[]) => EventListener
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
    questions: createApprovalDesk<A>(channel),
    newId,
    listenTo: (scope, hears = () => true) =>
      ((
        kind: Interest['kinds'][number] | Interest['kinds'],
        handler: Handler,
        { since, descendants = false, ...rest }: SessionListenOptions = {},
      ) => {
        if (descendants && since !== undefined) throw sinceAlone()
        const kinds = typeof kind === 'string' ? [kind] : kind
        let leave: (() => void) | undefined
        const listener = new EventListener(handler, rest, contextOf, () => leave?.())
        leave = channel.listen(
          { ...scope, kinds, ...(descendants && { descendants }), ...(since === undefined ? undefined : { since }) },
          (item) => {
            if (item.kind === '@joined') listener.receive({ ...item, events: item.events.filter(hears) })
            else if (hears(item)) listener.receive(item)
          },
          (runId) => listener.mute(runId),
        )
        return listener
      }) as Listen<A, SessionListenOptions>,

    start: (request, sessionId, regenerates) => {
      if (typeof request !== 'function') checkRequest(request)
      const { clientRequestId = undefined } = typeof request === 'object' ? request : {}
      const isNamed = clientRequestId !== undefined
      const parent = typeof request === 'object' ? (request as RunRequest<A>).parent : undefined
      if (parent !== undefined && parentIdOf(sessionId) !== parent) throw noParentHere()
      const runId = parent !== undefined ? sessionId : isNamed ? runIdOf(sessionId, clientRequestId) : newId()
      const sentBy = isNamed ? newId() : undefined
      const outer = typeof request === 'object' ? request.signal : undefined
      // What a function will ask for is not known yet.
      const steers = typeof request === 'function' || request.whenBusy === 'steer'
      const handle: Handle<A> = new Handle<A>({
        channel,
        runId,
        sessionId,
        owned: true,
        ...(steers
          ? listenToRun({ sessionId }, (event) => isOfRun(event, runId, handle.runId))
          : listenToRun({ sessionId, runId })),
        signal: outer,
        newId,
        sentBy,
        output: async (signal, asked) => {
          const {
            input,
            agent,
            model,
            defaultModel,
            limits,
            settings,
            metadata: data,
            replaces,
            open,
            whenBusy = 'queue',
            signal: inner,
            clientRequestId: name,
            parent: above,
          }: Asked<A> = typeof request === 'object' ? request : await resolve(request, { sessionId, runId }, signal)
          if (inner !== outer) inner?.addEventListener('abort', () => handle.abort(), { once: true })
          if (signal.aborted || inner?.aborted) throw abortError()
          if (name !== clientRequestId) throw notInCallback('clientRequestId')
          if (above !== parent) throw notInCallback('parent')
          if (data !== undefined && !isNamed) remember(runId, data)
          const rewind = regenerates === undefined ? { replaces } : { regenerates }
          const named = isNamed && { clientRequestId, sentBy }
          const fields = {
            agent,
            model,
            defaultModel,
            limits,
            settings,
            metadata: data,
            open,
            parent,
            ...rewind,
            ...named,
          }
          const said = portInput(input)
          asked(whenBusy === 'steer')
          return channel.call('run', { runId, sessionId, ...said, whenBusy, ...(fields as object) })
        },
      })
      return handle
    },
  }

  /** A run that another one starts: its id, and its session's, derive from that one's. */
  const startUnder = (request: RunRequest<A>, parent: string, session: string | undefined) => {
    checkParent(request, parent, session)
    const { clientRequestId } = request
    const name = clientRequestId === undefined ? newId() : `request ${checkedName(clientRequestId)}`
    return core.start(request, childIdOf(parent, name))
  }

  const lookedUp = (runId: string, method: 'settled' | 'resume') =>
    new Handle<A>({
      channel,
      runId,
      sessionId: '',
      owned: false,
      newId,
      ...listenToRun({ runId }),
      output: (_, asked) => {
        asked()
        return method === 'resume'
          ? channel.call('resume', { runId, resumeId: newId() })
          : channel.call('settled', { runId })
      },
    })

  /** The request as the callback makes it; its `control` is the run's. */
  const resolve = async (
    request: Exclude<Request<A>, Asked<A>>,
    context: SessionContext,
    signal: AbortSignal,
  ): Promise<Asked<A>> => {
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

  const info = createView<RuntimeInfo<A>>({
    initial: { worker: 'starting', online: isOnline(), agents: [], models: [], storage: { persisted: false } },
    attach: (set, fail) => {
      const load = () => void channel.call('info', undefined).then((answer) => set(infoOf<A>(answer)), fail)
      const leave = channel.onState(() => {
        const { state } = channel
        if (state === 'lost' || state === 'starting') set((now) => ({ ...now, worker: state }))
        else load()
      })
      infoChanged = load
      load()
      return () => {
        infoChanged = () => {}
        leave()
      }
    },
  })

  return {
    on: core.listenTo({}) as Listen<A>,
    run: (request, { session } = {}) => {
      const parent = typeof request === 'object' ? request?.parent : undefined
      if (parent !== undefined) return startUnder(request as RunRequest<A>, parent, session)
      if (session === undefined && typeof request === 'object' && request?.clientRequestId !== undefined)
        throw new AgentError(
          'invalid-argument',
          'run: a clientRequestId names a request within a session: name that, too.',
        )
      return core.start(request, checkedId(session === undefined ? newId() : session))
    },
    session: (id = newId(), defaults = {}) => createSession(core, checkedId(id), defaults),
    sessions: {
      list: ({ limit = 50, before, parent } = {}) =>
        channel.call('sessions', {
          limit,
          ...(before === undefined ? undefined : { before }),
          ...(parent === undefined ? undefined : { parent }),
        }),
      view: ({ limit = 50, parent } = {}) =>
        createListView(
          {
            list: (page) => channel.call('sessions', page),
            listen: (kinds, changed) => channel.listen({ kinds }, changed),
            onState: (changed) => channel.onSettled(() => changed(channel.state === 'lost')),
          },
          { limit, parent },
        ),
      export: (sessionId) => channel.call('exportSession', { sessionId }),
      import: async (document) => {
        const sessionId = newId()
        await channel.call('importSession', { sessionId, document })
        return createSession(core, sessionId, {})
      },
    },
    runs: {
      get: (runId) => lookedUp(runId, 'settled'),
      resume: (runId) => lookedUp(runId, 'resume'),
      audit: (runId) => channel.call('audit', { runId }),
      tree: (runId) =>
        createTreeView(runId, {
          load: () => channel.call('tree', { runId }),
          listen: (interest, receive) => channel.listen(interest, (item) => item.kind === '@joined' || receive(item)),
          onState: (changed) => channel.onSettled(() => changed(channel.state === 'lost')),
        }) as View<RunTree<A> | undefined>,
    },
    approvals: createApprovalDesk<A>(channel),
    info,
    persist: async () => {
      const granted = await requestPersistence()
      infoChanged()
      return granted
    },
    setCredentials: (credentials) => channel.setCredentials(credentials),
    close: () => channel.close(),
    [Symbol.asyncDispose]: () => channel.close(),
  }
}

/** Whether it is told of the input, or of the run that heard it. */
const isOfRun = (event: AnyEvent, inputId: string, runId: string) =>
  event.runId === runId ||
  event.runId === inputId ||
  event.ancestors?.some((above) => above.runId === runId) ||
  (event.kind === 'input-delivered' && event.inputId === inputId)

function checkedId(id: unknown): string {
  if (typeof id === 'string' && id !== '') return id
  throw new AgentError('invalid-argument', "A session's id must be a string that is not empty.")
}

const sinceAlone = () =>
  new AgentError(
    'invalid-argument',
    'on: `since` counts the events of one session, so that it goes without `descendants`: listen twice.',
  )

const longestName = 200

/** The same for every request of this name. */
const runIdOf = (sessionId: string, clientRequestId: unknown) =>
  `request:${encodeURIComponent(wellFormedId(sessionId))}:${encodeURIComponent(checkedName(clientRequestId))}`

const wellFormedId = (id: string) => {
  if (isWellFormed(id)) return id
  throw badName()
}

function checkedName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && name.length <= longestName && isWellFormed(name)) return name
  throw badName()
}

const isWellFormed = (text: string) => {
  try {
    encodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const badName = () =>
  new AgentError(
    'invalid-argument',
    `A clientRequestId must be a well-formed string of 1 to ${longestName} characters.`,
  )

const notInCallback = (field: string) =>
  new AgentError(
    'invalid-argument',
    `A request that a callback makes comes too late for a ${field}: pass the request itself.`,
  )

const noParentHere = () =>
  new AgentError('invalid-argument', 'A run with a `parent` has a session of its own: start it with `runtime.run`.')

function checkParent({ replaces, whenBusy = 'queue' }: RunRequest, parent: unknown, session: string | undefined) {
  const problem =
    typeof parent !== 'string' || parent === ''
      ? "`parent` must be a run's id"
      : session !== undefined
        ? 'a run with a `parent` has a session of its own: name no `session`'
        : replaces !== undefined || whenBusy !== 'queue'
          ? 'a run with a `parent` begins its session: leave `replaces` and `whenBusy` out'
          : undefined
  if (problem) throw new AgentError('invalid-argument', `run: ${problem}.`)
}

function checkRequest(request: unknown) {
  if (typeof request === 'object' && request !== null) return
  throw new AgentError('invalid-argument', 'run: pass a request, { input: … }, or a function that makes one.')
}

function infoOf<A extends App>({ storage, ...info }: Methods['info']['result']): RuntimeInfo<A> {
  const { problem, ...status } = storage
  return {
    ...(info as Pick<RuntimeInfo<A>, 'agents' | 'models' | 'online'>),
    worker: 'ready',
    storage: problem ? { ...status, problem: fromWire(problem) } : status,
  }
}
