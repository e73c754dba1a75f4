import type { StoredEvent } from '../../src/events/stored.ts'
import type { EventsRecord, Question } from '../../src/sessions/keys.ts'
import type { ApprovalRecord, CallRecord, MessageRecord, RunRecord, SessionRecord } from '../../src/sessions/records.ts'
import { runOf } from '../../src/sessions/store.ts'
import type { Dump } from './golden/dump.ts'

/** What is wrong with a database as a whole. Empty where every step is there whole or not at all. */
export function problemsIn({ entries }: Dump): string[] {
  const problems: string[] = []
  const values = <T>(kind: string, ...more: unknown[]) =>
    entries
      .filter(([key]) => key[0] === kind && more.every((element, i) => key[i + 1] === element))
      .map(([, value]) => value as T)
  const check = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem)
  }

  for (const session of values<SessionRecord>('session')) {
    const { id } = session
    const messages = values<MessageRecord>('message', id)
    check(
      messages.every(({ index }, i) => index === i),
      `${id}: messages have a gap`,
    )
    check(messages.length === session.messageCount, `${id}: ${messages.length} messages of ${session.messageCount}`)

    let seq = 0
    const events: StoredEvent[] = []
    for (const record of values<EventsRecord>('event', id)) {
      check(record.seq === seq + 1, `${id}: events ${record.seq} after ${seq}`)
      seq = record.seq + record.events.length - 1
      events.push(...record.events)
    }
    check(seq === session.seq, `${id}: ${seq} events of ${session.seq}`)
    const told = events.flatMap((event) => ('index' in event ? [event.index] : []))
    // Nobody was told of what came whole.
    const came = session.forkedFrom || session.tainted?.toolName === 'import' ? messages.length - told.length : 0
    const after = messages.slice(came).map(({ index }) => index)
    check(told.join() === after.join(), `${id}: events tell of messages ${told}`)

    for (const runId of new Set(events.map((event) => event.runId))) {
      check(values('run', runId).length === 1, `${id}: no record of its run ${runId}`)
    }

    const [run] = session.run ? values<RunRecord>('run', session.run.runId) : []
    check(run?.status === session.run?.status, `${id}: its run is ${run?.status}, not ${session.run?.status}`)
    check(values('recent', -session.updatedAt, id).length === 1, `${id}: not listed`)
  }
  for (const { sessionId, approvalId } of values<Question>('asked')) {
    const [approval] = values<ApprovalRecord>('approval', sessionId, approvalId)
    check(approval !== undefined && !approval.resolved, `${approvalId}: marked as open, and is not`)
  }
  for (const run of values<RunRecord>('run')) {
    const { runId, sessionId } = run
    const [session] = values<SessionRecord>('session', sessionId)
    if (!session) {
      check(values('deleted', sessionId).length === 1, `${runId}: its session is missing, and was not deleted`)
      continue
    }
    const active = run.status === 'running' || run.status === 'waiting'
    check(active === values('active', runId).length > 0, `${runId}: ${run.status}, and its mark says otherwise`)
    check(!active || session.run?.runId === runId, `${runId}: ${run.status}, and not its session's latest`)
    const events = values<EventsRecord>('event', sessionId).flatMap((record) => record.events)
    const of = (kind: StoredEvent['kind']) =>
      events.flatMap((event) =>
        event.kind === kind && 'toolCallId' in event && runOf(event) === runId ? [event.toolCallId] : [],
      )
    const open = values<ApprovalRecord>('approval', sessionId).filter(({ resolved }) => !resolved)
    const ofRun = open.filter((approval) => approval.runId === runId)
    const goesOn = active || (run.status === 'stopped' && session.run?.runId === runId)
    check(goesOn || ofRun.length === 0, `${runId}: ${run.status}, and somebody is still asked`)
    for (const { id } of ofRun) check(values('asked', sessionId, id).length === 1, `${id}: open, and has no mark`)
    const { checkpoint } = run as Partial<RunRecord>
    check((checkpoint?.messageCount ?? 0) <= session.messageCount, `${runId}: its checkpoint is ahead of it`)

    const rows = values<CallRecord>('call', runId)
    const finished = rows.filter(({ state }) => state === 'finished')
    // A call that somebody allowed to be retried has started twice.
    check(
      same([...new Set(of('tool-execution-started'))], rows),
      `${runId}: the log and the ledger differ in what started`,
    )
    check(same(of('tool-execution-finished'), finished), `${runId}: the log and the ledger differ in what finished`)
    check(
      finished.every(({ result }) => result !== undefined),
      `${runId}: a call finished without a result`,
    )
  }
  return problems
}

const same = (told: readonly string[], rows: readonly CallRecord[]) =>
  [...told].sort().join() ===
  rows
    .map(({ toolCallId }) => toolCallId)
    .sort()
    .join()
