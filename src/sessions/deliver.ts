import type { Approval } from '../api/types.ts'
import { AgentError, fromWire } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import { foldMessages } from './fold-messages.ts'
import type { Ancestor, ApprovalRecord, CallRecord, MessageRecord } from './records.ts'
import { type CallEvent, callKeyOf, type EventPage } from './store.ts'

type StoredEventOf = EventPage['events'][number]

/**
 * Stored events as listeners receive them: what they refer to is filled in, as it stood when the event was written.
 * Throws `internal` where the page lacks something that an event refers to.
 */
export function deliver(page: EventPage, sessionId: string): AnyEvent[] {
  return page.events.map((event) => {
    const { kind, seq, at, runId, agent, turn, parentRunId } = event
    const above = parentRunId === undefined ? undefined : lineage(ancestorsOf(parentRunId, page.ancestors))
    return { kind, seq, at, sessionId, runId, agent, turn, ...above, ...payloadOf(event, page) } as AnyEvent
  })
}

/** A run's parent may be another one by now, of the same session. */
const ancestorsOf = (parentRunId: string, ancestors: readonly Ancestor[] = []) =>
  ancestors.map((ancestor, at) => (at === ancestors.length - 1 ? { ...ancestor, runId: parentRunId } : ancestor))

/** What the events of a delegated run say of the runs above it. */
export function lineage(ancestors: readonly Ancestor[] | undefined) {
  const parent = ancestors?.at(-1)
  return parent && { parentRunId: parent.runId, ancestors }
}

function payloadOf(event: StoredEventOf, page: EventPage): object {
  switch (event.kind) {
    case 'user-message-committed':
    case 'assistant-message-committed':
      return { message: messageOf(page, event.index, event.index) }
    case 'tool-message-committed':
      return { message: messageOf(page, event.first, event.index) }
    case 'tool-execution-started':
      return callOf(event, page)
    case 'tool-execution-finished':
      return { ...callOf(event, page), ...outcomeOf(event, page), duration: event.duration, cached: event.cached }
    case 'approval-requested':
      return { approval: approvalOf(found(page.approvals.get(event.approvalId), `approval ${event.approvalId}`)) }
    case 'approval-resolved':
      return { by: event.answer.decision === 'withdrawn' ? 'runtime' : 'person', ...event }
    case 'run-failed':
    case 'model-switched':
    case 'delegation-refused':
      return { ...event, error: fromWire(event.error) }
    case 'run-stopped':
      return event.error ? { ...event, error: fromWire(event.error) } : event
    default:
      return event
  }
}

/** An approval as people are asked it. */
export function approvalOf({ v: _, resolved: __, ...approval }: ApprovalRecord): Approval {
  return approval as Approval
}

function messageOf(page: EventPage, first: number, last: number) {
  const records: MessageRecord[] = []
  for (let index = first; index <= last; index++) records.push(found(page.messages.get(index), `message ${index}`))
  return found(foldMessages(records)[0], `message ${first}`)
}

function rowOf(event: CallEvent, page: EventPage): CallRecord {
  return found(page.calls.get(callKeyOf(event)), `tool call ${JSON.stringify(event.toolCallId)}`)
}

function callOf(event: CallEvent, page: EventPage) {
  const { toolCallId, toolName, input, dynamic } = rowOf(event, page)
  return { toolCallId, toolName, input, ...(dynamic && { dynamic }) }
}

function outcomeOf(event: CallEvent, page: EventPage) {
  const {
    outcome,
    output,
    errorText = '',
  } = found(rowOf(event, page).result, `the result of ${JSON.stringify(event.toolCallId)}`)
  return outcome === 'success' ? { outcome, output } : { outcome, errorText }
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new AgentError('internal', `An event refers to ${what}, which is not stored`)
  return value
}
