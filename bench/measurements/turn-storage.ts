import { createRuntime, defineAgent, indexedDbStore } from 'turnloop/runtime'
import { tools } from '../add-tool.ts'
import { bareTransaction, openBare } from '../bare-transactions.ts'
import { measuredStore, type Span, unionOf } from '../measured-store.ts'
import { alternate } from '../rounds.ts'
import { median, type Row, rowOf } from '../row.ts'
import { scriptModel } from '../script-model.ts'

/** Runs per round. */
const runs = 30

/**
 * The time that a turn with one tool call spends on IndexedDB: as long as any call of the store is under way, from the
 * model's answer to the tool message. The tool is not idempotent, so that its intent is written strictly. Beside it as many
 * transactions of that size with nothing of turnloop around them: what the browser and the disk take for themselves.
 */
export async function turnStorage(): Promise<Row[]> {
  const spans: Span[] = []
  const runtime = createRuntime(
    defineAgent({ name: 'bench', model: scriptModel({ deltas: 80, toolCalls: 1 }), tools }),
    {
      store: measuredStore(indexedDbStore({ name: 'bench-turn' }), spans),
    },
  )
  const wholeRuns: number[] = []
  const db = await openBare('bench-bare')
  const { turn, bare } = await alternate({
    turn: async () => {
      const turns: number[] = []
      const wholes: number[] = []
      for (let i = 0; i < runs; i++) {
        spans.length = 0
        await runtime.run({ input: 'Go' }).result
        wholes.push(unionOf(spans))
        turns.push(unionOf(ofTurn(spans)))
      }
      wholeRuns.push(median(wholes))
      return median(turns)
    },
    bare: async () => {
      const sequences: number[] = []
      for (let i = 0; i < runs; i++) {
        const begun = performance.now()
        for (const durability of ['relaxed', 'strict', 'relaxed', 'relaxed'] as const)
          await bareTransaction(db, durability)
        sequences.push(performance.now() - begun)
      }
      return median(sequences)
    },
  })
  db.close()
  await runtime.close()
  return [
    rowOf({
      name: 'storage of a turn with one tool call',
      unit: 'ms',
      samples: turn,
      peer: { name: '4 bare transactions', samples: bare },
      atMost: 6,
      note: 'the time in which a call of the store is under way, from the answer to the tool message',
    }),
    rowOf({
      name: 'storage of the whole run: input, lock, start, that turn, an answer',
      unit: 'ms',
      samples: wholeRuns.slice(1),
    }),
  ]
}

/** All that the store did between the commit that starts the run and the answer of the turn after. */
function ofTurn(spans: readonly Span[]): Span[] {
  const commits = spans.filter(({ method }) => method === 'commit')
  const start = commits.find(({ turn }) => turn === 0)?.end ?? 0
  const end = commits.findLast(({ turn }) => turn === 1)?.end ?? 0
  const own = commits.filter(({ turn }) => turn === 1)
  if (own.length !== 4)
    throw new Error(`The turn had ${own.length} commits: answer, intent, result and tool message were expected.`)
  return spans.filter(({ begin }) => begin >= start && begin < end)
}
