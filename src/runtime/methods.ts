import { AgentError, toAgentError } from '../errors.ts'
import { namedModel } from '../model/resolve-model.ts'
import type { Method, Methods, RunParams } from '../protocol/messages.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import { noUsage, type RunRequestRecord, type Said } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import { unknownCall } from '../tools/run-tools.ts'
import { validate } from '../tools/schema.ts'
import { toJson } from '../tools/tool-output.ts'
import { agentNamed } from './agents.ts'
import type { Connection } from './connection.ts'
import type { Engine } from './engine.ts'
import { tellInput } from './input-events.ts'
import { checkInput } from './limits.ts'
import { openCallsOf } from './run.ts'
import { outputOf } from './settlements.ts'
import { infoOf } from './snapshot.ts'

type Table = {
  readonly [M in Method]: (
    engine: Engine,
    params: Methods[M]['params'],
    connection: Connection,
  ) => Promise<Methods[M]['result']>
}

/** What a page can ask for. */
export const methods: Table = {
  async run(engine, params, { pageId }) {
    const { sessionId, runId } = params
    const { settlements, starting, conductor } = engine
    const settled = settlements.wait(sessionId, runId)
    settled.catch(() => {})
    starting.set(runId, false)
    // One after the other, so that what was sent in a row runs in that order.
    await engine.inOrder(sessionId, async () => {
      let state: SessionState | undefined
      try {
        state = await engine.env.store.readSession(sessionId, { messages: 0 })
        const request = requestOf(params)
        await check(engine, params, request, state)
        const page = pageId === undefined ? undefined : { pageId }
        await engine.env.store.say(sessionId, runId, { type: 'input', request, ...page })
        tellInput(
          engine.env,
          engine.live(sessionId),
          'input-queued',
          params,
          { inputId: runId, input: request.input, mode: 'queue' },
          state,
        )
        const givenUp = starting.get(runId)
        starting.delete(runId)
        if (!givenUp || !(await withdrawn(engine, sessionId, runId))) conductor.nudge(engine.live(sessionId))
      } catch (thrown) {
        starting.delete(runId)
        const error = toAgentError(thrown)
        // A request that never became a run still has its one end, for those who only listen.
        tellInput(engine.env, engine.live(sessionId), 'run-failed', params, { error, turns: 0, usage: noUsage }, state)
        settlements.reject(runId, error)
      }
    })
    return settled
  },

  async settled(engine, { runId }) {
    const { settlements, env } = engine
    const waitedFor = settlements.sessionOf(runId)
    if (waitedFor !== undefined) return settlements.wait(waitedFor, runId)
    const record = await env.store.readRun(runId)
    if (!record) throw new AgentError('unknown-run', `There is no run "${runId}".`)
    const { sessionId, firstIndex } = record
    if (record.endedAt !== undefined)
      return outputOf(record, await env.store.readMessages(sessionId, { from: firstIndex }))
    const settled = settlements.wait(sessionId, runId)
    settled.catch(() => {})
    const live = engine.live(sessionId)
    live.listeners++
    try {
      await live.exclusive(() => engine.follow(live))
      // It may have ended between the look and the wait.
      const now = await env.store.readRun(runId)
      if (!now) throw new AgentError('unknown-run', `The run "${runId}" was deleted.`)
      if (now.endedAt !== undefined)
        settlements.settle(now, await env.store.readMessages(sessionId, { from: firstIndex }))
      return await settled
    } finally {
      engine.release(live)
    }
  },

  async stop(engine, { after, ...params }) {
    const { sessionId, runId } = await sessionOf(engine, params)
    const { run } = engine.live(sessionId)
    const here = run && (runId ?? run.runId) === run.runId ? run : undefined
    if (here && after === 'now') {
      here.end({ kind: 'run-stopped', reason: 'requested' })
      return undefined
    }
    if (here) here.stopAfterTurn = true
    // What is to wait for the turn's end is written, too: the run may be parked until then.
    await tell(engine, sessionId, runId, { type: 'stop', after })
    return undefined
  },

  async abort(engine, { cause, ...params }) {
    const { sessionId, runId } = await sessionOf(engine, params)
    const { run } = engine.live(sessionId)
    if (run && (runId ?? run.runId) === run.runId) run.end({ kind: 'run-cancelled', reason: cause })
    else await tell(engine, sessionId, runId, { type: 'abort', cause })
    return undefined
  },

  async toolOutput(engine, params) {
    const { sessionId, toolCallId, tool: toolName } = params
    const { runId, outputSchema } = await openPageCall(engine, params)
    const answer = 'errorText' in params ? { errorText: String(params.errorText) } : { output: toJson(params.output) }
    if ('output' in answer && outputSchema) {
      const checked = await validate(outputSchema, answer.output)
      if (!checked.ok)
        throw new AgentError(
          'invalid-input',
          `The output for "${toolName}" does not fit its outputSchema: ${checked.problem}`,
        )
    }
    // Of two answers to a call, the second is refused.
    await engine.inOrder(sessionId, async () => {
      await openPageCall(engine, params)
      await say(engine, sessionId, runId, { type: 'tool-output', toolCallId, ...answer })
    })
    return undefined
  },

  async messages(engine, { sessionId, before, limit }) {
    const live = engine.live(sessionId)
    const index = live.indexOf(before) ?? (await findMessage(engine, sessionId, before))
    const records = await engine.env.store.readMessages(sessionId, { before: index, limit: clamp(limit, 500) })
    live.remember(records)
    return { messages: foldMessages(records), hasOlder: (records[0]?.index ?? 0) > 0 }
  },

  async sessions(engine, { limit, before }) {
    const states = await engine.env.store.listSessions({
      limit: clamp(limit, 500),
      ...(before === undefined ? undefined : { before }),
    })
    return Promise.all(states.map(async (state) => infoOf(state, await engine.isAbandoned(state))))
  },

  async rename(engine, { sessionId, title }) {
    if (typeof title !== 'string' || title.trim() === '')
      throw new AgentError('invalid-argument', 'The title is empty.')
    await engine.env.store.changeSettings(sessionId, { title: title.trim().slice(0, 200) })
    return undefined
  },

  async remove(engine, { sessionId }) {
    const { store } = engine.env
    await engine.inOrder(sessionId, async () => {
      // Nothing more is to start, and what runs ends as any aborted run does, before all of it goes.
      for (const { runId, type } of await store.readInbox(sessionId)) {
        if (type === 'input') await withdrawn(engine, sessionId, runId)
      }
      const live = engine.live(sessionId)
      live.run?.end({ kind: 'run-cancelled', reason: 'aborted' })
      if (live.run) await live.driving
      await store.deleteSession(sessionId)
    })
    return undefined
  },

  async info({ env }) {
    return {
      agents: [...env.agents.values()].map(({ name, description }) => ({
        name,
        ...(description === undefined ? undefined : { description }),
      })),
      models: Object.keys(env.models).map((name) => ({ name })),
    }
  },
}

const clamp = (limit: unknown, most: number) =>
  typeof limit === 'number' && limit >= 1 ? Math.min(Math.floor(limit), most) : 50

function requestOf({ input, agent, model, limits, settings, metadata }: RunParams): RunRequestRecord {
  return { input, ...defined({ agent, model, limits, settings: settings && defined(settings), metadata }) }
}

function defined<T extends object>(fields: T) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** Refuses what can't be run, before anything is written. */
async function check(
  engine: Engine,
  { sessionId, whenBusy }: RunParams,
  request: RunRequestRecord,
  state: SessionState | undefined,
) {
  const { agents, models, store } = engine.env
  const own = request.agent === undefined && state ? agents.get(state.session.agent) : undefined
  checkInput(request.input, own ?? agentNamed(agents, request.agent))
  if (request.model !== undefined) namedModel(request.model, models)
  const maxTurns = request.limits?.maxTurns
  if (maxTurns !== undefined && !(maxTurns >= 1))
    throw new AgentError('invalid-argument', 'limits.maxTurns must be a number of 1 or more.')
  if (whenBusy !== 'reject') return
  const waiting = (state?.inbox ?? (await store.readInbox(sessionId))).some(({ type }) => type === 'input')
  const active =
    state &&
    (state.session.run?.status === 'waiting' ||
      (state.session.run?.status === 'running' && !(await engine.isAbandoned(state))))
  if (active || waiting || engine.live(sessionId).run) {
    throw new AgentError(
      'session-busy',
      'Another run of this session is under way: wait for its end, stop it, or send with whenBusy: "queue".',
    )
  }
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
  const begun = run && (await env.store.readCalls(run.runId)).some((row) => row.toolCallId === toolCallId)
  const answered = state?.inbox.some((item) => item.type === 'tool-output' && item.toolCallId === toolCallId)
  const { tools = {} } = (run && env.agents.get(run.agent)) ?? {}
  const tool = Object.hasOwn(tools, toolName) ? tools[toolName] : undefined
  if (!run || run.endedAt !== undefined || !call || begun || answered || !tool || tool.execute)
    throw unknownCall(toolCallId)
  return { runId: run.runId, outputSchema: tool.outputSchema }
}

/** A run that was looked up is known by its own id alone. */
async function sessionOf(
  { env, settlements }: Engine,
  { sessionId, runId }: { readonly sessionId: string; readonly runId?: string },
) {
  if (sessionId !== '' || runId === undefined) return { sessionId, runId }
  // A run whose input still waits has no record.
  const known = settlements.sessionOf(runId) ?? (await env.store.readRun(runId))?.sessionId
  if (known === undefined) throw new AgentError('unknown-run', `There is no run "${runId}".`)
  return { sessionId: known, runId }
}

/** Without a run's id: the one under way, else the first that waits. */
async function targetOf({ env }: Engine, sessionId: string, runId: string | undefined): Promise<string | undefined> {
  if (runId !== undefined) return runId
  const state = await env.store.readSession(sessionId, { messages: 0 })
  const status = state?.session.run?.status
  if (status === 'running' || status === 'waiting') return state?.session.run?.runId
  return (state?.inbox ?? (await env.store.readInbox(sessionId))).find(({ type }) => type === 'input')?.runId
}

/** Says something to a run, or to whatever is under way, where it is not advanced here now. An input that waits is taken back. */
async function tell(engine: Engine, sessionId: string, runId: string | undefined, said: Said) {
  if (runId !== undefined && engine.starting.has(runId)) {
    // Its input is not written yet: it will be taken back as soon as it is.
    engine.starting.set(runId, true)
    return
  }
  // So that an input that is being written counts.
  if (runId === undefined) await engine.inOrder(sessionId, async () => {})
  const target = await targetOf(engine, sessionId, runId)
  if (target && !(await withdrawn(engine, sessionId, target))) await say(engine, sessionId, target, said)
}

/** Takes an input back that still waits; its run then never was. */
async function withdrawn(engine: Engine, sessionId: string, runId: string): Promise<boolean> {
  const { store } = engine.env
  const state = await store.readSession(sessionId, { messages: 0 })
  if (!(await store.withdraw(sessionId, runId))) return false
  tellInput(engine.env, engine.live(sessionId), 'input-withdrawn', { runId }, { inputId: runId }, state)
  engine.settlements.reject(runId, new AgentError('aborted', 'The input was withdrawn before its run began.'))
  return true
}

/** Says something to a run that is not under way here; one that has ended hears nothing any more. */
async function say(engine: Engine, sessionId: string, runId: string, said: Said) {
  const { store } = engine.env
  const record = await store.readRun(runId)
  if (!record || record.endedAt !== undefined) return
  await store.say(sessionId, runId, said)
  engine.conductor.nudge(engine.live(sessionId))
}

/** A message by id, for a page whose worker has not read it before: from the end, in pages. */
async function findMessage({ env }: Engine, sessionId: string, id: string): Promise<number> {
  let before = Number.MAX_SAFE_INTEGER
  for (;;) {
    const records = await env.store.readMessages(sessionId, { before, limit: 500 })
    const found = records.find((record) => record.id === id)
    if (found) return found.index
    const first = records[0]
    if (!first || first.index === 0)
      throw new AgentError('invalid-argument', `There is no message "${id}" in this session.`)
    before = first.index
  }
}
