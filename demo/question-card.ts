import type { Approval, ApprovalAnswers } from 'turnloop'
import { element, icon, toJson } from './dom.ts'
import { asCost, asDuration, clock, inFull } from './format.ts'

/** All but those about a call that has not begun: the approval dialog has them. */
export type Question = Exclude<Approval, { reason: 'policy' }>
export type Answer = ApprovalAnswers[keyof ApprovalAnswers]

/** An approval that is open: what happened, and what can be answered. It leaves with the answer, in whichever tab that is given. */
export class QuestionCard {
  readonly element: HTMLElement
  readonly #answer: (answer: Answer) => Promise<void>
  readonly #fields = element('fieldset', { className: 'answers' })
  readonly #problem = element('p', { className: 'refusal', role: 'alert', hidden: true })

  /** `answer` rejects where the answer was refused; the card says so then. */
  constructor(approval: Question, answer: (answer: Answer) => Promise<void>) {
    this.#answer = answer
    const title = element('strong', { id: `question-${approval.id}` }, approval.title)
    this.element = element(
      'section',
      { className: 'question' },
      icon('question'),
      element('div', {}, title, ...this.#body(approval)),
    )
    this.element.setAttribute('aria-labelledby', title.id)
  }

  #body(approval: Question): HTMLElement[] {
    switch (approval.reason) {
      case 'in-doubt':
        return this.#inDoubt(approval)
      case 'interrupted':
        return this.#interrupted(approval)
      case 'budget':
        return this.#budget(approval)
      case 'doom-loop':
        return this.#doomLoop(approval)
    }
  }

  #inDoubt({ toolName, input, startedAt }: Of<'in-doubt'>): HTMLElement[] {
    const what = element('p', {}, `It started at ${clock(startedAt)}. Running it again may repeat what it did.`)
    this.#fields.append(
      this.#button('Run again', { decision: 'retry' }),
      this.#button('Give up', { decision: 'abandon' }),
      this.#resultForm(),
    )
    return [what, callText(toolName, input), this.#fields, this.#problem]
  }

  #interrupted({ interruptedAt }: Of<'interrupted'>): HTMLElement[] {
    this.#fields.append(this.#button('Go on', { decision: 'resume' }), this.#button('Give up', { decision: 'abandon' }))
    return [element('p', {}, `It was interrupted at ${clock(interruptedAt)}.`), this.#fields, this.#problem]
  }

  #budget({ limit, used, cap }: Of<'budget'>): HTMLElement[] {
    const { unit, show, what } = amounts[limit]
    const text = `${what}: ${show(used)} of ${show(cap)} are used. Nothing goes on before you have decided.`
    const by = element('input', { type: 'number', required: true, autocomplete: 'off', step: 'any', min: '0' })
    by.value = String(Number((cap / unit).toPrecision(2)))
    const form = this.#form(`Extend by${unit === 1000 ? ' (seconds)' : ''}`, by, 'Extend', () => ({
      decision: 'extend',
      by: by.valueAsNumber * unit,
    }))
    this.#fields.append(form, this.#button('Stop here', { decision: 'stop' }))
    return [element('p', {}, text), this.#fields, this.#problem]
  }

  #doomLoop({ toolName, input }: Of<'doom-loop'>): HTMLElement[] {
    const what = element('p', {}, 'It has not been carried out this time. Nothing goes on before you have decided.')
    const reason = element('input', { type: 'text', autocomplete: 'off', maxLength: 1000 })
    const deny = this.#form('What the model is told', reason, 'Deny', () => ({
      decision: 'deny',
      ...(reason.value.trim() && { reason: reason.value.trim() }),
    }))
    this.#fields.append(
      this.#button('Allow once', { decision: 'allow-once' }),
      this.#button('End the run', { decision: 'abort' }),
      element('details', {}, element('summary', {}, icon('chevron'), 'Deny, and say why'), deny),
    )
    return [what, callText(toolName, input), this.#fields, this.#problem]
  }

  /** For somebody who knows that it worked: JSON, or any text. */
  #resultForm(): HTMLElement {
    const field = element('input', { type: 'text', required: true, autocomplete: 'off', maxLength: 4000 })
    const form = this.#form('Result', field, 'Use this result', () => ({
      decision: 'supply-result',
      output: parsed(field.value.trim()),
    }))
    return element('details', {}, element('summary', {}, icon('chevron'), 'It worked: enter the result'), form)
  }

  #form(label: string, field: HTMLInputElement, button: string, answer: () => Answer): HTMLFormElement {
    const form = element(
      'form',
      {},
      element('label', {}, `${label} `, field),
      element('button', { className: 'outlined', type: 'submit' }, button),
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#give(answer())
    })
    return form
  }

  #button(label: string, answer: Answer): HTMLButtonElement {
    const button = element('button', { className: 'outlined', type: 'button' }, label)
    button.addEventListener('click', () => void this.#give(answer))
    return button
  }

  async #give(answer: Answer): Promise<void> {
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

type Of<R extends Question['reason']> = Extract<Question, { reason: R }>

const callText = (toolName: string, input: unknown) =>
  element('pre', { tabIndex: 0, ariaLabel: `Input of ${toolName}` }, `${toolName} ${toJson(input, 2000)}`)

interface AmountOf {
  readonly what: string
  /** What 1 in the field stands for. */
  readonly unit: number
  readonly show: (amount: number) => string
}

const of = (what: string, show: (amount: number) => string = inFull, unit = 1): AmountOf => ({ what, unit, show })

const amounts: { readonly [L in Of<'budget'>['limit']]: AmountOf } = {
  maxTurns: of('Turns of this run'),
  maxToolCalls: of('Tool calls of this run'),
  maxTokens: of('Tokens of this run'),
  maxCost: of('Cost of this run', asCost),
  maxDuration: of('Time that this run worked', asDuration, 1000),
  toolTimeout: of('Time of a tool', asDuration, 1000),
  maxToolOutput: of('Bytes of a result'),
  maxInput: of('Characters of the input'),
  maxFileSize: of('Bytes of a file'),
  maxFiles: of('Files of the input'),
  sessionTokens: of('Tokens of this session'),
  sessionCost: of('Cost of this session', asCost),
  dayTokens: of('Tokens of this day, over all sessions'),
  dayCost: of('Cost of this day, over all sessions', asCost),
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
