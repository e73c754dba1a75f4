import type { Approval, Message, QueuedInput, Session, SessionSnapshot } from 'turnloop'
import { arrange, element } from './dom.ts'
import { Markers } from './markers.ts'
import { MessageActions, type MessageDeeds } from './message-actions.ts'
import { MessageView, nothingAsked } from './message-view.ts'
import { Notices, type Remedies } from './notices.ts'
import { type Answer, type Question, QuestionCard } from './question-card.ts'
import { queuedInput } from './queued-input.ts'
import type { Stopped } from './stopped-run.ts'
import type { Surroundings } from './tool-card.ts'

/** What a person decides in the conversation. */
export interface Decisions extends Remedies, MessageDeeds {
  withdraw(input: QueuedInput): Promise<void>
  answer(approval: Approval, answer: Answer): Promise<void>
}

/** The log of one session at a time: messages, what waits, and how the last run stands. */
export class Conversation {
  readonly #log: HTMLElement
  readonly #latest: HTMLButtonElement
  readonly #views = new Map<string, MessageView>()
  readonly #actions = new Map<string, MessageActions>()
  readonly #older = element('button', { className: 'outlined older', type: 'button' }, 'Show earlier messages')
  readonly #working = element(
    'p',
    { className: 'working', ariaLabel: 'Working' },
    element('i'),
    element('i'),
    element('i'),
  )
  readonly #queued = new Map<string, HTMLElement>()
  readonly #questions = new Map<string, QuestionCard>()
  #approvals: SessionSnapshot['approvals'] = []
  #asked: ReadonlySet<string> = nothingAsked
  readonly #decisions: Decisions
  readonly #notices: Notices
  readonly #markers: Markers
  #session: Session | undefined
  #following = true

  /** `changed` is called when the conversation is to be rendered again. */
  constructor(log: HTMLElement, latest: HTMLButtonElement, decisions: Decisions, changed: () => void) {
    this.#decisions = decisions
    this.#notices = new Notices(decisions)
    this.#markers = new Markers(changed)
    this.#log = log
    this.#latest = latest
    log.addEventListener('scroll', () => {
      this.#following = log.scrollHeight - log.scrollTop - log.clientHeight < 48
      latest.hidden = this.#following
    })
    latest.addEventListener('click', () => {
      this.follow()
      log.focus()
    })
    // a card that opens, a narrower window: whoever is at the end stays there
    new ResizeObserver(() => this.#settle()).observe(log)
    // an image that has come
    log.addEventListener('load', () => this.#settle(), true)
    this.#older.addEventListener('click', () => void this.#loadOlder())
  }

  /** Empties the log for another session; `render` fills it. */
  open(session: Session): void {
    this.#session = session
    this.#markers.open(session)
    this.#views.clear()
    this.#actions.clear()
    this.#queued.clear()
    this.#questions.clear()
    this.#notices.clear()
    this.#log.replaceChildren()
    this.#following = true
    this.#latest.hidden = true
  }

  /** Scrolls to the end, and stays there while the answer grows. */
  follow(): void {
    this.#following = true
    this.#settle()
  }

  render(snapshot: SessionSnapshot, stopped?: Stopped): void {
    const { messages, queue, approvals } = snapshot
    if (approvals !== this.#approvals) this.#asked = callsAsked(approvals)
    this.#approvals = approvals
    const interrupted = snapshot.run?.phase === 'interrupted'
    const last = messages.at(-1)
    const children: HTMLElement[] = snapshot.hasOlder ? [this.#older] : []
    let said = snapshot.hasOlder ? (messages[0]?.metadata.at ?? 0) : 0
    let answer = ''
    for (const [index, message] of messages.entries()) {
      children.push(...this.#markers.between(said, message.metadata.at))
      said = message.metadata.at
      if (message.role === 'user' || messages[index - 1]?.role !== 'assistant') answer = message.id
      const view = this.#message(message, snapshot, message === last && interrupted)
      const isWhole = message.role === 'user' || messages[index + 1]?.role !== 'assistant'
      this.#offer(view, message, isWhole && isIdle(snapshot) ? answer : undefined)
      children.push(view)
    }
    children.push(...this.#markers.between(said, Number.POSITIVE_INFINITY))
    this.#forget(messages)
    if (isWorking(snapshot) && !isWriting(last)) children.push(this.#working)
    for (const approval of approvals) if (approval.reason !== 'policy') children.push(this.#question(approval))
    for (const id of this.#questions.keys()) if (!approvals.some((open) => open.id === id)) this.#questions.delete(id)
    children.push(...this.#notices.elements(snapshot, stopped))
    for (const input of queue) children.push(this.#waiting(input))
    arrange(this.#log, children)
    this.#log.ariaBusy = String(isWorking(snapshot))
    this.#settle()
  }

  #message(message: Message, snapshot: SessionSnapshot, interrupted: boolean): HTMLElement {
    let view = this.#views.get(message.id)
    if (!view) {
      view = new MessageView(message.role, (url) => this.#openFile(url))
      this.#views.set(message.id, view)
    }
    const live = isWorking(snapshot) && message.metadata.runId === snapshot.run?.runId
    const surroundings = surroundingsOf(message, snapshot, live)
    view.update(message, surroundings, message.metadata.status === 'partial' && !interrupted, this.#asked)
    return view.element
  }

  #forget(messages: readonly Message[]): void {
    if (this.#views.size === messages.length) return
    const ids = new Set(messages.map(({ id }) => id))
    for (const id of this.#views.keys()) {
      if (ids.has(id)) continue
      this.#views.delete(id)
      this.#actions.delete(id)
    }
  }

  /** Puts what can be done with the message at its end; nothing without the id where its answer begins. */
  #offer(owner: HTMLElement, message: Message, answer: string | undefined): void {
    let actions = this.#actions.get(message.id)
    if (answer === undefined) return actions?.element.remove()
    if (!actions) {
      actions = new MessageActions(owner, message, this.#decisions)
      this.#actions.set(message.id, actions)
    }
    actions.update(message, answer)
    if (!actions.element.isConnected) owner.append(actions.element)
  }

  #waiting(input: QueuedInput): HTMLElement {
    let bubble = this.#queued.get(input.inputId)
    if (!bubble) {
      bubble = queuedInput(input, () => this.#decisions.withdraw(input))
      this.#queued.set(input.inputId, bubble)
    }
    return bubble
  }

  #question(approval: Question): HTMLElement {
    let card = this.#questions.get(approval.id)
    if (!card) {
      card = new QuestionCard(approval, async (answer) => {
        await this.#decisions.answer(approval, answer)
        // the card goes, and the focus with it
        this.#log.focus({ preventScroll: true })
      })
      this.#questions.set(approval.id, card)
    }
    return card.element
  }

  async #openFile(url: string): Promise<Blob> {
    if (!this.#session) throw new Error('No session is open')
    return this.#session.file(url)
  }

  async #loadOlder(): Promise<void> {
    const fromEnd = this.#log.scrollHeight - this.#log.scrollTop
    this.#older.disabled = true
    try {
      await this.#session?.view.loadOlder()
      requestAnimationFrame(() => {
        this.#log.scrollTop = this.#log.scrollHeight - fromEnd
      })
    } finally {
      this.#older.disabled = false
    }
  }

  #settle(): void {
    if (this.#following) this.#log.scrollTop = this.#log.scrollHeight
  }
}

/** A run is under way, itself or with helpers: not over, not interrupted, not waiting for a person, and its tab answers. */
function isWorking({ status, run }: SessionSnapshot): boolean {
  if (run?.phase === 'interrupted' || run?.owner === 'not-responding') return false
  if (run?.phase === 'waiting' && run.waitingFor !== 'child') return false
  return status === 'streaming' || status === 'submitted'
}

/** Nothing is under way or waits: what was said can be taken back. */
const isIdle = ({ run, queue }: SessionSnapshot) => (!run || run.phase === 'interrupted') && queue.length === 0

function surroundingsOf({ metadata }: Message, { run, approvals }: SessionSnapshot, live: boolean): Surroundings {
  if (metadata.runId !== run?.runId || run.phase !== 'waiting') return live ? 'live' : 'over'
  if (approvals.some(({ reason }) => reason === 'in-doubt')) return 'in-doubt'
  if (run.waitingFor === 'child') return 'with-helper'
  return approvals.length > 0 ? 'asked' : 'waiting-for-page'
}

/** The calls that somebody is asked about before they start. */
const callsAsked = (approvals: readonly Approval[]): ReadonlySet<string> =>
  new Set(approvals.flatMap((approval) => (approval.reason === 'policy' ? [approval.toolCallId] : [])))

/** The answer itself shows that something goes on. */
function isWriting(last: Message | undefined): boolean {
  const part = last?.role === 'assistant' ? last.parts.at(-1) : undefined
  if (!part) return false
  return 'toolCallId' in part
    ? part.state === 'input-streaming' || part.state === 'input-available'
    : last?.metadata.status === 'streaming'
}
