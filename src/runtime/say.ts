import { AgentError } from '../errors.ts'
import type { Said } from '../sessions/records.ts'
import type { Engine } from './engine.ts'
import { tellInput } from './input-events.ts'
import { findChild, takeBack } from './requested-children.ts'
import { unknownRun } from './unknown-run.ts'

// What is said to a run goes through the inbox, whoever advances it: the writer nudges his own runtime, the others are told.

/** A run that was looked up is known by its own id alone. */
export async function sessionOf(
  engine: Engine,
  { sessionId, runId }: { readonly sessionId: string; readonly runId?: string },
) {
  if (sessionId !== '' || runId === undefined) return { sessionId, runId }
  const { env, settlements } = engine
  // A run whose input still waits has no record.
  const known =
    settlements.sessionOf(runId) ??
    (await env.store.readRun(runId))?.sessionId ??
    (await findChild(engine, runId))?.sessionId
  if (known === undefined) throw unknownRun(runId)
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
export async function tell(engine: Engine, sessionId: string, runId: string | undefined, said: Said) {
  if (runId !== undefined && engine.starting.has(runId)) {
    // Its input is not written yet: it will be taken back as soon as it is.
    engine.starting.set(runId, said)
    engine.preparing.get(runId)?.abort(new AgentError('aborted', 'The input was withdrawn before its run began.'))
    return
  }
  // So that an input that is being written counts.
  if (runId === undefined) await engine.inOrder(sessionId, async () => {})
  const target = await targetOf(engine, sessionId, runId)
  if (!target || (await withdrawn(engine, sessionId, target)) || (await takeBack(engine, target))) return
  await say(engine, sessionId, target, said)
}

/** Takes an input back that still waits; its run then never was. */
export async function withdrawn(engine: Engine, sessionId: string, runId: string): Promise<boolean> {
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
