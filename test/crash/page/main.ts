import { connect } from 'turnloop'
import type { Command } from '../world/commands.ts'
import { commandsOf } from './commands.ts'
import type { Life, runtime } from './crash.worker.ts'
import workerUrl from './crash.worker.ts?worker&url'
import { letGo, pass, tell } from './passing.ts'
import { database, page, problem, report, wire } from './report.ts'

// The page: does what it is commanded over its stream, and tells the world everything it is told, at once.

const workers: Worker[] = []
/** By worker: resolves once it has answered the page's hello. Before that, nobody notices its death but by waiting. */
const hellos: Promise<void>[] = []
const startWorker = () => {
  const life: Life = { database, page, life: `${page}.${workers.length}` }
  const worker = new Worker(workerUrl, { type: 'module', name: JSON.stringify(life) })
  workers.push(worker)
  hellos.push(
    new Promise((resolve) => {
      worker.addEventListener('message', ({ data }) => data?.type === 'hello' && data.answer && resolve())
    }),
  )
  return worker
}

const agent = connect<typeof runtime>(startWorker, {
  pageTools: {
    mark: async ({ name }, { sessionId: session, toolCallId: call, runId }) => {
      const key = `${runId}:${call}`
      await pass(session, 'mark:asked')
      await tell('/tool/start', { session, tool: 'mark', name, call, key })
      await pass(session, 'mark:running')
      await tell('/tool/effect', { session, key })
      await pass(session, 'mark:done')
      return { done: name }
    },
  },
})

addEventListener('error', ({ error, message }) => problem(`uncaught: ${error?.stack ?? message}`))
addEventListener('unhandledrejection', ({ reason }) => problem(`unhandled: ${reason?.stack ?? reason}`))

const { approvals } = agent
let nth = 0
approvals.subscribe(() => report({ fact: 'approvals', nth: nth++, approvals: approvals.getSnapshot() }))

const carryOut = commandsOf(agent, async () => {
  const newest = workers.length - 1
  await hellos[newest]
  workers[newest]?.terminate()
  // What the page itself was doing, a tool of its own, goes on without that worker.
  letGo()
})

const commands = new EventSource(`${wire}/commands?${new URLSearchParams({ page })}`)
commands.onmessage = async ({ data }) => {
  const { n, ...command } = JSON.parse(data) as Command & { n: number }
  const answer = await Promise.resolve()
    .then(() => carryOut(command as Command))
    .then(
      (value) => ({ n, value }),
      (error) => ({ n, error: `${error?.code ?? error?.name}: ${error?.message}` }),
    )
  await fetch(`${wire}/answers?${new URLSearchParams({ page })}`, { method: 'POST', body: JSON.stringify(answer) })
}
