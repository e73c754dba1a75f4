import type { View } from '../api/types.ts'
import { report } from '../errors.ts'
import { nextFrame, type Scheduler } from './frames.ts'

/** A new snapshot, or how it follows from the one before. */
export type Update<T> = T | ((now: T) => T)

export interface ViewOptions<T> {
  readonly initial: T
  /**
   * Begins to watch what the view shows; returns its undo. `set` may be called at once, later and often: functions are
   * called when the view is next shown, and one that waits for that already is not added again. `fail` rejects `ready`; a
   * snapshot that shows the error may go with it. Both do nothing once the view is detached.
   */
  attach(set: (next: Update<T>) => void, fail: (error: unknown, next?: Update<T>) => void): () => void
  /** Says when changes are shown: at the next animation frame by default. */
  readonly frame?: Scheduler | undefined
}

/** A view that watches its source for as long as somebody watches it. */
export function createView<T>({ initial, attach, frame = nextFrame }: ViewOptions<T>): View<T> {
  let snapshot = initial
  let updates: Update<T>[] = []
  /** What the source has answered since the view is attached. */
  let outcome: { readonly error?: unknown } | undefined
  let ready: Promise<T> | undefined
  /** Settles `ready`, once there is an outcome. */
  let settle: (() => void) | undefined
  let scheduled = false
  let holders = 0
  let detach = () => {}
  // Not the functions themselves: the same one may be subscribed twice.
  const subscribers = new Set<{ readonly changed: () => void }>()

  const flush = () => {
    let next = snapshot
    for (const update of updates.splice(0)) {
      next = typeof update === 'function' ? (update as (now: T) => T)(next) : update
    }
    const changed = !Object.is(snapshot, next)
    snapshot = next
    settle?.()
    for (const subscriber of changed ? [...subscribers] : []) {
      try {
        if (subscribers.has(subscriber)) subscriber.changed()
      } catch (error) {
        report(error)
      }
    }
  }

  const open = () => {
    let attached = true
    const change = (result: { readonly error?: unknown }, update: Update<T>) => {
      if (!attached) return
      outcome = result
      if (updates.at(-1) !== update) updates.push(update)
      // Nobody is to be called, so that nobody need wait for the frame.
      if (subscribers.size === 0) return flush()
      if (scheduled) return
      scheduled = true
      frame(() => {
        scheduled = false
        flush()
      })
    }
    const fail = (error: unknown, next: Update<T> = (now) => now) => change({ error }, next)
    let leave = () => {}
    try {
      leave = attach((next) => change({}, next), fail)
    } catch (error) {
      fail(error)
    }
    detach = () => {
      attached = false
      outcome = undefined
      updates = []
      leave()
    }
  }

  /** Keeps the view attached until the returned function is called. */
  const hold = () => {
    let held = true
    if (holders++ === 0) open()
    return () => {
      if (held && --holders === 0) detach()
      held = false
    }
  }

  return {
    getSnapshot: () => snapshot,
    subscribe: (changed) => {
      const subscriber = { changed }
      const release = hold()
      subscribers.add(subscriber)
      return () => {
        subscribers.delete(subscriber)
        release()
      }
    },
    get ready() {
      ready ??= new Promise<T>((resolve, reject) => {
        const release = hold()
        settle = () => {
          if (!outcome) return
          if ('error' in outcome) reject(outcome.error)
          else resolve(snapshot)
          ready = undefined
          settle = undefined
          release()
        }
      })
      const promise = ready
      // What was answered already; else the flush to come settles it.
      if (updates.length === 0) settle?.()
      return promise
    },
  }
}
