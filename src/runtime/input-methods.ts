import { AgentError } from '../errors.ts'
import type { RunRequestRecord } from '../sessions/records.ts'
import { agentNamed } from './agents.ts'
import type { Engine } from './engine.ts'
import { tellInput } from './input-events.ts'
import { hasFiles, takeFiles } from './input-files.ts'
import { inTexts, onInput } from './input-hooks.ts'
import { checkInput, limitsOf } from './limits.ts'
import type { Table } from './methods.ts'
import { requestOfChild } from './requested-children.ts'
import { findInput } from './rewind.ts'
import { sessionOf, withdrawn } from './say.ts'
import { unknownRun } from './unknown-run.ts'
import { until } from './until.ts'

/** What a page can say to a run that has begun, or is to begin, and take back. */
export const inputMethods = {
  async steer(engine, { inputId, input: text, files: given, ...params }) {
    const { env } = engine
    const { runId } = params
    const { sessionId } = await sessionOf(engine, params)
    const { agent, input, files } = await engine.inOrder(sessionId, async () => {
      const { turn, request, ...target } = await targetOf(engine, sessionId, runId)
      const { limits, metadata } = request
      const agent = agentNamed(env.agents, target.agent)
      const withFiles = hasFiles({ files: given })
      checkInput(text, withFiles, agent, limits)
      if (target.ended) throw ended(runId)
      const input = await onInput(engine, agent, { sessionId, runId, input: text, turn, metadata })
      checkInput(input, withFiles, agent, limits)
      const { files, blobs } = await takeFiles(env, given, limitsOf(agent, limits), (name) => inTexts(agent, name))
      await env.store.say(sessionId, runId, { type: 'steer', inputId, input, ...files }, blobs)
      return { agent: target.agent, input, files }
    })
    const told = { inputId, input, ...files, mode: 'steer' }
    const run = { runId, ...(agent === undefined ? undefined : { agent }) }
    tellInput(env, engine.live(sessionId), 'input-queued', run, told)
    engine.conductor.nudge(engine.live(sessionId))
    return undefined
  },

  async delivered(engine, { inputId, ...params }) {
    const { store } = engine.env
    const { sessionId } = await sessionOf(engine, params)
    const heard = async () => {
      const waits = (await store.readInbox(sessionId)).some((item) => item.type === 'steer' && item.inputId === inputId)
      const record = await store.readRun(params.runId)
      if (waits && record?.endedAt === undefined) return undefined
      if (record && (await findInput(store, sessionId, inputId))) return true
      throw waits ? ended(params.runId) : new AgentError('aborted', 'The input was withdrawn before it was heard.')
    }
    await until(engine, sessionId, heard)
    return undefined
  },

  withdraw: (engine, { sessionId, inputId }, _, again) =>
    engine.inOrder(sessionId, async () => {
      const { store } = engine.env
      if (await withdrawn(engine, sessionId, inputId)) return true
      const state = await store.readSession(sessionId, { messages: 0 })
      const item = state?.inbox.find((said) => said.type === 'steer' && said.inputId === inputId)
      if (item && (await store.withdraw(sessionId, inputId, 'steer'))) {
        tellInput(engine.env, engine.live(sessionId), 'input-withdrawn', { runId: item.runId }, { inputId }, state)
        return true
      }
      // The worker that was lost may have done it.
      return again && !item && !(await store.readRun(inputId)) && !(await findInput(store, sessionId, inputId))
    }),

  async close(engine, params) {
    const { runId } = params
    const { sessionId } = await sessionOf(engine, params)
    await engine.inOrder(sessionId, async () => {
      const target = await targetOf(engine, sessionId, runId)
      if (!target.request.open)
        throw new AgentError(
          'invalid-argument',
          `The run "${runId}" is not an open one: it ends by itself. Use stop().`,
        )
      if (!target.ended) await engine.env.store.say(sessionId, runId, { type: 'close' })
    })
    engine.conductor.nudge(engine.live(sessionId))
    return undefined
  },
} satisfies Pick<Table, 'steer' | 'delivered' | 'withdraw' | 'close'>

const ended = (runId: string) =>
  new AgentError('not-resumable', `The run "${runId}" has ended: send the input as a new message.`)

interface Target {
  readonly agent: string | undefined
  readonly request: RunRequestRecord
  readonly ended: boolean
  readonly turn: number
}

/** The run that is spoken to: as it is stored, or as its input that still waits asks for it. */
async function targetOf(engine: Engine, sessionId: string, runId: string): Promise<Target> {
  const { store } = engine.env
  const record = await store.readRun(runId)
  if (record) {
    const { agent, request, endedAt, checkpoint } = record
    return { agent, request, ended: endedAt !== undefined, turn: checkpoint.turn }
  }
  const asked = await requestOfChild(engine, runId)
  if (asked) return { agent: asked.request.agent, request: asked.request, ended: false, turn: 0 }
  const input = (await store.readInbox(sessionId)).find((item) => item.type === 'input' && item.runId === runId)
  if (input?.type !== 'input') throw unknownRun(runId)
  const state = await store.readSession(sessionId, { messages: 0 })
  return {
    agent: input.request.agent ?? state?.session.agent,
    request: input.request,
    ended: false,
    turn: state?.session.turn ?? 0,
  }
}
