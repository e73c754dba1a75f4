import { byId } from './dom.ts'

const narrow = matchMedia('(width < 52rem)')

/** The sessions on a narrow screen: a drawer over the page, which waits behind it. */
export class Drawer {
  readonly #nav = byId('sessions')
  readonly #menu = byId<HTMLButtonElement>('menu')
  readonly #backdrop = byId('backdrop')

  constructor() {
    this.#menu.addEventListener('click', () => this.#set(true))
    this.#backdrop.addEventListener('click', () => this.close())
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#open) this.close()
    })
    narrow.addEventListener('change', () => this.#set(false))
  }

  /** Closes it, and gives the focus back, where it is open. */
  close(): void {
    if (!this.#open) return
    this.#set(false)
    this.#menu.focus()
  }

  get #open(): boolean {
    return this.#nav.dataset.open === 'true'
  }

  #set(open: boolean): void {
    this.#nav.dataset.open = String(open)
    this.#backdrop.hidden = !open
    this.#menu.ariaExpanded = String(open)
    byId('main').inert = byId('events').inert = open
    if (open) byId('new-session').focus()
  }
}
