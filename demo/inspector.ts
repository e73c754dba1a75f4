import type { AnyEvent, InvocationHandle, Session } from 'turnloop'
import { byId } from './dom.ts'
import { EventRow } from './event-row.ts'

const limit = 500

/**
 * What listeners receive, as it comes: the one part of the page that listens with `on` and does not render a view. It
 * listens only while it is open, and begins with a replay of the session's log.
 */
export class Inspector {
  readonly #list = byId('events-list')
  readonly #pause = byId<HTMLButtonElement>('events-pause')
  readonly #count = byId('events-count')
  #rows: EventRow[] = []
  #session: Session | undefined
  #listening: InvocationHandle | undefined
  #open = false
  #paused = false
  /** Rows that the list doesn't show yet, from this one on. */
  #shown = 0
  #missed = 0
  #frame = 0

  constructor() {
    this.#pause.addEventListener('click', () => this.#setPaused(!this.#paused))
    byId('events-clear').addEventListener('click', () => this.#clear())
  }

  open(session: Session): void {
    this.#session = session
    this.#listen()
  }

  show(open: boolean): void {
    if (open === this.#open) return
    this.#open = open
    this.#listen()
  }

  #listen(): void {
    this.#listening?.abort()
    this.#listening = undefined
    this.#clear()
    if (!this.#open || !this.#session) return
    this.#listening = this.#session.on('any', (event) => this.#add(event as AnyEvent), { since: 0 })
  }

  #add(event: AnyEvent): void {
    if (!this.#rows.at(-1)?.merge(event)) {
      this.#rows.push(new EventRow(event))
      if (this.#rows.length > limit) {
        this.#rows.shift()?.element.remove()
        this.#shown = Math.max(0, this.#shown - 1)
      }
    }
    this.#missed++
    this.#frame ||= requestAnimationFrame(() => this.#render())
  }

  #render(): void {
    this.#frame = 0
    this.#count.textContent = this.#paused ? `+${this.#missed}` : String(this.#rows.length)
    if (this.#paused) return
    this.#missed = 0
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 48
    // only the last row that was shown can have grown
    for (const row of this.#rows.slice(Math.max(0, this.#shown - 1))) row.render()
    this.#list.append(...this.#rows.slice(this.#shown).map(({ element }) => element))
    this.#shown = this.#rows.length
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused
    this.#pause.ariaPressed = String(paused)
    this.#missed = 0
    this.#render()
  }

  #clear(): void {
    this.#rows = []
    this.#shown = this.#missed = 0
    this.#list.replaceChildren()
    this.#render()
  }
}
