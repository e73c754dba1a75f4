import type { AuditEntry } from 'turnloop'

/** What happened, in words. */
export const transitions: Record<AuditEntry['transition'], string> = {
  asked: 'Asked',
  valid: 'Valid',
  invalid: 'Invalid',
  changed: 'Changed',
  allowed: 'Allowed',
  denied: 'Denied',
  'approval-requested': 'Put to a person',
  started: 'Started',
  finished: 'Finished',
  failed: 'Failed',
  'timed-out': 'Timed out',
  retried: 'Tried again',
  cached: 'Result taken from the ledger',
  'in-doubt': 'In doubt',
  settled: 'Doubt settled',
  cut: 'Cut off',
}

const actors: Record<string, string> = {
  model: 'the model',
  tool: 'the tool',
  policy: 'the policy',
  taint: 'the taint',
  grant: 'a grant',
  person: 'a person',
  expiry: 'time',
  runtime: 'the runtime',
}

export const actor = (by: AuditEntry['by']): string =>
  Object.hasOwn(actors, by) ? (actors[by] ?? by) : by.replace(':', ' ')

/** The calls of a trail by their names; those of the same tool are numbered. */
export function callNames(entries: readonly AuditEntry[]): ReadonlyMap<string, string> {
  const ids = new Map<string, Set<string>>()
  for (const { toolName, toolCallId } of entries) ids.set(toolName, (ids.get(toolName) ?? new Set()).add(toolCallId))
  return new Map(
    [...ids].flatMap(([name, calls]) =>
      [...calls].map((id, at) => [id, calls.size > 1 ? `${name} #${at + 1}` : name] as const),
    ),
  )
}
