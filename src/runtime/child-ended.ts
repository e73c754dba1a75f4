import { resultOfChild } from '../delegation/result.ts'
import type { ChildRecord, ChildStatus, InboxItem, RunRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { sinceTreeSpend } from '../sessions/tree-spend.ts'
import { finishStep } from '../tools/approvals.ts'
import { limitOutput } from '../tools/limit-output.ts'
import { goingOn } from '../tools/tool-run.ts'
import { isActive, isUnderWay, withTurns } from './children.ts'
import { reportResult } from './delegate.ts'
import type { Run } from './run.ts'
import { countedStep } from './usage.ts'

/** A leg of a child has ended, or one that was to come will not. */
export async function hearChild(run: Run, item: Extract<InboxItem, { type: 'child-ended' }>): Promise<void> {
  // Its last commit tells of it.
  if (run.endsChildren) return
  const child = run.children.get(item.childRunId)
  const record = await run.env.store.readRun(item.childRunId)
  // It goes on already.
  const isMoot = !child || isActive(record) || isKnown(child, item.leg)
  if (isMoot) return void (await run.commit({ applied: [item.n] }))
  await endOfChild(run, child, record, [item.n])
}

/** Somebody else has a child go on that had stopped: it ends with this run again, which hears of its end. */
export async function hearResumed(run: Run, item: Extract<InboxItem, { type: 'child-resumed' }>): Promise<void> {
  const child = run.children.get(item.childRunId)
  const record = await run.env.store.readRun(item.childRunId)
  const applied = [item.n]
  if (child?.status !== 'stopped' || !isActive(record) || run.endsChildren) return void (await run.commit({ applied }))
  const { told: _, ...known } = child
  await run.commit({ applied, children: [{ ...known, status: 'running' }] })
}

const isKnown = (child: ChildRecord, leg: number | undefined) =>
  leg === undefined ? !isUnderWay(child) : (child.leg ?? 0) >= leg

/**
 * Somebody ends a child that waits for its turn: it never begins, or stays as it had ended. False where somebody else has it
 * go on already.
 */
export async function endQueued(run: Run, child: ChildRecord, applied: readonly number[] = []): Promise<boolean> {
  const record = await run.env.store.readRun(child.runId)
  if (isActive(record)) return false
  await endOfChild(run, child, record, applied)
  return true
}

/** The calls that wait for a child have their result, what it used counts here, too, and the next one has its turn. */
async function endOfChild(run: Run, child: ChildRecord, record: RunRecord | undefined, applied: readonly number[]) {
  const calls = run.openCalls.filter(({ toolCallId }) => {
    const row = run.calls.get(toolCallId)
    return row?.childRunId === child.runId && !row.result
  })
  const ended = endedChild(child, record, calls.length > 0)
  const settled = await Promise.all(
    calls.map(async (call): Promise<Step> => {
      const result = await reportResult(run, call, ended, await resultOfChild(run.env.store, ended))
      const row = run.calls.get(call.toolCallId)
      return row ? finishStep(run, row, limitOutput(await run.settle(call, result), run.caps.maxToolOutput)) : {}
    }),
  )
  const counted = await countBelow(run)
  const { children, tells } = withTurns(run, [ended])
  const isLast =
    isSettled(
      run,
      calls.map(({ toolCallId }) => toolCallId),
    ) && !children.some(isUnderWay)
  await run.commit({
    ...counted,
    children,
    tells,
    calls: settled.flatMap(({ calls = [] }) => calls),
    audit: settled.flatMap(({ audit = [] }) => audit),
    session: { ...counted.session, ...Object.assign({}, ...settled.map(({ session }) => session)) },
    events: [...(counted.events ?? []), delegationFinished(ended), ...settled.flatMap(({ events = [] }) => events)],
    run: { ...counted.run, ...(isLast ? { ...goingOn(run)?.run, lingers: undefined } : undefined) },
    applied,
  })
}

/** Whether nothing waits any more once these calls have their results. */
function isSettled(run: Run, toolCallIds: readonly string[]): boolean {
  if (run.record.lingers) return [...run.children.values()].filter(isUnderWay).length <= 1
  return (
    toolCallIds.length > 0 &&
    run.openCalls.every(
      ({ toolCallId }) =>
        toolCallIds.includes(toolCallId) || run.calls.get(toolCallId)?.result || run.refused.has(toolCallId),
    )
  )
}

export function endedChild(child: ChildRecord, record: RunRecord | undefined, told: boolean): ChildRecord {
  const { queued: _, ...known } = child
  const status = record && record.endedAt !== undefined ? (record.status as ChildStatus) : 'cancelled'
  return { ...known, status, leg: record?.leg ?? 0, ...(told && { told }) }
}

export const delegationFinished = ({ runId, sessionId, agent, status }: ChildRecord) => ({
  kind: 'delegation-finished' as const,
  childRunId: runId,
  childSessionId: sessionId,
  childAgent: agent,
  outcome: status as 'completed' | 'stopped' | 'failed' | 'cancelled',
})

/** What the runs below it have used since that was last added to its own. */
export async function countBelow(run: Run): Promise<Step> {
  const now = await run.env.store.readTreeSpend(run.runId)
  return now ? countedStep(run, now, sinceTreeSpend(now, run.record.counted)) : {}
}
