import type { ApprovalAnswers } from 'turnloop'
import { ArgumentsEditor, argumentsOf, type PolicyApproval } from './approval-arguments.ts'
import { countdown } from './countdown.ts'
import { element, icon } from './dom.ts'
import { clock } from './format.ts'

type PolicyAnswer = ApprovalAnswers['policy']

/** Milliseconds before it can be answered: a click that was meant for what stood here before is none. */
const settling = 400

/** Asks whether a call may start. Nothing but its buttons answers; the page can be read and used meanwhile. */
export class ApprovalDialog {
  readonly element: HTMLElement
  readonly #approval: PolicyApproval
  readonly #answer: (answer: PolicyAnswer) => Promise<void>
  readonly #place = element('span', { className: 'place' })
  readonly #view = element('div', { className: 'approval-view' })
  readonly #fields = element('fieldset', { className: 'answers', disabled: true })
  readonly #words = element('input', { type: 'text', autocomplete: 'off', maxLength: 1000 })
  readonly #problem = element('p', { className: 'refusal', role: 'alert', hidden: true })
  #editor: ArgumentsEditor | undefined

  /** `answer` rejects where the answer was refused; the dialog says so then. */
  constructor(approval: PolicyApproval, answer: (answer: PolicyAnswer) => Promise<void>) {
    this.#approval = approval
    this.#answer = (given) => {
      // the button is disabled meanwhile, and would lose the focus
      this.element.focus({ preventScroll: true })
      return answer(given)
    }
    const title = element('strong', { id: 'approval-title' }, approval.title)
    const text = element('pre', { tabIndex: 0, ariaLabel: `Arguments of ${approval.toolName}` }, argumentsOf(approval))
    this.#fill(approval.choices)
    this.#view.append(text, this.#fields, this.#problem)
    this.element = element(
      'section',
      { className: 'approval', tabIndex: -1, role: 'dialog', ariaLabel: 'Approval' },
      element('div', { className: 'approval-title' }, icon('shield'), title, this.#place),
      element('div', { className: 'about', id: 'approval-about' }, ...about(approval)),
      this.#view,
    )
    this.element.setAttribute('aria-describedby', 'approval-title approval-about')
    setTimeout(() => {
      this.#fields.disabled = false
    }, settling)
  }

  /** Which one of how many it is. */
  place(number: number, of: number): void {
    const text = of > 1 ? `${number} of ${of}` : ''
    if (this.#place.textContent !== text) this.#place.textContent = text
  }

  #fill(choices: readonly PolicyAnswer['decision'][]): void {
    const edit = this.#button('Edit', () => this.#edit())
    this.#fields.append(
      this.#button('Allow once', () => this.#give({ decision: 'allow-once' }), 'primary'),
      ...(choices.includes('allow-always')
        ? [this.#button('Always allow', () => this.#give({ decision: 'allow-always' }))]
        : []),
      edit,
      this.#button('Deny', () => this.#deny()),
      this.#more(choices.includes('abort')),
    )
  }

  /** What is seldom wanted: words for the model with a no, and the end of it all. */
  #more(canAbort: boolean): HTMLElement {
    const words = element('label', {}, 'What the model is told with a no ', this.#words)
    this.#words.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.isComposing) return
      event.preventDefault()
      this.#deny()
    })
    const abort = this.#button('End the run', () => this.#give({ decision: 'abort' }))
    const details = element(
      'details',
      {},
      element('summary', {}, icon('chevron'), 'Say why not'),
      element('div', { className: 'row' }, words, ...(canAbort ? [abort] : [])),
    )
    details.addEventListener('toggle', () => details.scrollIntoView({ block: 'nearest' }))
    return details
  }

  #deny(): void {
    const reason = this.#words.value.trim()
    void this.#give({ decision: 'deny', ...(reason && { reason }) })
  }

  #edit(): void {
    const leave = () => {
      this.#editor?.element.replaceWith(this.#view)
      this.#fields.querySelector<HTMLButtonElement>('.edit')?.focus()
    }
    this.#editor = new ArgumentsEditor(
      this.#approval,
      (input) => this.#answer({ decision: 'allow-once', input }),
      leave,
    )
    this.#view.replaceWith(this.#editor.element)
    this.#editor.focus()
  }

  #button(label: string, act: () => void, className = 'outlined'): HTMLButtonElement {
    const button = element('button', { className, type: 'button' }, label)
    button.classList.toggle('edit', label === 'Edit')
    button.addEventListener('click', act)
    return button
  }

  async #give(answer: PolicyAnswer): Promise<void> {
    this.#fields.disabled = true
    this.#problem.hidden = true
    try {
      await this.#answer(answer)
    } catch (error) {
      this.#problem.textContent = (error as Error).message
      this.#problem.hidden = false
      this.#fields.disabled = false
    }
  }
}

const risks: Record<PolicyApproval['risk'], string> = {
  safe: 'Safe: it only reads',
  sensitive: 'Sensitive: it tells something, or costs',
  destructive: 'Destructive: it can’t be undone',
}

/** What somebody wants to know before they answer. */
function about({ title, toolName, path, risk, why, tainted, expiresAt }: PolicyApproval): HTMLElement[] {
  const kind = element('span', { className: 'risk' }, risks[risk])
  kind.dataset.risk = risk
  const named = title.includes(toolName) ? [] : [' ', element('code', {}, toolName)]
  const asks = path.length > 0 ? ` asked by ${path.join(' › ')}` : ''
  return [
    element('p', {}, kind, ...named, asks),
    ...(tainted ? [element('p', { className: 'taint' }, icon('warning'), element('span', {}, taint))] : []),
    ...(why && !(tainted && why.startsWith('Content from outside')) ? [element('p', {}, why)] : []),
    ...(expiresAt === undefined ? [] : [expiry(expiresAt)]),
  ]
}

const taint =
  'Content from outside is in this session, and this call sends something out: was it you who wanted that? You are asked each time.'

function expiry(at: number): HTMLElement {
  const left = countdown(at, (left) => `, in ${left}`)
  return element('p', {}, `Denied without an answer at ${clock(at)}`, left, '.')
}
