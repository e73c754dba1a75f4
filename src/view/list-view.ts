import type { SessionInfo, View } from '../api/types.ts'
import type { EventKind } from '../events/kinds.ts'
import type { Scheduler } from './frames.ts'
import { viewKinds } from './reduce.ts'
import { share } from './share.ts'
import { createView } from './view.ts'

export interface ListSource {
  list(page: { readonly limit: number; readonly parent?: string }): Promise<readonly SessionInfo[]>
  /** Calls `changed` with every event of these kinds, of any session; returns its undo. */
  listen(kinds: readonly EventKind[], changed: () => void): () => void
  /** Tells when the runtime is lost, and when it is there again; returns its undo. */
  onState(changed: (lost: boolean) => void): () => void
}

export interface ListViewOptions {
  readonly limit: number
  /** Those under that session. */
  readonly parent?: string | undefined
  readonly frame?: Scheduler | undefined
}

/** How sessions come and go, and how their runs begin, wait and end: after these a list may look different. */
const kinds = viewKinds.filter((kind) => /^(session|run|approval)-/.test(kind))

/** The newest sessions. */
export const createListView = (
  source: ListSource,
  { limit, parent, frame }: ListViewOptions,
): View<readonly SessionInfo[]> =>
  createRowsView<SessionInfo>({
    idOf: ({ id }) => id,
    load: () => source.list({ limit, ...(parent === undefined ? undefined : { parent }) }),
    listen: (changed) => source.listen(kinds, changed),
    onState: source.onState,
    // Nobody advances the runs of a runtime that is gone.
    lost: (row) => (row.status === 'running' ? { ...row, status: 'interrupted' } : row),
    frame,
  })

export interface RowsSource<T> {
  readonly idOf: (row: T) => string
  load(): Promise<readonly T[]>
  /** Calls `changed` when the rows may be others; returns its undo. */
  listen(changed: () => void): () => void
  /** Tells when the runtime is lost, and when it is there again; returns its undo. */
  onState(changed: (lost: boolean) => void): () => void
  /** A row as it is shown once the runtime is lost. */
  readonly lost?: (row: T) => T
  readonly frame?: Scheduler | undefined
}

/** Rows that are loaded again whenever something happened, one request at a time. */
export function createRowsView<T>(source: RowsSource<T>): View<readonly T[]> {
  const { idOf, lost: asLost = (row: T) => row, frame } = source
  return createView<readonly T[]>({
    initial: [],
    frame,
    attach: (set, fail) => {
      let loading = false
      let outdated = false
      const load = async () => {
        outdated = true
        if (loading) return
        loading = true
        while (outdated) {
          outdated = false
          await source.load().then((rows) => set((now) => withKnown(idOf, now, rows)), fail)
        }
        loading = false
      }
      // Listens first: what happens while the list is read makes it be read again.
      const leave = source.listen(load)
      const forget = source.onState((lost) => (lost ? set((now) => now.map(asLost)) : void load()))
      void load()
      return () => {
        outdated = false
        leave()
        forget()
      }
    },
  })
}

/** Rows that are as they were keep their identity, and so does a list of such rows. */
function withKnown<T>(idOf: (row: T) => string, now: readonly T[], rows: readonly T[]): readonly T[] {
  const known = new Map(now.map((row) => [idOf(row), row]))
  const next = rows.map((row) => share(known.get(idOf(row)), row))
  return share(now, next)
}
