import { byId } from './dom.ts'

const names = ['events', 'run', 'permissions'] as const
type TabName = (typeof names)[number]

/** The panel at the side: folded, or open on one of its tabs. */
export class Panel {
  readonly #region = byId('events')
  readonly #body = byId('events-panel')
  readonly #toggle = byId<HTMLButtonElement>('events-toggle')
  readonly #shown: (tab: TabName | undefined) => void
  #tab: TabName = 'events'

  /** `shown` hears which tab can be seen; none while the panel is folded. */
  constructor(shown: (tab: TabName | undefined) => void) {
    this.#shown = shown
    this.#toggle.addEventListener('click', () => this.#unfold(this.#body.hidden === true))
    this.#region.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || this.#body.hidden) return
      this.#unfold(false)
      this.#toggle.focus()
    })
    for (const name of names) tabOf(name).addEventListener('click', () => this.#choose(name))
    byId('panel-tabs').addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
      event.preventDefault()
      const step = event.key === 'ArrowLeft' ? names.length - 1 : 1
      this.#choose(names[(names.indexOf(this.#tab) + step) % names.length] ?? 'events')
      tabOf(this.#tab).focus()
    })
    this.#unfold(false)
  }

  /** Opens it on this tab, which takes the focus. */
  open(name: TabName): void {
    this.#tab = name
    this.#unfold(true)
    tabOf(name).focus()
  }

  #choose(name: TabName): void {
    this.#tab = name
    this.#unfold(true)
  }

  #unfold(open: boolean): void {
    this.#body.hidden = byId('panel-tabs').hidden = !open
    this.#toggle.ariaExpanded = String(open)
    document.body.dataset.events = open ? 'open' : 'folded'
    for (const name of names) {
      const chosen = name === this.#tab
      const tab = tabOf(name)
      tab.ariaSelected = String(chosen)
      tab.tabIndex = chosen ? 0 : -1
      byId(`${name}-tab`).hidden = !chosen
    }
    this.#shown(open ? this.#tab : undefined)
  }
}

const tabOf = (name: TabName) => byId<HTMLButtonElement>(`tab-${name}`)
