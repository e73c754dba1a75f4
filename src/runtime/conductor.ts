import { AgentError, storeCodes, toAgentError } from '../errors.ts'
import { noUsage } from '../sessions/records.ts'
import type { Claim } from '../sessions/store.ts'
import { releaseReason } from './end-run.ts'
import type { Environment } from './environment.ts'
import { applyInbox, hearEnd } from './inbox.ts'
import { tellInput } from './input-events.ts'
import type { LiveSession, TakeOver } from './live-session.ts'
import { isResumeOf } from './resume.ts'
import { findInput } from './rewind.ts'
import type { Run } from './run.ts'
import { SessionSteps, type Stranded } from './session-steps.ts'
import { messagesOf, type Settlements } from './settlements.ts'

interface ConductorOptions {
  readonly onIdle: () => void
  readonly follow: (live: LiveSession) => Promise<void>
  /** Whether the run's input is still being written: the session is nudged once it is. */
  readonly isStarting: (runId: string) => boolean
  /** Whether another run has been asked to start it. */
  readonly isRequested: (runId: string) => boolean
  /** The session is advanced here from now on. */
  readonly claimed: (live: LiveSession, claim: Claim) => void
  readonly stranded: Stranded
}

/**
 * Advances sessions: takes a session's lock, works through its inbox, and lets go. One session at a time has one owner;
 * who waits for the lock finds in the store what the owner before left.
 */
export class Conductor {
  readonly #env: Environment
  readonly #settlements: Settlements
  readonly #closing = new AbortController()
  readonly #driven = new Set<LiveSession>()
  readonly #steps: SessionSteps
  readonly #onIdle: () => void
  readonly #follow: (live: LiveSession) => Promise<void>
  readonly #isStarting: ConductorOptions['isStarting']
  readonly #isRequested: ConductorOptions['isRequested']
  readonly #claimed: ConductorOptions['claimed']
  readonly #stranded: ConductorOptions['stranded']

  constructor(
    env: Environment,
    settlements: Settlements,
    { onIdle, follow, isStarting, isRequested, claimed, stranded }: ConductorOptions,
  ) {
    this.#claimed = claimed
    this.#stranded = stranded
    this.#onIdle = onIdle
    this.#follow = follow
    this.#isStarting = isStarting
    this.#isRequested = isRequested
    this.#env = env
    this.#settlements = settlements
    const settle = (run: Run) => this.#settle(run)
    this.#steps = new SessionSteps({ env, follow, stranded, settle, closing: this.#closing.signal })
  }

  /** Something was said to the session, or what it waited for may be there. */
  nudge(live: LiveSession): void {
    live.inboxChanged = true
    if (live.run) this.#hear(live.run)
    if (live.driving) return
    live.driving = this.#drive(live)
      .catch((error) => this.#failed(live, error))
      .finally(() => {
        live.driving = undefined
        // Said between the last look into the inbox and now.
        if (live.inboxChanged && !this.#closing.signal.aborted) this.nudge(live)
        else this.#idle(live)
      })
    this.#driven.add(live)
  }

  #hear(run: Run) {
    // What ends the run doesn't wait for what is being applied.
    if (run.hearing > 0) hearEnd(run).catch(() => {})
    applyInbox(run).catch((thrown) => {
      const error = toAgentError(thrown)
      if (storeCodes.has(error.code)) run.leave(error)
      else run.end({ kind: 'run-failed', error })
    })
  }

  /** Aborts when the runtime is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  async whenIdle(): Promise<void> {
    while (this.#driven.size > 0) await Promise.all([...this.#driven].map(({ driving }) => driving))
  }

  /** Leaves all sessions: runs that are under way are left as they stand in the store. */
  async close(): Promise<void> {
    this.#closing.abort(new AgentError('closed', 'The runtime was closed.'))
    await this.whenIdle()
  }

  #idle(live: LiveSession) {
    this.#driven.delete(live)
    this.#onIdle()
  }

  /** A person takes the session from an owner that doesn't answer. Resolves once it is this runtime's. */
  takeOver(live: LiveSession): Promise<void> {
    if (live.owned) return Promise.resolve()
    live.takeOver ??= newTakeOver()
    live.waiting?.abort(new AgentError('aborted', 'The session is taken over.'))
    void Promise.resolve(live.driving).then(() => this.nudge(live))
    return live.takeOver.promise
  }

  async #drive(live: LiveSession) {
    const claim = await this.#claim(live)
    if (!claim) return
    // It was free after all.
    live.takeOver?.resolve()
    const leave = () => live.run?.leave(this.#closing.signal.reason)
    this.#closing.signal.addEventListener('abort', leave)
    live.owned = true
    this.#claimed(live, claim)
    try {
      while (!claim.lost.aborted && (await this.#steps.next(live, claim)));
      if (!claim.lost.aborted) await this.#settleOthers(live)
    } finally {
      this.#closing.signal.removeEventListener('abort', leave)
      live.run = undefined
      live.owned = false
      live.takeOver = undefined
      claim.release()
      // Whoever took it has perhaps committed already, and has what is left in the inbox.
      if (claim.lost.aborted) {
        live.inboxChanged = true
        live.exclusive(() => this.#follow(live)).catch(() => {})
      }
    }
  }

  /** Waits for the lock; `undefined` where the waiting was ended. */
  async #claim(live: LiveSession): Promise<Claim | undefined> {
    const { store } = this.#env
    if (live.takeOver) return this.#steal(live, live.takeOver)
    const waiting = new AbortController()
    live.waiting = waiting
    const signal = AbortSignal.any([this.#closing.signal, waiting.signal])
    try {
      return await store.claim(live.id, { signal })
    } catch (error) {
      if (waiting.signal.aborted) return undefined
      throw error
    } finally {
      live.waiting = undefined
    }
  }

  async #steal(live: LiveSession, asked: TakeOver): Promise<Claim | undefined> {
    try {
      return await this.#env.store.claim(live.id, { steal: true })
    } catch (error) {
      live.takeOver = undefined
      asked.reject(error)
      throw error
    }
  }

  /** Runs that were asked for here, and that the owner before has ended, or whose input another runtime took back. */
  async #settleOthers(live: LiveSession) {
    const { store } = this.#env
    for (const runId of this.#settlements.runsOf(live.id)) {
      if (await store.readRun(runId)) await this.#settleEnded(live, runId)
      else if (!this.#isStarting(runId) && !this.#isRequested(runId)) {
        const inbox = await store.readInbox(live.id)
        if (inbox.some((item) => item.type === 'input' && item.runId === runId)) continue
        const heardBy = this.#settlements.steers(runId) ? await findInput(store, live.id, runId) : undefined
        if (heardBy) {
          this.#settlements.move(runId, heardBy.runId)
          await this.#settleEnded(live, heardBy.runId)
          continue
        }
        tellInput(this.#env, live, 'input-withdrawn', { runId }, { inputId: runId })
        this.#settlements.reject(runId, new AgentError('aborted', 'The input was withdrawn before its run began.'))
      }
    }
  }

  async #settleEnded(live: LiveSession, runId: string) {
    const { store } = this.#env
    const record = await store.readRun(runId)
    if (record?.endedAt === undefined) return
    // It goes on as soon as that is heard.
    if ((await store.readInbox(live.id)).some((item) => isResumeOf(item, record))) return
    this.#settlements.settle(record, await messagesOf(store, record))
  }

  /** Whoever lost the lock before he had it right waits for it again. */
  #failed(live: LiveSession, error: unknown) {
    const lost = error instanceof AgentError && error.code === 'ownership-lost'
    if (!lost || this.#closing.signal.aborted) return this.#refuse(live, error)
    live.inboxChanged = true
  }

  /**
   * The store can't be used. Inputs that were said here are taken back, so that what is rejected does not run later after
   * all; where not even that can be written, they are in the store's hands, and listeners learn that.
   */
  async #refuse(live: LiveSession, thrown: unknown) {
    live.inboxChanged = false
    const error = toAgentError(thrown, 'storage-unavailable')
    if (this.#closing.signal.aborted) return this.#settlements.refuse(live.id, error)
    for (const runId of this.#settlements.runsOf(live.id)) {
      if (this.#isStarting(runId)) continue
      await this.#env.store.withdraw(live.id, runId, 'resume').catch(() => {})
      const withdrawn = await this.#env.store.withdraw(live.id, runId).catch(() => undefined)
      if (withdrawn) {
        tellInput(this.#env, live, 'input-withdrawn', { runId }, { inputId: runId })
        tellInput(this.#env, live, 'run-failed', { runId }, { error, turns: 0, usage: noUsage })
      } else if (withdrawn === undefined) {
        tellInput(this.#env, live, 'run-released', { runId }, { reason: releaseReason(error), error })
      }
      this.#settlements.reject(runId, error)
    }
  }

  #settle(run: Run) {
    const { record, history, released } = run
    if (run.over) return this.#settlements.settle(record, history)
    const error = released ?? new AgentError('ownership-lost', 'Another runtime owns the session now.')
    if (error.code === 'ownership-lost') return this.#followStored(run, error)
    // Whoever closes leaves the run to the others.
    if (error.code !== 'closed') this.#stranded.add(run.live)
    this.#settlements.reject(record.runId, error)
  }

  /** Another runtime goes on with the run: those who wait for its end wait for what that comes to. */
  #followStored({ record: { runId }, live }: Run, error: AgentError) {
    this.#env.store
      .readRun(runId)
      .then((stored) => {
        if (!stored) this.#settlements.reject(runId, error)
        else if (stored.endedAt !== undefined) this.nudge(live)
      })
      .catch(() => this.#settlements.reject(runId, error))
  }
}

function newTakeOver(): TakeOver {
  let resolve = () => {}
  let reject: TakeOver['reject'] = () => {}
  const promise = new Promise<void>((done, failed) => {
    resolve = done
    reject = failed
  })
  return { promise, resolve, reject }
}
