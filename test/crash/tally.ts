import { deaths } from './browser.ts'
import type { Fault } from './findings.ts'
import type { Outcome } from './play.ts'

/** Counts what happened over all scenarios. */
export class Tally {
  readonly #byKind = new Map<string, number>(deaths.map((death) => [death, 0]))
  readonly #byPoint = new Map<string, { reached: number; missed: number }>()
  readonly #faults: Record<Fault, number> = { lost: 0, repeated: 0, stuck: 0, problem: 0 }
  #passed = 0
  #failed = 0
  #deaths = 0
  readonly #handOvers: number[] = []
  #steals = 0

  get deaths(): number {
    return this.#deaths
  }

  get failed(): number {
    return this.#failed
  }

  add({ deaths, missed, findings, handOvers = [], steals = 0 }: Outcome): void {
    this.#handOvers.push(...handOvers)
    this.#steals += steals
    this.#deaths += deaths.length
    for (const { by, at } of deaths) {
      this.#byKind.set(by, (this.#byKind.get(by) ?? 0) + 1)
      this.#point(at).reached++
    }
    for (const point of missed) this.#point(point).missed++
    for (const { fault } of findings) this.#faults[fault]++
    if (findings.length > 0) this.#failed++
    else this.#passed++
  }

  /** A fault of no scenario. */
  fail(): void {
    this.#faults.problem++
    this.#failed++
  }

  /** Points that no scenario reached. */
  get unreached(): string[] {
    return [...this.#byPoint].filter(([, { reached }]) => reached === 0).map(([point]) => point)
  }

  lines(): string[] {
    const { lost, repeated, stuck, problem } = this.#faults
    return [
      ...[...this.#byKind].map(([kind, count]) => `killed by ${kind}: ${count}`),
      ...[...this.#byPoint]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([point, { reached, missed }]) => `died ${point}: ${reached}${missed ? ` (not reached ${missed})` : ''}`),
      `locks stolen: ${this.#steals}`,
      `hand-overs to another tab: ${this.#handOvers.length}, median ${median(this.#handOvers)} ms, longest ${Math.max(0, ...this.#handOvers)} ms`,
      `deaths ${this.#deaths}, lost ${lost}, repeated ${repeated}, stuck ${stuck}, problems ${problem}`,
      `${this.#passed} passed, ${this.#failed} failed`,
    ]
  }

  #point(name: string) {
    let point = this.#byPoint.get(name)
    if (!point) {
      point = { reached: 0, missed: 0 }
      this.#byPoint.set(name, point)
    }
    return point
  }
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
