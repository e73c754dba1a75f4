import { describe, expect, test } from 'vitest'
import { foldMessages } from '../../src/sessions/fold-messages.ts'
import type {
  AssistantMessageRecord,
  CallRecord,
  PartRecord,
  ToolCallPart,
  ToolMessageRecord,
  ToolResultRecord,
} from '../../src/sessions/records.ts'
import { userMessage } from './fixtures.ts'

const base = { v: 1, runId: 'run', turn: 1, agent: 'assistant', at: 5 } as const
const assistant = (
  index: number,
  parts: PartRecord[],
  change: Partial<AssistantMessageRecord> = {},
): AssistantMessageRecord => ({
  ...base,
  id: `m${index}`,
  index,
  role: 'assistant',
  status: 'done',
  parts,
  ...change,
})
const tool = (index: number, ...results: ToolResultRecord[]): ToolMessageRecord => ({
  ...base,
  id: `m${index}`,
  index,
  role: 'tool',
  results,
})
const call = (toolCallId: string, change: Partial<ToolCallPart> = {}): ToolCallPart => ({
  type: 'tool-call',
  toolCallId,
  toolName: 'forecast',
  input: { city: 'Oslo' },
  ...change,
})
const success = (toolCallId: string, output: unknown = 'sunny'): ToolResultRecord => ({
  toolCallId,
  toolName: 'forecast',
  outcome: 'success',
  output,
  modelOutput: { type: 'text', value: 'sunny' },
})
const failure = (toolCallId: string, change: Partial<ToolResultRecord>): ToolResultRecord => ({
  toolCallId,
  toolName: 'forecast',
  outcome: 'failure',
  modelOutput: { type: 'error-text', value: 'told to the model' },
  ...change,
})
const partsOf = (...records: Parameters<typeof foldMessages>) => foldMessages(...records).map(({ parts }) => parts)

describe('foldMessages', () => {
  test('makes messages of user and assistant records, with their metadata', () => {
    const usage = { inputTokens: 1, outputTokens: 2, cachedInputTokens: 0, reasoningTokens: 0 }
    const records = [
      userMessage(0),
      assistant(1, [{ type: 'text', text: 'Hi' }], { model: 'm', usage, status: 'partial' }),
    ]
    expect(foldMessages(records)).toEqual([
      {
        id: 'm0',
        role: 'user',
        metadata: { runId: 'run', turn: 1, agent: 'assistant', at: 1, status: 'done' },
        parts: [{ type: 'text', text: 'message 0' }],
      },
      {
        id: 'm1',
        role: 'assistant',
        metadata: { runId: 'run', turn: 1, agent: 'assistant', at: 5, status: 'partial', model: 'm', usage },
        parts: [{ type: 'text', text: 'Hi', state: 'done' }],
      },
    ])
  })

  test('puts results from several tool messages into the calls of the message before them', () => {
    const records = [
      assistant(0, [call('a'), call('b'), call('c')]),
      tool(1, success('b', 2)),
      tool(2, success('a', 1)),
      assistant(3, [call('d')]),
    ]
    const open = { type: 'tool-forecast', state: 'input-available', input: { city: 'Oslo' } }
    const done = { ...open, state: 'output-available' }
    expect(partsOf(records)).toEqual([
      [
        { ...done, toolCallId: 'a', output: 1 },
        { ...done, toolCallId: 'b', output: 2 },
        { ...open, toolCallId: 'c' },
      ],
      [{ ...open, toolCallId: 'd' }],
    ])
  })

  test('leaves out tool messages whose assistant message is not there', () => {
    expect(foldMessages([tool(1, success('a')), tool(2, success('b')), userMessage(3)]).map(({ id }) => id)).toEqual([
      'm3',
    ])
  })

  test('takes results from the ledger where no tool message has them yet', () => {
    const row = (toolCallId: string, change: Partial<CallRecord>): CallRecord => ({
      v: 1,
      runId: 'run',
      toolCallId,
      toolName: 'forecast',
      input: {},
      state: 'finished',
      startedAt: 1,
      ...change,
    })
    const rows = [
      row('a', { result: success('a', 'from the ledger') }),
      row('b', { result: success('b', 'from the ledger') }),
      row('c', { state: 'started' }),
      row('d', { runId: 'another run', result: success('d') }),
    ]
    const records = [
      assistant(0, [call('a'), call('b'), call('c'), call('d')]),
      tool(1, success('b', 'from the message')),
    ]
    expect(partsOf(records, rows)[0]).toMatchObject([
      { output: 'from the ledger' },
      { output: 'from the message' },
      { state: 'input-available' },
      { state: 'input-available' },
    ])
  })

  test('folds what the provider carried out into the call, and keeps all other parts in their order', () => {
    const parts: PartRecord[] = [
      { type: 'reasoning', text: '', providerMetadata: { p: { signature: 'x' } } },
      call('a', {
        toolName: 'web_search',
        providerExecuted: true,
        dynamic: true,
        title: 'Search',
        providerMetadata: { p: { id: 1 } },
      }),
      {
        type: 'tool-result',
        toolCallId: 'a',
        toolName: 'web_search',
        output: [1],
        modelOutput: { type: 'json', value: [1] },
        providerMetadata: { p: { id: 2 } },
      },
      { type: 'source-url', sourceId: 's', url: 'https://example.com' },
      { type: 'source-document', sourceId: 's', mediaType: 'text/plain', title: 'Document' },
      { type: 'file', mediaType: 'image/png', url: 'data:,', filename: 'a.png' },
      { type: 'reasoning-file', mediaType: 'image/png', url: 'data:,', filename: 'b.png' },
      { type: 'custom', kind: 'openai.thing' },
      { type: 'text', text: '' },
    ]
    expect(partsOf([assistant(0, parts)])[0]).toEqual([
      { type: 'reasoning', text: '', state: 'done', providerMetadata: { p: { signature: 'x' } } },
      {
        type: 'dynamic-tool',
        toolName: 'web_search',
        toolCallId: 'a',
        title: 'Search',
        providerExecuted: true,
        callProviderMetadata: { p: { id: 1 } },
        state: 'output-available',
        input: { city: 'Oslo' },
        output: [1],
        resultProviderMetadata: { p: { id: 2 } },
      },
      { type: 'source-url', sourceId: 's', url: 'https://example.com' },
      { type: 'source-document', sourceId: 's', mediaType: 'text/plain', title: 'Document' },
      { type: 'file', mediaType: 'image/png', url: 'data:,', filename: 'a.png' },
      { type: 'reasoning-file', mediaType: 'image/png', url: 'data:,' },
      { type: 'custom', kind: 'openai.thing' },
      { type: 'text', text: '', state: 'done' },
    ])
  })

  test('says why a call failed, was denied, or could not be carried out', () => {
    const parts: PartRecord[] = [
      call('failed'),
      call('denied'),
      call('silent'),
      call('invalid', { invalid: 'No such tool', input: '{"city":', toolName: 'nothing' }),
      call('provider', { providerExecuted: true }),
      {
        type: 'tool-result',
        toolCallId: 'provider',
        toolName: 'forecast',
        output: 'ignored',
        isError: true,
        modelOutput: { type: 'error-json', value: { code: 1 } },
      },
    ]
    const results = [
      failure('failed', { errorText: 'shown to people' }),
      failure('denied', { outcome: 'denied', modelOutput: { type: 'execution-denied', reason: 'Not now' } }),
      failure('silent', {}),
      failure('invalid', { errorText: 'No such tool' }),
    ]
    const error = { state: 'output-error' }
    expect(partsOf([assistant(0, parts), tool(1, ...results)])[0]).toEqual([
      expect.objectContaining({ ...error, errorText: 'shown to people' }),
      expect.objectContaining({ ...error, errorText: 'Not now' }),
      expect.objectContaining({ ...error, errorText: 'told to the model' }),
      expect.objectContaining({
        ...error,
        type: 'dynamic-tool',
        toolName: 'nothing',
        input: '{"city":',
        errorText: 'No such tool',
      }),
      expect.objectContaining({ ...error, providerExecuted: true, errorText: '{"code":1}' }),
    ])
    for (const part of partsOf([assistant(0, parts), tool(1, ...results)])[0] ?? [])
      expect(part).not.toHaveProperty('output')
  })

  test('takes any name and id from the model for what it is: text', () => {
    const parts = [call('__proto__', { toolName: '__proto__' }), call('constructor'), call('toString')]
    const folded = partsOf([assistant(0, parts), tool(1, success('__proto__', 1))])[0]
    expect(folded).toMatchObject([
      { type: 'tool-__proto__', state: 'output-available', output: 1 },
      { state: 'input-available' },
      { state: 'input-available' },
    ])
    expect(Object.getPrototypeOf(folded?.[0])).toBe(Object.prototype)
  })

  test('changes nothing of what it is given', () => {
    const records = [assistant(0, [call('a'), { type: 'text', text: 'x' }]), tool(1, success('a'))]
    const before = structuredClone(records)
    foldMessages(records)
    expect(records).toEqual(before)
  })
})
