import type { Message } from '../api/message.ts'
import type { QueuedInput, RunState, SessionInfo, SessionSnapshot } from '../api/types.ts'
import { fromWire } from '../errors.ts'
import { approvalOf } from '../sessions/deliver.ts'
import { foldMessages } from '../sessions/fold-messages.ts'
import { firstVisible, visibleCount } from '../sessions/hidden.ts'
import { type InboxItem, noUsage, type RunRecord, type SettingsRecord } from '../sessions/records.ts'
import type { SessionState } from '../sessions/store.ts'
import type { LiveSession } from './live-session.ts'
import { knownCost, knownUsage } from './usage.ts'

/** How a run stands that is not advanced here. */
interface Standing {
  /** It is active, nobody advances it, and it does not go on by itself. */
  readonly interrupted: boolean
  readonly owner: RunState['owner']
  readonly settings: SettingsRecord | undefined
}

/** A session as a view begins with it. */
export function snapshotOf(
  id: string,
  state: SessionState | undefined,
  inbox: readonly InboxItem[],
  live: LiveSession,
  standing: Standing,
): SessionSnapshot {
  const isActive = state?.run !== undefined && state.run.endedAt === undefined && !standing.interrupted
  const queue = queueOf(inbox, isActive)
  const next = queue.find((queued) => queued.runId === undefined)
  const { settings } = standing
  const chosen = settings?.model === undefined ? undefined : { model: settings.model }
  const queued = (turn: number): RunState | undefined =>
    next && { runId: next.inputId, phase: 'queued', turn, owner: 'here' }
  if (!state) {
    const run = queued(0)
    const status = run ? 'submitted' : 'ready'
    const nothing = { messages: [], hasOlder: false, approvals: [], queue, usage: noUsage, context: { tokens: 0 } }
    return { id, loaded: true, status, ...nothing, ...chosen, ...(run && { run }) }
  }
  const { session, messages, run, calls, approvals, draft } = state
  const active = run && run.endedAt === undefined ? runState(run, session.turn, live, standing) : undefined
  const current = active ?? queued(session.turn)
  const failed = !current && run?.error && run.endedAt !== undefined ? fromWire(run.error) : undefined
  return {
    id,
    loaded: true,
    title: settings?.title ?? session.title,
    agent: session.agent,
    ...chosen,
    messages: [...foldMessages(messages, active ? calls : []), ...drafted(draft, live, standing)],
    hasOlder: (messages[0]?.index ?? 0) > firstVisible(session.hidden),
    status: failed ? 'error' : current && isAtWork(current) ? 'submitted' : 'ready',
    ...(current ? { run: current } : undefined),
    approvals: approvals.map(approvalOf),
    queue,
    usage: session.usage,
    ...knownCost(session),
    context: {
      tokens: session.contextTokens ?? 0,
      ...(session.contextWindow === undefined ? undefined : { window: session.contextWindow }),
    },
    ...(failed ? { error: failed } : undefined),
  }
}

/** An open run that idles waits for the user, as a session without a run does. */
const isAtWork = ({ phase, waitingFor }: RunState) => phase !== 'interrupted' && waitingFor !== 'input'

const filesOf = ({ files }: Pick<QueuedInput, 'files'>) => files && { files }

const queueOf = (inbox: readonly InboxItem[], isActive: boolean) =>
  inbox.flatMap((item): QueuedInput[] => {
    const { runId } = item
    if (item.type === 'input' && item.request.regenerates === undefined)
      return [
        {
          inputId: runId,
          text: item.request.input,
          ...filesOf(item.request),
          mode: item.steers && isActive ? 'steer' : 'queue',
        },
      ]
    return item.type === 'steer'
      ? [{ inputId: item.inputId, text: item.input, ...filesOf(item), mode: 'steer', runId }]
      : []
  })

function runState(run: RunRecord, turn: number, live: LiveSession, { interrupted, owner }: Standing): RunState {
  const { runId, waitingFor } = run
  const used = knownUsage(live.run?.runId === runId ? live.run.record : run)
  if (live.run?.runId === runId) {
    const { retry, signal, turn } = live.run
    const phase = signal.aborted ? 'stopping' : live.run.phase
    const state = { runId, turn, owner: 'here' as const, ...used }
    if (!retry || signal.aborted) return { ...state, phase }
    const { attempt, retryAt } = retry
    return { ...state, phase: 'retrying', attempt, retryAt }
  }
  if (interrupted) return { runId, phase: 'interrupted', turn, owner: 'here', ...used }
  if (run.status === 'waiting')
    return { runId, phase: 'waiting', ...(waitingFor ? { waitingFor } : undefined), turn, owner: 'here', ...used }
  return { runId, phase: 'model', turn, owner, ...used }
}

/** What an owner elsewhere, or one that died, has written of an answer. Our own is told from memory. */
function drafted(draft: SessionState['draft'], live: LiveSession, { interrupted }: Standing): Message[] {
  if (!draft || live.run) return []
  return foldMessages(draft.message.parts.length > 0 ? [draft.message] : []).map((message) =>
    interrupted ? message : { ...message, metadata: { ...message.metadata, status: 'streaming' } },
  )
}

export function infoOf({ session, settings, approvals }: SessionState, interrupted: boolean): SessionInfo {
  const { id, title, agent, createdAt, updatedAt, run, ancestors = [] } = session
  const parent = ancestors.at(-1)
  const active = run?.status === 'running' || run?.status === 'waiting' ? run.status : 'ready'
  return {
    id,
    title: settings?.title ?? title,
    agent,
    createdAt,
    updatedAt,
    messageCount: visibleCount(session),
    status: interrupted ? 'interrupted' : active,
    approvals: approvals.length,
    ...(parent && { parent: { sessionId: parent.sessionId, runId: parent.runId } }),
  }
}
