import { byId } from './dom.ts'

/** What can be done with the session as a whole: a small menu below its button. */
export class SessionMenu {
  readonly #button = byId<HTMLButtonElement>('session-menu')
  readonly #items = byId('session-actions')

  constructor(actions: Readonly<Record<string, () => void>>) {
    this.#button.addEventListener('click', () => this.#set(this.#items.hidden === true))
    for (const [id, act] of Object.entries(actions)) {
      byId(id).addEventListener('click', () => {
        this.#set(false)
        this.#button.focus()
        act()
      })
    }
    const whole = this.#button.parentElement
    whole?.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || this.#items.hidden) return
      this.#set(false)
      this.#button.focus()
    })
    document.addEventListener('pointerdown', (event) => {
      if (!whole?.contains(event.target as Node)) this.#set(false)
    })
    whole?.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !whole.contains(relatedTarget as Node)) this.#set(false)
    })
  }

  /** Whether there is a session to do something with. */
  enable(enabled: boolean): void {
    for (const button of this.#items.querySelectorAll('button')) button.disabled = !enabled
  }

  #set(open: boolean): void {
    this.#items.hidden = !open
    this.#button.ariaExpanded = String(open)
  }
}
