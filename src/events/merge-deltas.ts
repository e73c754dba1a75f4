// STOPGAP by the lead, to unblock others: replace freely.
export function mergeDeltas<T extends object>(events: readonly T[]): T[] {
  const merged: T[] = []
  for (const event of events) {
    const now = event as Record<string, unknown>
    const last = merged.at(-1) as Record<string, unknown> | undefined
    if (last && 'delta' in now && last.kind === now.kind && last.messageId === now.messageId && last.partId === now.partId)
      merged[merged.length - 1] = { ...now, delta: String(last.delta) + String(now.delta), ...('start' in last ? { start: last.start } : {}) } as T
    else merged.push(event)
  }
  return merged
}
export const sizeOf = (event: object): number =>
  'delta' in event ? 200 + 2 * String(event.delta).length : 'message' in event ? 400 + JSON.stringify(event.message).length : 400
