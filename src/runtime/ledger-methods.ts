import type { Table } from './methods.ts'
import { treeOf } from './tree.ts'
import { unknownRun } from './unknown-run.ts'

/** What was granted for good, and what became of calls and runs. */
export const ledgerMethods = {
  async grants({ env }, { sessionId }) {
    const now = env.now()
    const valid = (await env.store.readGrants(sessionId)).filter(({ expiresAt = now + 1 }) => expiresAt > now)
    const next = Math.min(...valid.map(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt))
    return {
      grants: valid.map(({ actionKey, toolName, grantedAt, expiresAt }) => ({
        actionKey,
        toolName,
        grantedAt,
        ...(expiresAt === undefined ? undefined : { expiresAt }),
      })),
      ...(next === Number.POSITIVE_INFINITY ? undefined : { expiresIn: next - now }),
    }
  },

  revoke: ({ env }, { sessionId, actionKey }) => env.store.revokeGrant(sessionId, actionKey),

  async audit({ env }, { runId }) {
    const records = await env.store.readAudit(runId)
    if (records.length === 0 && !(await env.store.readRun(runId))) throw unknownRun(runId)
    return records.flatMap(({ entries }) => entries)
  },

  tree: (engine, { runId }) => treeOf(engine, runId),
} satisfies Pick<Table, 'grants' | 'revoke' | 'audit' | 'tree'>
