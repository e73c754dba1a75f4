import type { Intent } from './offline-intents.ts'

// What a message asks for beyond this page: mails that leave it, and web pages that come in.

const address = /[\w.+-]+@[a-z\d-]+(?:\.[a-z\d-]+)+/gi
const asked = /^(?:please\s+|can you\s+|could you\s+)*(?:(?:send|write)\b.*\be?-?mails?\b|e?-?mail\s)/i
const said = /(?::|\b(?:saying|that says|about)\b)\s*(.+)$/i

/** A mail for each address, or to the name that is given. */
export function mailIntents(clause: string): Intent[] | undefined {
  if (!asked.test(clause)) return undefined
  const name = /\bto\s+(?:my\s+)?([a-z]+)\b/i.exec(clause)?.[1]?.toLowerCase() ?? 'ann'
  const to = clause.match(address) ?? [`${name}@example.com`]
  const text = said.exec(clause.replace(address, ''))?.[1]?.trim() || 'Hello from the demo of turnloop.'
  return to.map((one) => ({ toolName: 'send_mail', input: { to: one, text } }))
}

export function pageIntents(clause: string): Intent[] | undefined {
  if (!/\b(?:read|open|visit|look at|summari[sz]e|what does)\b/i.test(clause)) return undefined
  const url = /\b(?:https?:\/\/)?[a-z\d-]+(?:\.[a-z\d-]+)*\.[a-z]{2,}(?:\/[^\s?]*)?/i.exec(clause)?.[0]
  return url ? [{ toolName: 'read_page', input: { url } }] : undefined
}
