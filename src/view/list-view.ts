import type { SessionInfo, View } from '../api/types.ts'
import type { EventKind } from '../events/kinds.ts'
import type { Scheduler } from './frames.ts'
import { viewKinds } from './reduce.ts'
import { share } from './share.ts'
import { createView } from './view.ts'

export interface ListSource {
  list(page: { readonly limit: number }): Promise<readonly SessionInfo[]>
  /** Calls `changed` with every event of these kinds, of any session; returns its undo. */
  listen(kinds: readonly EventKind[], changed: () => void): () => void
  /** Tells when the runtime is lost, and when it is there again; returns its undo. */
  onState(changed: (lost: boolean) => void): () => void
}

export interface ListViewOptions {
  readonly limit: number
  readonly frame?: Scheduler | undefined
}

/** How sessions come and go, and how their runs begin, wait and end: after these a list may look different. */
const kinds = viewKinds.filter((kind) => /^(session|run)-/.test(kind))

/** The newest sessions. Loads them again whenever something happened, one request at a time. */
export function createListView(source: ListSource, { limit, frame }: ListViewOptions): View<readonly SessionInfo[]> {
  return createView<readonly SessionInfo[]>({
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
          await source.list({ limit }).then((rows) => set((now) => withKnown(now, rows)), fail)
        }
        loading = false
      }
      // Listens first: what happens while the list is read makes it be read again.
      const leave = source.listen(kinds, load)
      const forget = source.onState((lost) => (lost ? set((now) => now.map(interrupted)) : void load()))
      void load()
      return () => {
        outdated = false
        leave()
        forget()
      }
    },
  })
}

/** Nobody advances the runs of a runtime that is gone. */
const interrupted = (row: SessionInfo): SessionInfo =>
  row.status === 'running' ? { ...row, status: 'interrupted' } : row

/** Rows that are as they were keep their identity, and so does a list of such rows. */
function withKnown(now: readonly SessionInfo[], rows: readonly SessionInfo[]): readonly SessionInfo[] {
  const known = new Map(now.map((row) => [row.id, row]))
  const next = rows.map((row) => share(known.get(row.id), row))
  return share(now, next)
}
