import { fromWire, type WireError } from '../errors.ts'
import { type AnyEvent, type EventKind, isChat, isDurable } from '../events/kinds.ts'
import { type Fields, isObject } from '../is-object.ts'

type Check = (fields: Fields) => boolean

const text = (value: unknown) => typeof value === 'string'
const count = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
/** A part's index: what is written at one far out would fill the message up to it. */
const part: Check = ({ messageId, partId }) => text(messageId) && text(partId) && /^\d{1,4}$/.test(partId as string)
const call: Check = (fields) => part(fields) && text(fields.toolCallId) && text(fields.toolName)
const delta: Check = (fields) => part(fields) && text(fields.delta) && count(fields.start)
const message: Check = ({ messageId }) => text(messageId)
const failure: Check = ({ error }) => isObject(error) && text(error.code) && text(error.message)
const input: Check = ({ inputId }) => text(inputId)

/** What runtimes tell each other live, and what it must have. A closed table: any script of the origin can speak. */
const checks: { readonly [K in EventKind]?: Check } = {
  'run-released': failure,
  'turn-started': () => true,
  'context-built': ({ messageCount, estimatedTokens, trimmedCount, window }) =>
    [messageCount, estimatedTokens, trimmedCount, window ?? 0].every(count),
  'model-started': message,
  'model-retried': (fields) => failure(fields) && message(fields) && count(fields.attempt) && count(fields.delay),
  'message-voided': message,
  'text-delta': delta,
  'reasoning-delta': delta,
  'message-part': (fields) => part(fields) && isObject(fields.part) && text(fields.part.type),
  'tool-call-started': call,
  'tool-call-delta': (fields) => call(fields) && text(fields.delta),
  'tool-call-completed': call,
  'tool-execution-progress': ({ toolCallId, toolName }) => text(toolCallId) && text(toolName),
  'input-queued': (fields) => input(fields) && text(fields.input) && text(fields.mode),
  'input-withdrawn': input,
  custom: ({ name }) => text(name),
  notice: ({ code, message }) => text(code) && text(message),
}

/** Whether events of this kind are told to other runtimes: what is stored they read themselves. */
export const isTold = (kind: EventKind) => !isDurable(kind) && !isChat(kind) && Object.hasOwn(checks, kind)

/** A live event of another runtime; `undefined` for what can't be one. */
export function heardLive(said: unknown, sessionId: string): AnyEvent | undefined {
  if (!isObject(said) || said.sessionId !== sessionId || !text(said.kind)) return undefined
  const { kind, seq, at, turn, runId, agent } = said
  if (!count(seq) || !count(turn) || typeof at !== 'number' || !text(runId) || !text(agent)) return undefined
  if (!isTold(kind as EventKind) || !checks[kind as EventKind]?.(said)) return undefined
  return ('error' in said ? { ...said, error: fromWire(said.error as WireError) } : said) as unknown as AnyEvent
}
