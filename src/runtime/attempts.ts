import type { ModelErrorDecision } from '../agent/define-agent.ts'
import { AgentError, messageOf, toWire } from '../errors.ts'
import type { Answer } from '../model/answer.ts'
import { delayBefore, isOfConnection, isOfModel, isRetried } from '../model/retry.ts'
import type { SwitchRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { type Candidate, type Candidates, candidatesOf, switchTarget } from './candidates.ts'
import { beforeAttempt } from './limits.ts'
import type { End, Run } from './run.ts'
import { untilAborted } from './until-aborted.ts'
import { droppedStep } from './usage.ts'
import type { Wait } from './waiting.ts'

/** Milliseconds after which a run that waits for the network tries again, whatever the browser says. */
const offlineRetry = 30_000
/** Models that one turn goes through, should `onModelError` know ever more of them. */
const mostModels = 10

/**
 * The attempts at one turn: which model is asked, and what comes after a failure. Each model is asked as often as `retry`
 * says, and none twice over; all of them come before any tool of the turn.
 */
export class Attempts {
  /** The model that is asked. */
  model: Candidate
  /** Who it turned out to be. */
  made: { readonly provider: string; readonly modelId: string } | undefined
  /** Of this model, from 1. */
  attempt = 1

  readonly #run: Run
  readonly #fallbacks: Candidates['fallbacks']
  /** How the model came to be asked, where it is not the one that was chosen. */
  #switched: SwitchRecord | undefined
  /** Models that were asked at this turn; and by their labels those that were before the run waited. */
  readonly #asked: Candidate[]
  readonly #before: readonly string[]
  /** A fallback is asked since there is no network: the model before it is asked again once there is one. */
  #standsIn = false

  private constructor(run: Run, { first, switched, fallbacks }: Candidates) {
    this.#run = run
    this.model = first
    this.#fallbacks = fallbacks
    this.#switched = switched
    this.#asked = [first]
    this.#before = (switched?.turn === run.turn && switched.asked) || []
    if (!switched) run.switchedTo = undefined
  }

  static async begin(run: Run): Promise<Attempts> {
    return new Attempts(run, await candidatesOf(run))
  }

  /** Prepares the attempt after one that failed, or gives what keeps the run from it. Rejects where the run ends with the failure. */
  async after(error: AgentError, answer: Answer): Promise<End | Wait | undefined> {
    const run = this.#run
    if (!isOfModel(error) && error.code !== 'unauthorized') throw error
    const decision = await this.#decide(error, answer)
    if (decision === 'abort') {
      run.end({ kind: 'run-failed', error })
      throw error
    }
    if (typeof decision === 'object') {
      const to = switchTarget(run, decision.switchTo)
      if (this.#isNew(to)) return this.#switchBy(to, error, answer)
    }
    const again = decision === 'retry'
    if (!again && isOfConnection(error) && run.env.network.isOffline && run.agent.offline !== 'fail')
      return this.#withoutNetwork(error, answer)
    const delay = again || isRetried(error) ? delayBefore(error, this.attempt, run.agent.retry) : undefined
    if (delay !== undefined) return this.#repeat(delay, error, answer)
    if (this.#standsIn && isOfModel(error)) return this.#withoutNetwork(error, answer)
    const next = isOfModel(error) && this.#fallbacks.find((fallback) => !this.#isAsked(fallback))
    if (!next) throw error
    run.switchedTo = undefined
    return this.#switch(next, next.switched, error, answer)
  }

  /** What the agent's own handler makes of it. */
  async #decide(error: AgentError, { text }: Answer): Promise<ModelErrorDecision | undefined> {
    const { agent, live, runId, signal, turn } = this.#run
    if (!agent.onModelError) return undefined
    const context = {
      attempt: this.attempt,
      provider: this.made?.provider ?? '',
      model: this.made?.modelId ?? this.model.label,
      turn,
      sessionId: live.id,
      runId,
      agent: agent.name,
      signal,
      ...(text && { partialText: text }),
    }
    try {
      const decision = await untilAborted(async () => agent.onModelError?.(error, context), signal)
      if (isDecision(decision)) return decision
    } catch (thrown) {
      signal.throwIfAborted()
      throw new AgentError('model-failed', `onModelError failed: ${messageOf(thrown)} (on: ${error.message})`)
    }
    throw new AgentError(
      'invalid-argument',
      "onModelError must give 'retry', 'continue', 'abort', { switchTo: model } or nothing.",
    )
  }

  #isAsked = ({ reference }: Candidate) => this.#asked.some((asked) => asked.reference === reference)

  /** Not even before the run waited. */
  #isNew = (candidate: Candidate) => !this.#isAsked(candidate) && !this.#before.includes(candidate.label)

  /** A fallback may be on this machine. Once none is left, the run waits. */
  async #withoutNetwork(error: AgentError, answer: Answer): Promise<End | Wait | undefined> {
    const now = this.#run.env.now()
    const next = this.#fallbacks.find(this.#isNew)
    if (next) {
      this.#standsIn = true
      return this.#switch(next, { at: now, fallbacks: 0, ...this.#switched }, error, answer)
    }
    await this.#drop(answer)
    return { waitingFor: 'offline', wakeAt: now + offlineRetry }
  }

  /** The same model again, after a while. */
  async #repeat(delay: number, error: AgentError, answer: Answer): Promise<End | Wait | undefined> {
    const run = this.#run
    const { attempt } = this
    const { messageId } = answer
    await this.#drop(answer)
    const barred = await beforeAttempt(run)
    if (barred) return barred
    run.retry = { attempt, error, messageId, retryAt: run.env.now() + delay }
    run.emit('model-retried', { attempt, delay, error, messageId })
    await run.pause(delay).finally(() => {
      run.retry = undefined
    })
    this.attempt++
    return run.stopAfterTurn ? beforeAttempt(run) : undefined
  }

  #switchBy(to: Candidate, error: AgentError, answer: Answer): Promise<End | Wait | undefined> {
    const run = this.#run
    if (this.#asked.length + this.#before.length >= mostModels) throw error
    const { reference } = to
    run.switchedTo = typeof reference === 'string' ? undefined : reference
    const name = typeof reference === 'string' ? { to: reference } : undefined
    return this.#switch(to, { at: run.env.now(), fallbacks: this.#switched?.fallbacks ?? 0, ...name }, error, answer)
  }

  /** Another model takes the turn, and those after it. */
  async #switch(
    to: Candidate,
    switched: SwitchRecord,
    error: AgentError,
    answer: Answer,
  ): Promise<End | Wait | undefined> {
    const run = this.#run
    const from = typeof this.model.reference === 'function' ? this.#madeLabel : this.model.label
    this.#asked.push(to)
    const asked = [...this.#before, ...this.#asked.map(({ label }) => label)]
    this.#switched = { ...switched, turn: run.turn, asked }
    await this.#drop(answer, {
      run: { switched: this.#switched },
      events: [{ kind: 'model-switched', from, to: to.label, error: toWire(error) }],
    })
    this.model = to
    this.made = undefined
    this.attempt = 1
    return beforeAttempt(run)
  }

  get #madeLabel() {
    return this.made ? `${this.made.provider}:${this.made.modelId}` : this.model.label
  }

  /** The attempt came to nothing: what was told of it is void, and what it used is booked. */
  async #drop(answer: Answer, step: Step = {}): Promise<void> {
    const run = this.#run
    const { messageId } = answer
    run.answer = undefined
    if (answer.model !== undefined) run.emit('message-voided', { messageId })
    const booked = droppedStep(run, answer)
    await run.commit({
      ...booked,
      events: [...(booked.events ?? []), ...(step.events ?? [])],
      run: { ...booked.run, ...step.run, turnGivenBack: true },
    })
  }
}

const isDecision = (decision: unknown): decision is ModelErrorDecision | undefined =>
  decision === undefined ||
  decision === 'retry' ||
  decision === 'continue' ||
  decision === 'abort' ||
  (typeof decision === 'object' && decision !== null && 'switchTo' in decision && isModel(decision.switchTo))

const isModel = (value: unknown) =>
  typeof value === 'string' || typeof value === 'function' || (typeof value === 'object' && value !== null)
