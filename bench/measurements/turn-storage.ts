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
  const agent = defineAgent({ name: 'bench', model: scriptModel({ deltas: 80, toolCalls: 1 }), tools })
  const runtime = createRuntime(agent, { store: measuredStore(indexedDbStore({ name: 'bench-turn' }), spans) })
  const wholeRuns: number[] = []
  let commits = 0
  const db = await openBare('bench-bare')
  const { turn, bare } = await alternate({
    turn: async () => {
      const turns: number[] = []
      const wholes: number[] = []
      for (let i = 0; i < runs; i++) {
        spans.length = 0
        await runtime.run({ input: 'Go' }).result
        wholes.push(unionOf(spans))
        const own = ofTurn(spans)
        commits = own.filter(({ method }) => method === 'commit').length
        turns.push(unionOf(own))
      }
      wholeRuns.push(median(wholes))
      return median(turns)
    },
    bare: async () => {
      const sequences: number[] = []
      for (let i = 0; i < runs; i++) {
        const begun = performance.now()
        for (let n = 0; n < commits; n++) await bareTransaction(db, n === 1 ? 'strict' : 'relaxed')
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
      peer: { name: `${commits} bare transactions`, samples: bare },
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

/** All that the store did from the end of the commit that starts the run to the end of the turn's last one. */
function ofTurn(spans: readonly Span[]): Span[] {
  const start = spans.find(({ turn }) => turn === 0)
  const last = spans.findLast(({ turn }) => turn === 1)
  if (!start || !last) throw new Error('The run made no commits that could be told apart by their turn.')
  return spans.filter(({ begin }) => begin >= start.end && begin < last.end)
}
