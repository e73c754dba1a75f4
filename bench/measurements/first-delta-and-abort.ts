import { connectWorker } from '../connect-worker.ts'
import { type Row, rowOf } from '../row.ts'
import { timeOf } from '../worker-times.ts'

const count = 15

/** How long the page waits while the model in the worker always has the next part, and how fast an abort gets through. */
export async function firstDeltaAndAbort(): Promise<Row[]> {
  const agent = connectWorker()
  await agent.run({ input: 'Warm up', model: 'text' }).result
  const times: Times[] = []
  for (let i = -2; i < count; i++) {
    const measured = await measure(agent)
    if (i >= 0) times.push(measured)
  }
  await agent.close()
  const row = (name: string, of: keyof Times, atMost?: number, note?: string) =>
    rowOf({ name, unit: 'ms', samples: times.map((time) => time[of]), atMost, note })
  return [
    row('worker fed without pause: first delta at the page', 'firstDelta', 30, 'from the call of the model'),
    row(
      'worker fed without pause: first delta after send()',
      'sinceSend',
      undefined,
      'the writing of input and start included',
    ),
    row('worker fed without pause: abort() reaches the model', 'abort', 30),
    row(
      'worker fed without pause: result settles after abort()',
      'settled',
      undefined,
      'the writing of the end included',
    ),
  ]
}

interface Times {
  readonly firstDelta: number
  readonly sinceSend: number
  readonly abort: number
  readonly settled: number
}

async function measure(agent: ReturnType<typeof connectWorker>): Promise<Times> {
  const asked = timeOf('asked')
  const aborted = timeOf('aborted')
  const sent = performance.now()
  const run = agent.run({ input: 'Go', model: 'endless' })
  let at = 0
  const listener = run.on('text-delta', () => {
    at ||= performance.now()
  })
  while (at === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  // The worker and the port are as busy as they get.
  await new Promise((resolve) => setTimeout(resolve, 150))
  const abort = performance.now()
  run.abort()
  await run.result.catch(() => {})
  const settled = performance.now()
  listener.abort()
  return {
    firstDelta: at - (await asked),
    sinceSend: at - sent,
    abort: (await aborted) - abort,
    settled: settled - abort,
  }
}
