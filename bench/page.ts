import { commit } from './measurements/commit.ts'
import { firstDeltaAndAbort } from './measurements/first-delta-and-abort.ts'
import { heap } from './measurements/heap.ts'
import { openSession } from './measurements/open-session.ts'
import { pageThread } from './measurements/page-thread.ts'
import { partsInOneThread } from './measurements/parts-in-one-thread.ts'
import { partsOverPort } from './measurements/parts-over-port.ts'
import { turnStorage } from './measurements/turn-storage.ts'
import type { Row } from './row.ts'

/** What the page measures, by the names that `--only` takes. */
const measurements: Readonly<Record<string, () => Promise<Row[]>>> = {
  'parts-in-one-thread': partsInOneThread,
  'parts-over-port': partsOverPort,
  'first-delta-and-abort': firstDeltaAndAbort,
  'turn-storage': turnStorage,
  commit,
  'open-session': openSession,
  'page-thread': pageThread,
  heap,
}

export interface BenchPage {
  readonly names: readonly string[]
  measure(name: string): Promise<Row[]>
}

const page: BenchPage = {
  names: Object.keys(measurements),
  measure: (name) => (measurements[name] as () => Promise<Row[]>)(),
}
Object.assign(globalThis, { bench: page })
