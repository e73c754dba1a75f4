/** Reads of a store that are under way at once, so that they hold nobody else up. */
const atOnce = 20

/** What a task makes of each item, in the order of the items. */
export async function inBatches<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += atOnce)
    results.push(...(await Promise.all(items.slice(at, at + atOnce).map(task))))
  return results
}
