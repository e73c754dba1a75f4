import { createRuntime, defineAgent, indexedDbStore } from 'turnloop/runtime'
import { growLongSession, growSession, longSession } from '../long-session.ts'
import { measuredStore, type Span } from '../measured-store.ts'
import { recordPuts } from '../recorded-puts.ts'
import { alternate, rounds } from '../rounds.ts'
import { median, type Row, rowOf } from '../row.ts'
import { scriptModel } from '../script-model.ts'

/** Runs per round and session; each writes two commits. */
const runs = 20

/** What a run's commits cost in a session that is short, and in one that is long: milliseconds, and bytes that are put. */
export async function commit(): Promise<Row[]> {
  await growLongSession()
  const spans: Span[] = []
  const store = indexedDbStore({ name: longSession.database })
  const runtime = createRuntime(defineAgent({ name: 'bench', model: scriptModel({ deltas: 40 }) }), {
    store: measuredStore(store, spans),
  })
  const puts = recordPuts()
  const bytes = { short: [] as number[], long: [] as number[] }

  const measure = async (side: 'short' | 'long', sessionIds: readonly string[]) => {
    spans.length = 0
    puts.begin()
    for (const sessionId of sessionIds) {
      await runtime.session(sessionId).send('A question of the length that people write?').result
    }
    const commits = puts.end()
    const took = spans.filter(({ method }) => method === 'commit').map(({ begin, end }) => end - begin)
    if (took.length !== 2 * runs || commits.length !== 2 * runs)
      throw new Error(`${took.length} commits, ${commits.length} of them written.`)
    bytes[side].push(commits.reduce((sum, size) => sum + size, 0) / commits.length)
    return median(took)
  }
  // A page that shows the session listens to it, and the runtime then keeps its history between runs.
  const shown = runtime.session(longSession.id).on('run-completed', () => {})
  const { short, long } = await alternate({
    short: async () => {
      const sessionIds = Array.from({ length: runs }, () => crypto.randomUUID())
      for (const sessionId of sessionIds) await growSession(store, sessionId, 10)
      return measure('short', sessionIds)
    },
    long: () =>
      measure(
        'long',
        Array.from({ length: runs }, () => longSession.id),
      ),
  })
  shown.abort()
  await runtime.close()
  puts.stop()
  const bytesShort = bytes.short.slice(-rounds)
  const bytesLong = bytes.long.slice(-rounds)
  return [
    rowOf({ name: 'commit at message 10', unit: 'ms', samples: short }),
    rowOf({ name: 'commit at message 10,000', unit: 'ms', samples: long }),
    rowOf({
      name: 'commit at message 10,000, times the one at 10',
      unit: '×',
      samples: [median(long) / median(short)],
      atMost: 1.5,
    }),
    rowOf({
      name: 'bytes of a commit at message 10',
      unit: 'B',
      samples: bytesShort,
      note: 'keys and values put, as JSON; the mean of the commits of a run',
    }),
    rowOf({ name: 'bytes of a commit at message 10,000', unit: 'B', samples: bytesLong }),
    rowOf({
      name: 'bytes of a commit at message 10,000, times those at 10',
      unit: '×',
      samples: [median(bytesLong) / median(bytesShort)],
      atMost: 1.5,
    }),
  ]
}
