import type { ApprovalRecord, GrantRecord, ToolCallPart } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { actionKeyOf } from '../tools/action-key.ts'
import { ask } from '../tools/approvals.ts'
import { canonicalJson } from '../tools/canonical-json.ts'
import { longestReason } from '../tools/check-answer.ts'
import { undecidedCalls } from '../tools/open-calls.ts'
import { withInput } from '../tools/parse-call.ts'
import { type Decision, policyOf, toolOf } from '../tools/tool-run.ts'
import { hookFailed } from './hooks.ts'
import { applyInbox, undisturbed } from './inbox.ts'
import type { End, Run } from './run.ts'
import { deniedStep } from './settle-call.ts'
import { beforeTool, type ToolVerdict } from './tool-hooks.ts'
import { untilAborted } from './until-aborted.ts'
import { isEgress, policyCallOf, verdictOnCall, type Word } from './verdict.ts'

/**
 * Step 5 of a turn, before any of its calls starts: what becomes of each. A no is its result; a question waits in the store
 * for its answer; a yes lasts as long as the owner does, who comes after is to decide anew. Gives the run's end where nothing
 * starts any more.
 */
export async function decideCalls(run: Run): Promise<End | undefined> {
  // An answer that has come meanwhile, or silence that has lasted too long.
  if (run.approvals.size > 0) await applyInbox(run)
  const calls = undecidedCalls(run)
  if (calls.length === 0) return undefined
  if (run.stopAfterTurn) return { kind: 'run-stopped', reason: 'requested' }
  const grants = new Grants(run)
  const decided: Decided[] = []
  for (const call of calls) decided.push(await untilAborted(() => decide(run, call, grants), run.signal))
  await undisturbed(run, () => keep(run, decided))
  run.signal.throwIfAborted()
  return undefined
}

interface Decided extends Decision, Word {
  readonly tainted?: true
}

async function decide(run: Run, asked: ToolCallPart, grants: Grants): Promise<Decided> {
  const { decision, word: first } = await askMiddleware(run, asked)
  const { call } = decision
  const word = await verdictOnCall(run, call, first)
  if (word.verdict === 'deny') return { ...decision, ...word }
  if (run.session.tainted && isEgress(run, call))
    return { ...decision, why: whyTainted, ...word, verdict: 'ask', by: 'taint', tainted: true }
  if (word.verdict === 'ask' && (await grants.allow(call))) return { ...decision, verdict: 'allow', by: 'grant' }
  return { ...decision, ...word }
}

/** What middleware makes of a call, and its word on it. A change that doesn't fit the tool ends the run. */
async function askMiddleware(run: Run, call: ToolCallPart): Promise<{ decision: Decision; word?: Word }> {
  if (!run.agent.middleware?.length) return { decision: { call } }
  const { changed, deny, ask } = await beforeTool(run, policyCallOf(run, call))
  const said = deny ?? ask
  const word: Word | undefined = said && {
    verdict: deny ? 'deny' : 'ask',
    by: `middleware:${said.by}`,
    why: said.reason,
  }
  return { decision: changed ? await change(run, call, changed) : { call }, ...(word && { word }) }
}

async function change(run: Run, call: ToolCallPart, { input, by }: NonNullable<ToolVerdict['changed']>) {
  if (canonicalJson(input) === canonicalJson(call.input)) return { call }
  const changed = await withInput(call, input, run.tools).catch((error) => {
    throw hookFailed({ name: by }, 'beforeTool', error)
  })
  run.note(call, 'changed', `middleware:${by}`)
  return { call: changed, edited: 'middleware' as const }
}

const whyTainted = 'Content from outside is in this session, and the call sends something out.'

/** The session's grants, read where they are needed. */
class Grants {
  readonly #run: Run
  #granted: Promise<readonly GrantRecord[]> | undefined

  constructor(run: Run) {
    this.#run = run
  }

  async allow(call: ToolCallPart): Promise<boolean> {
    const { env, live } = this.#run
    const key = actionKeyOf(this.#run, call)
    if (key === undefined) return false
    this.#granted ??= env.store.readGrants(live.id)
    return (await this.#granted).some(
      ({ actionKey, expiresAt }) => actionKey === key && (expiresAt === undefined || expiresAt > env.now()),
    )
  }
}

/** All decisions of a turn: what is to last of them is one commit. A call that somebody answered meanwhile needs none. */
async function keep(run: Run, decided: readonly Decided[]): Promise<void> {
  run.signal.throwIfAborted()
  const open = new Set(undecidedCalls(run).map(({ toolCallId }) => toolCallId))
  const steps = decided.filter(({ call }) => open.has(call.toolCallId)).map((one) => stepOf(run, one))
  const step = {
    calls: steps.flatMap(({ calls = [] }) => calls),
    approvals: steps.flatMap(({ approvals = [] }) => approvals),
    events: steps.flatMap(({ events = [] }) => events),
  }
  if (step.events.length > 0) await run.commit(step)
  for (const { call, edited, verdict } of decided)
    if (verdict === 'allow') run.decisions.set(call.toolCallId, edited ? { call, edited } : { call })
}

function stepOf(run: Run, decided: Decided): Step {
  const { call, verdict, by, why } = decided
  if (verdict === 'ask') return questionStep(run, decided)
  if (verdict === 'allow') {
    run.note(call, 'allowed', by)
    return {}
  }
  const reason = why?.slice(0, longestReason)
  run.note(call, 'denied', by, reason === undefined ? {} : { detail: reason })
  return deniedStep(run, call, `This call was not allowed${reason ? `: ${reason}` : '.'}`)
}

function questionStep(run: Run, decided: Decided): Step {
  const { call, by, why } = decided
  const question = questionAbout(run, decided)
  const { id: approvalId } = question
  run.note(call, 'approval-requested', by, why === undefined ? { approvalId } : { approvalId, detail: why })
  return { approvals: [question], events: [{ kind: 'approval-requested', approvalId }] }
}

function questionAbout(run: Run, { call, why, tainted }: Decided): ApprovalRecord {
  const { toolCallId, toolName, dynamic, input } = call
  const { approvalTimeout = Number.POSITIVE_INFINITY } = run.agent
  const { risk = 'sensitive' } = policyOf(run, call)
  const actionKey = actionKeyOf(run, call)
  const rememberable = actionKey !== undefined && !tainted
  return ask(run, {
    reason: 'policy',
    title: `Allow “${toolOf(run, call)?.title ?? toolName}”?`,
    toolCallId,
    toolName,
    ...(dynamic ? { dynamic } : undefined),
    input,
    arguments: canonicalJson(input),
    risk,
    actionKey: actionKey ?? '',
    choices: rememberable ? ['allow-once', 'allow-always', 'deny', 'abort'] : ['allow-once', 'deny', 'abort'],
    ...(why === undefined ? undefined : { why: why.slice(0, longestReason) }),
    ...(tainted ? { tainted } : undefined),
    ...(approvalTimeout < Number.POSITIVE_INFINITY ? { expiresAt: run.env.now() + approvalTimeout } : undefined),
  })
}
