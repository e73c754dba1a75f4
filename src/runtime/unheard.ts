import type { Environment } from './environment.ts'
import type { Run } from './run.ts'

/** Milliseconds in which a page that has just come may begin to listen. */
const grace = 5000
const warned = new WeakSet<Environment>()

/** Says on the console, once, that a run goes on waiting for an answer which nobody is asked for. */
export function warnUnheard(run: Run): void {
  const { env, runId } = run
  if (isHeard(run)) return
  const warn = async () => {
    await env.sleep(grace, new AbortController().signal)
    const open = await env.store.readApprovals()
    if (isHeard(run) || !open.some((approval) => approval.runId === runId)) return
    warned.add(env)
    console.warn(
      'turnloop: a run waits for an approval, and nobody here hears of it. Subscribe to runtime.approvals (or to a session.view), and answer with runtime.approvals.answer().',
    )
  }
  // A store that was closed meanwhile asks nobody.
  warn().catch(() => {})
}

/** Somebody is asked, or it has been said. */
const isHeard = ({ env, live, runId, record }: Run) =>
  warned.has(env) || env.bus.wants('approval-requested', live.id, runId, record.ancestors)
