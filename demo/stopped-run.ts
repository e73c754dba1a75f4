import type { AgentRuntime, RunOutput, Session, SessionSnapshot } from 'turnloop'

/** A run that was stopped, and can go on. */
export type Stopped = Pick<RunOutput, 'runId' | 'reason'>

/** Whether the session's latest run can be continued. A view shows what is under way, so that an ended run is looked up. */
export class StoppedRun {
  readonly #runs: AgentRuntime['runs']
  readonly #changed: () => void
  #session: Session | undefined
  /** What the last look was for: the messages are another array whenever one of them has changed. */
  #messages: SessionSnapshot['messages'] | undefined
  #stopped: Stopped | undefined

  constructor(runs: AgentRuntime['runs'], changed: () => void) {
    this.#runs = runs
    this.#changed = changed
  }

  /** As far as it is known; calls `changed` when more is. */
  of(session: Session, { run, messages }: SessionSnapshot): Stopped | undefined {
    if (run || session !== this.#session) this.#messages = this.#stopped = undefined
    this.#session = session
    if (!run && messages !== this.#messages) {
      this.#messages = messages
      this.#stopped = undefined
      void this.#look(messages)
    }
    return this.#stopped
  }

  async #look(messages: SessionSnapshot['messages']): Promise<void> {
    const runId = messages.at(-1)?.metadata.runId
    // One that failed or was cancelled rejects: there is nothing to go on with.
    const ended = runId ? await this.#runs.get(runId).result.catch(() => undefined) : undefined
    if (ended?.status !== 'stopped' || messages !== this.#messages) return
    this.#stopped = ended
    this.#changed()
  }
}
