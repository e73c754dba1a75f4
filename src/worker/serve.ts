import type { AgentRuntime } from '../api/types.ts'
import { inMacrotask } from '../events/macrotask.ts'
import { holdLifeline, watchLifeline } from '../protocol/lifeline.ts'
import { isPortMessage, type PageHello, type PortMessage, protocolVersion } from '../protocol/messages.ts'
import { Outbox } from '../protocol/outbox.ts'
import { insideOf } from '../runtime/runtime.ts'

/** Where pages come from: a port, or a worker's own scope. */
export interface ServePort {
  postMessage(message: unknown): void
  addEventListener(type: 'message' | 'close', listener: (event: MessageEvent) => void): void
  start?(): void
}

interface WorkerScope extends ServePort {
  readonly onconnect?: unknown
  close(): void
}

/**
 * Puts a runtime behind a port: by default the worker's own, dedicated or shared. Outside a worker it does nothing, so that
 * a test can import an agent's module.
 */
// biome-ignore lint/suspicious/noExplicitAny: any app
export function serve(runtime: AgentRuntime<any>, port?: ServePort): void {
  const inside = insideOf(runtime)
  if (port) return servePort(inside, port)
  const scope = workerScope()
  if (!scope) return
  if (!('onconnect' in scope)) return servePort(inside, scope, () => scope.close())
  scope.addEventListener('connect' as 'message', ({ ports: [connected] }) => connected && servePort(inside, connected))
}

function workerScope(): WorkerScope | undefined {
  const { WorkerGlobalScope } = globalThis as { WorkerGlobalScope?: abstract new () => object }
  return WorkerGlobalScope && globalThis instanceof WorkerGlobalScope
    ? (globalThis as unknown as WorkerScope)
    : undefined
}

function servePort({ engine, setCredentials }: ReturnType<typeof insideOf>, port: ServePort, closeWorker?: () => void) {
  let connected: ReturnType<typeof connect> | undefined
  const post = (message: PortMessage) => port.postMessage(message)
  const hello = async (answer: boolean) => {
    const lock = await workerLifeline()
    post({ type: 'hello', protocol: protocolVersion, answer, ...(lock === undefined ? undefined : { lock }) })
  }

  /** Each page has an outbox of its own: batches that the one before has not acknowledged are not waited for. */
  const connect = (page: PageHello) => {
    const left = new AbortController()
    // A page that was closed or reloaded has no time for a goodbye.
    if (page.lock) watchLifeline(page.lock, left.signal, leave)
    const outbox = new Outbox({
      post,
      later: (task, delay) => void (delay > 0 ? setTimeout(task, delay) : inMacrotask(task)),
      refill: (sessionId, skipped, resume) => connection.refill(sessionId, skipped, resume),
    })
    const connection = engine.connect({
      // What a call comes to after its page has left is nobody's.
      post: (item) => left.signal.aborted || outbox.push(item),
      caughtUp: (sessionId) => outbox.caughtUp(sessionId),
      page,
      setCredentials,
    })
    return { connection, outbox, left }
  }
  const leave = () => {
    connected?.left.abort()
    connected?.connection.close()
    connected = undefined
  }

  const receive = (message: PortMessage) => {
    switch (message.type) {
      case 'hello':
        // Another version: it learns of it by the answer, and says nothing more.
        if (message.protocol === protocolVersion && 'page' in message && isPage(message.page)) {
          connected ??= connect(message.page)
        }
        void hello(true)
        return
      case 'say':
        for (const said of message.messages) connected?.connection.hear(said)
        connected?.connection.greeted().catch(() => {})
        return
      case 'ack':
        return connected?.outbox.acknowledge(message.n)
      case 'bye':
        leave()
        if (message.close && closeWorker)
          void engine
            .whenIdle()
            .then(() => engine.close())
            .then(closeWorker)
    }
  }
  port.addEventListener('message', ({ data }) => {
    if (isPortMessage(data)) receive(data)
  })
  // Not every browser tells.
  port.addEventListener('close', leave)
  port.start?.()
  // The page's hello is lost where it came before this listener.
  void hello(false)
}

const isPage = (page: PageHello | null): page is PageHello =>
  typeof page?.pageId === 'string' && Array.isArray(page.tools)

let lifeline: Promise<string | undefined> | undefined

/** One for the whole worker. */
function workerLifeline() {
  lifeline ??= holdLifeline('worker')
  return lifeline
}
