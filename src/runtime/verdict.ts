import type { ToolSet } from '@ai-sdk/provider-utils'
import type { AgentDefinition } from '../agent/define-agent.ts'
import type { PolicyCall, PolicyContext, PolicyDecision } from '../agent/policy.ts'
import { messageOf } from '../errors.ts'
import { redact } from '../model/redact.ts'
import type { Actor, ToolCallPart } from '../sessions/records.ts'
import { actionKeyOf } from '../tools/action-key.ts'
import { conversationBefore } from '../tools/execute.ts'
import { inputOf } from '../tools/parse-call.ts'
import { policyOf, toolOf } from '../tools/tool-run.ts'
import type { Run } from './run.ts'
import { beforeToolOf } from './tool-hooks.ts'
import { untilAborted } from './until-aborted.ts'

/** One word on a call, and whose it is. */
export interface Word {
  readonly verdict: 'allow' | 'ask' | 'deny'
  readonly by: Actor
  /** For the person who is asked, or for the model. */
  readonly why?: string
}

/** Who has a word on a call: the run's own agent, or one of those above it. */
interface Judge {
  readonly agent: AgentDefinition
  readonly tools: ToolSet
  /** The agents above are named. */
  readonly above?: string
}

/**
 * The strictest word on a call: `first`, its tool's, and that of its agent's policy; then, of a delegated run, what the agents
 * above it say of a call of that name, so that a run may never do more than the one that started it.
 */
export async function verdictOnCall(run: Run, call: ToolCallPart, first?: Word): Promise<Word> {
  let strictest: Word = first ?? { verdict: 'allow', by: 'tool' }
  for (const [judge, asks] of judgesOf(run))
    for (const ask of asks) {
      if (strictest.verdict === 'deny') return strictest
      const word = await guarded(run, call, judge, ask)
      if (word) strictest = stricter(strictest, word)
    }
  return strictest
}

function judgesOf(run: Run): readonly (readonly [Judge, readonly Ask[]])[] {
  const { agent, tools, record } = run
  const own = [{ agent, tools }, [askTool, askSdkTool, askPolicy]] as const
  const above = (record.ancestors ?? []).map(
    (ancestor) => [judgeAbove(run, ancestor.agent), [askMiddleware, askTool, askSdkTool, askPolicy]] as const,
  )
  return [own, ...above]
}

function judgeAbove({ env }: Run, name: string): Judge {
  const agent = env.agents.get(name)
  if (agent) return { agent, tools: env.sources.known(agent), above: name }
  const policy = () => ({ deny: `the agent "${name}", which started this one, is not there any more` })
  return { agent: { name, model: '', policy }, tools: {}, above: name }
}

/** Whether the call's tool sends something out, in the eyes of any of them. */
export const isEgress = (run: Run, call: ToolCallPart): boolean =>
  judgesOf(run).some(([{ agent, tools }]) => policyOf({ agent, tools }, call).egress === true)

const strictness = { allow: 0, ask: 1, deny: 2 }

/** Of two that are as strict as each other, the first that says why, or the last. */
function stricter(before: Word, word: Word): Word {
  const more = strictness[word.verdict] - strictness[before.verdict]
  return more > 0 || (more === 0 && before.why === undefined) ? word : before
}

type Ask = (run: Run, call: ToolCallPart, judge: Judge) => Promise<Word | undefined>

/** Whoever can't decide denies. Rejects only when the run is to end. */
async function guarded(run: Run, call: ToolCallPart, judge: Judge, ask: Ask): Promise<Word | undefined> {
  const { above } = judge
  const named = (word: Word): Word => (above === undefined ? word : { ...word, by: `parent:${above}` })
  try {
    const word = await untilAborted(() => ask(run, call, judge), run.signal)
    return word && named(word)
  } catch (error) {
    run.signal.throwIfAborted()
    const by = ask === askPolicy ? 'policy' : 'tool'
    const problem = redact(messageOf(error), run.secrets)
    return named({ verdict: 'deny', by, why: `whether it may start could not be decided: ${problem}` })
  }
}

async function askMiddleware(run: Run, call: ToolCallPart, { agent }: Judge): Promise<Word | undefined> {
  if (!agent.middleware?.length) return undefined
  const { deny, ask } = await beforeToolOf(run, agent, policyCallOf(run, call))
  const said = deny ?? ask
  return said && { verdict: deny ? 'deny' : 'ask', by: `middleware:${said.by}`, why: said.reason }
}

async function askTool(_: Run, call: ToolCallPart, judge: Judge): Promise<Word | undefined> {
  const { approval = 'never' } = policyOf(judge, call)
  const asks = typeof approval === 'function' ? (await approval(inputOf(call))) !== false : approval !== 'never'
  return asks ? { verdict: 'ask', by: 'tool' } : undefined
}

/** The AI SDK's own field; the agent's word on `approval` takes its place. */
async function askSdkTool(run: Run, call: ToolCallPart, judge: Judge): Promise<Word | undefined> {
  const { toolPolicy = {} } = judge.agent
  const { toolCallId, toolName } = call
  const isReplaced = Object.hasOwn(toolPolicy, toolName) && toolPolicy[toolName]?.approval !== undefined
  const needsApproval: unknown = isReplaced ? false : toolOf(judge, call)?.needsApproval
  const options = () => ({ toolCallId, messages: conversationBefore(run), context: undefined })
  const asks =
    typeof needsApproval === 'function' ? (await needsApproval(inputOf(call), options())) !== false : needsApproval
  return asks ? { verdict: 'ask', by: 'tool' } : undefined
}

async function askPolicy(run: Run, call: ToolCallPart, { agent: { policy } }: Judge): Promise<Word | undefined> {
  const decision: unknown = policy && (await policy(policyCallOf(run, call), contextOf(run)))
  return decision === undefined ? undefined : wordOf(decision as PolicyDecision)
}

function wordOf(decision: PolicyDecision): Word {
  if (decision === 'allow' || decision === 'ask' || decision === 'deny') return { verdict: decision, by: 'policy' }
  for (const verdict of ['deny', 'ask'] as const) {
    const why = decision !== null && Object.hasOwn(decision, verdict) && (decision as Record<string, unknown>)[verdict]
    if (typeof why === 'string') return { verdict, by: 'policy', why }
  }
  throw new TypeError("the policy must give 'allow', 'ask', 'deny', { ask: why }, { deny: why } or nothing")
}

/** A call as policy and middleware are told of it. */
export function policyCallOf(run: Run, call: ToolCallPart): PolicyCall {
  const { toolCallId, toolName } = call
  const { risk = 'sensitive', egress = false } = policyOf(run, call)
  return { toolCallId, toolName, input: inputOf(call), risk, actionKey: actionKeyOf(run, call) ?? '', egress }
}

function contextOf(run: Run): PolicyContext {
  const { live, runId, record, turn, session, state, signal } = run
  const { metadata } = record.request
  return {
    sessionId: live.id,
    runId,
    agent: record.agent,
    turn,
    ...(metadata === undefined ? undefined : { metadata }),
    state: state.get(),
    tainted: session.tainted !== undefined,
    signal,
  }
}
