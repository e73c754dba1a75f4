import type { Message } from '../api/message.ts'
import type { SessionSnapshot, SessionView } from '../api/types.ts'
import { fromWire, type WireError } from '../errors.ts'
import type { AnyEvent, EventKind } from '../events/kinds.ts'
import type { Scheduler } from './frames.ts'
import { emptySession, lose, reduceAll, viewKinds } from './reduce.ts'
import { share } from './share.ts'
import { createView, type Update } from './view.ts'

/** The start of what a view hears; said again where the runtime was lost and replaced, and with `error` where it was lost. */
export interface ViewJoined {
  readonly kind: '@joined'
  readonly snapshot?: SessionSnapshot
  /** What the snapshot lacks: a message that is being written. */
  readonly events: readonly AnyEvent[]
  readonly error?: WireError
}

/** Where a session's view comes from. */
export interface ViewSource {
  /** `receive` takes a joined, then events as they happen; returns its undo. */
  join(
    interest: { readonly sessionId: string; readonly kinds: readonly EventKind[]; readonly window: number },
    receive: (item: ViewJoined | AnyEvent) => void,
  ): () => void
  messages(params: { readonly sessionId: string; readonly before: string; readonly limit: number }): Promise<{
    readonly messages: readonly Message[]
    readonly hasOlder: boolean
  }>
}

/** Messages that a view begins with. */
const windowSize = 50
/** Events that may wait for a frame: in a hidden page that can take a minute. */
const mostWaiting = 4096

/** A session as a UI shows it: joins when somebody watches, and reduces what it hears once per frame. */
export function createSessionView(
  id: string,
  source: ViewSource,
  { frame }: { readonly frame?: Scheduler | undefined } = {},
): SessionView {
  /** What the view shows next, but for the events that wait. */
  let latest = emptySession(id)
  let waiting: AnyEvent[] = []
  let set: (update: Update<SessionSnapshot>) => void = () => {}

  const show = () => {
    const events = waiting
    waiting = []
    latest = reduceAll(latest, events)
    return latest
  }

  const view = createView<SessionSnapshot>({
    initial: latest,
    frame,
    attach: (setView, fail) => {
      set = setView
      waiting = []
      return source.join({ sessionId: id, kinds: viewKinds, window: windowSize }, (item) => {
        if (item.kind !== '@joined') {
          waiting.push(item)
          if (waiting.length >= mostWaiting) show()
        } else if (item.error) {
          const error = fromWire(item.error)
          latest = lose(show(), error)
          return fail(error, show)
        } else {
          waiting = [...item.events]
          if (item.snapshot) latest = rebase(latest, item.snapshot)
        }
        set(show)
      })
    },
  })

  const load = async (limit: number) => {
    // Attached until what was loaded is shown.
    const leave = view.subscribe(() => {})
    try {
      await view.ready
      const first = latest.messages[0]
      if (!first || !latest.hasOlder) return
      const { messages, hasOlder } = await source.messages({ sessionId: id, before: first.id, limit })
      // The session may have been deleted meanwhile.
      if (latest.messages[0]?.id !== first.id) return
      latest = { ...latest, messages: [...messages, ...latest.messages], hasOlder }
      set(show)
      await view.ready
    } finally {
      leave()
    }
  }
  let loading: Promise<void> | undefined

  return Object.assign(view, {
    loadOlder: (limit = windowSize) => {
      loading ??= load(limit).finally(() => {
        loading = undefined
      })
      return loading
    },
  })
}

/** A new beginning: what says the same keeps its identity, and older messages stay. */
function rebase(now: SessionSnapshot, base: SessionSnapshot): SessionSnapshot {
  const at = now.messages.findIndex(({ id }) => id === base.messages[0]?.id)
  if (at < 1) return share(now, base)
  return share(now, { ...base, messages: [...now.messages.slice(0, at), ...base.messages], hasOlder: now.hasOlder })
}
