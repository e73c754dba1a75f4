import type { AgentError, Message, Session, SessionSnapshot } from 'turnloop'
import { advice } from './advice.ts'
import { arrange, element } from './dom.ts'
import { MessageView } from './message-view.ts'
import type { Surroundings } from './tool-card.ts'

/** The log of one session at a time: messages, what waits, and how the last run stands. */
export class Conversation {
  readonly #log: HTMLElement
  readonly #latest: HTMLButtonElement
  readonly #views = new Map<string, MessageView>()
  readonly #older = element('button', { className: 'outlined older', type: 'button' }, 'Show earlier messages')
  readonly #working = element(
    'p',
    { className: 'working', ariaLabel: 'Working' },
    element('i'),
    element('i'),
    element('i'),
  )
  readonly #interrupted = element('p', { className: 'notice' }, 'This answer was interrupted. Send a message to go on.')
  readonly #queued = new Map<string, HTMLElement>()
  #problem: { error: AgentError; element: HTMLElement } | undefined
  #session: Session | undefined
  #following = true

  constructor(log: HTMLElement, latest: HTMLButtonElement) {
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
    this.#older.addEventListener('click', () => void this.#loadOlder())
  }

  /** Empties the log for another session; `render` fills it. */
  open(session: Session): void {
    this.#session = session
    this.#views.clear()
    this.#queued.clear()
    this.#problem = undefined
    this.#log.replaceChildren()
    this.#following = true
    this.#latest.hidden = true
  }

  /** Scrolls to the end, and stays there while the answer grows. */
  follow(): void {
    this.#following = true
    this.#settle()
  }

  render(snapshot: SessionSnapshot): void {
    const { messages, queue, error } = snapshot
    const interrupted = snapshot.run?.phase === 'interrupted'
    const last = messages.at(-1)
    const children: HTMLElement[] = snapshot.hasOlder ? [this.#older] : []
    for (const message of messages) children.push(this.#message(message, snapshot, message === last && interrupted))
    this.#forget(messages)
    if (isWorking(snapshot) && !isWriting(last)) children.push(this.#working)
    if (interrupted) children.push(this.#interrupted)
    // the notice says it all
    if (error && !(interrupted && error.code === 'worker-lost')) children.push(this.#alert(error))
    for (const { inputId, text } of queue) children.push(this.#waiting(inputId, text))
    arrange(this.#log, children)
    this.#log.ariaBusy = String(isWorking(snapshot))
    this.#settle()
  }

  #message(message: Message, snapshot: SessionSnapshot, interrupted: boolean): HTMLElement {
    let view = this.#views.get(message.id)
    if (!view) {
      view = new MessageView(message.role)
      this.#views.set(message.id, view)
    }
    const live = isWorking(snapshot) && message.metadata.runId === snapshot.run?.runId
    const waiting = snapshot.run?.phase === 'waiting' && message.metadata.runId === snapshot.run.runId
    const surroundings: Surroundings = waiting ? 'waiting-for-page' : live ? 'live' : 'over'
    view.update(message, surroundings, message.metadata.status === 'partial' && !interrupted)
    return view.element
  }

  #forget(messages: readonly Message[]): void {
    if (this.#views.size === messages.length) return
    const ids = new Set(messages.map(({ id }) => id))
    for (const id of this.#views.keys()) if (!ids.has(id)) this.#views.delete(id)
  }

  #waiting(inputId: string, text: string): HTMLElement {
    let bubble = this.#queued.get(inputId)
    if (!bubble) {
      const said = element('div', { className: 'said' }, text)
      bubble = element(
        'article',
        { className: 'message user queued' },
        said,
        element('p', { className: 'note' }, 'Queued: is sent when this answer is done.'),
      )
      this.#queued.set(inputId, bubble)
    }
    return bubble
  }

  #alert(error: AgentError): HTMLElement {
    if (this.#problem?.error !== error) {
      const box = element(
        'div',
        { className: 'problem', role: 'alert' },
        element('strong', {}, error.message),
        element('p', {}, advice(error)),
      )
      this.#problem = { error, element: box }
    }
    return this.#problem.element
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

/** A run is under way here: not over, not interrupted, not waiting for a person. */
export function isWorking({ status, run }: SessionSnapshot): boolean {
  return (status === 'streaming' || status === 'submitted') && run?.phase !== 'interrupted' && run?.phase !== 'waiting'
}

/** The answer itself shows that something goes on. */
function isWriting(last: Message | undefined): boolean {
  const part = last?.role === 'assistant' ? last.parts.at(-1) : undefined
  if (!part) return false
  return 'toolCallId' in part
    ? part.state === 'input-streaming' || part.state === 'input-available'
    : last?.metadata.status === 'streaming'
}
