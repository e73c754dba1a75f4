import type { InboxItem } from '../sessions/records.ts'
import { answerCall } from '../tools/run-tools.ts'
import type { Run } from './run.ts'

/** Step 1 of a turn, and again when something is said in mid-turn: applies what was said to the run, each item once. */
export function applyInbox(run: Run): Promise<void> {
  const task = run.applying.then(() => applyItems(run))
  run.applying = task.catch(() => {})
  return task
}

async function applyItems(run: Run) {
  const { live, env } = run
  if (!live.inboxChanged || run.over) return
  live.inboxChanged = false
  for (const item of await env.store.readInbox(live.id)) {
    if (item.runId === run.runId) await applyItem(run, item)
  }
}

async function applyItem(run: Run, item: InboxItem) {
  switch (item.type) {
    case 'input':
      return
    case 'stop':
      // Stays in the inbox until the run has ended: the turn may last longer than this owner.
      if (item.after === 'turn') run.stopAfterTurn = true
      else {
        run.applied(item.n)
        run.end({ kind: 'run-stopped', reason: 'requested' })
      }
      return
    case 'abort':
      run.applied(item.n)
      return run.end({ kind: 'run-cancelled', reason: item.cause })
    case 'tool-output': {
      const call = run.openCalls.find(({ toolCallId }) => toolCallId === item.toolCallId)
      if (!call || run.calls.has(item.toolCallId)) return run.commit({ applied: [item.n] })
      return answerCall(run, call, item)
    }
  }
}
