import type { AuditEntry, Session } from 'turnloop'

// #region grants
/** Keeps the list filled with what was allowed for good in a session, each with a button that takes it back. */
export function showGrants({ grants }: Session, list: HTMLElement): () => void {
  return grants.subscribe(() => {
    const items = grants.getSnapshot().map(({ actionKey }) => {
      const revoke = Object.assign(document.createElement('button'), { textContent: 'Revoke' })
      revoke.onclick = () => grants.revoke(actionKey)
      const item = document.createElement('li')
      item.append(actionKey.replace('\n', ': '), revoke)
      return item
    })
    list.replaceChildren(...items)
  })
}
// #endregion

// #region trail
/** One line of an audit trail. */
export const auditLine = ({ at, toolName, transition, by, detail }: AuditEntry) =>
  `${new Date(at).toISOString()} ${toolName}: ${transition} by ${by}${detail ? ` (${detail})` : ''}`
// #endregion
