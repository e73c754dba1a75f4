import type { SessionInfo } from 'turnloop'
import { arrange, element, icon } from './dom.ts'

interface Row {
  readonly element: HTMLLIElement
  readonly link: HTMLAnchorElement
  readonly title: HTMLElement
  readonly time: HTMLTimeElement
  readonly asks: HTMLElement
  readonly remove: HTMLButtonElement
}

/** The list of sessions, newest first, each a link to its id in the address's hash. */
export class SessionsList {
  readonly #list: HTMLElement
  readonly #remove: (id: string) => void
  readonly #rows = new Map<string, Row>()

  constructor(list: HTMLElement, remove: (id: string) => void) {
    this.#list = list
    this.#remove = remove
  }

  render(sessions: readonly SessionInfo[], current: string): void {
    for (const id of this.#rows.keys()) if (!sessions.some((session) => session.id === id)) this.#rows.delete(id)
    arrange(
      this.#list,
      sessions.map((session) => {
        const row = this.#row(session.id)
        row.title.textContent = session.title
        row.link.dataset.status = session.status
        row.link.title = [session.title, ...standing(session)].join(' · ')
        row.asks.hidden = session.approvals === 0
        row.time.dateTime = new Date(session.updatedAt).toISOString()
        row.time.textContent = shortTime(session.updatedAt)
        row.remove.ariaLabel = `Delete session ${session.title}`
        if (session.id === current) row.link.setAttribute('aria-current', 'page')
        else row.link.removeAttribute('aria-current')
        return row.element
      }),
    )
  }

  #row(id: string): Row {
    const known = this.#rows.get(id)
    if (known) return known
    const title = element('span', { className: 'title' })
    const time = element('time')
    const asks = element('span', { className: 'asks', hidden: true }, icon('question'))
    asks.append(element('span', { className: 'visually-hidden' }, 'Has a question'))
    const link = element('a', { href: `#${encodeURIComponent(id)}` }, title, asks, time)
    const remove = element('button', { className: 'quiet', type: 'button', title: 'Delete' }, icon('trash'))
    const row = { element: element('li', {}, link, remove), link, title, time, asks, remove }
    remove.addEventListener('click', () => {
      const next = row.element.nextElementSibling ?? row.element.previousElementSibling
      const target = next?.querySelector('button') ?? document.getElementById('new-session')
      target?.focus()
      this.#remove(id)
    })
    this.#rows.set(id, row)
    return row
  }
}

const standing = ({ status, approvals }: SessionInfo) => [
  ...(status === 'ready' ? [] : [status]),
  ...(approvals === 0 ? [] : [approvals === 1 ? 'a question' : `${approvals} questions`]),
]

function shortTime(at: number): string {
  const date = new Date(at)
  const today = date.toDateString() === new Date().toDateString()
  return today
    ? date.toLocaleTimeString(undefined, { timeStyle: 'short' })
    : date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })
}
