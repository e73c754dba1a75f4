import { connectWorker } from '../connect-worker.ts'
import type { DevTools, ThreadTime } from '../devtools.ts'
import { rounds } from '../rounds.ts'
import { type Row, rowOf } from '../row.ts'

const { beginTrace, endTrace } = globalThis as unknown as DevTools

/** Milliseconds of a round. */
const length = 2000

/**
 * How busy the page's thread is while ten runs stream 100 parts a second each into ten views, whose subscribers read the
 * snapshot and draw nothing. Beside it a page whose animation frames do nothing at all: what the browser takes for itself.
 */
export async function pageThread(): Promise<Row[]> {
  const agent = connectWorker()
  await agent.info.ready
  const streaming: ThreadTime[] = []
  const idle: ThreadTime[] = []
  for (let round = 0; round <= rounds; round++) {
    idle.push(await emptyFrames())
    streaming.push(await tenRuns(agent))
  }
  await agent.close()
  const of = (times: readonly ThreadTime[], field: keyof ThreadTime) => times.slice(1).map((time) => time[field])
  return [
    rowOf({
      name: 'page thread busy with 10 runs streaming into views',
      unit: '%',
      samples: of(streaming, 'busy'),
      peer: { name: 'empty frames', samples: of(idle, 'busy') },
      atMost: 2,
      note: "the thread's own time in the tasks of Chromium's trace, all that the browser does itself included",
    }),
    rowOf({
      name: 'longest task of the page with 10 runs streaming',
      unit: 'ms',
      samples: of(streaming, 'longest'),
      atMost: 50,
    }),
  ]
}

async function emptyFrames(): Promise<ThreadTime> {
  let going = true
  const frame = () => {
    if (going) requestAnimationFrame(frame)
  }
  frame()
  const time = await traced()
  going = false
  return time
}

async function tenRuns(agent: ReturnType<typeof connectWorker>): Promise<ThreadTime> {
  const sessions = Array.from({ length: 10 }, () => agent.session())
  const runs = sessions.map((session) => session.send('Go', { model: 'paced' }))
  const shown = sessions.map(() => '')
  const leave = sessions.map(({ view }, i) =>
    view.subscribe(() => {
      const part = view
        .getSnapshot()
        .messages.at(-1)
        ?.parts.findLast(({ type }) => type === 'text')
      if (part?.type === 'text') shown[i] = part.text
    }),
  )
  while (shown.some((text) => text.length < 50)) await new Promise((resolve) => setTimeout(resolve, 50))
  const before = shown.map((text) => text.length)
  const time = await traced()
  const came = shown.map((text, i) => text.length - (before[i] ?? 0))
  for (const run of runs) run.abort()
  await Promise.allSettled(runs.map(({ result }) => result))
  for (const undo of leave) undo()
  // 500 characters a second were sent; a machine that is busy otherwise may be late.
  if (Math.min(...came) < length / 4) throw new Error(`Only ${came} characters came in ${length} ms.`)
  return time
}

async function traced(): Promise<ThreadTime> {
  performance.clearMarks()
  await beginTrace()
  performance.mark('begin')
  await new Promise((resolve) => setTimeout(resolve, length))
  performance.mark('end')
  return endTrace()
}
