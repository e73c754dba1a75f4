import type {
  JSONValue,
  LanguageModelV4CallOptions,
  LanguageModelV4StreamPart,
  LanguageModelV4ToolCall,
  LanguageModelV4ToolResult,
} from '@ai-sdk/provider'
import type { ToolSet } from '@ai-sdk/provider-utils'
import type { Price } from '../agent/define-agent.ts'
import { toToolName } from '../agent/tool-names.ts'
import { AgentError } from '../errors.ts'
import type { Emit } from '../events/bus.ts'
import type { EventPayloads } from '../events/kinds.ts'
import { toMessagePart } from '../sessions/fold-messages.ts'
import type {
  ModelOutput,
  PartRecord,
  ProviderMetadata,
  ToolCallPart,
  ToolResultPart,
  Usage,
  WholePart,
} from '../sessions/records.ts'
import { parseCall } from '../tools/parse-call.ts'
import { toolNamed } from '../tools/tool-named.ts'
import { modelOutputOf, toJson, toStored } from '../tools/tool-output.ts'
import { dataUrl } from './file-data.ts'
import { type Reported, toReported, toUsage } from './usage.ts'

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type TextPart = Writable<Extract<PartRecord, { type: 'text' | 'reasoning' }>>
interface OpenText {
  readonly partId: string
  readonly part: TextPart
}

export interface AnswerOptions {
  readonly messageId: string
  readonly tools: ToolSet
  readonly emit: Emit
  readonly newId: () => string
  /** Ids of all calls of the session so far: a provider may repeat one, and a prompt must not. */
  readonly usedCallIds: Set<string>
  /** Whether what a tool gives comes from outside. */
  readonly isUntrusted?: (toolName: string) => boolean
}

/** One attempt of the model at a turn, as far as it has come: reads the stream's parts, keeps the message, tells listeners. */
export class Answer {
  readonly parts: PartRecord[] = []
  /** What the provider said that it used. */
  reported: Reported | undefined
  /** Tokens that the model was asked with, by estimate; absent until it is asked, and where its endpoint refused the call. */
  asked: number | undefined
  /** What its model's tokens cost, where that is known. */
  price: Price | undefined
  finishReason: string | undefined
  /** The model that was asked. */
  model: string | undefined
  /** The model as the provider names it in its response. */
  responseModel: string | undefined

  /** Whether its model was told to call nothing. */
  callsNothing = false

  readonly #options: AnswerOptions
  #tools: ToolSet
  /** The parts' ids, beside `parts`; results have none. */
  readonly #partIds: (string | undefined)[] = []
  /** What is being written, by the provider's part id. */
  readonly #open = { text: new Map<string, OpenText>(), reasoning: new Map<string, OpenText>() }
  /** Calls being written, by the provider's id. */
  readonly #writing = new Map<string, { readonly started: StartedCall; readonly index: number; json: string }>()
  /** Our id of a call by the provider's. */
  readonly #callIds = new Map<string, string>()
  /** Parts so far as a UI counts them: results stand inside their calls' parts. */
  #shown = 0

  constructor(options: AnswerOptions) {
    this.#options = options
    this.#tools = options.tools
  }

  /** The model is asked with less than all tools: it can call no other. */
  ask({ tools = [], toolChoice }: Pick<LanguageModelV4CallOptions, 'tools' | 'toolChoice'>) {
    const told = new Set(tools.map(({ name }) => name))
    const all = Object.entries(this.#options.tools)
    this.#tools =
      told.size === all.length ? this.#options.tools : Object.fromEntries(all.filter(([name]) => told.has(name)))
    this.callsNothing = toolChoice?.type === 'none'
  }

  get usage(): Usage | undefined {
    return this.reported && toUsage(this.reported)
  }

  get messageId() {
    return this.#options.messageId
  }

  get calls(): readonly ToolCallPart[] {
    return this.parts.filter((part) => part.type === 'tool-call' && !part.providerExecuted) as ToolCallPart[]
  }

  /** What of it is text, so far. */
  get text(): string {
    return this.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
  }

  /** Whether a text goes on, as far as anybody knows. */
  isWriting(part: PartRecord): boolean {
    return [this.#open.text, this.#open.reasoning].some((open) => [...open.values()].some((it) => it.part === part))
  }

  /** Parts of the stream that were read. */
  length = 0

  /** Takes in one part; gives a promise only where there is something to wait for. Kinds that it doesn't know are ignored. */
  read(part: LanguageModelV4StreamPart): void | Promise<void> {
    this.length++
    switch (part.type) {
      case 'text-delta':
      case 'reasoning-delta':
        return this.#delta(part.type, part.id, part.delta, part.providerMetadata)
      case 'text-start':
      case 'reasoning-start':
        this.#start(part.type === 'text-start' ? 'text' : 'reasoning', part.id, part.providerMetadata)
        return
      case 'text-end':
      case 'reasoning-end':
        return this.#end(part)
      case 'tool-input-start':
        return this.#startCall(part)
      case 'tool-input-delta':
        return this.#callDelta(part.id, part.delta)
      case 'tool-call':
        return this.#completeCall(part)
      case 'tool-result':
        return this.#providerResult(part)
      case 'tool-approval-request':
        throw new AgentError(
          'unsupported-tool',
          "The provider asks for an approval of its own tool, which isn't supported: configure that tool so that it needs none.",
        )
      case 'source':
        return this.#add(
          part.sourceType === 'url'
            ? {
                type: 'source-url',
                sourceId: part.id,
                url: part.url,
                ...optional({ title: part.title }),
                ...metadata(part),
              }
            : {
                type: 'source-document',
                sourceId: part.id,
                mediaType: part.mediaType,
                title: part.title,
                ...optional({ filename: part.filename }),
                ...metadata(part),
              },
        )
      case 'file':
      case 'reasoning-file':
        return this.#add({
          type: part.type,
          mediaType: part.mediaType,
          url: dataUrl(part.data, part.mediaType),
          ...metadata(part),
        })
      case 'custom':
        return this.#add({ type: 'custom', kind: part.kind, ...metadata(part) })
      case 'response-metadata':
        this.responseModel = part.modelId ?? this.responseModel
        return
      case 'finish':
        this.reported = toReported(part.usage)
        this.finishReason = part.finishReason.unified
    }
  }

  /**
   * What is kept of an answer that was cut: all but its tool calls, which were perhaps not whole. An empty text stands in
   * for each, since a part's index is its id.
   */
  get partialParts(): readonly PartRecord[] {
    const shown = this.parts.filter(({ type }) => type !== 'tool-result')
    const parts = shown.map((part): PartRecord => (part.type === 'tool-call' ? { type: 'text', text: '' } : part))
    return parts.slice(0, parts.findLastIndex((part) => !('text' in part && part.text === '')) + 1)
  }

  /** Tells `emit` all of it again, each text as one delta: for listeners who join while it streams. */
  replay(emit: Emit) {
    const { messageId } = this.#options
    for (const [index, part] of this.parts.entries()) {
      const partId = this.#partIds[index]
      if (part.type === 'tool-result' || partId === undefined) continue
      if (part.type === 'text' || part.type === 'reasoning') {
        if (part.text) emit(`${part.type}-delta`, { delta: part.text, messageId, partId, start: 0 })
      } else if (part.type === 'tool-call') emit('tool-call-completed', completed(part, messageId, partId))
      else emit('message-part', { messageId, partId, part: toMessagePart(part as WholePart) })
    }
    for (const part of this.parts) if (part.type === 'tool-result') tellResult(emit, part)
    for (const { started, json } of this.#writing.values()) {
      emit('tool-call-started', started)
      if (json) emit('tool-call-delta', { ...writtenCall(started), delta: json })
    }
  }

  #push(part: PartRecord, partId?: string) {
    this.parts.push(part)
    this.#partIds.push(partId)
  }

  #start(type: 'text' | 'reasoning', id: string, providerMetadata?: ProviderMetadata): OpenText {
    const part: TextPart = { type, text: '', ...metadata({ providerMetadata }) }
    const open = { partId: String(this.#shown++), part }
    this.#push(part, open.partId)
    this.#open[type].set(id, open)
    return open
  }

  #delta(kind: 'text-delta' | 'reasoning-delta', id: string, delta: string, providerMetadata?: ProviderMetadata) {
    const type = kind === 'text-delta' ? 'text' : 'reasoning'
    const { partId, part } = this.#open[type].get(id) ?? this.#start(type, id)
    if (providerMetadata) part.providerMetadata = providerMetadata
    const start = part.text.length
    part.text += delta
    if (delta) this.#options.emit(kind, { delta, messageId: this.#options.messageId, partId, start })
  }

  #end(part: Extract<LanguageModelV4StreamPart, { type: 'text-end' | 'reasoning-end' }>) {
    const texts = this.#open[part.type === 'text-end' ? 'text' : 'reasoning']
    const open = texts.get(part.id)?.part
    texts.delete(part.id)
    if (!open) return
    if (part.providerMetadata) open.providerMetadata = part.providerMetadata
    if (part.type === 'text-end' && part.citations?.length) open.citations = part.citations
  }

  #add(part: WholePart) {
    const partId = String(this.#shown++)
    this.#push(part, partId)
    this.#options.emit('message-part', {
      messageId: this.#options.messageId,
      partId,
      part: toMessagePart(part as WholePart),
    })
  }

  #startCall(part: Extract<LanguageModelV4StreamPart, { type: 'tool-input-start' }>) {
    const { emit, messageId } = this.#options
    const tools = this.#tools
    const toolName = part.providerExecuted ? part.toolName : toToolName(part.toolName)
    const tool = toolNamed(tools, toolName)
    const started: StartedCall = {
      messageId,
      partId: String(this.#shown++),
      toolCallId: this.#newCallId(part.id),
      toolName,
      ...(part.dynamic || !tool || tool.type === 'dynamic' ? { dynamic: true } : undefined),
      ...optional({ title: part.title }),
      ...(part.providerExecuted ? { providerExecuted: true } : undefined),
    }
    this.#writing.set(part.id, { started, json: '', index: this.parts.length })
    // Keeps the call's place, for what else is written before the call is whole.
    this.#push({ type: 'text', text: '' }, started.partId)
    emit('tool-call-started', started)
  }

  #callDelta(id: string, delta: string) {
    const call = this.#writing.get(id)
    if (!call) return
    call.json += delta
    this.#options.emit('tool-call-delta', { ...writtenCall(call.started), delta })
  }

  async #completeCall(call: LanguageModelV4ToolCall) {
    const { emit, messageId } = this.#options
    const writing = this.#writing.get(call.toolCallId)
    this.#writing.delete(call.toolCallId)
    const partId = writing?.started.partId ?? String(this.#shown++)
    const part = await parseCall(call, writing?.started.toolCallId ?? this.#newCallId(call.toolCallId), this.#tools)
    if (writing) this.parts[writing.index] = part
    else this.#push(part, partId)
    emit('tool-call-completed', completed(part, messageId, partId))
  }

  /** Ours, where the provider's is empty or was used before in the session. */
  #newCallId(id: string) {
    const { usedCallIds, newId } = this.#options
    const ours = id && !usedCallIds.has(id) ? id : newId()
    usedCallIds.add(ours)
    this.#callIds.set(id, ours)
    return ours
  }

  #providerResult(result: LanguageModelV4ToolResult): void | Promise<void> {
    const { tools } = this.#options
    const toolCallId = this.#callIds.get(result.toolCallId) ?? result.toolCallId
    const output = toJson(result.result)
    if (result.isError) return this.#addResult(result, toolCallId, output, { type: 'error-json', value: output })
    const tool = toolNamed(tools, result.toolName)
    if (!tool?.toModelOutput) return this.#addResult(result, toolCallId, output, modelOutputOf(output))
    const call = this.parts.find((part) => part.type === 'tool-call' && part.toolCallId === toolCallId)
    const input = call?.type === 'tool-call' ? call.input : undefined
    return Promise.resolve(tool.toModelOutput({ toolCallId, input, output })).then((told) =>
      this.#addResult(result, toolCallId, output, toStored(told)),
    )
  }

  #addResult(result: LanguageModelV4ToolResult, toolCallId: string, output: JSONValue, modelOutput: ModelOutput) {
    const part: ToolResultPart = {
      type: 'tool-result',
      toolCallId,
      toolName: result.toolName,
      output,
      ...(result.isError ? { isError: true } : undefined),
      modelOutput,
      ...(this.#options.isUntrusted?.(result.toolName) ? { untrusted: true as const } : undefined),
      ...metadata(result),
    }
    const earlier = this.parts.findIndex((other) => other.type === 'tool-result' && other.toolCallId === toolCallId)
    if (earlier < 0) this.#push(part)
    else this.parts[earlier] = part
    tellResult(this.#options.emit, part)
  }
}

type StartedCall = EventPayloads['tool-call-started']

const writtenCall = ({ messageId, partId, toolCallId, toolName }: StartedCall) => ({
  messageId,
  partId,
  toolCallId,
  toolName,
})

/** What the provider's own tool gave, while its message is under way. What failed is no output: the message tells it. */
function tellResult(emit: Emit, { toolCallId, toolName, output, isError }: ToolResultPart) {
  if (!isError) emit('tool-execution-progress', { toolCallId, toolName, data: output, preliminary: true })
}

const completed = (part: ToolCallPart, messageId: string, partId: string) => {
  const { toolCallId, toolName, input, dynamic, invalid, title, providerExecuted } = part
  return {
    messageId,
    partId,
    toolCallId,
    toolName,
    input,
    ...optional({ dynamic, invalid, title, providerExecuted }),
  } as Parameters<Emit<'tool-call-completed'>>[1]
}

const metadata = ({ providerMetadata }: { readonly providerMetadata?: ProviderMetadata | undefined }) =>
  optional({ providerMetadata })

/** Without the fields that are undefined: records and prompts have none. */
function optional<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) result[key] = value
  return result as { [K in keyof T]?: Exclude<T[K], undefined> }
}
