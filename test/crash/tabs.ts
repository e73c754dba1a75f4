import { Attendant } from './attendant.ts'
import type { Death, Tab } from './browser.ts'
import { check, type Expected, ends, isOver, outline } from './checks.ts'
import type { Finding } from './findings.ts'
import { type Lane, mostWorkerDeaths, unlessGone } from './lane.ts'
import { inputOf, type Order } from './plans.ts'
import type { Outcome } from './play.ts'
import { type Random, randomFrom } from './random.ts'
import type { Scenario } from './scenarios.ts'
import type { Dump, Glance } from './world/commands.ts'
import type { Ledger } from './world/ledger.ts'
import type { World } from './world/world.ts'

/** Milliseconds until what does not happen counts as stuck. */
const patience = 15_000
/** Milliseconds in which another tab must have gone on; what it took is told. */
const longestHandOver = 10_000
const mostInputs = 5

/**
 * Several tabs on one session: they send, close, crash, lose their worker, and steal the lock from each other. In the end
 * each input has been carried out once, and all tabs show the same.
 */
export async function playTabs(world: World, lane: Lane, scenario: Scenario): Promise<Outcome> {
  const party = new Party(world, lane, scenario)
  try {
    await party.play()
  } catch (error) {
    const message = `the scenario broke off: ${error instanceof Error ? error.stack : error}`
    party.findings.push({ fault: 'problem', message })
  } finally {
    await party.leave()
  }
  return party.outcome()
}

interface Sent {
  readonly order: Order
  readonly by: Tab
}

class Party {
  readonly #world: World
  readonly #lane: Lane
  readonly #scenario: Scenario
  readonly #ledger: Ledger
  readonly #random: Random
  readonly #attendant: Attendant
  readonly findings: Finding[] = []
  readonly #deaths: { by: Death; at: string }[] = []
  readonly #handOvers: number[] = []
  readonly #sent: Sent[] = []
  readonly #workerDeaths = new Map<Tab, number>()
  #tabs: Tab[] = []
  #dumps: Dump[] = []
  #steals = 0

  constructor(world: World, lane: Lane, scenario: Scenario) {
    this.#world = world
    this.#lane = lane
    this.#scenario = scenario
    this.#ledger = world.ledger(scenario.session)
    this.#random = randomFrom(scenario.seed)
    this.#attendant = new Attendant(
      world,
      this.#ledger,
      scenario,
      () => this.#tabs.find(({ link }) => !link.gone)?.link,
    )
  }

  async play(): Promise<void> {
    await this.#fill()
    void this.#attendant.start()
    await this.#send(this.#tab())
    for (let step = 0; step < 6 + 2 * this.#tabs.length; step++) {
      await this.#step()
      await this.#fill()
    }
    await this.#settle()
    await this.#look()
  }

  async leave(): Promise<void> {
    this.#attendant.end()
    for (const tab of this.#tabs) await tab.close().catch(() => {})
  }

  outcome(): Outcome {
    const findings = [...this.findings]
    for (const message of this.#attendant.faults) findings.push({ fault: 'problem', message })
    const expected = this.#sent.map(
      ({ order, by }): Expected => ({
        order,
        // One that died three times before it came to anything, with another input behind it, which then begins.
        ends: [
          'run-completed',
          ...(this.#isSuperseded(this.#ledger.runOf(order.input)) ? ['run-stopped crash-loop'] : []),
        ],
        optional: by.link.gone || this.#ledger.refused.has(order.input),
      }),
    )
    const [first] = this.#dumps
    if (first) findings.push(...check(this.#ledger, first, expected))
    for (const dump of this.#dumps.slice(1)) {
      if (JSON.stringify(dump) !== JSON.stringify(first)) {
        findings.push({
          fault: 'problem',
          message: `two tabs differ: ${JSON.stringify(first)} and ${JSON.stringify(dump)}`,
        })
      }
    }
    const events = first?.events ?? [...this.#ledger.heard.values()].sort((a, b) => a.seq - b.seq)
    return {
      scenario: this.#scenario,
      deaths: this.#deaths,
      missed: [],
      findings,
      log: findings.length > 0 ? outline(events) : '',
      handOvers: this.#handOvers,
      steals: this.#steals,
    }
  }

  /** As many tabs as there are to be, each listening. */
  async #fill() {
    const { session, tabs = 2 } = this.#scenario
    this.#tabs = this.#tabs.filter(({ link }) => !link.gone)
    while (this.#tabs.length < tabs) {
      const tab = await this.#lane.browser.open()
      this.#tabs.push(tab)
      await unlessGone(tab.link.ask('watch', { session, agent: 'auto' }))
    }
  }

  /** Any tab, half of the time the owner's. */
  #tab(): Tab {
    const owner = this.#tabs.find(({ link }) => link.id === this.#ledger.owner?.page)
    return owner && this.#random.next() < 0.5 ? owner : this.#random.pick(this.#tabs)
  }

  async #step() {
    const chance = this.#random.next()
    const { session } = this.#scenario
    if (chance < 0.3 && this.#sent.length < mostInputs) return this.#send(this.#tab())
    if (chance < 0.5) return this.#listen()
    if (chance < 0.62) return this.#kill('tab')
    if (chance < 0.74) return this.#kill('page')
    if (chance < 0.86) return this.#kill('worker')
    this.#steals++
    const command = chance < 0.93 ? 'steal' : 'take-over'
    await unlessGone(this.#tab().link.ask(command, { session }))
  }

  async #send(tab: Tab) {
    const { session } = this.#scenario
    const plan = this.#random.pick(['text', 'pay', 'lookup', 'pair', 'slow'] as const)
    const order: Order = { session, plan, input: this.#sent.length + 1 }
    this.#sent.push({ order, by: tab })
    await unlessGone(tab.link.ask('send', { session, agent: 'auto', input: inputOf(order) }))
  }

  /** Until pages were told some more. */
  async #listen() {
    const { facts } = this.#ledger
    const more = this.#random.between(1, 8)
    await this.#world.until(() => this.#ledger.facts >= facts + more, 300)
  }

  async #kill(chosen: Exclude<Death, 'browser'>) {
    const tab = this.#tab()
    const by = chosen === 'worker' && this.#workerDeathsOf(tab) >= mostWorkerDeaths ? 'tab' : chosen
    const running = this.#ledger.owner?.page === tab.link.id ? this.#running() : undefined
    const { head } = this.#ledger
    const at = Date.now()
    this.#deaths.push({ by, at: running ? 'as owner among tabs' : 'among tabs' })
    if (by === 'worker') {
      this.#workerDeaths.set(tab, this.#workerDeathsOf(tab) + 1)
      await unlessGone(tab.link.ask('kill-worker'))
    } else {
      this.#tabs = this.#tabs.filter((other) => other !== tab)
      await (by === 'page' ? tab.crash() : tab.close())
    }
    if (!running) return
    const next = () => this.#ledger.eventsOf(running).find(({ seq, at: told }) => seq > head && told >= at)
    const first = await this.#world.until(() => next() ?? (!this.#running() && 'over'), longestHandOver)
    if (first === undefined) {
      const message = `nobody went on with ${running} within ${longestHandOver} ms after its owner's death (${by})`
      this.findings.push({ fault: 'stuck', message })
    } else if (first !== 'over') this.#handOvers.push(first.at - at)
  }

  readonly #workerDeathsOf = (tab: Tab) => this.#workerDeaths.get(tab) ?? 0

  /** The run that is being carried out, as far as pages were told. */
  #running(): string | undefined {
    const last = this.#ledger.heard.get(this.#ledger.head)
    if (!last || ends.has(last.kind) || last.kind === 'run-waiting' || last.kind === 'approval-requested')
      return undefined
    return last.runId
  }

  /** Waits until every input that was stored is carried out; one of a dead tab may not have been. */
  async #settle() {
    const open = () =>
      this.#sent.filter(({ order: { input }, by }) => {
        const runId = this.#ledger.runOf(input)
        if (this.#ledger.refused.has(input)) return false
        if (runId === undefined) return this.#ledger.queued.has(input) || !by.link.gone
        return !isOver(this.#ledger.eventsOf(runId)) && !this.#isSuperseded(runId)
      })
    await this.#world.until(() => open().length === 0 && this.#isQuiet(), patience * 2)
    await this.#settleUnheard()
    for (const { order } of open()) {
      this.findings.push({ fault: 'stuck', message: `input ${order.input} came to no end within ${patience * 2} ms` })
    }
  }

  /** An input may be stored although its tab died before anybody was told so: then its run comes, too. */
  async #settleUnheard() {
    const { session } = this.#scenario
    for (let head = -1; head !== this.#ledger.head; ) {
      head = this.#ledger.head
      const glance = await unlessGone(this.#tab().link.ask<Glance>('glance', { session }))
      if (!glance || (glance.queue.length === 0 && glance.phase === undefined && this.#isQuiet())) return
      await this.#world.until(() => this.#ledger.head > head && this.#isQuiet(), patience)
    }
  }

  /** Whether every run that was told of is over. */
  #isQuiet(): boolean {
    const runs = new Set([...this.#ledger.heard.values()].map(({ runId }) => runId))
    return [...runs].every((runId) => isOver(this.#ledger.eventsOf(runId)) || this.#isSuperseded(runId))
  }

  /** Whether a later run began after its end: then nobody resumes it. */
  #isSuperseded(runId: string | undefined): boolean {
    const last = runId === undefined ? undefined : this.#ledger.eventsOf(runId).at(-1)
    if (last?.kind !== 'run-stopped') return false
    return [...this.#ledger.heard.values()].some(({ kind, seq }) => kind === 'run-started' && seq > last.seq)
  }

  async #look() {
    const { session } = this.#scenario
    for (const { link } of this.#tabs) {
      const dump = await link.ask<Dump>('dump', { session, head: this.#ledger.head })
      this.#dumps.push(dump)
    }
  }
}
