import type { ToolSet } from '@ai-sdk/provider-utils'
import type { ToolContext } from '../agent/tool.ts'
import { AgentError } from '../errors.ts'
import { toPrompt } from '../model/prompt.ts'
import type { ToolCallPart } from '../sessions/records.ts'
import { inputOf } from './parse-call.ts'
import { toJson } from './tool-output.ts'
import type { ToolRun } from './tool-run.ts'

/** One call being carried out: its signal, its time, its context. */
export interface Execution {
  /** Aborts with the run and at the time-out. */
  readonly signal: AbortSignal
  readonly timedOut: AgentError | undefined
  /** Stops waiting when the signal aborts, for tools that ignore it. */
  race<T>(promise: Promise<T>): Promise<T>
  inWorker(tool: ToolSet[string]): Promise<unknown>
  end(): void
}

export function execute(run: ToolRun, call: ToolCallPart, timeout: number): Execution {
  const controller = new AbortController()
  const { signal } = controller
  const abort = () => controller.abort(run.signal.reason)
  if (run.signal.aborted) abort()
  else run.signal.addEventListener('abort', abort, { once: true })
  let timedOut: AgentError | undefined
  let ended = false
  const over = new AbortController()
  const expire = () => {
    timedOut = new AgentError('timeout', `The tool "${call.toolName}" did not finish within ${timeout} ms.`)
    controller.abort(timedOut)
  }
  if (timeout < Number.POSITIVE_INFINITY) run.env.sleep(timeout, over.signal).then(expire, () => {})
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  aborted.catch(() => {})

  /** Data of a tool is told only while the call is open, and only what a port can carry. */
  const tell: ToolRun['emit'] = (kind, payload) => {
    if (!ended && !signal.aborted) run.emit(kind, payload)
  }
  const { toolCallId, toolName } = call
  const progress = (data: unknown, preliminary?: boolean) =>
    tell('tool-execution-progress', {
      toolCallId,
      toolName,
      data: toJson(data),
      ...(preliminary ? { preliminary } : undefined),
    })

  const setState = (value: unknown) => {
    if (ended || signal.aborted)
      throw new AgentError('aborted', `setState: the call of "${toolName}" has ended, so nothing is stored.`)
    run.state.set(toolCallId, value)
  }

  return {
    signal,
    get timedOut() {
      return timedOut
    },
    race: (promise) => Promise.race([promise, aborted]),
    inWorker: async (tool) => {
      const output: unknown = tool.execute?.(
        inputOf(call) as never,
        contextOf(run, call, signal, progress, tell, setState) as never,
      )
      if (!isAsyncIterable(output)) return await output
      let last: unknown
      for await (const value of output) {
        if (signal.aborted) break
        last = value
        progress(value, true)
      }
      return last
    },
    end: () => {
      ended = true
      over.abort()
      run.signal.removeEventListener('abort', abort)
    },
  }
}

function contextOf(
  run: ToolRun,
  { toolCallId }: ToolCallPart,
  abortSignal: AbortSignal,
  progress: (data: unknown) => void,
  tell: ToolRun['emit'],
  setState: (value: unknown) => void,
) {
  const { request, agent } = run.record
  const context: ToolContext = {
    toolCallId,
    abortSignal,
    sessionId: run.live.id,
    runId: run.runId,
    agent,
    ...(request.metadata === undefined ? undefined : { metadata: request.metadata }),
    idempotencyKey: `${run.runId}:${toolCallId}`,
    getState: <T>() => run.state.get() as T | undefined,
    setState: (value) => setState(value),
    progress: (data) => progress(data),
    custom: (name, data) => tell('custom', { name: String(name), data: toJson(data) }),
  }
  // Tools of the AI SDK may look at the conversation, up to the answer that called them; few do, so that it is made on
  // demand.
  const messages = () => conversationBefore(run)
  return Object.defineProperty(context, 'messages', { get: messages, enumerable: true })
}

/** What the model was told before it made the calls that are open, as the AI SDK has it. */
export const conversationBefore = ({ history }: Pick<ToolRun, 'history'>) =>
  toPrompt(
    undefined,
    history.slice(
      0,
      history.findLastIndex(({ role }) => role === 'assistant'),
    ),
  )

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value
