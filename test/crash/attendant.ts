import { editedName, type PlanName, steerOf, turnsOf } from './plans.ts'
import type { Scenario } from './scenarios.ts'
import { type PlannedWord, resumable, type SaidWord } from './words.ts'
import type { Answer, Glance } from './world/commands.ts'
import type { HeardEvent, Ledger } from './world/ledger.ts'
import type { OpenApproval, PageLink } from './world/pages.ts'
import type { World } from './world/world.ts'

/**
 * The person before the page: answers questions and forms, and resumes what the runtime gave up. What it said to a page
 * that died is said again.
 */
export class Attendant {
  readonly #world: World
  readonly #ledger: Ledger
  readonly #scenario: Scenario
  readonly #before: () => PageLink | undefined
  readonly #said = new Set<string>()
  readonly #send: () => Promise<unknown>
  #ended = false
  /** The first question whether a call may start. */
  #firstAsked: string | undefined
  /** Kinds of events to which the person does not react yet. */
  ignores: string | undefined
  /** What went wrong while it spoke; a page that dies is no fault. */
  readonly faults: string[] = []

  /** `before` gives the page that the person sits before, if there is one now; `send` sends another input there. */
  constructor(
    world: World,
    ledger: Ledger,
    scenario: Scenario,
    before: () => PageLink | undefined,
    send: () => Promise<unknown> = async () => {},
  ) {
    this.#send = send
    this.#world = world
    this.#ledger = ledger
    this.#scenario = scenario
    this.#before = before
  }

  async start(): Promise<void> {
    while (!this.#ended) {
      const word = await this.#world.until(() => this.#ended || this.#next(), 1000)
      if (typeof word !== 'object') continue
      this.#said.add(word.key)
      await word.say().catch((error: Error) => {
        if (
          !/unknown-approval|unknown-tool|duplicate-tool-output|not-resumable|worker-lost|PageGone|died|is gone/.test(
            `${error.name} ${error.message}`,
          )
        ) {
          this.faults.push(`${word.key}: ${error.message}`)
        }
        // Said again to the next life, or to this one after a while.
        setTimeout(() => this.#said.delete(word.key), 300)
      })
    }
  }

  end() {
    this.#ended = true
    this.#world.changed()
  }

  /** What there is to say now. */
  #next(): { readonly key: string; say(): Promise<unknown> } | undefined {
    const link = this.#before()
    if (!link) return undefined
    return (
      this.#speak(link) ??
      this.#answer(link) ??
      this.#fillForm(link) ??
      this.#resume(link) ??
      this.#step(link) ??
      this.#close(link) ??
      this.#goOnline(link)
    )
  }

  /** A word that is planned, once it is time for it, and again where a page died with it. */
  #speak(link: PageLink) {
    const { say } = this.#scenario
    const said = this.#ledger.words[0]
    // An abort is only told to the page: with the page, it may be gone.
    if (!say || (said?.takenAt !== undefined && say.word !== 'abort')) return undefined
    const { gate } = this.#ledger
    if (!this.#isTime(say)) return undefined
    const run = [...this.#ledger.heard.values()].findLast(({ kind }) => kind === 'run-started')?.runId
    const key = `${link.id} say`
    if (run === undefined || this.#said.has(key)) return undefined
    if (this.#isThere(say)) {
      if (gate) gate.open = true
      return undefined
    }
    const word: SaidWord = said ?? { word: say.word, number: 1 }
    if (!said) this.#ledger.words.push(word)
    return {
      key,
      say: async () => {
        await this.#utter(link, say.word, run)
        word.takenAt = Date.now()
        if (gate) gate.open = true
        this.#world.changed()
      },
    }
  }

  /** Whether what a page died with did come through: then nobody says it again. */
  #isThere({ word }: PlannedWord): boolean {
    const { heard, steers, session } = this.#ledger
    if (word === 'queue') return false
    if (word === 'steer') return steers.has(1) || [...heard.values()].some(({ input }) => input === steerOf(session, 1))
    const kinds = [...heard.values()].map(({ kind }) => kind)
    return kinds.includes(word === 'abort' ? 'run-cancelled' : 'run-stopped')
  }

  #isTime({ at }: PlannedWord): boolean {
    const { gate, heard } = this.#ledger
    if ('turn' in at) return gate?.reached === true
    if (this.ignores === at.heard) return false
    return [...heard.values()].filter(({ kind }) => kind === at.heard).length >= at.nth
  }

  #utter(link: PageLink, word: PlannedWord['word'], run: string): Promise<unknown> {
    const { session } = this.#scenario
    switch (word) {
      case 'stop':
        return link.ask('stop', { session, after: 'now' })
      case 'stop-after-turn':
        return link.ask('stop', { session, after: 'turn' })
      case 'abort':
        return link.ask('abort', { session })
      case 'steer':
        return this.#steer(link, run)
      case 'queue':
        return this.#send()
    }
  }

  /** One of which nobody was told that it is stored may be there all the same: who says it again looks first. */
  async #steer(link: PageLink, run: string): Promise<unknown> {
    const { session } = this.#scenario
    const input = steerOf(session, 1)
    const { queue, messages } = await link.ask<Glance>('glance', { session })
    if (queue.includes(input) || messages.some(({ text }) => text === input)) return undefined
    return link.ask('steer', { run, input })
  }

  #answer(link: PageLink) {
    if (this.ignores === 'approval-requested') return undefined
    for (const approval of link.approvals) {
      const key = `${link.id} answer ${approval.id}`
      if (!this.#isOurs(approval) || this.#said.has(key)) continue
      return { key, say: () => link.ask('answer', { approval: approval.id, answer: this.#decide(approval) }) }
    }
    return undefined
  }

  /** Of the session, or of a run below one of its own. */
  #isOurs({ sessionId, ancestors = [] }: OpenApproval): boolean {
    const { session } = this.#scenario
    return sessionId === session || ancestors.some((above) => above.sessionId === session)
  }

  #decide(approval: OpenApproval): Answer {
    const { reason, input } = approval
    if (reason === 'policy') return this.#permit(approval)
    if (reason === 'interrupted') return { decision: 'resume' }
    if (reason === 'budget') return { decision: 'extend', by: 2 }
    if (reason === 'doom-loop') return { decision: 'allow-once' }
    const { inDoubt, session } = this.#scenario
    // Nobody here hears of what becomes of a call below: it is not started again.
    const decision = approval.sessionId === session || inDoubt === 'abandon' ? inDoubt : 'supply-result'
    if (decision !== 'supply-result') return { decision }
    return { decision, output: { done: (input as { name: string }).name } }
  }

  #permit({ id, input }: OpenApproval): Answer {
    this.#firstAsked ??= id
    const no = { decision: 'deny', reason: 'Not today' } as const
    switch (this.#scenario.says) {
      case 'always':
        return { decision: 'allow-always' }
      case 'edited':
        return { decision: 'allow-once', input: { name: editedName((input as { name: string }).name) } }
      case 'denied':
        return no
      case 'revoked':
        return id === this.#firstAsked ? { decision: 'allow-once' } : no
      default:
        return { decision: 'allow-once' }
    }
  }

  #fillForm(link: PageLink) {
    if (this.ignores === 'run-waiting') return undefined
    const { session, plan } = this.#scenario
    if (!usesForm(plan)) return undefined
    for (const call of openForms([...this.#ledger.heard.values()])) {
      const key = `${link.id} output ${call.toolCallId}`
      if (this.#said.has(key)) continue
      return { key, say: () => link.ask('output', { session, call: call.toolCallId, name: call.name }) }
    }
    return undefined
  }

  #resume(link: PageLink) {
    for (const { runId, kind, reason, seq } of this.#ledger.heard.values()) {
      const key = `${link.id} resume ${runId} ${seq}`
      if (kind !== 'run-stopped' || !resumable.has(reason) || this.#said.has(key)) continue
      if (this.#ledger.eventsOf(runId).at(-1)?.seq !== seq) continue
      return { key, say: () => link.ask('resume', { session: this.#scenario.session, run: runId }) }
    }
    return undefined
  }

  /** Where the session stands, as far as pages were told. */
  #last(): HeardEvent | undefined {
    const events = [...this.#ledger.heard.values()].sort((a, b) => a.seq - b.seq)
    return events.findLast(({ kind }) => kind !== 'checkpoint-saved')
  }

  /** The next step of a run that is advanced by steps, where it does not move by itself. */
  #step(link: PageLink) {
    const { session, way } = this.#scenario
    const last = this.#last()
    if (way !== 'step' || !last || !['run-waiting', 'approval-resolved'].includes(last.kind)) return undefined
    if (this.ignores === last.kind) return undefined
    const key = `${link.id} step ${last.seq}`
    return this.#said.has(key) ? undefined : { key, say: () => link.ask('next-step', { session }) }
  }

  /** Closes an open run that has heard and answered everything. */
  #close(link: PageLink) {
    const { way, say } = this.#scenario
    const events = [...this.#ledger.heard.values()]
    const last = this.#last()
    const isThrough = !say || events.some(({ kind, mode }) => kind === 'input-delivered' && mode === 'steer')
    if (way !== 'open' || last?.kind !== 'run-waiting' || last.waitingFor !== 'input' || !isThrough) return undefined
    const key = `${link.id} close`
    return this.#said.has(key) ? undefined : { key, say: () => link.ask('close', { run: last.runId }) }
  }

  /** The network comes back once a run waits for it. */
  #goOnline(link: PageLink) {
    const last = this.#last()
    const waits = last?.kind === 'run-waiting' && last.waitingFor === 'offline'
    const key = `${link.id} online`
    return !waits || this.#said.has(key) ? undefined : { key, say: () => link.ask('network', { online: true }) }
  }
}

const usesForm = (plan: PlanName) => turnsOf(plan).some((calls) => (calls as readonly string[]).includes('form'))

/** Calls of the form that wait for their answer: asked for, the run waits, and no result is known. */
function openForms(events: readonly HeardEvent[]) {
  const finished = new Set(
    events.filter(({ kind }) => kind === 'tool-execution-finished').map((event) => event.toolCallId),
  )
  const waiting = new Set(events.filter(({ kind }) => kind === 'run-waiting').map(({ runId }) => runId))
  return events
    .filter(({ kind, runId }) => kind === 'assistant-message-committed' && waiting.has(runId))
    .flatMap(({ message }) => {
      const { parts } = message as { parts: { type: string; toolCallId: string; input: { name: string } }[] }
      return parts.filter(({ type, toolCallId }) => type === 'tool-form' && !finished.has(toolCallId))
    })
    .map(({ toolCallId, input }) => ({ toolCallId, name: input.name }))
}
