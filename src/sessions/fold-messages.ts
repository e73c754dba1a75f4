import type { Message, MessagePart } from '../api/message.ts'
import type {
  AssistantMessageRecord,
  CallRecord,
  MessageRecord,
  ProviderMetadata,
  ToolCallPart,
  ToolMessageRecord,
  ToolResultPart,
  ToolResultRecord,
  UserMessageRecord,
  WholePart,
} from './records.ts'

/**
 * Messages as a UI shows them: the results in tool messages stand in the parts of the calls that they answer. A part's
 * index is its place among the record's parts other than `tool-result`, and never changes. `calls` are rows of the
 * ledger: they give the results of calls whose tool message is not written yet.
 *
 * Tool messages at the start of `records` are left out: the message that they belong to isn't there.
 */
export function foldMessages(records: readonly MessageRecord[], calls: readonly CallRecord[] = []): Message[] {
  const messages: Message[] = []
  const provided = providedResults(records)
  records.forEach((record, i) => {
    if (record.role === 'user') messages.push(foldUser(record))
    if (record.role === 'assistant')
      messages.push(foldAssistant(record, resultsFor(record, provided, toolsAfter(records, i), calls)))
  })
  return messages
}

/** By `toolCallId`. A map, for the model may call a call `__proto__`. */
type Results = ReadonlyMap<string, ToolResultRecord | ToolResultPart>

function toolsAfter(records: readonly MessageRecord[], i: number): ToolMessageRecord[] {
  const tools: ToolMessageRecord[] = []
  for (let next = records[++i]; next?.role === 'tool'; next = records[++i]) tools.push(next)
  return tools
}

/** What the provider gave itself, often in the same answer, sometimes in a later one. */
function providedResults(records: readonly MessageRecord[]): ReadonlyMap<string, ToolResultPart> {
  const parts = records.flatMap((record) => (record.role === 'assistant' ? record.parts : []))
  return new Map(parts.flatMap((part) => (part.type === 'tool-result' ? [[part.toolCallId, part]] : [])))
}

function resultsFor(
  record: AssistantMessageRecord,
  provided: ReadonlyMap<string, ToolResultPart>,
  tools: readonly ToolMessageRecord[],
  calls: readonly CallRecord[],
): Results {
  const results = new Map<string, ToolResultRecord | ToolResultPart>(provided)
  for (const call of calls) {
    if (call.runId === record.runId && call.result) results.set(call.toolCallId, call.result)
  }
  for (const result of tools.flatMap((tool) => tool.results)) results.set(result.toolCallId, result)
  return results
}

function foldUser(record: UserMessageRecord): Message {
  const { id, role, runId, turn, agent, at } = record
  return { id, role, metadata: { runId, turn, agent, at, status: 'done' }, parts: foldParts(record, new Map()) }
}

function foldAssistant(record: AssistantMessageRecord, results: Results): Message {
  const { id, role, runId, turn, agent, at, model, usage, status } = record
  return {
    id,
    role,
    metadata: { runId, turn, agent, at, status, ...(model !== undefined && { model }), ...(usage && { usage }) },
    parts: foldParts(record, results),
  }
}

function foldParts({ role, parts }: UserMessageRecord | AssistantMessageRecord, results: Results): MessagePart[] {
  return parts.flatMap((part): MessagePart[] => {
    switch (part.type) {
      case 'text':
      case 'reasoning':
        return [{ ...part, ...(role === 'assistant' && { state: 'done' }) } as MessagePart]
      case 'tool-result':
        return []
      case 'tool-call':
        return [foldCall(part, results.get(part.toolCallId))]
      default:
        return [toMessagePart(part)]
    }
  })
}

/** A part that stands for itself: a source, a file, a custom part. */
export function toMessagePart(part: WholePart): MessagePart {
  if (part.type === 'file') {
    const { size: _, ...file } = part
    return file as MessagePart
  }
  if (part.type !== 'reasoning-file') return { ...part } as MessagePart
  const { type, mediaType, url, providerMetadata } = part
  return { type, mediaType, url, ...(providerMetadata && { providerMetadata }) }
}

function foldCall(call: ToolCallPart, result: ToolResultRecord | ToolResultPart | undefined): MessagePart {
  const { toolCallId, toolName, input, title, toolMetadata, providerExecuted, providerMetadata } = call
  // Of no tool that the types know: a dynamic one, or one that doesn't exist.
  const kind =
    call.dynamic || call.invalid !== undefined ? { type: 'dynamic-tool', toolName } : { type: `tool-${toolName}` }
  return {
    ...kind,
    toolCallId,
    ...(title !== undefined && { title }),
    ...(toolMetadata && { toolMetadata }),
    ...(providerExecuted !== undefined && { providerExecuted }),
    ...(providerMetadata && { callProviderMetadata: providerMetadata }),
    input,
    // Nobody carries it out: a provider's own call gets no result that says so.
    ...(call.invalid !== undefined && !result
      ? { state: 'output-error', errorText: call.invalid }
      : foldResult(result)),
  } as MessagePart
}

function foldResult(result: ToolResultRecord | ToolResultPart | undefined) {
  if (!result) return { state: 'input-available' }
  const metadata: { resultProviderMetadata?: ProviderMetadata } = result.providerMetadata
    ? { resultProviderMetadata: result.providerMetadata }
    : {}
  const failed = 'outcome' in result ? result.outcome !== 'success' : result.isError === true
  if (!failed) return { state: 'output-available', output: result.output, ...metadata }
  return { state: 'output-error', errorText: errorTextOf(result), ...metadata }
}

function errorTextOf(result: ToolResultRecord | ToolResultPart): string {
  if ('errorText' in result && result.errorText !== undefined) return result.errorText
  const { modelOutput } = result
  if (modelOutput.type === 'error-text' || modelOutput.type === 'text') return modelOutput.value
  if (modelOutput.type === 'execution-denied') return modelOutput.reason ?? 'The call was denied'
  if (modelOutput.type === 'error-json' || modelOutput.type === 'json') {
    return typeof modelOutput.value === 'string' ? modelOutput.value : JSON.stringify(modelOutput.value)
  }
  return 'The tool failed'
}
