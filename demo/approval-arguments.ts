import type { Approval } from 'turnloop'
import { element } from './dom.ts'

export type PolicyApproval = Extract<Approval, { reason: 'policy' }>

/** Control characters, and those that hide text or turn its direction. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu

/** The arguments as they are bound by an answer: canonical JSON, all of it, with nothing in it that can't be seen. */
export function argumentsOf(approval: PolicyApproval): string {
  const lines = JSON.stringify(JSON.parse(approval.arguments), null, 2).split('\n')
  return lines.map((line) => line.replace(invisible, escaped)).join('\n')
}

const escaped = (text: string) =>
  Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')

/** What somebody makes of the arguments, as JSON. */
export class ArgumentsEditor {
  readonly element: HTMLFormElement
  readonly #field: HTMLTextAreaElement
  readonly #problem = element('p', { className: 'refusal', role: 'alert', id: 'edit-problem', hidden: true })

  /** `give` rejects where the arguments are refused; `leave` is called when nothing is to be changed. */
  constructor(approval: PolicyApproval, give: (input: unknown) => Promise<void>, leave: () => void) {
    const label = `Arguments of ${approval.toolName}`
    this.#field = element('textarea', { ariaLabel: label, spellcheck: false, required: true, rows: 4 })
    this.#field.value = argumentsOf(approval)
    const cancel = element('button', { className: 'outlined', type: 'button' }, 'Cancel')
    const allow = element('button', { className: 'primary', type: 'submit' }, 'Allow edited')
    const controls = element('fieldset', { className: 'controls' }, cancel, allow)
    this.element = element('form', { className: 'arguments-editor' }, this.#field, this.#problem, controls)
    cancel.addEventListener('click', leave)
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') leave()
    })
    this.element.addEventListener('submit', async (event) => {
      event.preventDefault()
      controls.disabled = true
      try {
        await give(JSON.parse(this.#field.value))
      } catch (error) {
        controls.disabled = false
        this.#refuse(error instanceof SyntaxError ? `This is no JSON: ${error.message}` : (error as Error).message)
      }
    })
  }

  focus(): void {
    this.#field.focus()
  }

  #refuse(problem: string): void {
    this.#problem.textContent = problem
    this.#problem.hidden = false
    this.#field.setAttribute('aria-invalid', 'true')
    this.#field.setAttribute('aria-describedby', this.#problem.id)
    this.#field.focus()
  }
}
