/** What the browser says of the room that it gives this origin. */
export interface StorageStatus {
  /** The browser does not delete the data by itself: it was asked not to, and agreed. */
  readonly persisted: boolean
  /** Bytes that the whole origin takes, about, and may take. */
  readonly usage?: number
  readonly quota?: number
}

/** Missing in Node, and in places that are no secure context. */
const manager = () => (typeof navigator === 'object' ? (navigator.storage as StorageManager | undefined) : undefined)

export async function storageStatus(): Promise<StorageStatus> {
  const [persisted = false, estimate = {}] = await Promise.all([
    manager()
      ?.persisted?.()
      .catch(() => false),
    manager()
      ?.estimate?.()
      .catch(() => ({}) as StorageEstimate),
  ])
  const { usage, quota } = estimate
  return {
    persisted,
    ...(usage === undefined ? undefined : { usage }),
    ...(quota === undefined ? undefined : { quota }),
  }
}

/** Asks the browser not to delete the origin's data by itself. Only a page can ask: elsewhere this says how it stands. */
export async function requestPersistence(): Promise<boolean> {
  const storage = manager()
  if (typeof storage?.persist === 'function') return storage.persist()
  return (await storage?.persisted?.()) ?? false
}
