import type { AgentDefinition, Amount } from '../agent/define-agent.ts'
import { type Ancestor, addUsage, type LimitName, type RunRecord, type TreeSpend } from '../sessions/records.ts'
import { sinceTreeSpend } from '../sessions/tree-spend.ts'
import { limitsOf } from './limits.ts'
import type { Run } from './run.ts'
import { dayOf } from './usage.ts'

// A run's budget is that of all runs below it, too: each of them looks at it before it asks a model.

/** What the runs below it have used that is not counted with its own yet. */
export async function uncountedBelow({ env }: Pick<Run, 'env'>, { runId, counted }: RunRecord): Promise<TreeSpend> {
  return sinceTreeSpend(await env.store.readTreeSpend(runId), counted)
}

/** Which budget of a run above it is used up, if any. */
export async function budgetAbove(run: Run): Promise<LimitName | undefined> {
  for (const ancestor of run.record.ancestors ?? []) {
    const agent = run.env.agents.get(ancestor.agent)
    const used = agent && (await usedUp(run, ancestor, agent))
    if (used) return used
  }
  return undefined
}

async function usedUp(
  run: Run,
  { runId, sessionId }: Ancestor,
  agent: AgentDefinition,
): Promise<LimitName | undefined> {
  const { store, now } = run.env
  const { perSession, perDay } = agent.budget ?? {}
  // Both as of the same moment: what it has counted since is not counted again.
  const state = perSession && (await store.readSession(sessionId, { messages: 0 }))
  const record = state?.run?.runId === runId ? state.run : await store.readRun(runId)
  if (!record) return undefined
  const { maxTokens, maxCost } = limitsOf(agent, record.request.limits)
  const { extended = {} } = record
  const below = await uncountedBelow(run, record)
  const isOver = (spent: TreeSpend | undefined, tokens: LimitName, cost: LimitName, amount: Amount = {}) => {
    const { usage, cost: sum = 0 } = spent ?? {}
    const all = usage ? usage.inputTokens + usage.outputTokens : 0
    if (all >= (amount.tokens ?? Number.POSITIVE_INFINITY) + (extended[tokens] ?? 0)) return tokens
    return sum >= (amount.cost ?? Number.POSITIVE_INFINITY) + (extended[cost] ?? 0) ? cost : undefined
  }
  const ofRun = isOver(plus(record, below), 'maxTokens', 'maxCost', { tokens: maxTokens, cost: maxCost })
  if (ofRun) return ofRun
  const ofSession =
    perSession && state && isOver(plus(state.session, below), 'sessionTokens', 'sessionCost', perSession)
  if (ofSession) return ofSession
  return perDay && isOver(await store.readSpend(dayOf(now())), 'dayTokens', 'dayCost', perDay)
}

const plus = ({ usage, cost = 0 }: TreeSpend, below: TreeSpend): TreeSpend => ({
  usage: addUsage(usage, below.usage),
  cost: cost + (below.cost ?? 0),
})
