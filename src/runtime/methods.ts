import { checkLimits, checkPrice } from '../agent/check-limits.ts'
import type { AgentDefinition } from '../agent/define-agent.ts'
import { AgentError, toAgentError, toWire } from '../errors.ts'
import { redactError } from '../model/redact.ts'
import { namedModel } from '../model/resolve-model.ts'
import type { Method, Methods, RunParams } from '../protocol/messages.ts'
import { secondOutput } from '../sessions/inbox.ts'
import { noUsage, type RunRequestRecord } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import { unknownCall } from '../tools/run-tools.ts'
import { validate } from '../tools/schema.ts'
import { toJson } from '../tools/tool-output.ts'
import { toolOf } from '../tools/tool-run.ts'
import { agentNamed } from './agents.ts'
import { approvalMethods } from './approval-methods.ts'
import type { Connection } from './connection.ts'
import { copyMethods } from './copy-methods.ts'
import type { Engine } from './engine.ts'
import { tellInput } from './input-events.ts'
import { hasFiles, takeFiles } from './input-files.ts'
import { inTexts, preparedInput } from './input-hooks.ts'
import { inputMethods } from './input-methods.ts'
import { ledgerMethods } from './ledger-methods.ts'
import { checkInput, limitsOf } from './limits.ts'
import { checkedOpen } from './open-run.ts'
import { aboveOf, awaitRequested, findParent, isRequested, requestOfChild } from './requested-children.ts'
import { findInput, rewindOf } from './rewind.ts'
import { openCallsOf } from './run.ts'
import { sessionOf, tell, withdrawn } from './say.ts'
import { sessionMethods } from './session-methods.ts'
import { messagesOf, outputOf } from './settlements.ts'
import { step } from './step-method.ts'
import { toolsFor } from './tool-sources.ts'
import { unknownRun } from './unknown-run.ts'

export type Table = {
  readonly [M in Method]: (
    engine: Engine,
    params: Methods[M]['params'],
    connection: Connection,
    /** It was asked of a worker that is lost, which may have heard it. */
    again: boolean,
  ) => Promise<Methods[M]['result']>
}

/** What a page can ask for. */
export const methods: Table = {
  ...inputMethods,
  ...approvalMethods,
  ...ledgerMethods,
  ...sessionMethods,
  ...copyMethods,
  step: (engine, params, connection, again) => step(engine, params, connection, again, methods.run),

  async run(engine, params, { pageId }, again) {
    const { sessionId, runId, sentBy, clientRequestId } = params
    const { settlements, starting, conductor } = engine
    // What is to be hidden before it is never steering.
    const steers = params.whenBusy === 'steer' && !isRewind(params)
    const settled = settlements.wait(sessionId, runId, { steers })
    let refused = false
    settled.catch(() => {
      refused = true
    })
    if (!starting.has(runId)) starting.set(runId, undefined)
    const isNamed = clientRequestId !== undefined
    /** Its run is there, or its input waits. */
    const join = async () => {
      const givenUp = starting.get(runId)
      starting.delete(runId)
      if (givenUp) await tell(engine, sessionId, runId, givenUp)
      conductor.nudge(engine.live(sessionId))
    }
    // One after the other, so that what was sent in a row runs in that order.
    await engine.inOrder(sessionId, async () => {
      let state: SessionState | undefined
      try {
        state = await engine.env.store.readSession(sessionId, { messages: 0 })
        // The same request was made a moment ago, and refused.
        if (isNamed && refused) return
        if ((again || isNamed) && (await isKnown(engine, params, state))) return await join()
        const parent = params.parent === undefined ? undefined : await findParent(engine, params.parent)
        const asked = requestOf(params)
        const interrupted = state !== undefined && (await engine.isInterrupted(state))
        const agent = await check(engine, params, asked, state, interrupted)
        const input = asked.input && (await preparedInput(engine, agent, { ...params, turn: state?.session.turn ?? 0 }))
        if (input !== asked.input) checkInput(input, hasFiles(params), agent, asked.limits)
        const { files, blobs } = await takeFiles(engine.env, params.files, limitsOf(agent, params.limits), (name) =>
          inTexts(agent, name),
        )
        const request = { ...asked, input, ...files, ...(await rewindOf(engine.env.store, params, state)) }
        const { run: latest } = state?.session ?? {}
        const after = isRewind(params) && latest ? { after: latest.runId } : undefined
        const page = pageId === undefined ? undefined : { pageId }
        const over = interrupted && state?.session.run ? { supersedes: state.session.run.runId } : undefined
        const steering = steers ? { steers } : undefined
        const sender = sentBy === undefined ? undefined : { sentBy }
        if (parent) {
          engine.requested.add(runId, parent)
          const named = { ...request, agent: agent.name }
          const said = { type: 'delegate' as const, childRunId: runId, request: named, ...page, ...sender }
          await engine.env.store.say(parent.sessionId, parent.runId, said, blobs)
          const queued = { inputId: runId, input, ...files, mode: 'queue' }
          tellInput(engine.env, engine.live(sessionId), 'input-queued', { runId, agent: agent.name }, queued)
          await join()
          engine.conductor.nudge(engine.live(parent.sessionId))
          // It may have ended just now.
          return engine.requested.look(runId)
        }
        const item = { type: 'input' as const, request, ...page, ...sender, ...over, ...after, ...steering }
        // Another tab was faster: its run is the one.
        if (!(await engine.env.store.say(sessionId, runId, item, blobs))) return await join()
        const mode = steers && isActive(state) && !interrupted ? 'steer' : 'queue'
        const told = { inputId: runId, input: request.input, ...files, mode }
        // One that is given anew has no input that would wait.
        if (request.regenerates === undefined)
          tellInput(engine.env, engine.live(sessionId), 'input-queued', params, told, state)
        const givenUp = starting.get(runId)
        starting.delete(runId)
        if (!givenUp || !(await withdrawn(engine, sessionId, runId))) conductor.nudge(engine.live(sessionId))
      } catch (thrown) {
        const givenUp = starting.get(runId)
        starting.delete(runId)
        const error = redactError(toAgentError(thrown), engine.env.credentials())
        if (givenUp && error.code === 'aborted') {
          tellInput(engine.env, engine.live(sessionId), 'input-withdrawn', params, { inputId: runId }, state)
          return settlements.reject(runId, error)
        }
        // A request that never became a run still has its one end, for those who only listen.
        tellInput(engine.env, engine.live(sessionId), 'run-failed', params, { error, turns: 0, usage: noUsage }, state)
        settlements.reject(runId, error)
      }
    })
    return settled.finally(() => engine.requested.delete(runId))
  },

  async settled(engine, { runId }) {
    const { settlements, env } = engine
    const waitedFor = settlements.sessionOf(runId)
    if (waitedFor !== undefined) return settlements.wait(waitedFor, runId)
    const record = await env.store.readRun(runId)
    if (!record) return awaitRequested(engine, runId)
    const { sessionId } = record
    if (record.endedAt !== undefined) return outputOf(record, await messagesOf(env.store, record))
    const settled = settlements.wait(sessionId, runId)
    settled.catch(() => {})
    const live = engine.hold(sessionId)
    try {
      await live.exclusive(() => engine.follow(live))
      // It may have ended between the look and the wait.
      const now = await env.store.readRun(runId)
      if (!now) throw new AgentError('unknown-run', `The run "${runId}" was deleted.`)
      if (now.endedAt !== undefined) settlements.settle(now, await messagesOf(env.store, now))
      return await settled
    } finally {
      engine.release(live)
    }
  },

  async resume(engine, { runId, resumeId }, connection, again) {
    const { store } = engine.env
    const record = await store.readRun(runId)
    if (!record) throw unknownRun(runId)
    const { sessionId, status } = record
    const state = await store.readSession(sessionId, { messages: 0 })
    const isHeard =
      record.resumeId === resumeId ||
      state?.inbox.some((item) => item.type === 'resume' && item.resumeId === resumeId) === true
    if (again && isHeard) return methods.settled(engine, { runId }, connection, false)
    if (record.endedAt !== undefined && (status !== 'stopped' || state?.session.run?.runId !== runId)) {
      const why = status === 'stopped' ? 'a later run took its place' : `it is ${status}`
      throw new AgentError('not-resumable', `The run "${runId}" can't be resumed: ${why}. Send a new message instead.`)
    }
    if (record.endedAt === undefined && !(state && (await engine.isInterrupted(state))))
      return methods.settled(engine, { runId }, connection, false)
    const { pageId } = connection
    const item = { type: 'resume' as const, resumeId, ...(pageId === undefined ? undefined : { pageId }) }
    await engine.inOrder(sessionId, () => store.say(sessionId, runId, item))
    const settled = engine.settlements.wait(sessionId, runId)
    settled.catch(() => {})
    engine.conductor.nudge(engine.live(sessionId))
    return settled
  },

  async takeOver(engine, { sessionId }) {
    await engine.conductor.takeOver(engine.live(sessionId))
    return undefined
  },

  async stop(engine, { after, ...params }) {
    const { sessionId, runId } = await sessionOf(engine, params)
    const { run } = engine.live(sessionId)
    const here = run && (runId ?? run.runId) === run.runId ? run : undefined
    if (here && after === 'now') here.end({ kind: 'run-stopped', reason: 'requested' })
    else if (here) here.stopAfter()
    // Written, too: its owner may die before the run has ended, or be parked before the turn has.
    const told = tell(engine, sessionId, runId, { type: 'stop', after })
    await (here ? told.catch(() => {}) : told)
    return undefined
  },

  async abort(engine, { cause, sentBy, ...params }) {
    const { sessionId, runId } = await sessionOf(engine, params)
    if (sentBy !== undefined && (await senderOf(engine, sessionId, runId)) !== sentBy) return false
    const { run } = engine.live(sessionId)
    const here = run && (runId ?? run.runId) === run.runId
    if (here) run.end({ kind: 'run-cancelled', reason: cause })
    const told = tell(engine, sessionId, runId, { type: 'abort', cause })
    await (here ? told.catch(() => {}) : told)
    return true
  },

  async toolOutput(engine, params) {
    const { sessionId, toolCallId, tool: toolName } = params
    const { runId, outputSchema, agent } = await openPageCall(engine, params)
    const answer = 'errorText' in params ? { errorText: String(params.errorText) } : { output: toJson(params.output) }
    if ('output' in answer && outputSchema) {
      const checked = await validate(outputSchema, answer.output)
      if (!checked.ok)
        throw new AgentError(
          'invalid-input',
          `The output for "${toolName}" does not fit its outputSchema: ${checked.problem}`,
        )
    }
    const said =
      'output' in answer ? { output: inTexts(agent, answer.output) } : { errorText: inTexts(agent, answer.errorText) }
    // Of two answers to a call, the second is refused.
    await engine.inOrder(sessionId, async () => {
      await openPageCall(engine, params)
      // Where the run is being stopped right now, its resume has the answer.
      await engine.env.store.say(sessionId, runId, { type: 'tool-output', toolCallId, ...said })
    })
    engine.conductor.nudge(engine.live(sessionId))
    return undefined
  },

  async info({ env }) {
    return {
      online: !env.network.isOffline,
      agents: [...env.agents.values()].map(({ name, description }) => ({
        name,
        ...(description === undefined ? undefined : { description }),
      })),
      models: Object.keys(env.models).map((name) => ({ name })),
      storage: await env.store.status().catch((error) => ({ persisted: false, problem: toWire(error) })),
    }
  },
}

function requestOf(params: RunParams): RunRequestRecord {
  const { input, agent, model, defaultModel, limits, settings, metadata, open, step, clientRequestId } = params
  const own = settings && defined(settings)
  const fields = { agent, model, defaultModel, limits, settings: own, metadata, clientRequestId }
  return { input, ...defined({ ...fields, open: open && checkedOpen(open), step }) }
}

/** The handle whose request began the run, or will. */
async function senderOf(engine: Engine, sessionId: string, runId: string | undefined): Promise<string | undefined> {
  const { store } = engine.env
  // What is being written counts.
  await engine.inOrder(sessionId, async () => {})
  const record = runId === undefined ? undefined : await store.readRun(runId)
  if (record) return record.sentBy
  const request = runId === undefined ? undefined : await requestOfChild(engine, runId)
  if (request) return request.sentBy
  return (await store.readInbox(sessionId)).flatMap((item) =>
    item.type === 'input' && item.runId === runId && item.sentBy !== undefined ? [item.sentBy] : [],
  )[0]
}

/** Whether what was said before is to be hidden: never while somebody goes on with it. */
const isRewind = ({ replaces, regenerates }: RunParams) => replaces !== undefined || regenerates !== undefined

function defined<T extends object>(fields: T) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** Whether the run has been written already: it waits for its turn, goes on, or has ended. */
async function isKnown(
  engine: Engine,
  { sessionId, runId, parent }: RunParams,
  state: SessionState | undefined,
): Promise<boolean> {
  const { env, settlements } = engine
  const record = await env.store.readRun(runId)
  if (record?.endedAt !== undefined) settlements.settle(record, await messagesOf(env.store, record))
  if (parent !== undefined && (record || (await isRequested(engine, runId)))) {
    // Whoever advances it: its end is heard here.
    if (record?.endedAt === undefined) engine.requested.add(runId, await aboveOf(engine, parent))
    return true
  }
  const inbox = record ? [] : (state?.inbox ?? (await env.store.readInbox(sessionId)))
  const heardBy = settlements.steers(runId) && !record ? await findInput(env.store, sessionId, runId) : undefined
  if (heardBy) settlements.move(runId, heardBy.runId)
  return (
    heardBy !== undefined || record !== undefined || inbox.some((item) => item.type === 'input' && item.runId === runId)
  )
}

/** Refuses what can't be run, before anything is written. Gives the agent that it is for. */
async function check(
  engine: Engine,
  params: RunParams,
  request: RunRequestRecord,
  state: SessionState | undefined,
  interrupted: boolean,
): Promise<AgentDefinition> {
  const { agents, models, store } = engine.env
  const own = request.agent === undefined && state ? agents.get(state.session.agent) : undefined
  const agent = own ?? agentNamed(agents, request.agent)
  checkLimits(request.limits)
  if (request.settings?.headers !== undefined) throw headersRefused()
  const isBlank = request.input === '' && (request.open !== undefined || params.regenerates !== undefined)
  if (!isBlank) checkInput(request.input, hasFiles(params), agent, request.limits)
  for (const name of [request.model, request.defaultModel]) if (name !== undefined) namedModel(name, models)
  if (request.limits?.maxCost !== undefined && !engine.env.model)
    checkPrice(agent.name, agent.prices, request.model ?? request.defaultModel ?? agent.model, models)
  const { sessionId, whenBusy } = params
  if (whenBusy !== 'reject' && !isRewind(params)) return agent
  const inbox = state?.inbox ?? (await store.readInbox(sessionId))
  const waiting = inbox.some(({ type }) => type === 'input' || type === 'resume' || type === 'step')
  // Whoever still holds a run that has ended, or asks what becomes of one that was interrupted, does not go on with it.
  const { run } = engine.live(sessionId)
  const underWay = !interrupted && (isActive(state) || run?.over === false)
  if (underWay || waiting) {
    throw new AgentError(
      'session-busy',
      `Another run of this session is under way: wait for its end, ${isRewind(params) ? 'or stop it.' : 'stop it, or send with whenBusy: "queue".'}`,
    )
  }
  return agent
}

const headersRefused = () =>
  new AgentError(
    'invalid-argument',
    "A request's settings have no headers, for it is stored: put them in the agent's settings or in the model itself, and keys in the credentials.",
  )

const isActive = (state: SessionState | undefined) => {
  const status = state?.session.run?.status
  return status === 'waiting' || status === 'running'
}

/** The waiting call that somebody answers. */
async function openPageCall(
  { env }: Engine,
  { sessionId, toolCallId, tool: toolName }: Methods['toolOutput']['params'],
) {
  const state = await env.store.readSession(sessionId, { messages: 10 })
  const run = state?.run
  const call = openCallsOf(state?.messages ?? []).find(
    (open) => open.toolCallId === toolCallId && open.toolName === toolName && open.invalid === undefined,
  )
  const row = run && (await env.store.readCalls(run.runId)).find((begun) => begun.toolCallId === toolCallId)
  const isSaid = state?.inbox.some((item) => item.type === 'tool-output' && item.toolCallId === toolCallId)
  const agent = run && env.agents.get(run.agent)
  const tool = toolOf({ tools: await toolsFor(env, run, { toolName }) }, { toolName })
  const mayAnswer = tool && (!tool.execute || run?.step?.tools === 'external')
  if (!run || run.endedAt !== undefined || !call || !mayAnswer) throw unknownCall(toolCallId)
  if (isSaid || row?.result) throw secondOutput(toolCallId)
  if (row) throw unknownCall(toolCallId)
  return { runId: run.runId, outputSchema: tool.outputSchema, agent }
}
