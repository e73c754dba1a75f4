import type { AgentOutputInput, AgentRunInput, AgentStopInput } from '../agent/delegate-types.ts'
import { childIdOf } from '../delegation/child-id.ts'
import type { DelegateKind } from '../delegation/delegate-tools.ts'
import { resultOfChild } from '../delegation/result.ts'
import { AgentError } from '../errors.ts'
import type { ChildRecord, RunRecord, ToolCallPart, ToolResultRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { inputOf } from '../tools/parse-call.ts'
import { successOf } from '../tools/tool-output.ts'
import { endQueued } from './child-ended.ts'
import {
  checkDelegation,
  checkGoingOn,
  delegationFrom,
  delegationStarted,
  isActive,
  isUnderWay,
  newChild,
  nextPlace,
  withTurns,
} from './children.ts'
import { endChild } from './end-children.ts'
import { undisturbed } from './inbox.ts'
import type { Run } from './run.ts'

/**
 * Carries out a call of one of the tools that start, stop and read other agents. `waits`: its result comes with the child's end.
 * Whoever carries it out again after a death finds what the attempt before has left, and starts nothing twice.
 */
export async function delegate(run: Run, kind: DelegateKind, call: ToolCallPart): Promise<ToolResultRecord | 'waits'> {
  let result: ToolResultRecord | 'waits' = 'waits'
  // Ends of children are heard in the meantime, and not in the midst of it.
  await undisturbed(run, async () => {
    result = await carryOut[kind](run, call)
  })
  return result
}

const carryOut: {
  readonly [K in DelegateKind]: (run: Run, call: ToolCallPart) => Promise<ToolResultRecord | 'waits'>
} = {
  async run(run, call) {
    const { run_id, ...input } = inputOf(call) as AgentRunInput
    return run_id === undefined ? start(run, call, input) : goOn(run, call, run_id, input)
  },

  async stop(run, call) {
    const { run_id } = inputOf(call) as AgentStopInput
    const child = await findChild(run, run_id)
    if (!(await isOpen(run, child))) return report(run, call, child)
    if (child.status === 'queued' && (await endQueued(run, child)))
      return report(run, call, run.children.get(child.runId) ?? child)
    await endChild(run, child, { kind: 'run-stopped', reason: 'requested' })
    return awaitChild(run, call, run.children.get(child.runId) ?? child)
  },

  async output(run, call) {
    const { run_id, wait } = inputOf(call) as AgentOutputInput
    const child = await findChild(run, run_id)
    return wait && (await isOpen(run, child)) ? awaitChild(run, call, child) : report(run, call, child)
  },
}

async function start(
  run: Run,
  call: ToolCallPart,
  { agent = '', prompt = '', fork_context, background }: AgentRunInput,
) {
  const { toolCallId } = call
  const { request, pageId } = run.record
  const fork = fork_context ? { sessionId: run.live.id, before: run.history.at(-1)?.index ?? 0 } : undefined
  const { child, ...step } = newChild(run, {
    runId: childIdOf(run.runId, toolCallId),
    agent,
    toolCallId,
    ...(background && { background }),
    input: {
      type: 'input',
      request: {
        input: prompt,
        agent,
        ...(request.metadata === undefined ? undefined : { metadata: request.metadata }),
        delegation: { ...delegationFrom(run, toolCallId), ...(fork && { fork }) },
      },
      ...(pageId === undefined ? undefined : { pageId }),
    },
  })
  if (step.children) {
    checkDelegation(run, agent)
    await run.commit(background ? step : waiting(run, call, child, step))
  }
  const known = run.children.get(child.runId) ?? child
  return background ? report(run, call, known) : untilEnded(run, call, known)
}

/** A child that stopped goes on; any other only says how it stands. */
async function goOn(run: Run, call: ToolCallPart, runId: string, { prompt, background }: AgentRunInput) {
  const { toolCallId } = call
  const found = await findChild(run, runId)
  // It was said by the attempt before.
  const isSaid = found.parentRunId === run.runId && found.toolCallId === toolCallId
  if (!isSaid) {
    const stopped = await stoppedRun(run, found)
    // Another call has it go on already.
    const isAsked = isUnderWay(found) && stopped?.leg === found.leg
    if (!stopped || isAsked) return report(run, call, found)
    checkGoingOn(run, found.agent)
    const { told: _, background: __, ...known } = found
    const id = `${run.runId}:${toolCallId}`
    const child: ChildRecord = {
      ...known,
      parentRunId: run.runId,
      toolCallId,
      status: 'queued',
      createdAt: run.env.now(),
      place: nextPlace(run),
      // Its end so far may still be to be heard: it isn't the one that is waited for.
      leg: stopped.leg,
      ...(background && { background }),
      queued: {
        type: 'resume',
        resumeId: id,
        delegation: delegationFrom(run, toolCallId),
        ...(prompt?.trim() ? { steer: { inputId: id, input: prompt } } : undefined),
      },
    }
    const step = { ...withTurns(run, [child]), events: [delegationStarted(child, true)], ...adopted(run) }
    await run.commit(background ? step : waiting(run, call, child, step))
  }
  const child = run.children.get(runId) ?? found
  return background ? report(run, call, child) : untilEnded(run, call, child)
}

/** The step, with the call's row naming the child that it waits for. */
function waiting(run: Run, call: ToolCallPart, { runId: childRunId }: ChildRecord, step: Step): Step {
  const row = run.calls.get(call.toolCallId)
  return row ? { ...step, calls: [{ ...row, childRunId }] } : step
}

/** A call that was begun anew after a death may not name its child any more. */
async function untilEnded(run: Run, call: ToolCallPart, child: ChildRecord): Promise<'waits' | ToolResultRecord> {
  if (!isUnderWay(child)) return report(run, call, child)
  if (run.calls.get(call.toolCallId)?.childRunId !== child.runId) await run.commit(waiting(run, call, child, {}))
  return 'waits'
}

async function awaitChild(run: Run, call: ToolCallPart, child: ChildRecord): Promise<'waits' | ToolResultRecord> {
  if (!(await isOpen(run, child))) return report(run, call, child)
  // One that an earlier run of the session started is this one's to hear of, too.
  const own = run.children.has(child.runId) ? {} : { children: [{ ...child, parentRunId: run.runId }], ...adopted(run) }
  await run.commit(waiting(run, call, child, own))
  return 'waits'
}

/** It has children from now on, of whichever run. */
const adopted = ({ record }: Run) => ({ run: { children: record.children ?? 0 } })

async function report(run: Run, call: ToolCallPart, child: ChildRecord): Promise<ToolResultRecord> {
  const result = await resultOfChild(run.env.store, child)
  const known = run.children.get(child.runId)
  if (known && !isUnderWay(known) && !known.told) await run.commit({ children: [{ ...known, told: true }] })
  return reportResult(run, call, child, result)
}

/** What a child said comes from outside where its session is tainted. */
export async function reportResult(run: Run, call: ToolCallPart, { sessionId }: ChildRecord, output: object) {
  const state = await run.env.store.readSession(sessionId, { messages: 0 })
  const result = await successOf(call, undefined, output)
  return state?.session.tainted ? { ...result, untrusted: true as const } : result
}

/** Characters of an id that a model made up which it is told again. */
const longestId = 200

/** A child of this session, of whichever run. Throws `unknown-run`. */
async function findChild(run: Run, runId: string): Promise<ChildRecord> {
  const known = run.children.get(runId)
  if (known) return known
  const record = await run.env.store.readRun(runId)
  const parent = record?.ancestors?.at(-1)
  if (!record || parent?.sessionId !== run.live.id)
    throw new AgentError('unknown-run', `Unknown run: ${runId.slice(0, longestId)}`)
  return childOf(record, parent.runId)
}

const childOf = ({ runId, sessionId, agent, status, startedAt, leg }: RunRecord, parentRunId: string): ChildRecord => ({
  v: 1,
  parentRunId,
  runId,
  sessionId,
  agent,
  status: status === 'waiting' ? 'running' : status,
  createdAt: startedAt,
  leg,
})

/** Whether it goes on, or is about to, as far as the store and its parent know. */
async function isOpen(run: Run, { runId }: ChildRecord): Promise<boolean> {
  const known = run.children.get(runId)
  if (known && isUnderWay(known)) return true
  return isActive(await run.env.store.readRun(runId))
}

/** The run of a child that is stopped, where no later run of its session has taken its place. */
async function stoppedRun(run: Run, { runId, sessionId }: ChildRecord): Promise<RunRecord | undefined> {
  const state = await run.env.store.readSession(sessionId, { messages: 0 })
  return state?.run?.runId === runId && state.run.status === 'stopped' ? state.run : undefined
}
