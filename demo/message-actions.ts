import type { Message } from 'turnloop'
import { element, icon } from './dom.ts'

/** What takes back a part of the conversation, and goes on from there. */
export interface Rewinds {
  /** Another text takes the place of what the user said; the answers to it go. */
  edit(message: Message, text: string): void
  /** Another answer takes the place of this one and all after it. */
  regenerate(messageId: string): void
}

/** What can be done with what was said. */
export interface MessageDeeds extends Rewinds {
  /** Another session, with all up to this message. */
  fork(messageId: string): void
}

/** What a person can do with a message: rewrite what they said, have an answer written again, or go on from there elsewhere. */
export class MessageActions {
  readonly element: HTMLElement
  readonly #owner: HTMLElement
  readonly #deeds: MessageDeeds
  #message: Message
  /** The first message of the answer that ends with this one. */
  #answer = ''

  /** `owner` is the message's element, to which the actions belong. */
  constructor(owner: HTMLElement, message: Message, deeds: MessageDeeds) {
    this.#owner = owner
    this.#message = message
    this.#deeds = deeds
    const edit = message.role === 'user'
    const button = edit ? iconButton('edit', 'Edit message') : iconButton('loop', 'Write this answer again')
    button.addEventListener('click', () => (edit ? this.#edit(button) : deeds.regenerate(this.#answer)))
    const fork = iconButton('fork', 'Fork from here')
    fork.addEventListener('click', () => deeds.fork(this.#message.id))
    this.element = element('div', { className: 'actions' }, button, fork)
  }

  update(message: Message, answer: string): void {
    this.#message = message
    this.#answer = answer
  }

  #edit(button: HTMLButtonElement): void {
    const box = element('textarea', { className: 'edited', ariaLabel: 'Edited message', rows: 2, required: true })
    box.value = textOf(this.#message)
    const cancel = element('button', { className: 'outlined', type: 'button' }, 'Cancel')
    const send = element('button', { className: 'primary', type: 'submit' }, 'Send edited')
    const form = element('form', { className: 'editor' }, box, element('div', { className: 'controls' }, cancel, send))
    const close = () => {
      delete this.#owner.dataset.editing
      form.remove()
      button.focus()
    }
    cancel.addEventListener('click', close)
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') return close()
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
      if (event.target !== box) return
      event.preventDefault()
      form.requestSubmit()
    })
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      if (!box.value.trim()) return
      close()
      this.#deeds.edit(this.#message, box.value)
    })
    this.#owner.dataset.editing = 'true'
    this.#owner.append(form)
    box.focus()
  }
}

const textOf = ({ parts }: Message) => parts.map((part) => (part.type === 'text' ? part.text : '')).join('\n')

function iconButton(name: string, label: string): HTMLButtonElement {
  const button = element('button', { className: 'quiet', type: 'button', title: label }, icon(name))
  button.ariaLabel = label
  return button
}
