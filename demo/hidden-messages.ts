import type { Message, Session } from 'turnloop'
import { element, icon } from './dom.ts'
import { MessageView } from './message-view.ts'

/** The place where a part of the conversation was taken back. What stood there is kept, and shown to who asks. */
export function hiddenMessages(session: Session, messageId: string): HTMLElement {
  const list = element('div', { className: 'hidden-messages' })
  const summary = element(
    'summary',
    {},
    icon('history'),
    'An earlier version was here. The model does not see it any more.',
  )
  const details = element('details', { className: 'marker' }, summary, list)
  details.addEventListener('toggle', async () => {
    if (!details.open) return list.replaceChildren()
    const messages = hiddenFrom(await session.history(), messageId)
    list.replaceChildren(...messages.map((message) => shown(message, session)))
  })
  return details
}

/** All that is hidden in a row from this message on. */
function hiddenFrom(history: readonly Message[], messageId: string): readonly Message[] {
  const first = history.findIndex(({ id }) => id === messageId)
  const rest = history.slice(Math.max(0, first))
  const end = rest.findIndex(({ metadata }) => !metadata.hidden)
  return rest.slice(0, end < 0 ? undefined : end)
}

function shown(message: Message, session: Session): HTMLElement {
  const view = new MessageView(message.role, session.file)
  view.update(message, 'over', false)
  return view.element
}
