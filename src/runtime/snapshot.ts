import type { RunState, SessionInfo, SessionSnapshot } from '../api/types.ts'
import { fromWire } from '../errors.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import { type InboxItem, noUsage, type RunRecord } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import type { LiveSession } from './live-session.ts'

/** A session as a view begins with it. `abandoned`: its run is active, and nobody holds its lock. */
export function snapshotOf(
  id: string,
  state: SessionState | undefined,
  inbox: readonly InboxItem[],
  live: LiveSession,
  abandoned: boolean,
): SessionSnapshot {
  const queue = queueOf(inbox)
  const [next] = queue
  const queued = (turn: number): RunState | undefined => next && { runId: next.inputId, phase: 'queued', turn }
  if (!state) {
    const run = queued(0)
    const status = run ? 'submitted' : 'ready'
    return { id, loaded: true, messages: [], hasOlder: false, status, ...(run && { run }), queue, usage: noUsage }
  }
  const { session, settings, messages, run, calls } = state
  const active = run && run.endedAt === undefined ? runState(run, session.turn, live, abandoned) : undefined
  const current = active ?? queued(session.turn)
  const failed = !current && run?.status === 'failed' && run.error ? fromWire(run.error) : undefined
  return {
    id,
    loaded: true,
    title: settings?.title ?? session.title,
    agent: session.agent,
    messages: foldMessages(messages, active ? calls : []),
    hasOlder: (messages[0]?.index ?? 0) > 0,
    status: failed ? 'error' : current && current.phase !== 'interrupted' ? 'submitted' : 'ready',
    ...(current ? { run: current } : undefined),
    queue,
    usage: session.usage,
    ...(failed ? { error: failed } : undefined),
  }
}

const queueOf = (inbox: readonly InboxItem[]) =>
  inbox.flatMap((item) =>
    item.type === 'input' ? [{ inputId: item.runId, text: item.request.input, mode: 'queue' as const }] : [],
  )

function runState(run: RunRecord, turn: number, live: LiveSession, abandoned: boolean): RunState {
  const { runId, waitingFor } = run
  if (live.run?.runId === runId)
    return { runId, phase: live.run.signal.aborted ? 'stopping' : live.run.phase, turn: live.run.turn }
  if (run.status === 'waiting') return { runId, phase: 'waiting', ...(waitingFor ? { waitingFor } : undefined), turn }
  return { runId, phase: abandoned ? 'interrupted' : 'model', turn }
}

export function infoOf({ session, settings }: SessionState, abandoned: boolean): SessionInfo {
  const { id, title, agent, createdAt, updatedAt, messageCount, run } = session
  const status =
    run?.status === 'running'
      ? abandoned
        ? 'interrupted'
        : 'running'
      : run?.status === 'waiting'
        ? 'waiting'
        : 'ready'
  return { id, title: settings?.title ?? title, agent, createdAt, updatedAt, messageCount, status }
}
