import type { Finding } from '../crash/findings.ts'
import { within } from './within.ts'

/** What all scenarios of all engines came to, printed line by line. */
export class Report {
  #passed = 0
  #failed = 0
  #deaths = 0
  readonly #faults = { lost: 0, repeated: 0, stuck: 0, problem: 0 }
  readonly #only: string

  /** @param only takes the scenarios whose name contains it */
  constructor(only: string) {
    this.#only = only
  }

  get failed(): number {
    return this.#failed
  }

  wants(name: string): boolean {
    return name.includes(this.#only)
  }

  /** Runs one scenario, at most so long, and prints its line. A failure is noted and never thrown. */
  async scenario(name: string, act: () => Promise<void>, limit = 90_000): Promise<void> {
    if (!this.wants(name)) return
    const begun = performance.now()
    const took = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`
    try {
      await within(limit, name, act())
      this.#passed++
      console.log(`  passed  ${name} (${took()})`)
    } catch (error) {
      this.#failed++
      console.log(`  FAILED  ${name} (${took()})`)
      console.log(indent(error instanceof Error ? (error.stack ?? error.message) : String(error)))
    }
  }

  /** Something went wrong outside of any scenario. */
  fail(what: string, error: unknown): void {
    this.#failed++
    console.log(`  FAILED  ${what}`)
    console.log(indent(error instanceof Error ? (error.stack ?? error.message) : String(error)))
  }

  count(deaths: number, findings: readonly Finding[]): void {
    this.#deaths += deaths
    for (const { fault } of findings) this.#faults[fault]++
  }

  print(): void {
    const { lost, repeated, stuck, problem } = this.#faults
    console.log(`deaths ${this.#deaths}, lost ${lost}, repeated ${repeated}, stuck ${stuck}, problems ${problem}`)
    console.log(`${this.#passed} passed, ${this.#failed} failed`)
  }
}

const indent = (text: string) => text.replaceAll(/^/gm, '          ')
