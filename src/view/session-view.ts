import type { Message } from '../api/message.ts'
import type { Approval, SessionSnapshot, SessionView, View } from '../api/types.ts'
import { fromWire, report, type WireError } from '../errors.ts'
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
  messages(params: { readonly sessionId: string; readonly before?: string; readonly limit: number }): Promise<{
    readonly messages: readonly Message[]
    readonly hasOlder: boolean
  }>
}

/** The open questions of all sessions: a session shows those of the runs below its own, too. */
export type Questions = Pick<View<readonly Approval[]>, 'getSnapshot' | 'subscribe'>

/** Messages that a view begins with. */
const windowSize = 50
/** Events that may wait for a frame: in a hidden page that can take a minute. */
const mostWaiting = 4096

/** A session as a UI shows it: joins when somebody watches, and reduces what it hears once per frame. */
export function createSessionView(
  id: string,
  source: ViewSource,
  { frame, questions }: { readonly frame?: Scheduler | undefined; readonly questions?: Questions | undefined } = {},
): SessionView {
  /** What the view shows next, but for the events that wait. */
  let latest = emptySession(id)
  let waiting: AnyEvent[] = []
  let set: (update: Update<SessionSnapshot>) => void = () => {}

  /** What runs below ask, and what the view shows with it. */
  let below: readonly Approval[] = []
  let shown = { of: latest, below, snapshot: latest }
  const withBelow = (): SessionSnapshot => {
    if (below.length === 0) return latest
    if (shown.of !== latest || shown.below !== below)
      shown = { of: latest, below, snapshot: { ...latest, approvals: [...latest.approvals, ...below] } }
    return shown.snapshot
  }

  const show = () => {
    const events = waiting
    waiting = []
    try {
      latest = reduceAll(latest, events)
    } catch {
      // One that can't be shown keeps none of the others back.
      for (const event of events) tryToShow(event)
    }
    return withBelow()
  }
  const tryToShow = (event: AnyEvent) => {
    try {
      latest = reduceAll(latest, [event])
    } catch (error) {
      report(error)
    }
  }

  const view = createView<SessionSnapshot>({
    initial: latest,
    frame,
    attach: (setView, fail) => {
      set = setView
      waiting = []
      let joined = false
      const look = () => {
        const now = questions?.getSnapshot().filter((asked) => isBelow(asked, id)) ?? []
        below = share(below, now)
        if (joined) set(show)
      }
      const forget = questions?.subscribe(look)
      const leave = source.join({ sessionId: id, kinds: viewKinds, window: windowSize }, (item) => {
        if (item.kind !== '@joined') {
          waiting.push(item)
          if (waiting.length >= mostWaiting) show()
        } else if (item.error) {
          const error = fromWire(item.error)
          show()
          latest = lose(latest, error)
          return fail(error, show)
        } else {
          joined = true
          waiting = [...item.events]
          if (item.snapshot) latest = rebase(latest, item.snapshot)
        }
        set(show)
      })
      look()
      return () => {
        forget?.()
        leave()
      }
    },
  })

  const load = async (limit: number) => {
    // Attached until what was loaded is shown.
    const leave = view.subscribe(() => {})
    try {
      await view.ready
      if (!latest.hasOlder) return
      const before = firstStored(latest)
      const { messages, hasOlder } = await source.messages({ sessionId: id, ...(before && { before }), limit })
      // The session may have been deleted or rewound meanwhile.
      if (firstStored(latest) !== before || !latest.hasOlder) return
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

const isBelow = ({ ancestors = [] }: Approval, id: string) => ancestors.some(({ sessionId }) => sessionId === id)

/** One that is being written isn't stored, and alone in the window where the session was rewound to before its start. */
const firstStored = ({ messages }: SessionSnapshot) =>
  messages.find(({ metadata }) => metadata.status !== 'streaming')?.id

/** A new beginning: what says the same keeps its identity, and older messages stay. */
function rebase(now: SessionSnapshot, base: SessionSnapshot): SessionSnapshot {
  const at = now.messages.findIndex(({ id }) => id === base.messages[0]?.id)
  if (at < 1) return share(now, base)
  return share(now, { ...base, messages: [...now.messages.slice(0, at), ...base.messages], hasOlder: now.hasOlder })
}
