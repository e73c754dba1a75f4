import { type Finding, lost, problem, repeated } from './findings.ts'
import { isEdited } from './plans.ts'
import type { HeardEvent, Ledger } from './world/ledger.ts'

interface Question {
  readonly id: string
  readonly reason: string
  readonly toolCallId?: string
}

interface Answered {
  readonly decision: string
  readonly input?: unknown
}

interface Yes extends Place {
  readonly edited: boolean
}

/** Where something is written. An owner who comes after a death hears what was said, and then opens the leg. */
interface Place {
  readonly leg: number
  readonly epoch: number | undefined
}

/**
 * A call that needs a yes starts with one that was applied in its leg or by its owner, with a grant, or because somebody said
 * that it is to be repeated. Each question is answered once, and no call has two at a time; after a grant none is asked.
 */
export function* checkApprovals(ledger: Ledger, events: readonly HeardEvent[]): Generator<Finding> {
  const trail = new Trail(ledger)
  for (const event of events) yield* trail.follow(event)
  for (const { toolCallId } of trail.open.values()) yield lost(`what was asked about ${toolCallId} was never answered`)
  for (const { tool, call, name } of ledger.starts) {
    if (tool !== 'buy') continue
    if (!trail.started.has(call)) yield repeated(`buy ${name} started, and the log knows nothing of it`)
    if (isEdited(name) !== (trail.yes.get(call)?.edited ?? false))
      yield problem(`buy got the input ${name}, and ${isEdited(name) ? 'nobody' : 'somebody'} had edited it`)
  }
}

/** What was asked, said and started so far. */
class Trail {
  readonly open = new Map<string, Question>()
  readonly yes = new Map<string, Yes>()
  readonly started = new Set<string>()
  readonly #denied = new Set<string>()
  readonly #retries = new Set<string>()
  readonly #ledger: Ledger
  #leg = 0
  #granted = false

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  #placeOf(seq: number): Place {
    const commits = this.#ledger.commits.filter((commit) => commit.seq >= seq).sort((a, b) => a.seq - b.seq)
    return { leg: this.#leg, epoch: commits[0]?.epoch }
  }

  #isAsked(call: string): boolean {
    return [...this.open.values()].some(({ toolCallId }) => toolCallId === call)
  }

  *follow({ kind, seq, approval, approvalId, answer, toolName, toolCallId }: HeardEvent): Generator<Finding> {
    if (kind === 'run-started') this.#leg++
    if (kind === 'approval-requested') yield* this.#ask(approval as Question, seq)
    if (kind === 'approval-resolved') yield* this.#answer(String(approvalId), answer as Answered, seq)
    if (kind === 'tool-execution-started' && toolName === 'buy') yield* this.#start(String(toolCallId), seq)
  }

  *#ask(question: Question, seq: number) {
    const { id, reason, toolCallId = '' } = question
    if (reason === 'policy') {
      if (this.#granted) yield problem(`it is asked at ${seq} about ${toolCallId}, which was allowed for good`)
      if (this.#isAsked(toolCallId)) yield repeated(`it is asked at ${seq} about ${toolCallId}, and was asked already`)
      if (this.#denied.has(toolCallId) || this.started.has(toolCallId) || this.yes.get(toolCallId)?.leg === this.#leg)
        yield repeated(`it is asked at ${seq} about ${toolCallId}, which was decided`)
    }
    this.open.set(id, question)
  }

  *#answer(id: string, { decision, input }: Answered, seq: number) {
    const { reason, toolCallId = '' } = this.open.get(id) ?? {}
    if (!this.open.delete(id)) yield repeated(`the answer to ${id} at ${seq} is its second, or to nothing`)
    if (decision === 'retry') this.#retries.add(toolCallId)
    if (reason !== 'policy') return
    if (decision === 'deny') this.#denied.add(toolCallId)
    if (decision === 'allow-always') this.#granted = true
    if (decision.startsWith('allow-')) this.yes.set(toolCallId, { ...this.#placeOf(seq), edited: input !== undefined })
  }

  *#start(call: string, seq: number) {
    const isAllowed = this.#granted || this.#holds(this.yes.get(call), seq) || this.#retries.delete(call)
    if (!isAllowed || this.#denied.has(call)) yield repeated(`call ${call} started at ${seq} without a yes`)
    this.started.add(call)
  }

  #holds(yes: Yes | undefined, seq: number): boolean {
    const { leg, epoch } = this.#placeOf(seq)
    return yes !== undefined && (yes.leg === leg || (epoch !== undefined && yes.epoch === epoch))
  }
}

/** What was last said about the calls that needed a yes. */
export function policyAnswers(events: readonly HeardEvent[]): ReadonlyMap<string, Answered> {
  const calls = new Map<string, string>()
  const answers = new Map<string, Answered>()
  for (const { kind, approval, approvalId, answer } of events) {
    const { id, reason, toolCallId } = (approval ?? {}) as Partial<Question>
    if (kind === 'approval-requested' && reason === 'policy') calls.set(String(id), String(toolCallId))
    const call = calls.get(String(approvalId))
    if (kind === 'approval-resolved' && call !== undefined) answers.set(call, answer as Answered)
  }
  return answers
}

/** Whether calls may start: what was asked, as far as pages were told, and has no answer. */
export function openQuestions({ heard }: Ledger): ReadonlySet<string> {
  const events = [...heard.values()]
  const answered = new Set(
    events.filter(({ kind }) => kind === 'approval-resolved').map(({ approvalId }) => approvalId),
  )
  return new Set(
    events
      .flatMap(({ approval }) => (approval as Question | undefined) ?? [])
      .filter(({ id, reason }) => reason === 'policy' && !answered.has(id))
      .map(({ id }) => id),
  )
}
