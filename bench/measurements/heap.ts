import { connectWorker } from '../connect-worker.ts'
import type { DevTools } from '../devtools.ts'
import { rounds } from '../rounds.ts'
import { type Row, rowOf } from '../row.ts'

const { collectedHeaps } = globalThis as unknown as DevTools

const runsPerRound = 1000
/** At once: as many sessions stream while others are disposed. */
const abreast = 20

/** Heap of page and worker after a thousand runs, each on a session of its own and disposed in mid-answer. */
export async function heap(): Promise<Row[]> {
  const agent = connectWorker()
  await startAndDispose(agent, 300)
  let before = await collectedHeaps()
  const page: number[] = []
  const worker: number[] = []
  for (let round = 0; round < rounds; round++) {
    await startAndDispose(agent, runsPerRound)
    const after = await collectedHeaps()
    page.push((after.page / before.page - 1) * 100)
    worker.push((after.workers / before.workers - 1) * 100)
    before = after
  }
  const { page: pageBytes, workers } = before
  await agent.close()
  const row = (name: string, samples: readonly number[], bytes: number) =>
    rowOf({ name, unit: '%', samples, atMost: 5, note: `${(bytes / 2 ** 20).toFixed(2)} MB in the end` })
  return [
    row('heap of the page after 1,000 runs disposed', page, pageBytes),
    row('heap of the worker after 1,000 runs disposed', worker, workers),
  ]
}

async function startAndDispose(agent: ReturnType<typeof connectWorker>, runs: number): Promise<void> {
  let left = runs
  const one = async () => {
    while (left-- > 0) {
      const run = agent.run({ input: 'Go', model: 'paced' })
      await new Promise<void>((resolve) => run.on('text-delta', () => resolve()))
      run[Symbol.dispose]()
      await run.result.catch(() => {})
    }
  }
  await Promise.all(Array.from({ length: abreast }, one))
}
