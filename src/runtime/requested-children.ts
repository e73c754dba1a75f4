import type { RunOutput } from '../api/types.ts'
import { parentIdOf } from '../delegation/child-id.ts'
import { AgentError } from '../errors.ts'
import type { Sink } from '../events/bus.ts'
import { type AnyEvent, type EventKind, isEnd } from '../events/kinds.ts'
import { type ChildRecord, type InboxItem, noUsage, type RunRecord } from '../sessions/records.ts'
import { isUnderWay } from './children.ts'
import type { Engine } from './engine.ts'
import { tellInput } from './input-events.ts'
import type { LiveSession } from './live-session.ts'
import { unknownRun } from './unknown-run.ts'

// Runs that code has asked another run to start. That one's owner, here or elsewhere, decides; until it has, there is
// nothing of them but what was said to it.

interface Parent {
  readonly runId: string
  readonly sessionId: string
}

interface Requested {
  readonly parent: Parent
  readonly held: readonly LiveSession[]
}

type Delegate = Extract<InboxItem, { type: 'delegate' }>

/** Those that are waited for here: their callers learn what becomes of them, whoever decides it. */
export class RequestedChildren implements Sink {
  readonly #engine: Engine
  readonly #requested = new Map<string, Requested>()

  constructor(engine: Engine) {
    this.#engine = engine
    engine.env.bus.connect(this)
  }

  wants(kind: EventKind) {
    return (
      this.#requested.size > 0 &&
      (kind.startsWith('delegation-') || kind === 'input-withdrawn' || kind === 'session-deleted' || isEnd(kind))
    )
  }

  receive(event: AnyEvent) {
    for (const [runId, { parent }] of this.#requested) {
      if (event.kind === 'delegation-refused' && event.childRunId === runId)
        refuse(this.#engine, runId, event.childAgent, event.error)
      else if (mayEnd(event, runId, parent)) this.look(runId)
    }
  }

  /** Follows the run, and the one that is to start it, until `delete`. */
  add(runId: string, parent: Parent) {
    if (this.#requested.has(runId)) return
    const engine = this.#engine
    const held = [engine.hold(parent.sessionId), engine.hold(runId)]
    this.#requested.set(runId, { parent, held })
    for (const live of held) {
      if (live.known) continue
      if (live.id === runId) live.known = true
      live.exclusive(() => engine.follow(live)).catch(() => {})
    }
  }

  has(runId: string) {
    return this.#requested.has(runId)
  }

  delete(runId: string) {
    const requested = this.#requested.get(runId)
    this.#requested.delete(runId)
    for (const live of requested?.held ?? []) this.#engine.release(live)
  }

  /** Rejects the run where it will never begin. */
  look(runId: string) {
    this.#look(runId).catch(() => {})
  }

  async #look(runId: string) {
    const requested = this.#requested.get(runId)
    if (!requested) return
    const { parent } = requested
    const { env } = this.#engine
    if (await env.store.readRun(runId)) return
    const child = await findChild(this.#engine, runId)
    if (child) {
      if (!isUnderWay(child)) tellTakenBack(this.#engine, runId)
      return
    }
    const above = await env.store.readRun(parent.runId)
    if (above ? above.endedAt === undefined : await isToBegin(this.#engine, parent)) return
    const agent = (await findRequest(this.#engine, runId))?.request.agent
    await env.store.withdraw(parent.sessionId, runId, 'delegate')
    refuse(this.#engine, runId, agent, parentEnded(parent.runId))
  }
}

/** Whether it may never begin after this. */
const mayEnd = (event: AnyEvent, runId: string, parent: Parent) =>
  (isEnd(event.kind) && event.runId === parent.runId) ||
  (event.kind === 'session-deleted' && event.sessionId === parent.sessionId) ||
  (event.kind === 'input-withdrawn' && event.inputId === parent.runId) ||
  (event.kind === 'delegation-finished' && (event.childRunId === runId || event.childRunId === parent.runId)) ||
  (event.kind === 'delegation-refused' && event.childRunId === parent.runId)

/** The run that is to start another one. Throws `unknown-run`, and `not-resumable` where it has ended. */
export async function findParent(engine: Engine, runId: unknown): Promise<Parent> {
  const { store } = engine.env
  if (typeof runId !== 'string' || runId === '') throw noParent(runId)
  const said = engine.settlements.sessionOf(runId)
  // So that an input that is being written counts.
  if (said !== undefined) await engine.inOrder(said, async () => {})
  const record = await store.readRun(runId)
  if (record?.endedAt !== undefined) throw parentEnded(runId)
  if (record) return { runId, sessionId: record.sessionId }
  const sessionId = said ?? (await store.readSaid()).find((item) => isInputOf(item, runId))?.sessionId ?? runId
  if (await isToBegin(engine, { runId, sessionId })) return { runId, sessionId }
  throw noParent(runId)
}

/** The run that was asked to start another one, whatever has become of it. */
export async function aboveOf({ env }: Engine, runId: string): Promise<Parent> {
  return { runId, sessionId: (await env.store.readRun(runId))?.sessionId ?? runId }
}

/** Whether a run that is not there yet will be. */
async function isToBegin(engine: Engine, { runId, sessionId }: Parent): Promise<boolean> {
  const { store } = engine.env
  if ((await store.readInbox(sessionId)).some((item) => isInputOf(item, runId))) return true
  const child = await findChild(engine, runId)
  return child ? isUnderWay(child) : (await findRequest(engine, runId)) !== undefined
}

const isInputOf = (item: InboxItem, runId: string) => item.type === 'input' && item.runId === runId

/** The run as the one that started it knows it. */
export async function findChild({ env }: Engine, runId: string): Promise<ChildRecord | undefined> {
  const parentRunId = parentIdOf(runId)
  if (parentRunId === undefined) return undefined
  return (await env.store.readChildren(parentRunId)).find((child) => child.runId === runId)
}

/** What was said to the run that is to start it, and not heard yet. */
async function findRequest({ env }: Engine, runId: string): Promise<Delegate | undefined> {
  const said = await env.store.readSaid()
  return said.find((item): item is Delegate => item.type === 'delegate' && item.childRunId === runId)
}

/** Whether it was asked for already: it waits, goes on, or has ended. */
export const isRequested = async (engine: Engine, runId: string): Promise<boolean> =>
  (await findChild(engine, runId)) !== undefined || (await findRequest(engine, runId)) !== undefined

/** The end of a run that has not begun. Throws `unknown-run` where none is asked for. */
export async function awaitRequested(engine: Engine, runId: string): Promise<RunOutput> {
  const parentRunId = parentIdOf(runId)
  if (parentRunId === undefined || !(await isRequested(engine, runId))) throw unknownRun(runId)
  const settled = engine.settlements.wait(runId, runId)
  settled.catch(() => {})
  engine.requested.add(runId, await aboveOf(engine, parentRunId))
  engine.requested.look(runId)
  return settled.finally(() => engine.requested.delete(runId))
}

/** What it was asked, and by which handle, where it has not begun. */
export async function requestOfChild(
  engine: Engine,
  runId: string,
): Promise<Pick<Delegate, 'request' | 'sentBy'> | undefined> {
  if (parentIdOf(runId) === undefined) return undefined
  const queued = (await findChild(engine, runId))?.queued
  return queued?.type === 'input' ? queued : findRequest(engine, runId)
}

/** Takes a run back that another one was asked to start, or has in its queue; false where it has begun, or there is none. */
export async function takeBack(engine: Engine, runId: string): Promise<boolean> {
  const { store } = engine.env
  const record = await store.readRun(runId)
  if (record) return record.status === 'stopped' && takeTurnBack(engine, record)
  if (parentIdOf(runId) === undefined) return false
  const request = await findRequest(engine, runId)
  if (request && (await store.withdraw(request.sessionId, runId, 'delegate'))) {
    tellTakenBack(engine, runId)
    return true
  }
  const child = await findChild(engine, runId)
  const parent = child && isUnderWay(child) ? await store.readRun(child.parentRunId) : undefined
  if (!parent) return false
  await endChildOf(engine, parent, runId)
  return true
}

/** One that stopped, and is to go on once it has its turn, stays as it is. */
async function takeTurnBack(engine: Engine, { runId, ancestors }: RunRecord): Promise<boolean> {
  const { store } = engine.env
  const above = ancestors?.at(-1)
  const state = above && (await store.readSession(above.sessionId, { messages: 0 }))
  const children = state?.run ? await store.readChildren(state.run.runId) : []
  if (!state?.run || !children.some((child) => child.runId === runId && child.status === 'queued')) return false
  await endChildOf(engine, state.run, runId)
  return true
}

async function endChildOf(engine: Engine, { sessionId, runId }: RunRecord, childRunId: string) {
  await engine.env.store.say(sessionId, runId, { type: 'end-child', childRunId })
  engine.conductor.nudge(engine.live(sessionId))
}

function tellTakenBack(engine: Engine, runId: string) {
  if (!engine.settlements.has(runId)) return
  tellInput(engine.env, engine.live(runId), 'input-withdrawn', { runId }, { inputId: runId })
  engine.settlements.reject(runId, new AgentError('aborted', 'The run was taken back before it began.'))
}

/** A request that never became a run still has its one end, for those who only listen. */
function refuse(engine: Engine, runId: string, agent: string | undefined, error: AgentError) {
  if (!engine.settlements.has(runId)) return
  const ended = { error, turns: 0, usage: noUsage }
  tellInput(engine.env, engine.live(runId), 'run-failed', { runId, ...(agent !== undefined && { agent }) }, ended)
  engine.settlements.reject(runId, error)
}

const noParent = (runId: unknown) =>
  new AgentError('unknown-run', `There is no run "${String(runId)}" that could be a parent: pass the runId of one.`)

const parentEnded = (runId: string) =>
  new AgentError(
    'not-resumable',
    `The run "${runId}" has ended, and starts no more: start one without a parent, or resume it first.`,
  )
