import { delegateNames, delegationOf } from '../delegation/options.ts'
import { AgentError } from '../errors.ts'
import type { Ancestor, ChildRecord, Delegation, RunRecord, Said } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import type { Tell } from '../sessions/store.ts'
import { agentNamed } from './agents.ts'
import { limitsCost } from './limits.ts'
import type { Run } from './run.ts'

// The runs that a run has started. Their records are its own, and change with its commits alone; whatever is said to them goes
// with the very commit that says so, so that a death leaves either both or neither.

export const isUnderWay = ({ status }: ChildRecord) => status === 'queued' || status === 'running'

/** Whether a run has begun and not ended, as the store knows it. */
export const isActive = (record: RunRecord | undefined): boolean => record !== undefined && record.endedAt === undefined

/** The runs that it has started and that have not ended, as far as it has heard. */
export const openChildren = (run: Run): ChildRecord[] => [...run.children.values()].filter(isUnderWay)

/** The runs above those that this one starts. */
const ancestorsOfChildren = ({ record, live, runId }: Pick<Run, 'record' | 'live' | 'runId'>): Ancestor[] => [
  ...(record.ancestors ?? []),
  { runId, sessionId: live.id, agent: record.agent },
]

/** What a child inherits. */
export function delegationFrom(run: Run, toolCallId?: string): Delegation {
  const { tainted } = run.session
  return {
    ancestors: ancestorsOfChildren(run),
    ...(toolCallId === undefined ? undefined : { toolCallId }),
    ...(tainted && { tainted }),
    ...(limitsCost(run) && { costLimited: true as const }),
  }
}

/** The agents that this run may start: those of its delegates that close no circle, where it is not too deep. */
export function callableAgents(run: Pick<Run, 'agent' | 'env' | 'record'>): readonly string[] {
  const { agent, record } = run
  if ((record.ancestors?.length ?? 0) + 1 > deepest(run)) return []
  const above = new Set([...(record.ancestors ?? []).map((ancestor) => ancestor.agent), record.agent])
  return delegateNames(agent).filter((name) => delegationOf(agent).allowCircles || !above.has(name))
}

/** How many runs may be above another one: the least that any agent above allows. */
const deepest = ({ agent, env, record }: Pick<Run, 'agent' | 'env' | 'record'>): number =>
  Math.min(
    ...[...(record.ancestors ?? []).flatMap((ancestor) => env.agents.get(ancestor.agent) ?? []), agent].map(
      (one) => delegationOf(one).maxDepth,
    ),
  )

/** Characters of a name that a model made up which it is told again. */
const longestName = 100

/** Throws `delegation-refused`, with what the model can do instead, where the run may not start this agent. */
export function checkDelegation(run: Run, agent: string): void {
  const callable = callableAgents(run)
  if (!callable.includes(agent)) {
    const names = callable.length > 0 ? `You can start: ${callable.join(', ')}.` : 'You can start none: do it yourself.'
    throw new AgentError(
      'delegation-refused',
      `You can't start the agent ${JSON.stringify(agent.slice(0, longestName))} from here. ${names}`,
    )
  }
  const { maxChildren } = delegationOf(run.agent)
  if ((run.record.children ?? 0) >= maxChildren)
    throw new AgentError(
      'delegation-refused',
      `You have started ${maxChildren} agents, and can start no more: go on without.`,
    )
}

/**
 * Throws where code may not have the run start this agent: any that the runtime knows, but neither too deep, nor in a circle,
 * nor one too many.
 */
export function checkRequested(run: Run, agent: string): void {
  const { env, record } = run
  agentNamed(env.agents, agent)
  checkGoingOn(run, agent)
  const { maxChildren } = delegationOf(run.agent)
  if ((record.children ?? 0) >= maxChildren)
    throw refused(`its parent has started ${maxChildren} runs, and may no more`)
}

/** Throws where an agent would be too deep below this run, or close a circle, whoever started it first. */
export function checkGoingOn(run: Run, agent: string): void {
  const above = [...(run.record.ancestors ?? []).map((ancestor) => ancestor.agent), run.record.agent]
  if (above.length > deepest(run)) throw refused(`it would have ${above.length} runs above it, which is too deep`)
  if (above.includes(agent) && !delegationOf(run.agent).allowCircles)
    throw refused(`"${agent}" is above it already (${above.join(' → ')}), and allowCircles is not set`)
}

const refused = (why: string) =>
  new AgentError('delegation-refused', `The run is not started: ${why}. See \`delegation\` in the agents above.`)

interface NewChild {
  /** The same id gives the same child. */
  readonly runId: string
  readonly agent: string
  readonly input: Extract<Said, { type: 'input' }>
  readonly toolCallId?: string
  readonly background?: true
}

/** A further child, or the one of that name that is there already. It has its turn at once where there is room. */
export function newChild(
  run: Run,
  { runId, agent, input, toolCallId, background }: NewChild,
): Step & { readonly child: ChildRecord } {
  const known = run.children.get(runId)
  if (known) return { child: known }
  const child: ChildRecord = {
    v: 1,
    parentRunId: run.runId,
    runId,
    sessionId: runId,
    agent,
    status: 'queued',
    createdAt: run.env.now(),
    n: (run.record.children ?? 0) + 1,
    place: nextPlace(run),
    queued: input,
    ...(toolCallId === undefined ? undefined : { toolCallId }),
    ...(background && { background }),
  }
  const { children, tells } = withTurns(run, [child])
  return {
    child,
    children,
    tells,
    run: { children: (run.record.children ?? 0) + 1 },
    events: [delegationStarted(child)],
  }
}

export const delegationStarted = ({ runId, sessionId, agent, background }: ChildRecord, resumed?: true) => ({
  kind: 'delegation-started' as const,
  childRunId: runId,
  childSessionId: sessionId,
  childAgent: agent,
  ...(background && { background }),
  ...(resumed && { resumed }),
})

/** The end of the queue; clocks say nothing of it, they are coarse and are set back. */
export const nextPlace = (run: Run): number =>
  Math.max(0, ...[...run.children.values()].map(({ place = 0 }) => place)) + 1

/** `changed`, and those of all that wait for their turn and have it now, with what is said to them. */
export function withTurns(
  run: Run,
  changed: readonly ChildRecord[],
  /** Those that may be under way at once. */
  most = delegationOf(run.agent).maxConcurrent,
): Required<Pick<Step, 'children' | 'tells'>> {
  const all = new Map(run.children)
  for (const child of changed) all.set(child.runId, child)
  const free = most - [...all.values()].filter(({ status }) => status === 'running').length
  const waiting = [...all.values()]
    .filter(({ status }) => status === 'queued')
    .sort((a, b) => (a.place ?? 0) - (b.place ?? 0))
  const started = waiting.slice(0, Math.max(0, free))
  const tells = started.flatMap(({ sessionId, runId, queued }) => (queued ? [{ sessionId, runId, said: queued }] : []))
  for (const { queued: _, ...child } of started) all.set(child.runId, { ...child, status: 'running' })
  const touched = new Set([...changed, ...started].map(({ runId }) => runId))
  return { children: [...all.values()].filter(({ runId }) => touched.has(runId)), tells }
}

/** A person has the run go on: so do those that it started, and that were interrupted with it. */
export async function resumesBelow(run: Run): Promise<Tell[]> {
  const { store } = run.env
  const resumes = openChildren(run).map(async ({ runId, sessionId }): Promise<Tell[]> => {
    const record = await store.readRun(runId)
    const isLeft = record?.status === 'running' && (await store.isFree(sessionId))
    if (!record || (record.interruptedAt === undefined && !isLeft)) return []
    const resumeId = `${run.runId}:${run.record.leg + 1}`
    return [{ sessionId, runId, said: { type: 'resume', resumeId } }]
  })
  return (await Promise.all(resumes)).flat()
}
