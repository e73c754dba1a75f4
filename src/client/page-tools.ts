import type { PageToolOptions } from '../api/types.ts'
import { AgentError, toWire } from '../errors.ts'
import type { PageToolResult, ToPage, ToRuntime } from '../protocol/messages.ts'

// biome-ignore lint/suspicious/noExplicitAny: typed by `connect`
export type Implementations = Readonly<Record<string, ((input: any, options: PageToolOptions) => unknown) | undefined>>
type PageToolItem = Extract<ToPage, { kind: '@page-tool' | '@page-tool-abort' }>

/** Results that are remembered, for a worker that asks again since the one before was lost. */
const mostResults = 100

/** Carries out page tools for the runtime: each call once. Who asks for one again is told again what came of it. */
export function pageToolRunner(tools: Implementations) {
  const running = new Map<string, AbortController>()
  const begun = new Set<string>()
  const results = new Map<string, PageToolResult>()

  return (item: PageToolItem, send: (message: ToRuntime) => void): void => {
    const { runId, toolCallId } = item
    const key = `${runId}\n${toolCallId}`
    if (item.kind === '@page-tool-abort')
      return running.get(key)?.abort(new AgentError('aborted', 'The call was aborted.'))
    const known = results.get(key)
    if (known) return send({ type: 'page-tool-done', runId, toolCallId, result: known })
    if (begun.has(key)) return
    begun.add(key)
    const controller = new AbortController()
    running.set(key, controller)
    const { toolName, sessionId, input } = item
    const run = async () => {
      const implementation = Object.hasOwn(tools, toolName) ? tools[toolName] : undefined
      if (!implementation) throw new AgentError('unknown-tool', `This page does not carry out "${toolName}".`)
      return implementation(input, { signal: controller.signal, toolCallId, sessionId, runId })
    }
    const done = (result: PageToolResult) => {
      send({ type: 'page-tool-done', runId, toolCallId, result })
      results.set(key, result)
      const [oldest] = results.keys()
      if (results.size > mostResults && oldest !== undefined) results.delete(oldest)
    }
    run()
      .then((output) => done({ output }))
      // What can't be cloned is an error of the tool, too.
      .catch((error) => done({ error: toWire(error) }))
      .finally(() => running.delete(key))
  }
}
