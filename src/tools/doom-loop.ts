import { isObject } from '../is-object.ts'
import type { MessageRecord, PartRecord, ToolCallPart } from '../sessions/records.ts'

// Whether a model goes round in circles: it makes the same call, or the same few in the same order, again and again, or
// neither speaks nor calls. All of it is read from the history, so that it outlasts every reload.

/** What a model did: a call, or an answer that neither speaks nor calls. */
export interface Deed {
  /** The call's id, or the answer's. */
  readonly id: string
  readonly call?: ToolCallPart
}

export interface Loop {
  /** What comes again and again, in its order; the last one is the deed at which the loop was found. */
  readonly cycle: readonly Deed[]
  /** How often it came, this time included. */
  readonly repetitions: number
}

export interface LoopOptions {
  /** Times that it must come in a row. */
  readonly repetitions: number
  readonly longestCycle: number
}

/** What the model did since somebody last said something, or since `after`, a deed's id. Repeatable tools don't count. */
export function deedsOf(
  history: readonly MessageRecord[],
  isRepeatable: (call: ToolCallPart) => boolean,
  after?: string,
): readonly Deed[] {
  const deeds: Deed[] = []
  for (let index = history.length - 1; index >= 0; index--) {
    const message = history[index]
    if (!message || message.role === 'user') break
    if (message.role === 'tool' || message.status === 'partial') continue
    for (const deed of deedsIn(message.id, message.parts).reverse()) {
      if (deed.id === after) return deeds.reverse()
      if (!deed.call || !isRepeatable(deed.call)) deeds.push(deed)
    }
  }
  return deeds.reverse()
}

function deedsIn(id: string, parts: readonly PartRecord[]): Deed[] {
  if (parts.every(isSilent)) return [{ id }]
  // What the provider carries out itself is over when we hear of it.
  return parts.flatMap((part) =>
    part.type === 'tool-call' && !part.providerExecuted ? [{ id: part.toolCallId, call: part }] : [],
  )
}

const isSilent = (part: PartRecord) => part.type === 'reasoning' || (part.type === 'text' && part.text.trim() === '')

/** The loop that the last of these deeds goes on with; the shortest cycle, where there are several. */
export function loopAt(deeds: readonly Deed[], { repetitions, longestCycle }: LoopOptions): Loop | undefined {
  for (let length = 1; length <= longestCycle; length++) {
    let again = 0
    while (sameDeed(deeds.at(-1 - again), deeds.at(-1 - again - length))) again++
    const times = Math.floor(again / length) + 1
    if (times >= repetitions) return { cycle: deeds.slice(-length), repetitions: times }
  }
  return undefined
}

const sameDeed = (a: Deed | undefined, b: Deed | undefined) =>
  a !== undefined &&
  b !== undefined &&
  a.call?.toolName === b.call?.toolName &&
  sameInput(a.call?.input, b.call?.input, deepest)

/** Levels that are compared: what is nested deeper counts as different. */
const deepest = 500

/** Whether two inputs are the same JSON, in whatever order their keys stand. */
function sameInput(a: unknown, b: unknown, levels: number): boolean {
  if (a === b) return true
  if (levels === 0 || !isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameInput(a[key], b[key], levels - 1))
  )
}

/** Characters of a tool's name that are shown: a model may make one up. */
const longestName = 64

/** The loop in a sentence. */
export function describeLoop({ cycle, repetitions }: Loop): string {
  const names = cycle.map(({ call }) => call && `“${call.toolName.slice(0, longestName)}”`)
  if (names.length > 1)
    return `The model went ${repetitions} times through the same ${names.length} steps: ${names.map((name) => name ?? 'silence').join(', ')}.`
  if (!names[0]) return `The model neither spoke nor called a tool, ${repetitions} times in a row.`
  return `The model called ${names[0]} ${repetitions} times in a row with the same input.`
}
