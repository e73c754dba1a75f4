import { connectWorker } from '../connect-worker.ts'
import type { DevTools } from '../devtools.ts'
import { rounds } from '../rounds.ts'
import { type Row, rowOf } from '../row.ts'

const { beginTrace, endTrace } = globalThis as unknown as DevTools

/** Milliseconds of a round. */
const length = 2500

/** How busy the page's thread is while ten runs stream 100 parts a second each into ten views, by Chromium's own trace. */
export async function pageThread(): Promise<Row[]> {
  const views = await streaming(() => {})
  const drawn = await streaming(draw)
  const note = 'tasks of the page thread in a trace, over the time'
  return [
    rowOf({
      name: 'page thread busy, 10 runs into views',
      unit: '%',
      samples: views.map(({ busy }) => busy),
      atMost: 2,
      note,
    }),
    rowOf({ name: 'longest task of it', unit: 'ms', samples: views.map(({ longest }) => longest), atMost: 50 }),
    rowOf({
      name: 'page thread busy, with each answer drawn as plain text',
      unit: '%',
      samples: drawn.map(({ busy }) => busy),
    }),
    rowOf({
      name: 'longest task of it, with each answer drawn',
      unit: 'ms',
      samples: drawn.map(({ longest }) => longest),
    }),
  ]
}

type View = ReturnType<ReturnType<typeof connectWorker>['session']>['view']

async function streaming(show: (view: View) => void) {
  const agent = connectWorker()
  const sessions = Array.from({ length: 10 }, () => agent.session())
  const runs = sessions.map((session) => session.send('Go', { model: 'paced' }))
  const undo = sessions.map(({ view }) => view.subscribe(() => show(view)))
  await Promise.all(sessions.map(({ view }) => textOf(view, 50)))
  const measured: { busy: number; longest: number }[] = []
  for (let round = 0; round < rounds; round++) {
    const before = sessions.map(({ view }) => textIn(view).length)
    await beginTrace()
    performance.mark('begin')
    await new Promise((resolve) => setTimeout(resolve, length))
    performance.mark('end')
    const { tasks, elapsed } = await endTrace()
    const came = sessions.map(({ view }, i) => textIn(view).length - (before[i] ?? 0))
    if (Math.min(...came) < length / 10) throw new Error(`Only ${came} characters came.`)
    measured.push({ busy: (tasks.reduce((sum, task) => sum + task, 0) / elapsed) * 100, longest: Math.max(...tasks) })
  }
  for (const run of runs) run.abort()
  await Promise.allSettled(runs.map(({ result }) => result))
  for (const leave of undo) leave()
  await agent.close()
  return measured
}

function textIn(view: View): string {
  const part = view
    .getSnapshot()
    .messages.at(-1)
    ?.parts.findLast(({ type }) => type === 'text')
  return part?.type === 'text' ? part.text : ''
}

/** Resolves once that much text is shown. */
const textOf = (view: View, length: number) =>
  new Promise<void>((resolve) => {
    const leave = view.subscribe(() => {
      if (textIn(view).length < length) return
      leave()
      resolve()
    })
  })

const paragraphs = new Map<View, HTMLElement>()

/** What a plain page does: one paragraph per answer. */
function draw(view: View) {
  const paragraph = paragraphs.get(view) ?? document.body.appendChild(document.createElement('p'))
  paragraphs.set(view, paragraph)
  paragraph.textContent = textIn(view)
}
