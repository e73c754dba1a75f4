import { toAgentError, toWire } from '../errors.ts'
import type { InboxItem } from '../sessions/records.ts'
import { endQueued } from './child-ended.ts'
import { checkRequested, delegationFrom, isUnderWay, newChild } from './children.ts'
import { endChild } from './end-children.ts'
import type { Run } from './run.ts'

/** Code wants the run to start another one: it does, as its model might, or says why not. */
export async function startChild(run: Run, item: Extract<InboxItem, { type: 'delegate' }>): Promise<void> {
  const { n, childRunId, request, pageId, sentBy } = item
  const { agent = run.record.agent } = request
  try {
    if (!run.children.has(childRunId)) checkRequested(run, agent)
  } catch (error) {
    const refused = { kind: 'delegation-refused' as const, childRunId, childAgent: agent }
    await run.commit({ applied: [n], events: [{ ...refused, error: toWire(toAgentError(error)) }] })
    return
  }
  const { child: _, ...step } = newChild(run, {
    runId: childRunId,
    agent,
    background: true,
    input: {
      type: 'input',
      request: { ...request, agent, delegation: delegationFrom(run) },
      ...(pageId === undefined ? undefined : { pageId }),
      ...(sentBy === undefined ? undefined : { sentBy }),
    },
  })
  await run.commit({ ...step, applied: [n] })
}

/** Somebody takes back a run that has not begun, or that is to go on. */
export async function endRequested(run: Run, item: Extract<InboxItem, { type: 'end-child' }>): Promise<void> {
  const child = run.children.get(item.childRunId)
  if (child?.status === 'queued' && (await endQueued(run, child, [item.n]))) return
  if (child && isUnderWay(child)) await endChild(run, child, { kind: 'run-cancelled', reason: 'aborted' })
  await run.commit({ applied: [item.n] })
}
