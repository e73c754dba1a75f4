import type { EventKind } from '../events/kinds.ts'
import { createRowsView } from '../view/list-view.ts'
import type { App } from './app.ts'
import type { Channel } from './channel.ts'
import type { Approval, ApprovalDesk } from './types.ts'

/** After these the list of open questions may be another. Those of other tabs show in `session-updated`. */
const kinds: readonly EventKind[] = ['approval-requested', 'approval-resolved', 'session-updated', 'session-deleted']

/** The open questions of all sessions, and the way to answer them. */
export function createApprovalDesk<A extends App>(channel: Channel): ApprovalDesk<A> {
  const view = createRowsView<Approval>({
    idOf: ({ id }) => id,
    load: () => channel.call('approvals', undefined),
    listen: (changed) => channel.listen({ kinds }, changed),
    onState: (changed) => channel.onSettled(() => changed(channel.state === 'lost')),
  })
  return Object.assign(view, {
    answer: async (approval: Approval, answer: unknown) => {
      const { sessionId, id: approvalId } = approval
      const { toolCallId, input } = approval as Partial<Extract<Approval, { reason: 'policy' }>>
      await channel.call('answer', { sessionId, approvalId, answer, bound: { toolCallId, input } })
    },
  }) as unknown as ApprovalDesk<A>
}
