import type { AnyEvent } from '../events/kinds.ts'
import type { SessionState } from '../sessions/store.ts'
import { agentNamed } from './agents.ts'
import type { Environment } from './environment.ts'
import type { LiveSession } from './live-session.ts'

interface Input {
  readonly runId: string
  readonly agent?: string
}

/** Tells of an input that is no run, or none yet. */
export function tellInput(
  env: Environment,
  live: LiveSession,
  kind: 'input-queued' | 'input-withdrawn' | 'run-failed' | 'run-released' | 'custom',
  { runId, agent }: Input,
  payload: object,
  state?: SessionState,
) {
  env.bus.publish({
    kind,
    seq: Math.max(live.seq, state?.session.seq ?? 0),
    at: env.now(),
    sessionId: live.id,
    runId,
    agent: agent ?? state?.session.agent ?? agentNamed(env.agents, undefined).name,
    turn: state?.session.turn ?? 0,
    ...payload,
  } as AnyEvent)
}
