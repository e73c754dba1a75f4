import type { AgentRuntime, RunTree, Session } from 'turnloop'
import { arrange, element, icon } from './dom.ts'
import { asCost, inShort } from './format.ts'
import { Markdown } from './markdown.ts'

const words: Record<RunTree['status'], string> = {
  queued: 'waits for its turn',
  running: 'at work',
  waiting: 'waits',
  interrupted: 'interrupted',
  completed: 'done',
  stopped: 'stopped',
  failed: 'failed',
  cancelled: 'cancelled',
}

const phases: Partial<Record<NonNullable<RunTree['phase']>, string>> = {
  model: 'writes',
  tools: 'uses a tool',
  retrying: 'tries again',
  stopping: 'comes to its end',
}

/** One helper: how it stands, what it says once it is unfolded, and those that it has started itself. */
export class HelperBranch {
  readonly element = element('li', { className: 'helper' })
  readonly #session: Session
  readonly #name = element('span', { className: 'helper-name' })
  readonly #status = element('span', { className: 'helper-status' })
  readonly #used = element('small')
  readonly #toggle = element('button', { className: 'quiet', type: 'button' }, icon('chevron'), this.#name)
  readonly #stop = element('button', { className: 'outlined', type: 'button' }, icon('stop'), 'Stop')
  readonly #goOn = element('button', { className: 'outlined', type: 'button' }, icon('play'), 'Go on')
  readonly #words = element('div', { className: 'helper-words', hidden: true })
  readonly #answer = new Markdown()
  readonly #below = element('ul', { className: 'helper-tree' })
  #leave = () => {}
  #leaveTitle = () => {}

  constructor(agent: AgentRuntime, { runId, sessionId, agent: name }: RunTree) {
    this.#session = agent.session(sessionId)
    this.#name.textContent = name
    this.#toggle.ariaExpanded = 'false'
    this.#toggle.addEventListener('click', () => this.#unfold(this.#words.hidden === true))
    this.#stop.addEventListener(
      'click',
      () =>
        void agent.runs
          .get(runId)
          .stop()
          .catch(() => {}),
    )
    this.#goOn.addEventListener('click', () => void agent.runs.resume(runId))
    this.#words.append(this.#answer.element)
    const row = element(
      'div',
      { className: 'helper-row' },
      this.#toggle,
      this.#status,
      this.#used,
      this.#stop,
      this.#goOn,
    )
    this.element.append(row, this.#words, this.#below)
    this.#awaitTitle(name)
  }

  /** What it was asked, once its session has begun. */
  #awaitTitle(name: string): void {
    const { view } = this.#session
    const look = () => {
      const { title } = view.getSnapshot()
      this.#call(name, title)
      if (title) leave()
    }
    const leave = view.subscribe(look)
    this.#leaveTitle = leave
    look()
  }

  #call(name: string, title: string | undefined): void {
    const whole = title ? `${name}: ${title}` : name
    this.#name.textContent = whole
    this.#stop.ariaLabel = `Stop ${whole}`
    this.#goOn.ariaLabel = `Go on with ${whole}`
  }

  render({ status, phase, usage, cost, reason }: RunTree, below: readonly HTMLElement[]): void {
    this.element.dataset.status = status
    const detail = status === 'running' && phase ? phases[phase] : status === 'stopped' ? reason : undefined
    this.#status.textContent = [words[status], detail].filter(Boolean).join(', ')
    this.#used.textContent = `${inShort(usage.inputTokens + usage.outputTokens)} tokens, ${asCost(cost)}`
    this.#stop.hidden = !['queued', 'running', 'waiting'].includes(status)
    this.#goOn.hidden = status !== 'stopped' && status !== 'interrupted'
    arrange(this.#below, below)
    this.#below.hidden = below.length === 0
  }

  close(): void {
    this.#leave()
    this.#leaveTitle()
  }

  #unfold(open: boolean): void {
    this.#leave()
    this.#leave = () => {}
    this.#words.hidden = !open
    this.#toggle.ariaExpanded = String(open)
    if (!open) return
    const { view } = this.#session
    const show = () => {
      const { messages } = view.getSnapshot()
      const said = messages.flatMap(({ role, parts }) =>
        role === 'assistant' ? parts.flatMap((part) => (part.type === 'text' ? part.text : [])) : [],
      )
      this.#answer.update(said.join('\n\n') || '…')
    }
    this.#leave = view.subscribe(show)
    show()
  }
}
