import type { MessageRecord, PartRecord, ToolCallPart, ToolResultPart } from '../../src/sessions/records.ts'

/** Messages of a history, each with its index. */
export type Make = (index: number) => MessageRecord

const base = (index: number) => ({ v: 1 as const, id: `m${index}`, index, runId: 'run', turn: 1, agent: 'a', at: 0 })

export const history = (...made: readonly Make[]): MessageRecord[] => made.map((make, index) => make(index))

export const asks =
  (text: string): Make =>
  (index) => ({ ...base(index), role: 'user', parts: [{ type: 'text', text }] })

export const says = (text: string): Make => answers({ type: 'text', text })

export const answers =
  (...parts: readonly PartRecord[]): Make =>
  (index) => ({ ...base(index), role: 'assistant', parts, status: 'done' })

export const call = (toolCallId: string, input: unknown = {}): ToolCallPart => ({
  type: 'tool-call',
  toolCallId,
  toolName: 'look',
  input,
})

/** A call that the provider carries out itself, and its result. */
export const provided = (toolCallId: string): ToolCallPart => ({ ...call(toolCallId), providerExecuted: true })
export const gives = (toolCallId: string, value = 'found'): ToolResultPart => ({
  type: 'tool-result',
  toolCallId,
  toolName: 'look',
  output: value,
  modelOutput: { type: 'text', value },
})

/** The results of our own calls. */
export const results =
  (toolCallIds: readonly string[], value = 'found'): Make =>
  (index) => ({
    ...base(index),
    role: 'tool',
    results: toolCallIds.map((toolCallId) => ({
      toolCallId,
      toolName: 'look',
      outcome: 'success',
      output: value,
      modelOutput: { type: 'text', value },
    })),
  })

/** So many words, each a token. */
export const words = (count: number) => 'word '.repeat(count).trim()
