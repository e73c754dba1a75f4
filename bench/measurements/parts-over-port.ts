import { connectWorker } from '../connect-worker.ts'
import { alternate } from '../rounds.ts'
import { median, type Row, rowOf } from '../row.ts'
import { type ScriptName, scripts } from '../scripts.ts'

/**
 * Text parts per second from a model in a worker to a listener on the page, against `streamText` in a worker that posts each
 * chunk. Our worker stores the run in IndexedDB meanwhile; the other stores nothing.
 */
export async function partsOverPort(): Promise<Row[]> {
  return [...(await compare('text', { perSecond: 100_000, ratio: 10 })), ...(await compare('text and 20 tool calls'))]
}

interface Heard {
  readonly events: number
  readonly characters: number
}

async function compare(
  script: ScriptName,
  atLeast?: { readonly perSecond: number; readonly ratio: number },
): Promise<Row[]> {
  const { deltas } = scripts[script]
  const agent = connectWorker()
  const worker = new Worker(new URL('../stream-text.worker.ts', import.meta.url), { type: 'module' })
  const events: number[] = []
  const { ours, peer } = await alternate({
    ours: () =>
      perSecond(deltas, async () => {
        const heard = await hearTurnloop(agent, script)
        events.push(heard.events)
        return heard
      }),
    peer: () => perSecond(deltas, () => hearStreamText(worker, script)),
  })
  await agent.close()
  worker.terminate()
  const name = `parts over the port: ${script}`
  return [
    rowOf({
      name,
      unit: '/s',
      samples: ours,
      peer: { name: 'streamText', samples: peer },
      atLeast: atLeast?.perSecond,
      note: `${deltas} parts came as ${median(events)} events: neighbours merge while the page is busy`,
    }),
    rowOf({
      name: `${name}, times streamText`,
      unit: '×',
      samples: [median(ours) / median(peer)],
      atLeast: atLeast?.ratio,
    }),
  ]
}

async function hearTurnloop(agent: ReturnType<typeof connectWorker>, model: ScriptName): Promise<Heard> {
  let events = 0
  let characters = 0
  const run = agent.run({ input: 'Go', model })
  const listener = run.on('text-delta', ({ delta }) => {
    events++
    characters += delta.length
  })
  await run.result
  listener.abort()
  return { events, characters }
}

function hearStreamText(worker: Worker, script: ScriptName): Promise<Heard> {
  let events = 0
  let characters = 0
  return new Promise((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.onmessage = ({ data }) => {
      if (data.type === 'end of run') return resolve({ events, characters })
      if (data.type !== 'text-delta') return
      events++
      characters += data.text.length
    }
    worker.postMessage(script)
  })
}

/** Counts the model's parts; every character of them must have come. */
async function perSecond(deltas: number, run: () => Promise<Heard>): Promise<number> {
  const begun = performance.now()
  const { characters } = await run()
  const seconds = (performance.now() - begun) / 1000
  const parts = characters / 5
  if (Math.abs(parts - deltas) > 20) throw new Error(`The text of ${parts} of ${deltas} deltas came.`)
  return parts / seconds
}
