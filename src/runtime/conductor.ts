import type { AgentDefinition } from '../agent/define-agent.ts'
import { AgentError, toAgentError } from '../errors.ts'
import { type InboxItem, type MessageRecord, noUsage, type RunRecord, type SessionRecord } from '../sessions/records.ts'
import type { Claim, SessionState } from '../sessions/store.ts'
import { needsSomebody } from '../tools/run-tools.ts'
import { agentNamed } from './agents.ts'
import { closingLeftCalls, endRun, releaseReason } from './end-run.ts'
import type { Environment } from './environment.ts'
import { applyInbox } from './inbox.ts'
import { tellInput } from './input-events.ts'
import type { LiveSession } from './live-session.ts'
import { Run } from './run.ts'
import { park, runLoop } from './run-loop.ts'
import type { Settlements } from './settlements.ts'
import { messageBase } from './turn.ts'

type InputItem = Extract<InboxItem, { type: 'input' }>

interface ConductorOptions {
  readonly onIdle: () => void
  readonly follow: (live: LiveSession) => Promise<void>
  /** Whether the run's input is still being written: the session is nudged once it is. */
  readonly isStarting: (runId: string) => boolean
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
  readonly #onIdle: () => void
  readonly #follow: (live: LiveSession) => Promise<void>
  readonly #isStarting: (runId: string) => boolean

  constructor(env: Environment, settlements: Settlements, { onIdle, follow, isStarting }: ConductorOptions) {
    this.#onIdle = onIdle
    this.#follow = follow
    this.#isStarting = isStarting
    this.#env = env
    this.#settlements = settlements
  }

  /** Something was said to the session, or what it waited for may be there. */
  nudge(live: LiveSession): void {
    live.inboxChanged = true
    if (live.run)
      applyInbox(live.run).catch((error) => live.run?.end({ kind: 'run-failed', error: toAgentError(error) }))
    if (live.driving) return
    live.driving = this.#drive(live)
      .catch((error) => this.#refuse(live, error))
      .finally(() => {
        live.driving = undefined
        // Said between the last look into the inbox and now.
        if (live.inboxChanged && !this.#closing.signal.aborted) this.nudge(live)
        else this.#idle(live)
      })
    this.#driven.add(live)
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

  async #drive(live: LiveSession) {
    const claim = await this.#env.store.claim(live.id, { signal: this.#closing.signal })
    if (!claim) return
    const leave = () => live.run?.leave(this.#closing.signal.reason)
    this.#closing.signal.addEventListener('abort', leave)
    live.owned = true
    try {
      while (await this.#step(live, claim));
      await this.#settleOthers(live)
    } finally {
      this.#closing.signal.removeEventListener('abort', leave)
      live.run = undefined
      live.owned = false
      claim.release()
    }
  }

  /** Runs that were asked for here, and that the owner before has ended, or whose input another runtime took back. */
  async #settleOthers(live: LiveSession) {
    const { store } = this.#env
    for (const runId of this.#settlements.runsOf(live.id)) {
      const record = await store.readRun(runId)
      if (record?.endedAt !== undefined) {
        this.#settlements.settle(record, await store.readMessages(live.id, { from: record.firstIndex }))
      } else if (!record && !this.#isStarting(runId)) {
        const inbox = await store.readInbox(live.id)
        if (inbox.some((item) => item.type === 'input' && item.runId === runId)) continue
        tellInput(this.#env, live, 'input-withdrawn', { runId }, { inputId: runId })
        this.#settlements.reject(runId, new AgentError('aborted', 'The input was withdrawn before its run began.'))
      }
    }
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

  /** The next thing to do in a session; false where there is none. */
  async #step(live: LiveSession, claim: Claim): Promise<boolean> {
    this.#closing.signal.throwIfAborted()
    live.inboxChanged = false
    const state = await this.#env.store.readSession(live.id, { messages: 0 })
    // What the owner before committed is told before anything of ours.
    if (state && state.session.seq !== live.seq) await live.exclusive(() => this.#follow(live))
    const inbox = state?.inbox ?? (await this.#env.store.readInbox(live.id))
    const input = inbox.find((item): item is InputItem => item.type === 'input')
    const active = state?.run && state.run.endedAt === undefined ? state.run : undefined
    if (state && active?.status === 'waiting') return this.#goOn(live, claim, state, active)
    if (state && active) return this.#endInterrupted(live, claim, state, active, inbox)
    if (!input) return this.#discard(live, claim, state, inbox)
    return this.#start(live, claim, input)
  }

  /** A run that waited: goes on where something has come that it waited for. */
  async #goOn(live: LiveSession, claim: Claim, state: SessionState, record: RunRecord): Promise<boolean> {
    const run = await this.#load(live, claim, state, record)
    let { size } = run.calls
    live.run = run
    live.inboxChanged = true
    await hearOut(run)
    while (!run.ending && !canGoOn(run)) {
      if (run.calls.size === size) {
        live.run = undefined
        return false
      }
      // One of several answers came: listeners saw its call carried out, and the run waits again.
      size = run.calls.size
      await park(run, record.waitingFor ?? 'tool-results')
      await hearOut(run)
    }
    await this.#advance(run)
    return run.over
  }

  /** A run whose owner died: what was said to it ends it, and so does a new input; else it is left for a person to see. */
  async #endInterrupted(
    live: LiveSession,
    claim: Claim,
    state: SessionState,
    record: RunRecord,
    inbox: readonly InboxItem[],
  ) {
    const said = inbox.find(({ type, runId }) => type === 'input' || (runId === record.runId && type !== 'tool-output'))
    if (!said) return false
    const run = await this.#load(live, claim, state, record)
    live.run = run
    live.inboxChanged = true
    await hearOut(run)
    this.#closing.signal.throwIfAborted()
    await endRun(run, run.ending ?? { kind: 'run-cancelled', reason: 'superseded' })
    live.run = undefined
    this.#settle(run)
    return true
  }

  async #start(live: LiveSession, claim: Claim, item: InputItem): Promise<boolean> {
    const env = this.#env
    const state = await env.store.readSession(live.id, { messages: 0 })
    const { request, runId } = item
    const agent = this.#agent(request.agent ?? state?.session.agent)
    const at = env.now()
    const session: SessionRecord = state?.session ?? newSession(live.id, agent.name, request.input, at)
    const history = await this.#history(live, session)
    const record: RunRecord = {
      v: 1,
      runId,
      sessionId: live.id,
      agent: agent.name,
      status: 'running',
      request,
      ...(item.pageId === undefined ? undefined : { pageId: item.pageId }),
      turns: 0,
      usage: noUsage,
      startedAt: at,
      firstIndex: history.length,
    }
    const run = new Run({
      env,
      agent,
      live,
      claim,
      record,
      session: { ...session, agent: agent.name },
      history,
      calls: [],
    })
    const { input, model, metadata } = request
    const left = closingLeftCalls(run)
    const message = {
      ...messageBase(run, left.messages.length),
      role: 'user' as const,
      parts: [{ type: 'text' as const, text: input }],
    }
    live.run = run
    try {
      await run.commit({
        messages: [...left.messages, message],
        events: [
          {
            kind: 'run-started',
            input,
            ...(model === undefined ? undefined : { model }),
            ...(metadata === undefined ? undefined : { metadata }),
          },
          ...left.events,
          { kind: 'input-delivered', inputId: runId, input, mode: 'queue' },
          { kind: 'user-message-committed', index: message.index },
        ],
        applied: [item.n],
        run: { firstIndex: message.index },
      })
    } catch (error) {
      live.run = undefined
      // It was withdrawn in the last moment.
      if (error instanceof AgentError && error.code === 'aborted') return true
      throw error
    }
    await this.#advance(run)
    return true
  }

  /** Runs the loop until the run is over, or waits for what isn't there. */
  async #advance(run: Run) {
    this.#closing.signal.throwIfAborted()
    const { live } = run
    live.run = run
    do {
      run.record = { ...run.record, status: 'running', waitingFor: undefined }
      await runLoop(run)
      await hearOut(run)
    } while (!run.over && live.run && (run.ending || canGoOn(run)))
    live.history = { commitId: run.session.commitId, messages: run.history }
    if (run.over || !live.run) this.#settle(run)
    live.run = undefined
  }

  #settle(run: Run) {
    const { record, history, released } = run
    if (run.over) return this.#settlements.settle(record, history)
    this.#settlements.reject(
      record.runId,
      released ?? new AgentError('ownership-lost', 'Another runtime owns the session now.'),
    )
  }

  /** Deletes what was said to runs that have ended meanwhile. */
  async #discard(
    live: LiveSession,
    claim: Claim,
    state: SessionState | undefined,
    inbox: readonly InboxItem[],
  ): Promise<boolean> {
    if (!state?.run || inbox.length === 0) return false
    const run = await this.#load(live, claim, state, state.run)
    await run.commit({ applied: inbox.map(({ n }) => n) })
    return false
  }

  async #load(live: LiveSession, claim: Claim, state: SessionState, record: RunRecord): Promise<Run> {
    const env = this.#env
    const history = await this.#history(live, state.session)
    return new Run({
      env,
      agent: this.#agent(record.agent),
      live,
      claim,
      record,
      session: state.session,
      history,
      // A session's state has no more than 500 of them.
      calls: await env.store.readCalls(record.runId),
    })
  }

  /** The agent, or a stand-in for one that the code no longer has: open calls can still be closed, and a turn fails by name. */
  #agent(name: string | undefined): AgentDefinition {
    const { agents } = this.#env
    const known = name === undefined ? agentNamed(agents, name) : agents.get(name)
    return known ?? { name: name ?? '', model: () => agentNamed(agents, name).model as never }
  }

  async #history(live: LiveSession, session: SessionRecord): Promise<MessageRecord[]> {
    if (live.history?.commitId === session.commitId) return live.history.messages
    const messages: MessageRecord[] = []
    while (messages.length < session.messageCount) {
      const from = messages.length
      const page = await this.#env.store.readMessages(live.id, {
        from,
        before: Math.min(from + 500, session.messageCount),
      })
      if (page.length === 0)
        throw new AgentError('storage-lost', `Messages of the session "${live.id}" are missing from the store.`)
      messages.push(...page)
    }
    return messages
  }
}

/** Applies what is said to a run until nobody says anything more: what comes later finds that it isn't advanced. */
async function hearOut(run: Run): Promise<void> {
  for (let heard: unknown; !run.over && run.live.run && heard !== run.applying; ) {
    const task = applyInbox(run)
    heard = run.applying
    await task.catch((error) => {
      // Ended in the midst of it: that is to be written down.
      if (!run.ending) throw error
    })
  }
}

/** Whether no call waits for somebody, or some other can be started. */
function canGoOn(run: Run): boolean {
  const waiting = run.openCalls.filter((call) => needsSomebody(run, call))
  const open = run.openCalls.filter(
    ({ toolCallId, invalid }) => !run.calls.has(toolCallId) && !run.refused.has(toolCallId) && invalid === undefined,
  )
  return waiting.length === 0 || open.length > waiting.length
}

const newSession = (id: string, agent: string, input: string, at: number): SessionRecord => ({
  v: 1,
  id,
  createdAt: at,
  updatedAt: at,
  messageCount: 0,
  turn: 0,
  seq: 0,
  commitId: '',
  title: titleOf(input),
  agent,
  usage: noUsage,
})

/** The first 60 characters, no surrogate pair parted. */
const titleOf = (input: string) => [...input.trim().replace(/\s+/g, ' ').slice(0, 240)].slice(0, 60).join('')
