import type { RunOutput } from '../api/types.ts'
import { AgentError, toAgentError } from '../errors.ts'
import { namedModel } from '../model/resolve-model.ts'
import type { Method, Methods, RunParams } from '../protocol/messages.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import { noUsage, type RunRequestRecord, type Said } from '../sessions/records.ts'
import { unknownCall } from '../tools/run-tools.ts'
import { validate } from '../tools/schema.ts'
import { toJson } from '../tools/tool-output.ts'
import { agentNamed } from './conductor.ts'
import type { Connection } from './connection.ts'
import type { Engine } from './engine.ts'
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
    const request = requestOf(params)
    engine.starting.set(runId, false)
    try {
      await check(engine, params, request)
    } catch (error) {
      engine.starting.delete(runId)
      refused(engine, params, error)
      throw error
    }
    const settled = engine.settlements.wait(sessionId, runId)
    settled.catch(() => {})
    try {
      await engine.env.store.say(sessionId, runId, {
        type: 'input',
        request,
        ...(pageId === undefined ? undefined : { pageId }),
      })
    } catch (error) {
      refused(engine, params, error)
      engine.settlements.reject(runId, toAgentError(error, 'storage-unavailable'))
    }
    engine.env.bus.publish(
      inputEvent(engine, 'input-queued', params, { inputId: runId, input: request.input, mode: 'queue' }),
    )
    const givenUp = engine.starting.get(runId)
    engine.starting.delete(runId)
    if (givenUp) await withdrawn(engine, sessionId, runId)
    else engine.conductor.nudge(engine.live(sessionId))
    return settled
  },

  async settled(engine, { runId }) {
    const record = await engine.env.store.readRun(runId)
    if (!record) throw new AgentError('unknown-run', `There is no run "${runId}".`)
    if (record.endedAt !== undefined) return ended(engine, runId)
    const settled = engine.settlements.wait(record.sessionId, runId)
    const live = engine.live(record.sessionId)
    live.listeners++
    // It may have ended between the look and the wait.
    live.exclusive(() => engine.follow(live)).catch(() => {})
    const again = await engine.env.store.readRun(runId)
    if (again?.endedAt !== undefined) return ended(engine, runId)
    return settled.finally(() => engine.release(live))
  },

  async stop(engine, { after, ...params }) {
    const { sessionId, runId } = await sessionOf(engine, params)
    const live = engine.live(sessionId)
    // What is to wait for the turn's end is written: the run may be parked until then.
    if (after === 'now' && live.run && (runId === undefined || live.run.runId === runId)) {
      live.run.end({ kind: 'run-stopped', reason: 'requested' })
      return undefined
    }
    if (runId !== undefined && engine.starting.has(runId)) {
      engine.starting.set(runId, true)
      return undefined
    }
    // Its input is not written yet: it will be taken back as soon as it is.
    if (runId !== undefined && engine.starting.has(runId)) {
      engine.starting.set(runId, true)
      return undefined
    }
    const target = await targetOf(engine, sessionId, runId)
    if (target && !(await withdrawn(engine, sessionId, target)))
      await say(engine, sessionId, target, { type: 'stop', after })
    return undefined
  },

  async abort(engine, { cause, ...params }) {
    const { sessionId, runId } = await sessionOf(engine, params)
    const live = engine.live(sessionId)
    if (live.run && (runId === undefined || live.run.runId === runId)) {
      live.run.end({ kind: 'run-cancelled', reason: cause })
      return undefined
    }
    // Its input is not written yet: it will be taken back as soon as it is.
    if (runId !== undefined && engine.starting.has(runId)) {
      engine.starting.set(runId, true)
      return undefined
    }
    const target = await targetOf(engine, sessionId, runId)
    if (target && !(await withdrawn(engine, sessionId, target)))
      await say(engine, sessionId, target, { type: 'abort', cause })
    return undefined
  },

  async toolOutput(engine, params) {
    const { sessionId, toolCallId, tool: toolName } = params
    const { store } = engine.env
    const state = await store.readSession(sessionId, { messages: 10 })
    const call = openCallsOf(state?.messages ?? []).find(
      (open) => open.toolCallId === toolCallId && open.toolName === toolName,
    )
    const waits =
      state?.run && state.run.endedAt === undefined && call && !state.calls.some((row) => row.toolCallId === toolCallId)
    const answered = state?.inbox.some((item) => item.type === 'tool-output' && item.toolCallId === toolCallId)
    if (!state?.run || !waits || answered) throw unknownCall(toolCallId)
    const { tools = {} } = agentNamed(engine.env.agents, state.run.agent)
    const tool = Object.hasOwn(tools, toolName) ? tools[toolName] : undefined
    if ('errorText' in params) {
      await say(engine, sessionId, state.run.runId, {
        type: 'tool-output',
        toolCallId,
        errorText: String(params.errorText),
      })
      return undefined
    }
    const output = toJson(params.output)
    const checked = tool?.outputSchema ? await validate(tool.outputSchema, output) : { ok: true as const }
    if (!checked.ok)
      throw new AgentError(
        'invalid-input',
        `The output for "${toolName}" does not fit its outputSchema: ${checked.problem}`,
      )
    await say(engine, sessionId, state.run.runId, { type: 'tool-output', toolCallId, output })
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
    // Nothing more is to start, and what runs ends as any aborted run does, before all of it goes.
    for (const { runId, type } of await store.readInbox(sessionId)) {
      if (type === 'input') await withdrawn(engine, sessionId, runId)
    }
    const live = engine.live(sessionId)
    live.run?.end({ kind: 'run-cancelled', reason: 'aborted' })
    if (live.run) await live.driving
    await store.deleteSession(sessionId)
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
  return { input, ...defined({ agent, model, limits, settings, metadata }) }
}

function defined<T extends object>(fields: T) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** Refuses what can't be run, before anything is written. */
async function check(engine: Engine, { sessionId, whenBusy }: RunParams, request: RunRequestRecord) {
  const { agents, models, store } = engine.env
  checkInput(request.input, agentNamed(agents, request.agent))
  if (request.model !== undefined) namedModel(request.model, models)
  const maxTurns = request.limits?.maxTurns
  if (maxTurns !== undefined && !(maxTurns >= 1))
    throw new AgentError('invalid-argument', 'limits.maxTurns must be a number of 1 or more.')
  if (whenBusy !== 'reject') return
  const state = await store.readSession(sessionId, { messages: 0 })
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

/** A request that never became a run still has its one end, for those who only listen. */
function refused(engine: Engine, params: RunParams, error: unknown) {
  engine.env.bus.publish(
    inputEvent(engine, 'run-failed', params, { error: toAgentError(error), turns: 0, usage: noUsage }),
  )
}

const inputEvent = (
  engine: Engine,
  kind: 'input-queued' | 'input-withdrawn' | 'run-failed',
  { sessionId, runId, agent }: Partial<RunParams> & { sessionId: string; runId: string },
  payload: object,
) =>
  ({
    kind,
    seq: engine.live(sessionId).seq,
    at: engine.env.now(),
    sessionId,
    runId,
    agent: agent ?? '',
    turn: 0,
    ...payload,
  }) as Parameters<Engine['env']['bus']['publish']>[0]

/** A run that was looked up is known by its own id alone. */
async function sessionOf(
  { env }: Engine,
  { sessionId, runId }: { readonly sessionId: string; readonly runId?: string },
) {
  if (sessionId !== '' || runId === undefined) return { sessionId, runId }
  const record = await env.store.readRun(runId)
  if (!record) throw new AgentError('unknown-run', `There is no run "${runId}".`)
  return { sessionId: record.sessionId, runId }
}

/** Without a run's id: the one under way, else the first that waits. */
async function targetOf({ env }: Engine, sessionId: string, runId: string | undefined): Promise<string | undefined> {
  if (runId !== undefined) return runId
  const state = await env.store.readSession(sessionId, { messages: 0 })
  const status = state?.session.run?.status
  if (status === 'running' || status === 'waiting') return state?.session.run?.runId
  return (state?.inbox ?? (await env.store.readInbox(sessionId))).find(({ type }) => type === 'input')?.runId
}

/** Takes an input back that still waits; its run then never was. */
async function withdrawn(engine: Engine, sessionId: string, runId: string): Promise<boolean> {
  if (!(await engine.env.store.withdraw(sessionId, runId))) return false
  engine.env.bus.publish(inputEvent(engine, 'input-withdrawn', { sessionId, runId }, { inputId: runId }))
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

async function ended({ env }: Engine, runId: string): Promise<RunOutput> {
  const record = await env.store.readRun(runId)
  if (!record) throw new AgentError('unknown-run', `There is no run "${runId}".`)
  return outputOf(record, await env.store.readMessages(record.sessionId, { from: record.firstIndex }))
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
