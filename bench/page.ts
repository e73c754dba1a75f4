import { buildContext } from './measurements/build-context.ts'
import { commit } from './measurements/commit.ts'
import { delegation } from './measurements/delegation.ts'
import { firstDeltaAndAbort } from './measurements/first-delta-and-abort.ts'
import { heap } from './measurements/heap.ts'
import { openSession } from './measurements/open-session.ts'
import { pageThread } from './measurements/page-thread.ts'
import { partsInOneThread } from './measurements/parts-in-one-thread.ts'
import { partsOverPort } from './measurements/parts-over-port.ts'
import { resume } from './measurements/resume.ts'
import { turnStorage } from './measurements/turn-storage.ts'
import type { Row } from './row.ts'

/** What the page measures, by the names that `--only` takes. */
const measurements: Readonly<Record<string, () => Promise<Row[]>>> = {
  'parts-in-one-thread': partsInOneThread,
  'parts-over-port': partsOverPort,
  'first-delta-and-abort': firstDeltaAndAbort,
  'turn-storage': turnStorage,
  'build-context': buildContext,
  commit,
  'open-session': openSession,
  resume,
  'page-thread': pageThread,
  delegation,
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
