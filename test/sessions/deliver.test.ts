import { expect, test } from 'vitest'
import { AgentError } from '../../src/errors.ts'
import type { StoredEvent } from '../../src/events/stored.ts'
import { deliver } from '../../src/sessions/deliver.ts'
import { foldMessages } from '../../src/sessions/fold-messages.ts'
import { type CallRecord, type MessageRecord, noUsage } from '../../src/sessions/records.ts'
import { callKey, type EventPage } from '../../src/sessions/store.ts'
import { userMessage } from './fixtures.ts'

const base = { at: 7, runId: 'run', agent: 'assistant', turn: 2 } as const
const envelope = { ...base, sessionId: 's' }

const assistant: MessageRecord = {
  ...base,
  v: 1,
  id: 'm1',
  index: 1,
  role: 'assistant',
  status: 'done',
  parts: [
    { type: 'tool-call', toolCallId: 'a', toolName: 't', input: 1 },
    { type: 'tool-call', toolCallId: 'b', toolName: 't', input: 2 },
  ],
}
const result = (toolCallId: string) => ({
  toolCallId,
  toolName: 't',
  outcome: 'success' as const,
  output: `output of ${toolCallId}`,
  modelOutput: { type: 'text' as const, value: '' },
})
const toolMessage = (index: number, toolCallId: string): MessageRecord => ({
  ...base,
  v: 1,
  id: `m${index}`,
  index,
  role: 'tool',
  results: [result(toolCallId)],
})

function page(
  events: readonly StoredEvent[],
  messages: readonly MessageRecord[] = [],
  calls: readonly CallRecord[] = [],
): EventPage {
  return {
    events: events.map((event, i) => ({ ...event, seq: i + 1 })),
    messages: new Map(messages.map((message) => [message.index, message])),
    calls: new Map(calls.map((call) => [callKey(call.runId, call.toolCallId), call])),
    approvals: new Map(),
    end: true,
  }
}

test('fills messages in, a tool message as the assistant message with the results so far', () => {
  const messages = [userMessage(0), assistant, toolMessage(2, 'a'), toolMessage(3, 'b')]
  const events: StoredEvent[] = [
    { ...base, kind: 'user-message-committed', index: 0 },
    { ...base, kind: 'assistant-message-committed', index: 1 },
    { ...base, kind: 'tool-message-committed', first: 1, index: 2 },
    { ...base, kind: 'tool-message-committed', first: 1, index: 3 },
  ]
  expect(deliver(page(events, messages), 's')).toEqual([
    { ...envelope, kind: 'user-message-committed', seq: 1, message: foldMessages(messages.slice(0, 1))[0] },
    { ...envelope, kind: 'assistant-message-committed', seq: 2, message: foldMessages(messages.slice(1, 2))[0] },
    { ...envelope, kind: 'tool-message-committed', seq: 3, message: foldMessages(messages.slice(1, 3))[0] },
    { ...envelope, kind: 'tool-message-committed', seq: 4, message: foldMessages(messages.slice(1, 4))[0] },
  ])
})

test('fills calls and their outcomes in from the ledger', () => {
  const row = (toolCallId: string, change: Partial<CallRecord>): CallRecord => ({
    v: 1,
    runId: 'run',
    toolCallId,
    toolName: 't',
    input: { a: 1 },
    state: 'finished',
    startedAt: 1,
    ...change,
  })
  const calls = [
    row('good', { result: result('good') }),
    row('denied', { dynamic: true, result: { ...result('denied'), outcome: 'denied', errorText: 'No' } }),
  ]
  const finished = { ...base, kind: 'tool-execution-finished', duration: 3, cached: false } as const
  const events: StoredEvent[] = [
    { ...base, kind: 'tool-execution-started', toolCallId: 'good' },
    { ...finished, toolCallId: 'good' },
    { ...finished, toolCallId: 'denied', cached: true },
  ]
  const call = { toolName: 't', input: { a: 1 } }
  expect(deliver(page(events, [], calls), 's')).toEqual([
    { ...envelope, kind: 'tool-execution-started', seq: 1, ...call, toolCallId: 'good' },
    {
      ...envelope,
      kind: 'tool-execution-finished',
      seq: 2,
      ...call,
      toolCallId: 'good',
      outcome: 'success',
      output: 'output of good',
      duration: 3,
      cached: false,
    },
    {
      ...envelope,
      kind: 'tool-execution-finished',
      seq: 3,
      ...call,
      toolCallId: 'denied',
      dynamic: true,
      outcome: 'denied',
      errorText: 'No',
      duration: 3,
      cached: true,
    },
  ])
})

test('makes an AgentError of a stored one', () => {
  const error = { code: 'rate-limited', message: 'Later', recoverable: true, status: 429 } as const
  const [event] = deliver(page([{ ...base, kind: 'run-failed', error, turns: 1, usage: noUsage }]), 's')
  expect(event).toMatchObject({ ...envelope, kind: 'run-failed', seq: 1, turns: 1, usage: noUsage, error })
  expect(event?.kind === 'run-failed' && event.error).toBeInstanceOf(AgentError)
})

test('passes on what an event carries itself', () => {
  const event: StoredEvent = { ...base, kind: 'run-started', input: 'Hello', metadata: { a: 1 } }
  expect(deliver(page([event]), 's')).toEqual([{ ...event, seq: 1, sessionId: 's' }])
})

test('refuses a page that lacks what its events refer to', () => {
  const lacking = { code: 'internal' }
  expect(() => deliver(page([{ ...base, kind: 'user-message-committed', index: 0 }]), 's')).toThrow(
    expect.objectContaining(lacking),
  )
  expect(() => deliver(page([{ ...base, kind: 'tool-execution-started', toolCallId: 'a' }]), 's')).toThrow(
    expect.objectContaining(lacking),
  )
})
