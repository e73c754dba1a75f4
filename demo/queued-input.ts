import type { QueuedInput } from 'turnloop'
import { element } from './dom.ts'

const notes: Record<QueuedInput['mode'], string> = {
  queue: 'Queued: is sent when this answer is done.',
  steer: 'Steers: is heard at the next turn of this answer.',
}

const nameOf = ({ filename, mediaType }: NonNullable<QueuedInput['files']>[number]) => `File: ${filename ?? mediaType}`

/** What was said and waits to be heard; it can be taken back until then. */
export function queuedInput({ text, files = [], mode }: QueuedInput, withdraw: () => Promise<void>): HTMLElement {
  const button = element('button', { className: 'link', type: 'button' }, 'Take back')
  button.addEventListener('click', async () => {
    button.disabled = true
    await withdraw().finally(() => {
      button.disabled = false
    })
  })
  return element(
    'article',
    { className: 'message user queued' },
    element('h3', { className: 'visually-hidden' }, 'You'),
    element('div', { className: 'said' }, [text, ...files.map(nameOf)].filter(Boolean).join('\n')),
    element('p', { className: 'note' }, notes[mode], ' ', button),
  )
}
