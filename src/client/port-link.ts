import { isOnline } from '../api/network.ts'
import { AgentError, messageOf, report } from '../errors.ts'
import { holdLifeline, watchLifeline } from '../protocol/lifeline.ts'
import {
  isPortMessage,
  type Link,
  type PageHello,
  type PortMessage,
  protocolVersion,
  type ToPage,
  type ToRuntime,
} from '../protocol/messages.ts'
import { fromWireItem } from '../protocol/wire-items.ts'

export type WorkerSource = Worker | MessagePort | (() => Worker | SharedWorker | MessagePort)

/** Milliseconds in which a worker must have said hello. */
const helloTimeout = 30_000

interface PortLinkOptions {
  readonly source: WorkerSource
  readonly page: PageHello
  readonly receive: (item: ToPage) => void
  /** `replaceable`: it had been there, and a new one can be made. */
  readonly lost: (error: AgentError, replaceable?: boolean) => void
}

/** Why a worker or port can't be used: it has ended, or another link has it. */
const refusals = new WeakMap<object, AgentError>()

/** A link to a runtime in a worker. Nothing is said before both sides said hello; a worker's death is noticed. */
export function openPortLink(options: PortLinkOptions): Link {
  try {
    return open(options)
  } catch (error) {
    const problem = `The worker could not be started: ${messageOf(error)}`
    queueMicrotask(() => options.lost(error instanceof AgentError ? error : new AgentError('worker-lost', problem)))
    return { send: () => {}, close: () => {} }
  }
}

function open({ source, page, receive, lost }: PortLinkOptions): Link {
  const made = typeof source === 'function' ? source() : source
  const refusal = refusals.get(made)
  if (refusal) throw refusal
  const taken = 'This worker is connected already: use the runtime that `connect` gave for it, or close that first.'
  refusals.set(made, new AgentError('invalid-argument', taken))
  const port = 'port' in made ? made.port : made
  /** What waits for the end of the task, and for the hello. */
  const outgoing: ToRuntime[] = []
  const left = new AbortController()
  let connected = false
  /** It has said hello, and its end is noticed. */
  let alive = false

  const post = (message: PortMessage) => port.postMessage(message)
  const lose = (error: AgentError) => {
    if (left.signal.aborted) return
    left.abort()
    refusals.delete(made)
    clearTimeout(timer)
    if (typeof source === 'function' && 'terminate' in made) made.terminate()
    lost(error, (connected || alive) && typeof source === 'function' && error.code === 'worker-lost')
  }
  const end = (problem: string) => {
    const error = new AgentError('worker-lost', problem)
    lose(error)
    refusals.set(made, error)
  }
  const timer = setTimeout(
    () =>
      lose(
        new AgentError('worker-lost', 'The worker did not say hello within 30 s: does its module call serve(runtime)?'),
      ),
    helloTimeout,
  )
  const flush = () => {
    if (connected && outgoing.length > 0) post({ type: 'say', messages: outgoing.splice(0) })
  }
  // A dedicated worker ends with its page.
  const lifeline = 'terminate' in made ? undefined : holdLifeline('page', left.signal)
  const sayHello = async () => {
    const lock = await lifeline
    const now = { ...page, online: isOnline(), ...(lock ? { lock } : undefined) }
    if (!left.signal.aborted) post({ type: 'hello', protocol: protocolVersion, page: now })
  }

  const watch = (lock: string | undefined) => {
    if (!lock || alive) return
    alive = true
    watchLifeline(lock, left.signal, () => end('The worker has ended.'))
  }
  const hello = (protocol: number, answer: boolean, lock?: string) => {
    if (protocol !== protocolVersion) {
      const problem = `The worker speaks version ${protocol} of the protocol, this page ${protocolVersion}: one of them is from before an update. Reload the page.`
      return lose(new AgentError('protocol-mismatch', problem))
    }
    watch(lock)
    if (!answer) return void sayHello()
    if (connected) return
    connected = true
    clearTimeout(timer)
    flush()
  }

  const take = (message: PortMessage) => {
    if (message.type === 'hello' && 'answer' in message) return hello(message.protocol, message.answer, message.lock)
    // A worker from before an update may not know what an `answer` is.
    if (message.type === 'hello' && message.protocol !== protocolVersion) return hello(message.protocol, false)
    if (message.type !== 'batch') return
    for (const item of message.items) {
      if (left.signal.aborted) return
      // An item that can't be taken keeps neither the others back nor the acknowledgement.
      try {
        receive(fromWireItem(item))
      } catch (error) {
        report(error)
      }
    }
    post({ type: 'ack', n: message.n })
  }
  const { signal } = left
  const target: EventTarget = port
  const hear = ({ data }: MessageEvent) => isPortMessage(data) && take(data)
  target.addEventListener('message', (event) => hear(event as MessageEvent), { signal })
  // An error before the hello is one of loading; a later one is an uncaught error, and the worker goes on.
  const onError = () => connected || end('The worker could not be loaded: look for its error in the console.')
  for (const emitter of new Set<EventTarget>([port, made])) emitter.addEventListener('error', onError, { signal })
  target.addEventListener('close', () => end('The port was closed.'), { signal })
  if ('start' in port) port.start()
  void sayHello()

  return {
    send: (message) => {
      // Refused as `postMessage` would refuse it, and what it is now, whatever becomes of it.
      outgoing.push(structuredClone(message))
      if (outgoing.length === 1) queueMicrotask(flush)
    },
    close: () => {
      if (signal.aborted) return
      flush()
      clearTimeout(timer)
      left.abort()
      refusals.delete(made)
      // Nothing was said to a worker that did not say hello, and a goodbye before it listens would be lost.
      if (!connected && typeof source === 'function' && 'terminate' in made) made.terminate()
      else post({ type: 'bye', close: typeof source === 'function' })
      if (typeof source === 'function' && 'close' in port) port.close()
    },
  }
}
