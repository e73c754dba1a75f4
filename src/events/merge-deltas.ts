import type { App } from '../api/app.ts'
import type { EventKind, EventOf } from './kinds.ts'

/** What may stand in a queue: an event, or whatever else is told in order with events. */
interface Item {
  readonly kind: string
  readonly sessionId?: string
}

type Delta = EventOf<App, Extract<EventKind, `${string}-delta`>> & {
  readonly messageId?: string
  readonly partId?: string
  readonly start?: number
  /** The provider's id, where the delta is its own. */
  readonly id?: string
}

/**
 * The same items with consecutive deltas of a part as one: `start` of the first, `at` and `seq` of the last. Events of
 * other sessions may stand between them; an event of the same session, or an item of no session, parts them.
 */
export function mergeDeltas<T extends Item>(items: readonly T[]): T[] {
  const merged: (T | Delta)[] = []
  /** Where each session's last event stands in `merged`. */
  const last = new Map<string, number>()
  for (const item of items as readonly (T | Delta)[]) {
    const { sessionId } = item
    const index = sessionId === undefined ? -1 : (last.get(sessionId) ?? -1)
    const before = merged[index]
    if (before && isDelta(before) && isDelta(item) && follows(before, item)) {
      merged[index] = { ...before, delta: before.delta + item.delta, at: item.at, seq: item.seq }
    } else {
      if (sessionId === undefined) last.clear()
      else last.set(sessionId, merged.length)
      merged.push(item)
    }
  }
  return merged as T[]
}

const isDelta = (item: Item): item is Delta => 'delta' in item

/** A delta that tells a part again from an earlier position doesn't follow. */
const follows = (before: Delta, next: Delta) =>
  before.kind === next.kind &&
  before.runId === next.runId &&
  before.messageId === next.messageId &&
  before.partId === next.partId &&
  before.id === next.id &&
  (next.start === undefined || before.start === next.start - before.delta.length)

/** How many values of one array or object are looked at, and how many of an item in all. */
const sampled = 32
const most = 1000

/** About how many bytes an item takes in memory; cheap, so that large arrays and objects are sampled. */
export function sizeOf(item: Item): number {
  return isDelta(item) ? 200 + 2 * item.delta.length : walk(item, { left: most })
}

function walk(value: unknown, budget: { left: number }): number {
  if (typeof value === 'string') return 16 + 2 * value.length
  if (typeof value !== 'object' || value === null) return 8
  const values: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  const step = Math.ceil(values.length / sampled)
  let size = 0
  for (let i = 0; i < values.length && budget.left-- > 0; i += step) size += 16 + walk(values[i], budget)
  return 32 + size * step
}
