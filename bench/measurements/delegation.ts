import { connectWorker } from '../connect-worker.ts'
import type { DevTools, ThreadTime } from '../devtools.ts'
import { rounds } from '../rounds.ts'
import { type Row, rowOf } from '../row.ts'

const { beginTrace, endTrace } = globalThis as unknown as DevTools

/** Runs that one run starts, of which ten are under way at once: `bench/runtime.worker.ts`. */
const children = 100
/** Of the runs at either end of them. */
const some = 10
/** Milliseconds of a trace. */
const length = 2000

type Agent = ReturnType<typeof connectWorker>

/**
 * A run that starts a hundred others, ten at once: how busy the page's thread is while ten of them stream 100 parts a second
 * each, and the page shows the run's tree and its session; and what one costs, early and late.
 */
export async function delegation(): Promise<Row[]> {
  const agent = connectWorker()
  await agent.info.ready
  const streaming: ThreadTime[] = []
  const early: number[] = []
  const late: number[] = []
  for (let round = 0; round <= rounds; round++) {
    streaming.push(await whileTenStream(agent))
    const [first, last] = await perChild(agent)
    early.push(first)
    late.push(last)
  }
  await agent.close()
  const counted = streaming.slice(1)
  return [
    rowOf({
      name: 'page thread busy with a tree of 100 runs, 10 streaming at once',
      unit: '%',
      samples: counted.map(({ busy }) => busy),
      atMost: 2,
      note: "the page shows the tree and the session at the top; the thread's own time in Chromium's trace, empty frames included",
    }),
    rowOf({
      name: 'a delegated run, the last 10 of 100',
      unit: 'ms',
      samples: late.slice(1),
      peer: { name: 'the first 10', samples: early.slice(1) },
    }),
    rowOf({
      name: 'a delegated run, the last 10 of 100, times the first 10',
      unit: '×',
      samples: late.slice(1).map((time, at) => time / (early[at + 1] ?? Number.NaN)),
      atMost: 1.5,
    }),
  ]
}

/** Shows a tree and the session at its top, and draws nothing. */
function shown(agent: Agent, agentName: 'lead' | 'paced-lead') {
  const session = agent.session()
  const run = session.send('Go', { agent: agentName })
  const tree = agent.runs.tree(run.runId)
  const seen = { atWork: 0 }
  const leave = [
    tree.subscribe(() => {
      seen.atWork = tree.getSnapshot()?.children.filter(({ status }) => status === 'running').length ?? 0
    }),
    session.view.subscribe(() => void session.view.getSnapshot()),
  ]
  const hide = () => {
    for (const undo of leave) undo()
  }
  return { run, seen, hide }
}

async function whileTenStream(agent: Agent): Promise<ThreadTime> {
  const { run, seen, hide } = shown(agent, 'paced-lead')
  while (seen.atWork < some) await new Promise((resolve) => setTimeout(resolve, 50))
  performance.clearMarks()
  await beginTrace()
  performance.mark('begin')
  await new Promise((resolve) => setTimeout(resolve, length))
  performance.mark('end')
  const time = await endTrace()
  run.abort()
  await run.result.catch(() => {})
  hide()
  return time
}

/** Milliseconds from the end of one run to that of the next, of the first and of the last ones. */
async function perChild(agent: Agent): Promise<readonly [first: number, last: number]> {
  const { run, hide } = shown(agent, 'lead')
  const ends: number[] = []
  run.on('delegation-finished', () => void ends.push(performance.now()))
  const begun = performance.now()
  await run.result
  hide()
  if (ends.length !== children) throw new Error(`${ends.length} of ${children} runs have ended.`)
  const between = (from: number, to: number) => ((ends[to] ?? 0) - (ends[from] ?? begun)) / (to - from)
  return [between(some, 2 * some), between(children - 1 - some, children - 1)]
}
