// What was rewound is hidden, and kept: a session's record has the ranges of its messages' indices that are not to be seen.

/** `from <= index < before`. */
export type Span = readonly [from: number, before: number]

/** Ascending, and apart from each other. */
export type Hidden = readonly Span[] | undefined

/** With everything from `from` on hidden, up to `before`, where the session ends. */
export function hide(hidden: Hidden = [], from: number, before: number): readonly Span[] {
  const earlier = hidden.filter(([start]) => start < from)
  const last = earlier.at(-1)
  if (!last || last[1] < from) return [...earlier, [from, before]]
  return [...earlier.slice(0, -1), [last[0], before]]
}

/** What is to be seen of `from <= index < before`, ascending: at most `limit` messages, the newest of them. */
export function visible(hidden: Hidden, from: number, before: number, limit = Number.POSITIVE_INFINITY): Span[] {
  const spans: Span[] = []
  let end = before
  let left = limit
  for (const [start, stop] of [...(hidden ?? []).toReversed(), [from, from] as const]) {
    const begin = Math.max(stop, from, end - left)
    if (begin < end) {
      spans.unshift([begin, end])
      left -= end - begin
    }
    end = Math.min(end, start)
  }
  return spans
}

export const isHidden = (hidden: Hidden, index: number): boolean =>
  hidden?.some(([from, before]) => from <= index && index < before) === true

/** The messages that are to be seen of a session. */
export const visibleCount = ({ messageCount, hidden }: { readonly messageCount: number; readonly hidden?: Hidden }) =>
  visible(hidden, 0, messageCount).reduce((count, [from, before]) => count + before - from, 0)

/** The index of the first message that is to be seen. */
export const firstVisible = (hidden: Hidden): number => (hidden?.[0]?.[0] === 0 ? hidden[0][1] : 0)

/** The same messages in parts of at most `size`, so that no transaction reads more. */
export function inParts(spans: readonly Span[], size: number): Span[][] {
  const parts: Span[][] = []
  let room = 0
  for (const [from, before] of spans) {
    for (let begin = from; begin < before; ) {
      if (room === 0) parts.push([])
      const end = Math.min(before, begin + (room || size))
      parts.at(-1)?.push([begin, end])
      room = (room || size) - (end - begin)
      begin = end
    }
  }
  return parts
}
