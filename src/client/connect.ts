import { createAgentRuntime } from '../api/agent-runtime.ts'
import { watchNetwork } from '../api/network.ts'
import type { AgentRuntime, AppOf, PageTools } from '../api/types.ts'
import { newId } from '../new-id.ts'
import { type Implementations, pageToolRunner } from './page-tools.ts'
import { openPortLink, type WorkerSource } from './port-link.ts'

export interface ConnectOptions<Runtime> {
  /** Tools that this page carries out. */
  readonly pageTools?: PageTools<AppOf<Runtime>>
  /** Handed to the worker's model functions; see `setCredentials`. */
  readonly credentials?: unknown
}

/**
 * The runtime that a worker serves, with its types: `connect<typeof runtime>(() => new Worker(…))`. Given a factory, it
 * makes the worker at first use, and another one as soon as one was lost that somebody waits for or listens to.
 */
// biome-ignore lint/suspicious/noExplicitAny: any app
export function connect<Runtime extends AgentRuntime<any> = AgentRuntime>(
  source: WorkerSource,
  { pageTools = {}, credentials }: ConnectOptions<Runtime> = {},
): Runtime {
  const pageId = newId()
  const tools = Object.keys(pageTools)
  const left = new AbortController()
  const runtime = createAgentRuntime({
    open: (receive, lost) => openPortLink({ source, page: { pageId, tools }, receive, lost }),
    onPageTool: pageToolRunner(pageTools as Implementations),
    close: async () => left.abort(),
    focused: (tell) => globalThis.addEventListener?.('focus', tell, { signal: left.signal }),
    network: (tell) => watchNetwork(tell, left.signal),
    newId,
    copy: (value) => structuredClone(value),
  })
  if (credentials !== undefined) runtime.setCredentials(credentials)
  return runtime as unknown as Runtime
}
