import type { DelegationResult } from '../agent/delegate-types.ts'
import { fromWire } from '../errors.ts'
import { lastText } from '../sessions/continued.ts'
import type { ChildRecord, RunRecord } from '../sessions/records.ts'
import type { Store } from '../sessions/store.ts'

/** How a child stands, and its last answer, as a model is told. A run that was deleted counts as cancelled. */
export async function resultOfChild(store: Store, child: ChildRecord): Promise<DelegationResult> {
  const { runId, agent, status } = child
  const record = await store.readRun(runId)
  const named = { run_id: runId, agent }
  const isUnderWay = status === 'queued' || status === 'running'
  // It has not begun, or not gone on, yet.
  if (isUnderWay && (!record || record.endedAt !== undefined)) return { ...named, status, text: '' }
  if (!record)
    return { ...named, status: 'cancelled', text: '', error: 'It was taken back before it began, or deleted.' }
  const messages = await store.readMessages(record.sessionId, { from: record.firstIndex, hidden: true })
  const error = errorOf(record)
  return {
    ...named,
    status: record.status,
    text: lastText(messages, runId),
    ...(error === undefined ? undefined : { error }),
  }
}

function errorOf({ status, reason, error }: RunRecord): string | undefined {
  if (error) return fromWire(error).message
  if (status === 'stopped')
    return `It stopped (${reason ?? 'requested'}) and can go on: give its run_id to the tool that starts agents.`
  return status === 'cancelled' ? `It was cancelled (${reason ?? 'aborted'}).` : undefined
}
