import { useMemo, useSyncExternalStore } from 'react'
import type { View } from '../api/types.ts'

/**
 * The view's snapshot, or what `select` makes of it: the component renders again when that changes (`Object.is`). Attaches
 * the view for as long as the component is mounted.
 */
export function useView<T>(view: View<T>): T
export function useView<T, S>(view: View<T>, select: (snapshot: T) => S): S
export function useView<T, S>(view: View<T>, select?: (snapshot: T) => S): T | S {
  const read = useMemo(() => {
    if (!select) return view.getSnapshot
    // Called once per snapshot: React calls `read` often, and takes another object for another state.
    let last: { readonly snapshot: T; readonly selected: S } | undefined
    return () => {
      const snapshot = view.getSnapshot()
      if (!last || !Object.is(last.snapshot, snapshot)) last = { snapshot, selected: select(snapshot) }
      return last.selected
    }
  }, [view, select])
  return useSyncExternalStore<T | S>(view.subscribe, read, read)
}
