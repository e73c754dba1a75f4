import { expect, onTestFinished } from 'vitest'
import type { Approval, ApprovalDesk } from '../../src/api/types.ts'
import type { AnyEvent, EventKind } from '../../src/events/kinds.ts'
import { isDurable, isEnd } from '../../src/events/kinds.ts'
import type { ApprovalAnswers, ApprovalReason } from '../../src/sessions/records.ts'

type Of<K extends EventKind> = Extract<AnyEvent, { kind: K }>

// biome-ignore lint/suspicious/noExplicitAny: whatever listens, of any app
type Source = { readonly on: (kind: any, handler: (event: any) => void, options?: any) => { abort(): void } }

export interface Recording {
  readonly events: readonly AnyEvent[]
  kinds(): readonly string[]
  of<K extends EventKind>(...kinds: readonly K[]): readonly Of<K>[]
  /** The first such event, past or to come. */
  when<K extends EventKind>(kind: K, matches?: (event: Of<K>) => boolean): Promise<Of<K>>
  /** The n-th such event, from 1. */
  nth<K extends EventKind>(n: number, kind: K): Promise<Of<K>>
}

/** Keeps all events of a runtime, a session or a run; nothing is polled. */
export function record(source: Source, options?: object): Recording {
  const events: AnyEvent[] = []
  const waiting = new Set<() => void>()
  const handle = source.on(
    'any',
    (event: AnyEvent) => {
      events.push(event)
      for (const look of [...waiting]) look()
    },
    options,
  )
  onTestFinished(() => handle.abort())
  const find = (n: number, kind: EventKind, matches: (event: never) => boolean) =>
    new Promise<never>((resolve) => {
      const look = () => {
        const found = events.filter((event) => event.kind === kind && matches(event as never))[n - 1]
        if (!found) return
        waiting.delete(look)
        resolve(found as never)
      }
      waiting.add(look)
      look()
    })
  return {
    events,
    kinds: () => events.map(({ kind }) => kind),
    of: (...kinds) => events.filter(({ kind }) => kinds.includes(kind as never)) as never,
    when: (kind, matches = () => true) => find(1, kind, matches),
    nth: (n, kind) => find(n, kind, () => true),
  }
}

/** What holds for all events of one session, heard from its beginning. */
export function expectOrder(events: readonly AnyEvent[]) {
  let seq = 0
  let turn = 0
  const started = new Set<string>()
  const ended = new Set<string>()
  const open = new Map<string, string>()
  /** Calls that a leg had started when it died. */
  const cut = new Set<string>()
  /** Calls about which somebody is asked: a stop leaves them to the resume, or to the run that takes its place. */
  const doubted = new Map<string, string>()
  const texts = new Map<string, string>()
  for (const event of events) {
    const where = `${event.kind} (seq ${event.seq})`
    // A request that was refused has an end of its own, which is not stored.
    const refused = event.kind === 'run-failed' && !started.has(event.runId)
    if (event.kind === 'run-started') started.add(event.runId)
    if (event.kind === 'run-started' && event.resumed) {
      // Another leg: what the one before had started is settled by this one, or started again.
      ended.delete(event.runId)
      for (const [toolCallId, runId] of open) if (runId === event.runId) cut.add(toolCallId)
    }
    if (isDurable(event.kind) && !refused) expect(event.seq, where).toBe(++seq)
    else if (event.runId) expect(event.seq, where).toBe(seq)
    if (!event.runId) continue
    expect(ended, `${where} after the end of its run`).not.toContain(event.runId)
    if (isEnd(event.kind)) ended.add(event.runId)
    if (event.kind !== 'input-queued' && event.kind !== 'input-withdrawn') {
      expect(event.turn === turn || event.turn === turn + 1, `${where}: turn ${event.turn} after ${turn}`).toBe(true)
      turn = event.turn
    }
    if (event.kind === 'tool-execution-started') {
      expect(open.has(event.toolCallId) && !cut.delete(event.toolCallId), where).toBe(false)
      open.set(event.toolCallId, event.runId)
    }
    // One that was denied has never started.
    if (event.kind === 'tool-execution-finished' && !(event.outcome === 'denied' && event.duration === 0))
      expect(open.delete(event.toolCallId), where).toBe(true)
    if (event.kind === 'approval-requested' && event.approval.reason === 'in-doubt')
      doubted.set(event.approval.id, event.approval.toolCallId)
    if (event.kind === 'approval-resolved') doubted.delete(event.approvalId)
    if (isEnd(event.kind)) {
      const asked = event.kind === 'run-stopped' ? [...doubted.values()] : []
      const left = [...open].filter(([toolCallId]) => !asked.includes(toolCallId)).map(([, runId]) => runId)
      expect(left, `${where}: calls left open`).not.toContain(event.runId)
    }
    if (event.kind === 'text-delta' || event.kind === 'reasoning-delta') {
      const key = `${event.messageId} ${event.partId}`
      const text = texts.get(key) ?? ''
      expect(event.start, where).toBe(text.length)
      texts.set(key, text + event.delta)
    }
    if (event.kind === 'assistant-message-committed') {
      event.message.parts.forEach((part, index) => {
        const told = texts.get(`${event.message.id} ${index}`)
        if (told !== undefined && 'text' in part && event.message.metadata.status === 'done')
          expect(part.text, where).toBe(told)
      })
    }
  }
}

/** Answers an approval that was recorded: events know nothing of the types of the runtime that told them. */
export const answer = <R extends ApprovalReason>(
  { approvals }: { readonly approvals: unknown },
  approval: unknown,
  given: ApprovalAnswers[R],
): Promise<void> => (approvals as ApprovalDesk).answer(approval as Approval, given as never)
