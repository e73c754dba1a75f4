import { setTimeout as delay } from 'node:timers/promises'
import { Attendant } from './attendant.ts'
import type { Death } from './browser.ts'
import { openQuestions } from './check-approvals.ts'
import { check, type Expected, isOver, outline, tokensOf } from './checks.ts'
import type { Finding } from './findings.ts'
import { type Lane, unlessGone } from './lane.ts'
import { ignoredUntil, type Moment, nameOf } from './moments.ts'
import { inputOf, type Order } from './plans.ts'
import type { Scenario } from './scenarios.ts'
import type { Dump, Glance } from './world/commands.ts'
import type { Ledger } from './world/ledger.ts'
import type { PageLink } from './world/pages.ts'
import type { World } from './world/world.ts'

/** What became of a scenario. */
export interface Outcome {
  readonly scenario: Scenario
  readonly deaths: readonly { readonly by: Death; readonly at: string }[]
  /** Points that were armed, and that the run did not come to. */
  readonly missed: readonly string[]
  readonly findings: readonly Finding[]
  /** The log, where something was found. */
  readonly log: string
  /** Milliseconds from an owner's death to the first event of the next leg, among several tabs. */
  readonly handOvers?: readonly number[]
  readonly steals?: number
}

/** Milliseconds until a run that makes no progress counts as stuck. */
const patience = 15_000

/** Plays a scenario to its end and checks what is left of it. */
export async function play(world: World, lane: Lane, scenario: Scenario): Promise<Outcome> {
  const player = new Player(world, lane, scenario)
  try {
    await player.play()
  } catch (error) {
    player.findings.push({
      fault: 'problem',
      message: `the scenario broke off: ${error instanceof Error ? error.stack : error}`,
    })
    // Whatever state the browser is in, the next scenario gets a new tab.
    await lane.closeTab().catch(() => {})
  } finally {
    player.attendant.end()
  }
  return player.outcome()
}

class Player {
  readonly #world: World
  readonly #lane: Lane
  readonly #scenario: Scenario
  readonly #ledger: Ledger
  readonly attendant: Attendant
  readonly findings: Finding[] = []
  readonly #deaths: { by: Death; at: string }[] = []
  readonly #missed: string[] = []
  readonly #orders: Order[] = []
  /** The page that an input was said to last. */
  readonly #saidTo = new Map<number, PageLink>()
  #dump: Dump | undefined
  #runId: string | undefined
  #spentBefore = 0

  constructor(world: World, lane: Lane, scenario: Scenario) {
    this.#world = world
    this.#lane = lane
    this.#scenario = scenario
    this.#ledger = world.ledger(scenario.session)
    this.attendant = new Attendant(
      world,
      this.#ledger,
      scenario,
      () => lane.link,
      () => this.#send(),
    )
  }

  async play(): Promise<void> {
    const { deaths, supersede, say, fails } = this.#scenario
    this.#ledger.fails = fails
    if (say && 'turn' in say.at) this.#ledger.gate = { turn: say.at.turn, reached: false, open: false }
    await this.#lane.prepare(deaths.filter(({ by }) => by === 'worker').length)
    this.#spentBefore = await this.#spent()
    const armed = [...deaths]
    // Pages ask once where they are to stop.
    this.#arm(armed[0]?.at)
    await this.#askBefore()
    if (fails === 'network') await this.#setNetwork(false)
    void this.attendant.start()
    await this.#send()
    for (let next = armed.shift(); next; next = armed.shift()) {
      if (!(await this.#await(next.at))) {
        if ('point' in next.at) this.#missed.push(next.at.point)
        break
      }
      this.#deaths.push({ by: next.by, at: nameOf(next.at) })
      this.#arm(armed[0]?.at)
      await this.#lane.kill(next.by)
      await this.#watch()
      await this.#settleInput()
      await this.#checkQuestions()
    }
    this.#arm(undefined)
    if (supersede) await this.#send()
    for (const order of this.#orders) await this.#end(order)
    await this.#look()
  }

  async #setNetwork(online: boolean) {
    const tab = await this.#lane.tab()
    await unlessGone(tab.link.ask('network', { online }))
  }

  /** Tokens that are booked by day, of all sessions of the browser. */
  async #spent(): Promise<number> {
    const tab = await this.#lane.tab()
    return tab.link.ask<number>('spent', {})
  }

  /** What was asked before is through before anybody dies. */
  async #askBefore() {
    const { session, before, way } = this.#scenario
    if (!before) return
    const order: Order = { session, input: 1, plan: before }
    this.#orders.push(order)
    const tab = await this.#lane.tab()
    await tab.link.ask('send', { session, agent: 'auto', input: inputOf(order) })
    await this.#end(order)
    if (way === 'edit') this.#ledger.hidden.add(1)
  }

  outcome(): Outcome {
    const findings = [
      ...this.findings,
      ...this.attendant.faults.map((message) => ({ fault: 'problem' as const, message })),
    ]
    if (this.#dump) findings.push(...check(this.#ledger, this.#dump, this.#expected()))
    const events = this.#dump?.events ?? [...this.#ledger.heard.values()].sort((a, b) => a.seq - b.seq)
    const log = findings.length > 0 ? outline(events) : ''
    return { scenario: this.#scenario, deaths: this.#deaths, missed: this.#missed, findings, log }
  }

  #arm(moment: Moment | undefined) {
    this.#ledger.arm(moment && 'point' in moment ? moment : undefined)
    this.attendant.ignores = moment && ignoredUntil(moment)
    this.#ledger.facts = 0
  }

  async #watch() {
    const { session, agent } = this.#scenario
    const tab = await this.#lane.tab()
    await unlessGone(tab.link.ask('watch', { session, agent }))
  }

  async #send(again?: Order) {
    const { session, agent, plan, way = 'send' } = this.#scenario
    if (way === 'regenerate' && !again) return this.#regenerate()
    const tab = await this.#lane.tab()
    const order = again ?? { session, plan, input: this.#orders.length + 1 }
    if (!again) this.#orders.push(order)
    const [earlier] = this.#orders
    // What is sent besides is a message like any other.
    const isFirst = order.input === (this.#scenario.before ? 2 : 1)
    const command = isFirst && way !== 'named' ? way : 'send'
    const named = isFirst && way === 'named' ? { requestId: `${session}/${order.input}` } : undefined
    const before = command === 'edit' && earlier ? { before: inputOf(earlier) } : undefined
    this.#saidTo.set(order.input, tab.link)
    const asked = tab.link.ask<string | undefined>(command, {
      session,
      agent,
      input: inputOf(order),
      ...before,
      ...named,
    })
    this.#runId = await unlessGone(asked)
  }

  async #regenerate() {
    const [order] = this.#orders
    if (!order) return
    this.#ledger.regenerated.add(order.input)
    const tab = await this.#lane.tab()
    const { session } = this.#scenario
    this.#runId = await unlessGone(tab.link.ask<string>('regenerate', { session, input: inputOf(order) }))
  }

  /** Waits for the moment of the next death. False where everything is over before it. */
  async #await(moment: Moment): Promise<boolean> {
    const over = () => this.#isOver()
    if ('delay' in moment) {
      await delay(moment.delay)
      return !over()
    }
    const come = () => {
      if ('point' in moment) return this.#ledger.reached === moment.point
      if ('facts' in moment) return this.#ledger.facts >= moment.facts
      return [...this.#ledger.heard.values()].filter(({ kind }) => kind === moment.heard).length >= moment.nth
    }
    const what = await this.#world.until(() => (come() && 'come') || (over() && 'over'), patience)
    return what === 'come'
  }

  #isOver(): boolean {
    return this.#orders.every(({ input }) => this.#isInputOver(input))
  }

  #isInputOver(input: number): boolean {
    const runId = this.#ledger.runOf(input)
    return runId !== undefined && isOver(this.#ledger.eventsOf(runId))
  }

  /** An input of which nobody was told that it is stored may be gone: then it is sent again, as a person would. */
  async #settleInput() {
    const [order] = this.#orders
    if (this.#scenario.way === 'named' && order) return this.#send(order)
    for (const order of [...this.#orders]) if (!this.#isKnown(order.input)) await this.#sendAgain(order)
  }

  async #sendAgain(order: Order) {
    const tab = await this.#lane.tab()
    // The page lives that it was said to, and may say it to the next worker by itself.
    if (this.#saidTo.get(order.input) === tab.link)
      await this.#world.until(() => this.#isKnown(order.input) || this.#isSettled(), 5000)
    if (this.#isKnown(order.input)) return
    const glance = await unlessGone(tab.link.ask<Glance>('glance', { session: this.#scenario.session }))
    if (!glance) return
    const text = inputOf(order)
    const there =
      glance.queue.includes(text) ||
      glance.messages.some((message) => message.text === text) ||
      (order === this.#orders[this.#scenario.before ? 1 : 0] && glance.phase)
    if (!there && !this.#isKnown(order.input)) await this.#send(order)
  }

  /** Who is asked whether a call may start is asked until he answers. */
  async #checkQuestions() {
    for (const id of openQuestions(this.#ledger)) {
      const isThere = () =>
        this.#lane.link?.approvals.some((approval) => approval.id === id) || !openQuestions(this.#ledger).has(id)
      if (await this.#world.until(isThere, patience)) continue
      this.findings.push({ fault: 'lost', message: `the approval ${id} is open, and no page shows it` })
    }
  }

  #isKnown = (input: number) => this.#ledger.queued.has(input) || this.#ledger.runOf(input) !== undefined

  #isSettled = () => this.#runId !== undefined && this.#ledger.settled.has(this.#runId)

  /** Waits for the end of an input's run. */
  async #end({ input }: Order) {
    const ended = await this.#world.until(() => this.#isInputOver(input), patience)
    if (ended) return
    const tab = await this.#lane.tab()
    const diagnosis = await unlessGone(tab.link.ask('diagnose'))
    const glance = await unlessGone(tab.link.ask<Glance>('glance', { session: this.#scenario.session }))
    this.findings.push({
      fault: 'stuck',
      message:
        `input ${input} came to no end within ${patience} ms; the view: ${JSON.stringify(glance)}; ` +
        `at event ${this.#ledger.head}, owner ${JSON.stringify(this.#ledger.owner)}: ${JSON.stringify(diagnosis)}`,
    })
  }

  async #look() {
    const { session } = this.#scenario
    const tab = await this.#lane.tab()
    this.#dump = await tab.link.ask<Dump>('dump', { session, head: this.#ledger.head })
    this.#checkSpent(this.#dump, await this.#spent())
    if (this.#scenario.fails === 'network') await this.#setNetwork(true)
    if (this.#deaths.length > 0 && this.#deaths.every(({ by }) => by === 'worker')) await this.#checkHandle()
    await tab.link.ask('leave', { session })
  }

  /** What the day's spend grew by is what the session's runs have booked: each call once, however often somebody died. */
  #checkSpent({ events }: Dump, spent: number) {
    const booked = events.reduce((sum, { kind, usage }) => sum + (kind === 'usage-recorded' ? tokensOf(usage) : 0), 0)
    const grown = spent - this.#spentBefore
    if (grown === booked) return
    this.findings.push({
      fault: grown > booked ? 'repeated' : 'lost',
      message: `the day's spend grew by ${grown} tokens, booked were ${booked}`,
    })
  }

  /** Where only workers died, the page's handle settles as if nothing had happened. */
  async #checkHandle() {
    const runId = this.#runId
    const events = runId ? this.#ledger.eventsOf(runId) : []
    // A stop settles it, whoever resumes the run later.
    if (!runId || events.at(-1)?.kind !== 'run-completed' || events.some(({ kind }) => kind === 'run-stopped')) return
    const settled = await this.#world.until(() => this.#ledger.settled.get(runId), 2000)
    if (settled?.status === 'completed') return
    this.findings.push({
      fault: 'problem',
      message: `the run completed, and its handle on the page settled as ${settled?.status ?? 'nothing'}`,
    })
  }

  #expected(): Expected[] {
    const { agent, supersede, say } = this.#scenario
    const { length } = this.#orders
    return this.#orders.map((order, index) => ({
      order,
      hidden: this.#ledger.hidden.has(order.input),
      ends: [
        'run-completed',
        ...(agent === 'never' ? ['run-stopped orphaned'] : []),
        ...(say?.word === 'abort' ? ['run-cancelled aborted'] : []),
        ...(supersede && index < length - 1 ? ['run-cancelled superseded'] : []),
      ],
    }))
  }
}
