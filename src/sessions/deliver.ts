import { AgentError, fromWire } from '../errors.ts'
import type { AnyEvent } from '../events/kinds.ts'
import { foldMessages } from './fold-messages.ts'
import type { CallRecord, MessageRecord } from './records.ts'
import { callKey, type EventPage } from './store.ts'

type StoredEventOf = EventPage['events'][number]

/**
 * Stored events as listeners receive them: what they refer to is filled in, as it stood when the event was written.
 * Throws `internal` where the page lacks something that an event refers to.
 */
export function deliver(page: EventPage, sessionId: string): AnyEvent[] {
  return page.events.map((event) => {
    const { kind, seq, at, runId, agent, turn } = event
    return { kind, seq, at, sessionId, runId, agent, turn, ...payloadOf(event, page) } as AnyEvent
  })
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
    case 'run-failed':
      return { ...event, error: fromWire(event.error) }
    default:
      return event
  }
}

function messageOf(page: EventPage, first: number, last: number) {
  const records: MessageRecord[] = []
  for (let index = first; index <= last; index++) records.push(found(page.messages.get(index), `message ${index}`))
  return found(foldMessages(records)[0], `message ${first}`)
}

function rowOf({ runId, toolCallId }: { runId: string; toolCallId: string }, page: EventPage): CallRecord {
  return found(page.calls.get(callKey(runId, toolCallId)), `tool call ${JSON.stringify(toolCallId)}`)
}

function callOf(event: { runId: string; toolCallId: string }, page: EventPage) {
  const { toolCallId, toolName, input, dynamic } = rowOf(event, page)
  return { toolCallId, toolName, input, ...(dynamic && { dynamic }) }
}

function outcomeOf(event: { runId: string; toolCallId: string }, page: EventPage) {
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
