import type { AgentRuntime, Session } from 'turnloop'
import { AuditTrail } from './audit-trail.ts'
import { GrantsList } from './grants-list.ts'

/** The panel's tab “Permissions”: what was allowed for good, and who decided what. It follows only while it is open. */
export class PermissionsTab {
  readonly #grants = new GrantsList()
  readonly #trail: AuditTrail
  #session: Session | undefined
  #open = false

  constructor(audit: AgentRuntime['runs']['audit']) {
    this.#trail = new AuditTrail(audit)
  }

  open(session: Session): void {
    this.#session = session
    this.#follow()
  }

  show(open: boolean): void {
    if (open === this.#open) return
    this.#open = open
    this.#follow()
  }

  #follow(): void {
    const seen = this.#open ? this.#session : undefined
    this.#grants.follow(seen)
    this.#trail.follow(seen)
  }
}
