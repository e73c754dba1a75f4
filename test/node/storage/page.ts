import { AgentError, connect } from 'turnloop'
import { type Dump, dump } from '../../sessions/golden/dump.ts'
import type { runtime } from './agent.worker.ts'

const sessionId = 'trip'

/** What a test asks of the page; answers cross to the test as plain data. */
export interface StoragePage {
  /** Begins a run, and resolves with its id. */
  send(input: string): string
  resume(runId: string): void
  /** Has the call in doubt started again, once somebody is asked. */
  retry(): Promise<void>
  /** How the run ended: its status and text, or its error's code. */
  result(
    runId: string,
  ): Promise<{ readonly status?: string; readonly text?: string; readonly code?: string; readonly message?: string }>
  /** The kinds of all events of the session since the page was opened. */
  readonly events: readonly {
    readonly kind: string
    readonly runId: string
    readonly reason?: unknown
    readonly seq: number
  }[]
  /** Resolves once such an event has come. */
  heard(kind: string): Promise<void>
  /** Names of tools, as often as they started. */
  readonly started: readonly string[]
  /** Lets the patient tool end. */
  endTool(): void
  list(): Promise<{ readonly ids?: readonly string[]; readonly code?: string; readonly message?: string }>
  /** What a new view of the session begins with. */
  view(): Promise<{
    readonly messages?: number
    readonly status?: string
    readonly code?: string
    readonly message?: string
  }>
  /** What the view shows that was there from the beginning. */
  shown(): { readonly messages: number; readonly status: string; readonly code?: string | undefined }
  dump(): Promise<Dump>
}

const agent = connect<typeof runtime>(new Worker(new URL('./agent.worker.ts', import.meta.url), { type: 'module' }))
const session = agent.session(sessionId)
session.view.subscribe(() => {})

const codeOf = (error: unknown) =>
  error instanceof AgentError ? { code: error.code, message: error.message } : { code: String(error) }

const events: { kind: string; runId: string; reason?: unknown; seq: number }[] = []
const waiting = new Set<() => void>()
session.on('any', (event) => {
  const { kind, runId, seq } = event
  events.push({ kind, runId, seq, ...('reason' in event && { reason: event.reason }) })
  for (const look of [...waiting]) look()
})

const started: string[] = []
const channel = new BroadcastChannel('tools')
channel.onmessage = ({ data }) => {
  started.push(data)
  for (const look of [...waiting]) look()
}

const runs = new Map<string, Promise<Awaited<ReturnType<StoragePage['result']>>>>()
const follow = ({ runId, result }: ReturnType<typeof session.send>) => {
  runs.set(
    runId,
    result.then(({ status, text }) => ({ status, text }), codeOf),
  )
  return runId
}
const page: StoragePage = {
  send: (input) => follow(session.send(input)),
  resume: (runId) => void follow(agent.runs.resume(runId)),
  retry: async () => {
    await page.heard('approval-requested')
    const [question] = await agent.approvals.ready
    if (question?.reason === 'in-doubt') await agent.approvals.answer(question, { decision: 'retry' })
  },
  result: async (runId) => (await runs.get(runId)) ?? {},
  events,
  heard: (kind) =>
    new Promise((resolve) => {
      const look = () => {
        if (!events.some((event) => event.kind === kind)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    }),
  started,
  endTool: () => channel.postMessage('end'),
  list: () => agent.sessions.list().then((rows) => ({ ids: rows.map(({ id }) => id) }), codeOf),
  view: () =>
    agent.session(sessionId).view.ready.then(({ messages, status }) => ({ messages: messages.length, status }), codeOf),
  shown: () => {
    const { messages, status, error } = session.view.getSnapshot()
    return { messages: messages.length, status, code: error?.code }
  },
  dump: () => dump('turnloop'),
}
Object.assign(globalThis, { storage: page })
