import type { EventKind } from '../events/kinds.ts'
import { longestDelay } from '../events/sleep.ts'
import { createRowsView } from '../view/list-view.ts'
import type { Channel } from './channel.ts'
import type { Grant, GrantDesk } from './types.ts'

/** After these the grants may be others. What other tabs grant or revoke shows in `session-updated`. */
const kinds: readonly EventKind[] = ['approval-resolved', 'session-updated', 'session-deleted']

/** What a session has granted for good, and the way to take it back. */
export function createGrantDesk(channel: Channel, sessionId: string): GrantDesk {
  let expiry: ReturnType<typeof setTimeout> | undefined
  let changed: (() => void) | undefined
  const view = createRowsView<Grant>({
    idOf: ({ actionKey }) => actionKey,
    load: async () => {
      const { grants, expiresIn } = await channel.call('grants', { sessionId })
      clearTimeout(expiry)
      if (changed && expiresIn !== undefined) expiry = setTimeout(changed, Math.min(expiresIn, longestDelay))
      return grants
    },
    listen: (tell) => {
      changed = tell
      const leave = channel.listen({ sessionId, kinds }, tell)
      return () => {
        changed = undefined
        clearTimeout(expiry)
        leave()
      }
    },
    onState: (tell) => channel.onSettled(() => tell(channel.state === 'lost')),
  })
  return Object.assign(view, {
    revoke: (actionKey: string) => channel.call('revoke', { sessionId, actionKey }),
  })
}
