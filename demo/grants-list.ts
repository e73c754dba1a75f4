import type { Grant, Session } from 'turnloop'
import { arrange, byId, element } from './dom.ts'
import { clock } from './format.ts'

/** What was allowed for good in a session, each to be taken back. It follows the session's grants while it is open. */
export class GrantsList {
  readonly #list = byId('grants')
  readonly #none = byId('no-grants')
  readonly #rows = new Map<string, HTMLLIElement>()
  #leave = () => {}

  /** Nothing where nobody sees it. */
  follow(session: Session | undefined): void {
    this.#leave()
    this.#leave = () => {}
    this.#rows.clear()
    this.#list.replaceChildren()
    if (!session) return
    const { grants } = session
    const render = () => this.#render(grants.getSnapshot(), (key) => grants.revoke(key))
    this.#leave = grants.subscribe(render)
    render()
  }

  #render(grants: readonly Grant[], revoke: (actionKey: string) => Promise<unknown>): void {
    this.#none.hidden = grants.length > 0
    for (const key of this.#rows.keys()) if (!grants.some(({ actionKey }) => actionKey === key)) this.#rows.delete(key)
    const rows = grants.map((grant, index) => {
      const row = this.#rows.get(grant.actionKey) ?? rowOf(grant, `grant-${index}-${grant.grantedAt}`, revoke)
      this.#rows.set(grant.actionKey, row)
      return row
    })
    const hadFocus = this.#list.contains(document.activeElement)
    arrange(this.#list, rows)
    // the row went, and the focus with it
    if (hadFocus && !this.#list.contains(document.activeElement))
      (this.#list.querySelector('button') ?? byId('permissions-tab')).focus()
  }
}

function rowOf(
  { actionKey, toolName, grantedAt, expiresAt }: Grant,
  id: string,
  revoke: (actionKey: string) => Promise<unknown>,
): HTMLLIElement {
  const [, action = ''] = /^[^\n]*\n(.*)$/s.exec(actionKey) ?? []
  const until = expiresAt === undefined ? 'for this session' : `until ${clock(expiresAt)}`
  const what = element(
    'div',
    { id },
    element('code', {}, toolName),
    ...(action ? [' ', element('span', { className: 'action' }, action)] : []),
    element('small', {}, `since ${clock(grantedAt)}, ${until}`),
  )
  const button = element('button', { className: 'outlined', type: 'button' }, 'Revoke')
  button.setAttribute('aria-describedby', id)
  button.addEventListener('click', async () => {
    button.disabled = true
    await revoke(actionKey).finally(() => {
      button.disabled = false
    })
  })
  return element('li', {}, what, button)
}
