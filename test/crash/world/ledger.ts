import { orderOf, steerIn } from '../plans.ts'
import type { Failing, SaidWord } from '../words.ts'

/** A durable event as a page heard it. */
export interface HeardEvent {
  readonly kind: string
  readonly seq: number
  readonly runId: string
  readonly at: number
  readonly [field: string]: unknown
}

/** One start of a tool, as the world saw it. */
export interface ToolStart {
  readonly tool: string
  /** Which call of the plan it is. */
  readonly name: string
  readonly call: string
  readonly key: string
  readonly at: number
}

/** Where a worker or a page is to stop for good: the n-th time that it passes the point. */
export interface Arm {
  readonly point: string
  readonly nth: number
}

export interface Owner {
  readonly page: string
  readonly life: string
  readonly epoch: number
}

/** All that the world knows of one session. */
export class Ledger {
  readonly session: string
  readonly starts: ToolStart[] = []
  /** Effects by idempotency key. */
  readonly effects = new Map<string, number>()
  /** What pages were told, by `seq`: acknowledged facts. */
  readonly heard = new Map<number, HeardEvent>()
  /** Inputs that a page was told are stored. */
  readonly queued = new Set<number>()
  /** Inputs that were taken back before their run began. */
  readonly withdrawn = new Set<number>()
  /** Inputs that a page was told come to no run, and why. */
  readonly refused = new Map<number, string>()
  /** How the handles that pages hold were settled, by run. */
  readonly settled = new Map<string, { readonly status: string; readonly text?: string }>()
  readonly problems: string[] = []
  readonly commits: { readonly seq: number; readonly epoch: number; readonly life: string }[] = []
  /** What was said to its runs. */
  readonly words: SaidWord[] = []
  /** Steerings that a page was told are stored, and those that were taken back. */
  readonly steers = new Set<number>()
  readonly withdrawnSteers = new Set<number>()
  /** The model does not answer this turn before the word is said. */
  gate: { readonly turn: number; reached: boolean; open: boolean } | undefined
  /** Inputs that an edit has put others in the place of. */
  readonly hidden = new Set<number>()
  /** Inputs that are answered anew: it is the later run that counts. */
  readonly regenerated = new Set<number>()
  fails: Failing | undefined
  /** Turns of which a call was refused. */
  readonly failed = new Set<string>()
  modelCalls = 0
  /** How often pages were told that an owner lost the session. */
  released = 0
  facts = 0
  reached: string | undefined
  owner: Owner | undefined
  #arm: Arm | undefined

  constructor(session: string) {
    this.session = session
  }

  get armed(): Arm | undefined {
    return this.#arm
  }

  arm(arm: Arm | undefined) {
    this.#arm = arm
    this.reached = undefined
  }

  /** Whether whoever passed the point is to stop there: the first one that asks. */
  reach(point: string): boolean {
    if (this.#arm?.point !== point || this.reached !== undefined) return false
    this.reached = point
    return true
  }

  hear(event: HeardEvent) {
    this.facts++
    const known = this.heard.get(event.seq)
    if (known && canonical(known) !== canonical(event)) {
      this.problems.push(
        `event ${event.seq} was told in two ways: ${canonical(known).slice(0, 400)} and ${canonical(event).slice(0, 400)}`,
      )
    }
    this.heard.set(event.seq, event)
  }

  queue(text: string) {
    const order = orderOf(text)
    if (order) this.queued.add(order.input)
    const steer = steerIn(text)
    if (steer !== undefined) this.steers.add(steer)
  }

  withdraw(text: string) {
    const order = orderOf(text)
    if (order) this.withdrawn.add(order.input)
    const steer = steerIn(text)
    if (steer !== undefined) this.withdrawnSteers.add(steer)
  }

  /** The run that an input became, as far as pages were told. */
  runOf(input: number): string | undefined {
    const runs = new Set<string>()
    for (const event of this.heard.values())
      if (event.kind === 'run-started' && orderOf(String(event.input))?.input === input) runs.add(event.runId)
    return [...runs][this.regenerated.has(input) ? 1 : 0]
  }

  eventsOf(runId: string): HeardEvent[] {
    return [...this.heard.values()].filter((event) => event.runId === runId).sort((a, b) => a.seq - b.seq)
  }

  get head(): number {
    return Math.max(0, ...this.heard.keys())
  }
}

/** JSON with sorted keys, to compare what was heard with what is stored. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field) =>
    field && typeof field === 'object' && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  )
}
