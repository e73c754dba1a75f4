import type { App, EventKind, EventOf } from 'turnloop'
import { describe, expect, it } from 'vitest'
import document from '../../docs/events.md?raw'
import { durableKinds, eventKinds } from '../../src/events/kinds.ts'
import { codeWords, tableRows } from './markdown.ts'

type Envelope = 'kind' | 'seq' | 'at' | 'sessionId' | 'runId' | 'parentRunId' | 'ancestors' | 'agent' | 'turn'
type KeysOf<T> = T extends unknown ? keyof T : never
type FieldOf<K extends EventKind> = Exclude<KeysOf<EventOf<App, K>>, Envelope>

/** Every field once: the compiler refuses a name that is none, and the intersection with `never` a list that lacks one. */
const fields =
  <K extends EventKind>() =>
  <const Names extends readonly FieldOf<K>[]>(
    ...names: [FieldOf<K>] extends [Names[number]] ? Names : never
  ): readonly string[] =>
    names

const payloads: { readonly [K in EventKind]: readonly string[] } = {
  'run-started': fields<'run-started'>()('input', 'files', 'model', 'metadata', 'resumed', 'usage', 'cost'),
  'run-waiting': fields<'run-waiting'>()('waitingFor'),
  'run-completed': fields<'run-completed'>()('finishReason', 'turns', 'usage', 'cost'),
  'run-stopped': fields<'run-stopped'>()('reason', 'error', 'turns', 'usage', 'cost'),
  'run-failed': fields<'run-failed'>()('error', 'turns', 'usage', 'cost'),
  'run-cancelled': fields<'run-cancelled'>()('reason', 'turns', 'usage', 'cost'),
  'run-released': fields<'run-released'>()('reason', 'error'),
  'owner-changed': fields<'owner-changed'>()('owner'),
  'delegation-refused': fields<'delegation-refused'>()('childRunId', 'childAgent', 'error'),
  'checkpoint-saved': fields<'checkpoint-saved'>()('step'),
  'approval-requested': fields<'approval-requested'>()('approval'),
  'approval-resolved': fields<'approval-resolved'>()('approvalId', 'answer', 'by'),
  'user-message-committed': fields<'user-message-committed'>()('message'),
  'assistant-message-committed': fields<'assistant-message-committed'>()('message'),
  'tool-message-committed': fields<'tool-message-committed'>()('message'),
  'turn-started': [],
  'turn-completed': fields<'turn-completed'>()('finishReason'),
  'usage-recorded': fields<'usage-recorded'>()(
    'usage',
    'run',
    'session',
    'cost',
    'runCost',
    'sessionCost',
    'estimated',
    'below',
    'contextTokens',
  ),
  'doom-loop-detected': fields<'doom-loop-detected'>()('toolName', 'repetitions', 'description'),
  'context-built': fields<'context-built'>()('messageCount', 'estimatedTokens', 'trimmedCount', 'window'),
  'context-compacted': fields<'context-compacted'>()('messagesBefore', 'messagesAfter', 'tokensBefore', 'tokensAfter'),
  'compaction-circuit-opened': fields<'compaction-circuit-opened'>()('consecutiveFailures'),
  'history-rewound': fields<'history-rewound'>()('messageId'),
  'delegation-started': fields<'delegation-started'>()(
    'childRunId',
    'childSessionId',
    'childAgent',
    'background',
    'resumed',
  ),
  'delegation-finished': fields<'delegation-finished'>()('childRunId', 'childSessionId', 'childAgent', 'outcome'),
  'model-retried': fields<'model-retried'>()('attempt', 'delay', 'error', 'messageId'),
  'model-switched': fields<'model-switched'>()('from', 'to', 'error'),
  'model-started': fields<'model-started'>()('provider', 'model', 'attempt', 'messageId'),
  'message-voided': fields<'message-voided'>()('messageId'),
  'text-delta': fields<'text-delta'>()('delta', 'messageId', 'partId', 'start'),
  'reasoning-delta': fields<'reasoning-delta'>()('delta', 'messageId', 'partId', 'start'),
  'message-part': fields<'message-part'>()('messageId', 'partId', 'part'),
  'tool-call-started': fields<'tool-call-started'>()(
    'messageId',
    'partId',
    'toolCallId',
    'toolName',
    'dynamic',
    'title',
    'providerExecuted',
  ),
  'tool-call-delta': fields<'tool-call-delta'>()('messageId', 'partId', 'toolCallId', 'toolName', 'delta'),
  'tool-call-completed': fields<'tool-call-completed'>()(
    'messageId',
    'partId',
    'toolCallId',
    'toolName',
    'input',
    'dynamic',
    'title',
    'providerExecuted',
    'invalid',
  ),
  'tool-execution-started': fields<'tool-execution-started'>()('toolCallId', 'toolName', 'input', 'dynamic'),
  'tool-execution-progress': fields<'tool-execution-progress'>()('toolCallId', 'toolName', 'data', 'preliminary'),
  'tool-execution-finished': fields<'tool-execution-finished'>()(
    'toolCallId',
    'toolName',
    'input',
    'dynamic',
    'outcome',
    'output',
    'errorText',
    'duration',
    'cached',
  ),
  'input-queued': fields<'input-queued'>()('inputId', 'input', 'files', 'mode'),
  'input-withdrawn': fields<'input-withdrawn'>()('inputId'),
  'input-delivered': fields<'input-delivered'>()('inputId', 'input', 'files', 'mode'),
  custom: fields<'custom'>()('name', 'data'),
  notice: fields<'notice'>()('code', 'message'),
  'session-created': fields<'session-created'>()('title'),
  'session-updated': fields<'session-updated'>()('title', 'model'),
  'session-deleted': [],
  'chat-started': fields<'chat-started'>()('provider', 'model'),
  'chat-text-delta': fields<'chat-text-delta'>()('id', 'delta'),
  'chat-tool-call-started': fields<'chat-tool-call-started'>()('id', 'toolName'),
  'chat-tool-call-arguments-delta': fields<'chat-tool-call-arguments-delta'>()('id', 'delta'),
  'chat-tool-call-completed': fields<'chat-tool-call-completed'>()('id', 'toolName', 'input'),
  'chat-finished': fields<'chat-finished'>()('finishReason'),
}

describe('docs/events.md', () => {
  const rows = tableRows(document).filter(([, lasts]) => lasts === 'stored' || lasts === 'live')
  const kindOf = ([cell]: string[]) => codeWords(cell)[0] ?? ''

  it('tells of every kind once, and of none that there is not', () => {
    expect(rows.map(kindOf).sort()).toEqual([...eventKinds].sort())
    expect(Object.keys(payloads).sort()).toEqual([...eventKinds].sort())
  })

  it('says which are stored', () => {
    const stored = rows.filter(([, lasts]) => lasts === 'stored').map(kindOf)
    expect(stored.sort()).toEqual([...durableKinds].sort())
  })

  it('gives the payload of each', () => {
    const told = Object.fromEntries(rows.map((row) => [kindOf(row), codeWords(row[2]).sort()]))
    const real = Object.fromEntries(Object.entries(payloads).map(([kind, names]) => [kind, [...names].sort()]))
    expect(told).toEqual(real)
  })
})
