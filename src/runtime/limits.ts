import type { AgentDefinition } from '../agent/define-agent.ts'
import { AgentError } from '../errors.ts'
import type { ApprovalAnswers, ApprovalRecord, LimitName, Limits, RunRecord, StopReason } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { ask, resolved } from '../tools/approvals.ts'
import { defaultMaxToolOutput } from '../tools/limit-output.ts'
import { goingOn } from '../tools/tool-run.ts'
import { budgetAbove, uncountedBelow } from './budgets-above.ts'
import type { End, Run } from './run.ts'
import { givesUp } from './tool-failures.ts'
import { dayOf } from './usage.ts'
import type { Wait } from './waiting.ts'

const none = Number.POSITIVE_INFINITY
const defaults: Required<Limits> = {
  maxTurns: 50,
  maxToolCalls: none,
  maxTokens: none,
  maxCost: none,
  maxDuration: none,
  toolTimeout: none,
  maxToolOutput: defaultMaxToolOutput,
  maxInput: 200_000,
  maxFileSize: 20 * 1024 * 1024,
  maxFiles: 20,
}

/** The agent's limits; a run may narrow each of them, never widen it. */
export function limitsOf({ limits: own = {} }: Pick<AgentDefinition, 'limits'>, asked: Limits = {}): Required<Limits> {
  const names = Object.keys(defaults) as (keyof Limits)[]
  const caps = names.map((name) => [name, Math.min(own[name] ?? defaults[name], asked[name] ?? none)])
  return Object.fromEntries(caps)
}

/** Where a run has come to. */
interface Reached {
  readonly limit: LimitName
  readonly used: number
  readonly cap: number
}

const reasons: { readonly [L in LimitName]?: StopReason } = {
  maxTurns: 'max-turns',
  maxToolCalls: 'tool-calls',
  maxTokens: 'tokens',
  maxDuration: 'deadline',
}
const stopped = (reason: StopReason): End => ({ kind: 'run-stopped', reason })
const endOf = (limit: LimitName) => stopped(reasons[limit] ?? 'budget')

/** Step 1 of a turn: whether there is to be none, in the order stop, duration, budget, turns. */
export async function beforeTurn(run: Run): Promise<End | Wait | undefined> {
  if (run.ending) return run.ending
  if (run.stopAfterTurn) return stopped('requested')
  if (givesUp(run)) return stopped('tool-errors')
  const reached = timeOf(run) ?? (await budgetOf(run)) ?? turnsOf(run)
  return reached ? atLimit(run, reached) : endAbove(run)
}

/** Whether there is to be no further attempt at a turn: those that failed were paid for, too. */
export async function beforeAttempt(run: Run): Promise<End | Wait | undefined> {
  if (run.stopAfterTurn) return stopped('requested')
  const reached = timeOf(run) ?? (await budgetOf(run))
  return reached ? atLimit(run, reached) : endAbove(run)
}

/** A run above has used up what it may: then those below it stop, and that one, or a person, decides what comes of it. */
async function endAbove(run: Run): Promise<End | undefined> {
  const limit = await budgetAbove(run)
  return limit && endOf(limit)
}

/** Calls of the run that ever started: what was denied did not. */
export const startedCalls = ({ calls }: Run) =>
  [...calls.values()].filter(({ result }) => result?.outcome !== 'denied').length

/** How many calls may be started now; -1 where not even one that had started before may start again. */
export function callsLeft(run: Run): number {
  if (run.stopAfterTurn || givesUp(run) || timeOf(run)) return -1
  return Math.max(0, capOf(run, 'maxToolCalls', run.caps.maxToolCalls) - callsSoFar(run))
}

/** What becomes of a turn of which `held` calls may not start, or that waits for somebody. The calls left are the resume's. */
export function inMidTurn(run: Run, held: boolean): End | Wait | undefined {
  if (run.stopAfterTurn) return stopped('requested')
  if (givesUp(run)) return stopped('tool-errors')
  const reached = held ? (timeOf(run) ?? callsOf(run)) : undefined
  return reached && atLimit(run, reached)
}

const capOf = ({ record }: Run, limit: LimitName, cap: number) => cap + (record.extended?.[limit] ?? 0)

function over(run: Run, limit: LimitName, used: number, limitedTo: number | undefined): Reached | undefined {
  const cap = capOf(run, limit, limitedTo ?? none)
  return used >= cap ? { limit, used, cap } : undefined
}

// What an open run used for earlier inputs does not count; budgets and what a run costs go on.
const timeSoFar = (run: Run) => run.ranFor - (run.record.baseline?.ranFor ?? 0)
const callsSoFar = (run: Run) => startedCalls(run) - (run.record.baseline?.toolCalls ?? 0)
const turnsSoFar = ({ record }: Run) => record.turns - (record.baseline?.turns ?? 0)

const timeOf = (run: Run) => over(run, 'maxDuration', timeSoFar(run), run.caps.maxDuration)
const turnsOf = (run: Run) => over(run, 'maxTurns', turnsSoFar(run), run.caps.maxTurns)
const callsOf = (run: Run) => over(run, 'maxToolCalls', callsSoFar(run), run.caps.maxToolCalls)

const tokensOf = ({ usage }: Pick<RunRecord, 'usage'>) => usage.inputTokens + usage.outputTokens

/** What is used up beyond its cap, of the run, its session, and the day over all sessions. */
async function budgetOf(run: Run): Promise<Reached | undefined> {
  const { agent, caps, record, session, env } = run
  const { perSession, perDay } = agent.budget ?? {}
  const below = record.children === undefined ? undefined : await uncountedBelow(run, record)
  const tokens = below ? tokensOf(below) : 0
  const cost = below?.cost ?? 0
  const known =
    over(run, 'maxTokens', tokensOf(record) + tokens, caps.maxTokens) ??
    over(run, 'maxCost', (record.cost ?? 0) + cost, caps.maxCost) ??
    over(run, 'sessionTokens', tokensOf(session) + tokens, perSession?.tokens) ??
    over(run, 'sessionCost', (session.cost ?? 0) + cost, perSession?.cost)
  if (known || !perDay) return known
  const spend = await env.store.readSpend(dayOf(env.now()))
  return (
    spend && (over(run, 'dayTokens', tokensOf(spend), perDay.tokens) ?? over(run, 'dayCost', spend.cost, perDay.cost))
  )
}

/** Whether something limits what the run may cost: a limit of its own, or of a run above it. */
export const limitsCost = ({ agent: { budget }, caps, record }: Run) =>
  record.request.delegation?.costLimited === true ||
  caps.maxCost < none ||
  budget?.perSession?.cost !== undefined ||
  budget?.perDay?.cost !== undefined

/** The run stops, or somebody is asked whether it may go beyond. */
function atLimit(run: Run, reached: Reached): End | Wait {
  if (run.agent.onLimit !== 'ask') return endOf(reached.limit)
  const { limit, cap } = reached
  const isAsked = [...run.approvals.values()].some(({ reason }) => reason === 'budget')
  const title = `The run has come to its limit (${limit}: ${cap}). Go on?`
  return { waitingFor: 'approval', approvals: isAsked ? [] : [ask(run, { reason: 'budget', title, ...reached })] }
}

/** What the answer to that comes to: a yes is written with the item that said it, and so counts once. */
export function settleLimit(
  run: Run,
  approval: Extract<ApprovalRecord, { reason: 'budget' }>,
  answer: ApprovalAnswers['budget'],
  n: number,
): Promise<unknown> | undefined {
  const { limit } = approval
  const step: Step = { ...resolved(run, approval, answer), applied: [n] }
  if (answer.decision === 'extend') {
    const extended = { ...run.record.extended, [limit]: (run.record.extended?.[limit] ?? 0) + answer.by }
    // What the limit held up may be in the inbox.
    run.live.inboxChanged = true
    return run.commit({ ...step, run: { ...goingOn(run)?.run, extended } })
  }
  run.alongside(step)
  run.approvals.delete(approval.id)
  run.end(endOf(limit))
  return undefined
}

/**
 * The run works from now on, which counts against `maxDuration`: at its end it is stopped, in mid-turn too, unless somebody
 * is to be asked, which is done between turns. Returns what ends the counting.
 */
export function countWork(run: Run): () => void {
  const { env, caps, agent } = run
  run.workingSince = env.now()
  const resting = new AbortController()
  const left = () => capOf(run, 'maxDuration', caps.maxDuration) - timeSoFar(run)
  const watch = async () => {
    // An open run has the whole time again with its next input, also where it had none left when this began.
    do await env.sleep(Math.max(left(), 1), resting.signal)
    while (left() > 0)
    run.end(stopped('deadline'))
  }
  if (caps.maxDuration < none && agent.onLimit !== 'ask') watch().catch(() => {})
  return () => {
    resting.abort()
    run.workingSince = undefined
  }
}

/** Turns that are left, where the model is to hear it so that it can conclude: the last two. */
export function lastTurns(run: Run): number | undefined {
  const cap = capOf(run, 'maxTurns', run.caps.maxTurns)
  const left = cap - turnsSoFar(run)
  return cap > 1 && left <= 2 ? left : undefined
}

/** Refuses an input that no model should get. */
export function checkInput(
  input: unknown,
  hasFiles: boolean,
  agent: AgentDefinition,
  asked?: Limits,
): asserts input is string {
  if (typeof input !== 'string') throw new AgentError('invalid-input', 'The input must be a string.')
  if (input.trim() === '' && !hasFiles)
    throw new AgentError('invalid-input', 'The input is empty: send some text, or a file.')
  const { maxInput } = limitsOf(agent, asked)
  if (input.length > maxInput) {
    throw new AgentError(
      'invalid-input',
      `The input has ${input.length} characters; the limit is ${maxInput}. Shorten it, or raise limits.maxInput of the agent.`,
    )
  }
}
