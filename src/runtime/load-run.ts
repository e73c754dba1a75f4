import type { AgentDefinition } from '../agent/define-agent.ts'
import { AgentError } from '../errors.ts'
import { isHidden } from '../sessions/hidden.ts'
import {
  type FileRecord,
  type InboxItem,
  type MessageRecord,
  noUsage,
  type RunRecord,
  type RunRequestRecord,
  type SessionRecord,
} from '../sessions/records.ts'
import type { Claim, SessionState } from '../sessions/store.ts'
import { agentNamed } from './agents.ts'
import { refuseDenied } from './doom-loop.ts'
import type { Environment } from './environment.ts'
import type { History, LiveSession } from './live-session.ts'
import { type Rewound, rewind } from './rewind.ts'
import { Run } from './run.ts'
import { recallAllowed } from './settle-call.ts'

/** Where a run is to be advanced: the session in use, and the right to write it. */
export interface Place {
  readonly env: Environment
  readonly live: LiveSession
  readonly claim: Claim
}

/** A run as the store has it. */
export async function loadRun(place: Place, state: SessionState, record: RunRecord): Promise<Run> {
  const { env, live } = place
  const { messages: history, usedCallIds } = await readHistory(env, live, state.session)
  const run = new Run({
    ...place,
    agent: agentOrStandIn(env, record.agent),
    record,
    session: state.session,
    history,
    usedCallIds,
    // A session's state has no more than 500 of them.
    calls: await env.store.readCalls(record.runId),
    approvals: state.approvals,
    children: record.children !== undefined ? await env.store.readChildren(record.runId) : [],
    draft: state.draft,
    state: state.state,
  })
  refuseDenied(run)
  recallAllowed(run)
  return run
}

/** The run that an input asks for, on what that leaves of the history; nothing of it is written yet. */
export async function makeRun(
  place: Place,
  state: SessionState | undefined,
  item: Extract<InboxItem, { type: 'input' }>,
): Promise<{ readonly run: Run; readonly rewound: Rewound }> {
  const { runId, request, pageId, sentBy } = item
  const { env, live } = place
  const agent = agentOrStandIn(env, request.agent ?? state?.session.agent)
  const at = env.now()
  const before: SessionRecord = state?.session ?? newSession(live.id, agent.name, request, at)
  const { messages, usedCallIds } = await readHistory(env, live, before)
  const rewound = rewind(messages, before, item)
  const { history, session } = rewound
  const { messageCount } = session
  const record: RunRecord = {
    v: 1,
    runId,
    sessionId: live.id,
    agent: agent.name,
    status: 'running',
    request,
    ...(pageId === undefined ? undefined : { pageId }),
    ...(sentBy === undefined ? undefined : { sentBy }),
    turns: 0,
    usage: noUsage,
    leg: 1,
    resumes: 0,
    checkpoint: { step: 'user-input', turn: session.turn, messageCount, at },
    startedAt: at,
    firstIndex: messageCount,
    ...(request.step && { step: request.step }),
    ...(request.delegation && { ancestors: request.delegation.ancestors }),
    ...(request.open && request.input === '' && !request.files ? { idle: at } : undefined),
  }
  const run = new Run({
    ...place,
    agent,
    record,
    session: { ...session, agent: agent.name },
    history,
    usedCallIds,
    calls: [],
    state: state?.state,
  })
  run.stepFrom = run.turn
  return { run, rewound }
}

/** The agent, or a stand-in for one that the code no longer has: open calls can still be closed, and a turn fails by name. */
export function agentOrStandIn({ agents }: Environment, name: string | undefined): AgentDefinition {
  const known = name === undefined ? agentNamed(agents, name) : agents.get(name)
  return known ?? { name: name ?? '', model: () => agentNamed(agents, name).model as never }
}

async function readHistory(env: Environment, live: LiveSession, session: SessionRecord): Promise<History> {
  if (live.history?.commitId === session.commitId) return live.history
  const { messageCount, hidden } = session
  const all = messageCount > 0 ? await env.store.readMessages(live.id, { hidden: true }) : []
  if (all.length < messageCount)
    throw new AgentError('storage-lost', `Messages of the session "${live.id}" are missing from the store.`)
  return {
    messages: all.filter(({ index }) => !isHidden(hidden, index)),
    usedCallIds: new Set(all.flatMap(callIds)),
  }
}

const callIds = (message: MessageRecord) =>
  message.role === 'assistant'
    ? message.parts.flatMap((part) => (part.type === 'tool-call' ? [part.toolCallId] : []))
    : []

const newSession = (
  id: string,
  agent: string,
  { input, files, delegation }: RunRequestRecord,
  at: number,
): SessionRecord => ({
  v: 1,
  id,
  createdAt: at,
  updatedAt: at,
  messageCount: 0,
  turn: 0,
  seq: 0,
  commitId: '',
  title: titleOf(input, files),
  agent,
  usage: noUsage,
  ...(delegation && { ancestors: delegation.ancestors }),
  ...(delegation?.tainted && { tainted: delegation.tainted }),
})

/** The first 60 characters of the text, or of the names of files without one; no surrogate pair parted. */
export function titleOf(input: string, files: readonly FileRecord[] = []) {
  const text = input.trim() || files.map(({ filename, mediaType }) => filename ?? mediaType).join(', ')
  return [...text.replace(/\s+/g, ' ').slice(0, 240)].slice(0, 60).join('')
}
