import { delegationOf } from '../delegation/options.ts'
import { resultOfChild } from '../delegation/result.ts'
import type { ChildRecord, SessionRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import { limitOutput } from '../tools/limit-output.ts'
import { countBelow, delegationFinished, endedChild } from './child-ended.ts'
import { isActive, isUnderWay, openChildren, withTurns } from './children.ts'
import { reportResult } from './delegate.ts'
import { undisturbed } from './inbox.ts'
import type { End, Run } from './run.ts'
import { resultTexts } from './texts.ts'

/** Milliseconds that the end of a run waits for those of the runs that it started, wherever they are advanced. */
const patience = 10_000

/** What becomes of the runs that a run has started, once it ends; nothing where they go on by themselves. */
function endOfChildren(run: Run, end: End): End | undefined {
  if (end.kind === 'run-cancelled') return { kind: 'run-cancelled', reason: 'parent' }
  const isDetached = delegationOf(run.agent).onEnd === 'detach' && end.kind !== 'run-stopped'
  return isDetached ? undefined : { kind: 'run-stopped', reason: 'requested' }
}

/** Ends those below that are advanced here at once, whatever is still to be done before the run's own end can be written. */
export function endChildrenHere(run: Run, end: End): void {
  const open = openChildren(run)
  const how = open.length > 0 ? endOfChildren(run, end) : undefined
  if (!how) return
  // Those between may wait in the store: they are told, and what is under way below them is ended all the same.
  for (const below of run.env.others.below(run.runId)) below.end(how)
  for (const child of open) if (child.status === 'running') endChild(run, child, how).catch(() => {})
}

/** A run's last commit, once the runs below it have ended, leaves first, or are left to themselves. */
export async function withEndOfChildren(run: Run, end: End, step: Step): Promise<Step> {
  if (run.children.size === 0) return step
  await undisturbed(run, async () => {
    run.endsChildren = true
  })
  const below = await endChildren(run, end)
  return {
    ...step,
    ...below,
    run: { ...step.run, ...below.run },
    session: { ...step.session, ...below.session },
    events: [...(step.events ?? []), ...(below.events ?? [])],
    applied: [...(step.applied ?? []), ...(below.applied ?? [])],
  }
}

async function endChildren(run: Run, end: End): Promise<Step> {
  const open = openChildren(run)
  const how = open.length > 0 ? endOfChildren(run, end) : undefined
  if (!how) return { ...(await countBelow(run)), ...withTurns(run, [], Number.POSITIVE_INFINITY) }
  const { store } = run.env
  const active = await activeOf(run, open)
  await Promise.all(active.map((child) => endChild(run, child, how)))
  await untilEnded(run, active)
  // Those that never began never will; one that was only to go on stays as it had ended.
  const children = await Promise.all(
    open.map(async (child) => {
      const record = await store.readRun(child.runId)
      return isActive(record) ? child : endedChild(child, record, false)
    }),
  )
  const taint = await settleCalls(run, children)
  const counted = await countBelow(run)
  const inbox = await store.readInbox(run.live.id)
  const heard = inbox.flatMap((item) =>
    item.type === 'child-ended' && children.some(({ runId }) => runId === item.childRunId) ? [item.n] : [],
  )
  return {
    ...counted,
    session: { ...counted.session, ...taint },
    children,
    events: [...(counted.events ?? []), ...children.filter((child) => !isUnderWay(child)).map(delegationFinished)],
    applied: heard,
  }
}

/** Those that were started, and those in the queue that somebody else has had go on meanwhile. */
async function activeOf(run: Run, open: readonly ChildRecord[]): Promise<readonly ChildRecord[]> {
  const records = await Promise.all(open.map(({ runId }) => run.env.store.readRun(runId)))
  return open.filter(({ status }, at) => status === 'running' || isActive(records[at]))
}

/** Calls that waited for these have their results: what comes from outside taints the session. */
async function settleCalls(run: Run, children: readonly ChildRecord[]): Promise<Step['session']> {
  const { env, onText, caps } = run
  let tainted: SessionRecord['tainted']
  for (const call of run.openCalls) {
    const row = run.calls.get(call.toolCallId)
    const child = children.find(({ runId }) => row && !row.result && runId === row.childRunId)
    if (!child) continue
    const result = await reportResult(run, call, child, await resultOfChild(env.store, child))
    if (result.untrusted) tainted ??= { at: env.now(), toolName: call.toolName }
    run.refused.set(call.toolCallId, limitOutput(onText ? resultTexts(result, onText) : result, caps.maxToolOutput))
  }
  return tainted && { tainted }
}

/** Has a child end: at once where it is advanced here, else as soon as somebody hears it. */
export async function endChild(run: Run, { sessionId, runId }: ChildRecord, end: End): Promise<void> {
  const { store, others } = run.env
  const here = others.runOf(sessionId)
  if (here?.runId === runId) return here.end(end)
  const cancelled = end.kind === 'run-cancelled'
  // One that has not begun never will.
  if (!(await store.readRun(runId)) && (await store.withdraw(sessionId, runId))) return
  await store.say(sessionId, runId, cancelled ? { type: 'abort', cause: 'parent' } : { type: 'stop', after: 'now' })
  others.nudge(sessionId)
}

async function untilEnded(run: Run, children: readonly ChildRecord[]): Promise<void> {
  const { store, sleep } = run.env
  const left = new Map(children.map((child) => [child.sessionId, child.runId]))
  const over = new AbortController()
  const ended = new Promise<void>((resolve, reject) => {
    const look = async (sessionId: string) => {
      const runId = left.get(sessionId)
      if (runId === undefined) return
      const record = await store.readRun(runId)
      if (record && record.endedAt === undefined) return
      // Its input still waits: it will be heard, and ended.
      if (!record && (await store.readInbox(sessionId)).some((item) => item.type === 'input')) return
      left.delete(sessionId)
      if (left.size === 0) resolve()
    }
    const unwatch = store.watch(({ type, sessionId }) => {
      if (type === 'committed' || type === 'deleted' || type === 'said') look(sessionId).catch(reject)
    })
    over.signal.addEventListener('abort', unwatch, { once: true })
    if (left.size === 0) resolve()
    for (const sessionId of [...left.keys()]) look(sessionId).catch(reject)
  })
  try {
    await Promise.race([ended, sleep(patience, over.signal).catch(() => {}), lostOf(run)])
  } finally {
    over.abort()
  }
}

const lostOf = (run: Run) =>
  new Promise<never>((_, reject) => {
    const { lost } = run
    if (lost.aborted) reject(lost.reason)
    lost.addEventListener('abort', () => reject(lost.reason), { once: true })
  })
