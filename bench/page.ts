import { partsInOneThread } from './measurements/parts-in-one-thread.ts'
import type { Row } from './row.ts'

/** What the page measures, by the names that `--only` takes. */
const measurements: Readonly<Record<string, () => Promise<Row[]>>> = {
  'parts-in-one-thread': partsInOneThread,
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
