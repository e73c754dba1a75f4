import { createRuntime, defineAgent, memoryStore } from 'turnloop/runtime'
import { tools } from '../add-tool.ts'
import { alternate } from '../rounds.ts'
import { median, type Row, rowOf } from '../row.ts'
import { scriptModel } from '../script-model.ts'
import { type ScriptName, scripts } from '../scripts.ts'
import { runStreamText } from '../stream-text-run.ts'

/** Text parts per second from a model in memory to a listener, all in the page's thread, nothing stored on disk. */
export async function partsInOneThread(): Promise<Row[]> {
  return [...(await compare('text', { perSecond: 150_000, ratio: 12 })), ...(await compare('text and 20 tool calls'))]
}

async function compare(
  script: ScriptName,
  atLeast?: { readonly perSecond: number; readonly ratio: number },
): Promise<Row[]> {
  const { deltas } = scripts[script]
  const model = scriptModel(scripts[script])
  const runtime = createRuntime(defineAgent({ name: 'bench', model, tools, doomLoop: false }), { store: memoryStore() })
  const { ours, peer, ceiling } = await alternate({
    ours: () => perSecond(deltas, (count) => runTurnloop(runtime, count)),
    peer: () => perSecond(deltas, (count) => runStreamText(model, ({ type }) => type === 'text-delta' && count())),
    ceiling: () => perSecond(scripts.text.deltas, (count) => readModel(scriptModel(scripts.text), count)),
  })
  await runtime.close()
  const name = `parts in one thread: ${script}`
  return [
    rowOf({
      name,
      unit: '/s',
      samples: ours,
      peer: { name: 'streamText', samples: peer },
      atLeast: atLeast?.perSecond,
    }),
    rowOf({
      name: `${name}, times streamText`,
      unit: '×',
      samples: [median(ours) / median(peer)],
      atLeast: atLeast?.ratio,
    }),
    ...(atLeast
      ? [rowOf({ name: 'parts in one thread: reading the model and nothing else', unit: '/s', samples: ceiling })]
      : []),
  ]
}

async function runTurnloop(runtime: ReturnType<typeof createRuntime>, count: () => void) {
  const run = runtime.run({ input: 'Go' })
  const listener = run.on('text-delta', count)
  await run.result
  listener.abort()
}

async function readModel(model: ReturnType<typeof scriptModel>, count: () => void) {
  const { stream } = await model.doStream({ prompt: [{ role: 'user', content: [] }] })
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    if (value.type === 'text-delta') count()
  }
}

/** Every delta must have come, each by itself: in one thread nothing is merged. */
async function perSecond(deltas: number, run: (count: () => void) => Promise<void>): Promise<number> {
  let counted = 0
  const begun = performance.now()
  await run(() => counted++)
  const seconds = (performance.now() - begun) / 1000
  if (Math.abs(counted - deltas) > 20) throw new Error(`${counted} of ${deltas} deltas came.`)
  return counted / seconds
}
