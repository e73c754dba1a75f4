import type { TreeNode } from '../api/run-tree.ts'
import type { RunTree, View } from '../api/types.ts'
import { report } from '../errors.ts'
import type { AnyEvent, EventKind } from '../events/kinds.ts'
import type { Scheduler } from './frames.ts'
import { loseTree, reduceTree, shownTree, treeKinds } from './reduce-tree.ts'
import { share } from './share.ts'
import { createView } from './view.ts'

export interface TreeSource {
  load(): Promise<TreeNode | undefined>
  /** Hears of the run and of all below it; returns its undo. */
  listen(
    interest: { readonly runId: string; readonly descendants: true; readonly kinds: readonly EventKind[] },
    receive: (event: AnyEvent) => void,
  ): () => void
  /** Tells when the runtime is lost, and when it is there again; returns its undo. */
  onState(changed: (lost: boolean) => void): () => void
}

/** Events that may wait for a frame: in a hidden page that can take a minute. */
const mostWaiting = 4096

/** A run with all below it, as a UI shows it: read once, and then what is told of them, once per frame. */
export function createTreeView(
  runId: string,
  source: TreeSource,
  { frame }: { readonly frame?: Scheduler | undefined } = {},
): View<RunTree | undefined> {
  const shown = new WeakMap<TreeNode, RunTree>()
  let tree: TreeNode | undefined
  let waiting: AnyEvent[] = []

  return createView<RunTree | undefined>({
    initial: undefined,
    frame,
    attach: (set, fail) => {
      let attached = true
      let loading = false
      let outdated = false
      waiting = []
      const show = () => {
        reduce()
        return tree && shownTree(shown, tree)
      }
      const reduce = () => {
        // What is told while it is read goes on top of that.
        if (loading) return
        const events = waiting
        waiting = []
        const next = tree && tryToReduce(tree, events)
        // A run that it doesn't know.
        if (next) tree = next
        else if (events.length > 0) void load()
      }
      const load = async () => {
        outdated = true
        if (loading) return
        loading = true
        let failure: { readonly error: unknown } | undefined
        while (outdated && attached) {
          outdated = false
          failure = undefined
          try {
            tree = share(tree, (await source.load()) ?? tree)
          } catch (error) {
            failure = { error }
          }
        }
        loading = false
        if (failure) fail(failure.error, show)
        else set(show)
      }
      const leave = source.listen({ runId, descendants: true, kinds: treeKinds }, (event) => {
        waiting.push(event)
        if (waiting.length >= mostWaiting) reduce()
        if (!loading) set(show)
      })
      const forget = source.onState((lost) => {
        if (!lost) return void load()
        reduce()
        tree = tree && loseTree(tree)
        set(show)
      })
      void load()
      return () => {
        attached = false
        leave()
        forget()
      }
    },
  })
}

/** Events that can't be shown are reported, and keep none of the others back. */
function tryToReduce(tree: TreeNode, events: readonly AnyEvent[]): TreeNode | undefined {
  try {
    return reduceTree(tree, events)
  } catch (error) {
    report(error)
    return undefined
  }
}
