import type { MessageRecord } from '../sessions/records.ts'
import { estimateMessage } from './estimate-tokens.ts'
import { told } from './told.ts'

/** Of what may be told, how much is kept once something has to go: the next turns then leave the same messages out. */
const spared = 0.75

/** Else a model may take the first question for the one that the newest messages answer. */
const gap = told('Messages that stood here were left out, since they no longer fit.')

export interface Room {
  /** Tokens that there are for the messages. */
  readonly limit: number
  /** The message from which on all were kept the last time: that holds for as long as it fits. */
  readonly keptFrom?: number | undefined
}

export interface Trimmed {
  readonly messages: readonly MessageRecord[]
  /** How many were left out. */
  readonly trimmedCount: number
  readonly tokens: number
  /** The index of the first message after those that were left out; absent where all fit. */
  readonly keptFrom?: number
}

/** A history as a model is told of it: what always comes, and the messages after it. */
export interface Parts {
  readonly first: readonly MessageRecord[]
  readonly messages: readonly MessageRecord[]
  /** Of all of them. */
  readonly tokens: number
}

/**
 * The messages that fit: `first`, which are always told, the last message of the user, and as many of the newest of
 * `messages` as there is room for. A call is never parted from its result. What has to be told is told even where it
 * does not fit.
 */
export function trim({ first, messages, tokens }: Parts, room: Room): Trimmed {
  const whole = { messages: [...first, ...messages], trimmedCount: 0, tokens }
  if (tokens <= room.limit) return whole
  const always = total(first)
  const question = messages.findLastIndex(({ role }) => role === 'user')
  const asked = messages.slice(question, question + 1)
  const limit = room.limit - always - total(asked) - estimateMessage(gap)
  const before = messages.findLastIndex(({ index }) => index === room.keptFrom)
  const holds = before > 0 && total(messages.slice(before)) <= limit
  const cut = holds ? before : cutFor(messages, limit * spared)
  const from = messages[cut]
  // Where the question is among what is left out, it is told all the same.
  const kept = question < cut ? asked : []
  const trimmedCount = cut - kept.length
  if (!from || trimmedCount <= 0) return whole
  const told = [...first, gap, ...kept, ...messages.slice(cut)]
  return { messages: told, trimmedCount, tokens: total(told), keptFrom: from.index }
}

/** Where to cut so that no more than `limit` tokens come after it; the last place there is where even that is too much. */
export function cutFor(messages: readonly MessageRecord[], limit: number): number {
  let tokens = 0
  let cut = messages.length
  const owed = new Set<string>()
  for (let at = messages.length - 1; at >= 0; at--) {
    const message = messages[at] as MessageRecord
    tokens += estimateMessage(message)
    if (cut < messages.length && tokens > limit) return cut
    if (message.role === 'assistant') settle(message, owed)
    if (message.role !== 'tool' && owed.size === 0) cut = at
  }
  return cut === messages.length ? 0 : cut
}

/** Results that a provider gave in a later answer belong to the call in an earlier one. */
function settle({ parts }: Extract<MessageRecord, { role: 'assistant' }>, owed: Set<string>) {
  for (const part of parts) if (part.type === 'tool-result') owed.add(part.toolCallId)
  for (const part of parts) if (part.type === 'tool-call') owed.delete(part.toolCallId)
}

export function total(messages: readonly MessageRecord[]): number {
  let tokens = 0
  for (const message of messages) tokens += estimateMessage(message)
  return tokens
}
