import {
  amount,
  anything,
  boolean,
  type Check,
  count,
  flag,
  invalid,
  is,
  link,
  list,
  maybe,
  name,
  object,
  oneOf,
  shape,
  text,
  url,
} from './check-shape.ts'
import type {
  AssistantMessageRecord,
  MessageRecord,
  ModelOutput,
  PartRecord,
  SessionRecord,
  StateRecord,
  SummaryRecord,
  ToolMessageRecord,
  ToolResultRecord,
  Usage,
  UserMessageRecord,
} from './records.ts'

// A session as one document: what it says, all of it, and nothing of its runs, its grants or anybody's keys.

export const documentFormat = 'turnloop-session'
export const documentVersion = 1

type WithoutPlace<T> = T extends unknown ? Omit<T, 'v' | 'index'> & { readonly hidden?: true } : never
export type DocumentMessage = WithoutPlace<MessageRecord>

/** What of a session's record its document says otherwise, or not at all. */
type Apart =
  | 'v'
  | 'id'
  | 'updatedAt'
  | 'messageCount'
  | 'hidden'
  | 'seq'
  | 'commitId'
  | 'run'
  | 'summaries'
  | 'ancestors'

export interface SessionDocument extends Omit<SessionRecord, Apart> {
  readonly format: typeof documentFormat
  readonly version: typeof documentVersion
  /** The name of the model that somebody chose. */
  readonly model?: string
  readonly state?: StateRecord['value']
  readonly messages: readonly DocumentMessage[]
  readonly summaries: readonly Omit<SummaryRecord, 'v'>[]
  /** `data` is base64. */
  readonly files: readonly { readonly id: string; readonly mediaType: string; readonly data: string }[]
}

const metadata: Check = maybe((value, at) => {
  object(value, at)
  for (const [key, item] of Object.entries(value as object)) object(item, `${at}.${key}`)
})
const options = { providerMetadata: metadata }

const fileData = oneOf('type', {
  data: shape<{ type: 0; data: 0 }>({ type: text, data: text }),
  url: shape<{ type: 0; url: 0; size?: 0; originalUrl?: 0 }>({
    type: text,
    url,
    size: maybe(count),
    originalUrl: maybe(text),
  }),
  text: shape<{ type: 0; text: 0 }>({ type: text, text }),
  reference: shape<{ type: 0; reference: 0 }>({ type: text, reference: object }),
})

const contentItem: Check = (value, at) => {
  object(value, at)
  const { type, data, mediaType, text: said } = value as Readonly<Record<string, unknown>>
  name(type, `${at}.type`)
  if (type === 'text') text(said, `${at}.text`)
  if (type !== 'file') return
  text(mediaType, `${at}.mediaType`)
  fileData(data, `${at}.data`)
}

const valued = (value: Check) =>
  shape<{ type: 0; value: 0; providerOptions?: 0 }>({ type: text, value, providerOptions: metadata })
const outputs: { readonly [T in ModelOutput['type']]: Check } = {
  text: valued(text),
  'error-text': valued(text),
  json: valued(anything),
  'error-json': valued(anything),
  content: valued(list(contentItem, 10_000)),
  'execution-denied': shape<{ type: 0; reason?: 0; providerOptions?: 0 }>({
    type: text,
    reason: maybe(text),
    providerOptions: metadata,
  }),
}
const modelOutput = oneOf('type', outputs)

type PartOf<T> = Extract<PartRecord, { readonly type: T }>
const spoken = shape<PartOf<'text' | 'reasoning'>>({
  type: text,
  text,
  citations: maybe(list(object, 10_000)),
  ...options,
})
const file = shape<PartOf<'file' | 'reasoning-file'>>({
  type: text,
  mediaType: text,
  url,
  filename: maybe(text),
  size: maybe(count),
  ...options,
})
const parts: { readonly [T in PartRecord['type']]: Check } = {
  text: spoken,
  reasoning: spoken,
  file,
  'reasoning-file': file,
  custom: shape<PartOf<'custom'>>({ type: text, kind: text, ...options }),
  'source-url': shape<PartOf<'source-url'>>({ type: text, sourceId: text, url: link, title: maybe(text), ...options }),
  'source-document': shape<PartOf<'source-document'>>({
    type: text,
    sourceId: text,
    mediaType: text,
    title: text,
    filename: maybe(text),
    ...options,
  }),
  'tool-call': shape<PartOf<'tool-call'>>({
    type: text,
    toolCallId: name,
    toolName: text,
    input: anything,
    invalid: maybe(text),
    dynamic: maybe(boolean),
    title: maybe(text),
    toolMetadata: maybe(object),
    providerExecuted: maybe(boolean),
    ...options,
  }),
  'tool-result': shape<PartOf<'tool-result'>>({
    type: text,
    toolCallId: name,
    toolName: text,
    output: anything,
    isError: maybe(boolean),
    modelOutput,
    untrusted: maybe(flag),
    ...options,
  }),
}
const result = shape<ToolResultRecord>({
  toolCallId: name,
  toolName: text,
  outcome: is('success', 'failure', 'denied'),
  output: maybe(anything),
  errorText: maybe(text),
  modelOutput,
  untrusted: maybe(flag),
  ...options,
})

const usage = shape<Usage>({
  inputTokens: amount,
  outputTokens: amount,
  cachedInputTokens: amount,
  reasoningTokens: amount,
})
const base = { id: name, runId: name, turn: count, agent: name, at: amount, role: text, hidden: maybe(flag) }
const mostParts = 10_000
const messages: { readonly [R in MessageRecord['role']]: Check } = {
  user: shape<WithoutPlace<UserMessageRecord>>({
    ...base,
    parts: list(oneOf('type', { text: parts.text, file }), mostParts),
  }),
  assistant: shape<WithoutPlace<AssistantMessageRecord>>({
    ...base,
    parts: list(oneOf('type', parts), mostParts),
    model: maybe(text),
    status: is('done', 'partial'),
    usage: maybe(usage),
    finishReason: maybe(text),
  }),
  tool: shape<WithoutPlace<ToolMessageRecord>>({ ...base, results: list(result, mostParts) }),
}

const document = shape<SessionDocument>({
  format: is(documentFormat),
  version: is(documentVersion),
  title: text,
  agent: name,
  createdAt: amount,
  turn: count,
  usage,
  cost: maybe(amount),
  unpriced: maybe(boolean),
  tainted: maybe(shape<NonNullable<SessionRecord['tainted']>>({ at: amount, toolName: name })),
  forkedFrom: maybe(shape<NonNullable<SessionRecord['forkedFrom']>>({ sessionId: name, messageId: maybe(name) })),
  contextTokens: maybe(amount),
  contextWindow: maybe(amount),
  tokenRatio: maybe(amount),
  model: maybe(name),
  state: maybe(anything),
  messages: list(oneOf('role', messages), 100_000),
  summaries: list(
    shape<Omit<SummaryRecord, 'v'>>({ n: count, at: amount, text, before: count, covers: count }),
    10_000,
  ),
  files: list(shape<SessionDocument['files'][number]>({ id: name, mediaType: name, data: text }), 10_000),
})

/** Throws `invalid-document`, saying what is wrong with it, for what is no session whose history is a valid prompt. */
export function checkDocument(value: unknown): asserts value is SessionDocument {
  document(value, 'it')
  const { messages, summaries, files } = value as SessionDocument
  checkUnique(
    messages.map(({ id }) => id),
    'messages',
  )
  checkUnique(
    files.map(({ id }) => id),
    'files',
  )
  checkUnique(
    summaries.map(({ n }) => n),
    'summaries',
  )
  checkCalls(messages)
}

function checkUnique(ids: readonly unknown[], what: string) {
  if (new Set(ids).size < ids.length) throw invalid(`two ${what} have the same id`)
}

/** Every call once, and every result where its call is; nothing is open where somebody speaks again. */
function checkCalls(messages: readonly DocumentMessage[]) {
  const called = new Set<string>()
  let open = new Set<string>()
  messages.forEach((message, i) => {
    const at = `messages[${i}]`
    const calls = message.role === 'assistant' ? message.parts.filter((part) => part.type === 'tool-call') : []
    for (const { toolCallId } of calls) {
      if (called.has(toolCallId)) throw invalid(`${at} has a call whose id was used before`)
      called.add(toolCallId)
    }
    if (message.hidden) return
    if (message.role === 'tool') {
      for (const { toolCallId } of message.results)
        if (!open.delete(toolCallId)) throw invalid(`${at} has a result without its call`)
      return
    }
    if (open.size > 0) throw invalid(`calls before ${at} have no result`)
    open = new Set(calls.flatMap(({ toolCallId, providerExecuted }) => (providerExecuted ? [] : [toolCallId])))
  })
  if (open.size > 0) throw invalid('its last calls have no result')
}
