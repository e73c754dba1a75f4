import { AgentError } from '../errors.ts'
import type { InboxItem, RunRecord } from '../sessions/records.ts'
import type { Claim, SessionState } from '../sessions/store.ts'
import { tellRefused } from '../sessions/tell-parent.ts'
import { chosenName } from './candidates.ts'
import { tellEnd } from './end-hooks.ts'
import { endRun } from './end-run.ts'
import type { Environment } from './environment.ts'
import { forkedContext } from './forked-context.ts'
import { applyInbox } from './inbox.ts'
import { tellInput } from './input-events.ts'
import type { LiveSession } from './live-session.ts'
import { loadRun, makeRun, type Place } from './load-run.ts'
import { askToResume, isResumeOf, openLeg, verdictOn } from './resume.ts'
import type { Run } from './run.ts'
import { runLoop } from './run-loop.ts'
import { startStep } from './start-run.ts'
import { park, waitsFor } from './waiting.ts'

type InputItem = Extract<InboxItem, { type: 'input' }>

interface StepsOptions {
  readonly env: Environment
  /** Tells listeners what the owner before committed. */
  readonly follow: (live: LiveSession) => Promise<void>
  readonly stranded: Stranded
  /** The run has ended, or was given up. */
  readonly settle: (run: Run) => void
  /** Aborts when the runtime is closed. */
  readonly closing: AbortSignal
}

/** Sessions that were given up since they can't be written: only a person goes on with them. */
export interface Stranded {
  has(live: LiveSession): boolean
  add(live: LiveSession): void
  delete(live: LiveSession): void
}

/** What the owner of a session does, one thing after the other: takes up, resumes, starts and ends its runs. */
export class SessionSteps {
  readonly #env: Environment
  readonly #follow: StepsOptions['follow']
  readonly #stranded: Stranded
  readonly #settle: StepsOptions['settle']
  readonly #closing: AbortSignal

  constructor({ env, follow, stranded, settle, closing }: StepsOptions) {
    this.#env = env
    this.#follow = follow
    this.#stranded = stranded
    this.#settle = settle
    this.#closing = closing
  }

  /** The next thing to do in a session; false where there is none. */
  async next(live: LiveSession, claim: Claim): Promise<boolean> {
    this.#closing.throwIfAborted()
    live.inboxChanged = false
    const place: Place = { env: this.#env, live, claim }
    const state = await this.#env.store.readSession(live.id, { messages: 0 })
    // What the owner before committed is told before anything of ours.
    if (state && state.session.seq !== live.seq) await live.exclusive(() => this.#follow(live))
    live.known = true
    const inbox = state?.inbox ?? (await this.#env.store.readInbox(live.id))
    const latest = state?.run
    if (state && latest?.endedAt === undefined && latest?.status === 'waiting')
      return this.#goOn(place, state, latest, inbox)
    if (state && latest && latest.endedAt === undefined) return this.#takeUp(place, state, latest, inbox)
    const next = inbox.find((item) => item.type === 'input' || isResumeOf(item, latest))
    if (next?.type === 'input') return this.#start(place, next)
    if ((next?.type === 'resume' || next?.type === 'step') && state && latest)
      return this.#resume(place, state, latest, next)
    return this.#discard(place, state, inbox)
  }

  /** A run that waited: goes on where something has come that it waited for. */
  async #goOn(place: Place, state: SessionState, record: RunRecord, inbox: readonly InboxItem[]): Promise<boolean> {
    const run = await this.#heard(place, state, record)
    if (!run.ending && isSuperseded(run, inbox)) run.end({ kind: 'run-cancelled', reason: 'superseded' })
    let { commitId } = state.session
    const goesOn = () => isToEnd(run) || run.resumeAsked || !waitsFor(run)
    while (!goesOn()) {
      if (run.session.commitId !== commitId) {
        // One of several answers came: listeners saw what became of it, and the run waits again.
        await park(run, { waitingFor: waitsFor(run) ?? 'tool-results', wakeAt: record.wakeAt })
        commitId = run.session.commitId
      }
      if (await letGo(run, () => goesOn() || run.session.commitId !== commitId)) return false
    }
    if (run.resumeAsked && !run.ending) await openLeg(run, true)
    await this.#advance(run)
    return run.over
  }

  /** A run whose owner died: it goes on by its agent's rule, unless somebody has said otherwise. */
  async #takeUp(place: Place, state: SessionState, record: RunRecord, inbox: readonly InboxItem[]): Promise<boolean> {
    const { live } = place
    const run = await this.#heard(place, state, record)
    this.#closing.throwIfAborted()
    const asked = run.resumeAsked || live.takeOver !== undefined
    const left = this.#stranded.has(live) && !asked
    const verdict = asked ? 'resume' : verdictOn(run.agent, record, run.draft, this.#env.now())
    if (run.ending || isSuperseded(run, inbox) || typeof verdict === 'object') {
      const superseded = { kind: 'run-cancelled', reason: 'superseded' } as const
      await endRun(run, run.ending ?? (typeof verdict === 'object' ? verdict : superseded))
      this.#stranded.delete(live)
      live.run = undefined
      this.#settle(run)
      return true
    }
    if (left || verdict === 'ask') {
      if (!left) await askToResume(run)
      if (await letGo(run, () => isToEnd(run) || run.resumeAsked)) return run.over
    }
    if (!isToEnd(run)) await openLeg(run, asked || run.resumeAsked)
    this.#stranded.delete(live)
    await this.#advance(run)
    return run.over
  }

  /** A run that was stopped goes on, in a new leg. */
  async #resume(
    place: Place,
    state: SessionState,
    record: RunRecord,
    item: Extract<InboxItem, { type: 'resume' | 'step' }>,
  ): Promise<boolean> {
    const run = await loadRun(place, state, record)
    place.live.run = run
    // What was said to the leg before is over with it.
    const earlier = state.inbox.filter(
      (said) => said.n <= item.n && said.runId === record.runId && !isKept(said, state),
    )
    run.alongside({ applied: earlier.map(({ n }) => n) })
    place.live.inboxChanged = true
    await openLeg(run, true, item)
    this.#stranded.delete(place.live)
    await this.#advance(run)
    return true
  }

  /** The run from the store, with what was said to it meanwhile. */
  async #heard(place: Place, state: SessionState, record: RunRecord): Promise<Run> {
    const run = await loadRun(place, state, record)
    place.live.run = run
    place.live.inboxChanged = true
    await hearOut(run)
    return run
  }

  async #start(place: Place, item: InputItem): Promise<boolean> {
    const { live } = place
    const state = await this.#env.store.readSession(live.id, { messages: 0 })
    const { run, rewound } = await makeRun(place, state, item)
    live.run = run
    try {
      const told = rewound.refusal && (await tellEnd(run, { kind: 'run-failed', error: rewound.refusal }))
      const begin = { ...rewound, told, forked: await forkedContext(run) }
      await run.commit(startStep(run, item, begin, state, await chosenName(run)))
    } catch (error) {
      live.run = undefined
      // It was withdrawn in the last moment.
      if (error instanceof AgentError && error.code === 'aborted') return true
      throw error
    }
    this.#stranded.delete(live)
    // It may have been steered and closed before it began.
    live.inboxChanged ||= item.request.open !== undefined
    if (!run.over) await this.#advance(run)
    // It could not rewind the session.
    else this.#settle(run)
    live.run = undefined
    return true
  }

  /** Runs the loop until the run is over, or waits for what isn't there. */
  async #advance(run: Run) {
    this.#closing.throwIfAborted()
    const { live } = run
    live.run = run
    do await runLoop(run)
    while (!(await letGo(run, () => isToEnd(run) || !waitsFor(run))))
    live.history = { commitId: run.session.commitId, messages: run.history, usedCallIds: run.usedCallIds }
    if (run.over || run.released) this.#settle(run)
    live.run = undefined
    // What waits behind it can't be written either.
    if (run.released && run.released.code !== 'ownership-lost') throw run.released
  }

  /** Deletes what was said to runs that have ended meanwhile. */
  async #discard(place: Place, state: SessionState | undefined, inbox: readonly InboxItem[]): Promise<boolean> {
    const over = state ? inbox.filter((item) => !isKept(item, state)) : []
    if (!state?.run || over.length === 0) return false
    const run = await loadRun(place, state, state.run)
    await run.commit({ applied: over.map(({ n }) => n), tells: over.flatMap(tellRefused) })
    for (const item of over) {
      if (item.type !== 'steer') continue
      tellInput(this.#env, place.live, 'input-withdrawn', { runId: item.runId }, { inputId: item.inputId }, state)
    }
    return false
  }
}

/** Whether a new input was sent while the run was interrupted and would not have gone on by itself. */
const isSuperseded = ({ runId }: Run, inbox: readonly InboxItem[]) =>
  inbox.some((item) => item.type === 'input' && item.supersedes === runId)

/** An answer to a question or to a call that a stop has left is kept for the resume. */
const isKept = (item: InboxItem, { run, approvals }: SessionState) =>
  run?.status === 'stopped' &&
  run.runId === item.runId &&
  (item.type === 'tool-output' || (item.type === 'answer' && approvals.some(({ id }) => id === item.approvalId)))

/** Somebody has ended the run, or will have it end where it waits. */
const isToEnd = (run: Run) => run.ending !== undefined || run.stopAfterTurn

/** Applies what is said to a run until nobody says anything more: what comes later finds that it isn't advanced. */
async function hearOut(run: Run): Promise<number> {
  let heard = -1
  while (!run.over && run.live.run && heard !== run.nudges) {
    const task = applyInbox(run)
    heard = run.nudges
    await task.catch((error) => {
      // Ended in the midst of it: that is to be written down.
      if (!run.ending) throw error
    })
  }
  return heard
}

/**
 * Lets go of a run that waits, at a moment at which it has heard all that was said; false where it goes on after all. What is
 * said from then on is for whoever takes it up.
 */
async function letGo(run: Run, goesOn: () => boolean): Promise<boolean> {
  for (;;) {
    const heard = await hearOut(run)
    if (run.over || !run.live.run) return true
    if (goesOn()) return false
    if (run.nudges !== heard) continue
    run.live.run = undefined
    return true
  }
}
