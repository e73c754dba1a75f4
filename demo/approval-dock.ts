import type { Approval } from 'turnloop'
import type { PolicyApproval } from './approval-arguments.ts'
import { ApprovalDialog } from './approval-dialog.ts'
import type { Answer } from './question-card.ts'

interface Surroundings {
  answer(approval: Approval, answer: Answer): Promise<void>
  /** Whether the focus may go to a dialog that appears: never away from somebody who writes. */
  mayTakeFocus(): boolean
  /** Takes the focus that the last dialog had. */
  focus(): void
}

/** Between conversation and composer: the calls of the session that wait for a yes, one after the other. */
export class ApprovalDock {
  readonly #place: HTMLElement
  readonly #around: Surroundings
  #shown: { readonly id: string; readonly dialog: ApprovalDialog } | undefined
  #open: readonly string[] = []
  /** Of those that were open together, how many are answered. */
  #answered = 0

  constructor(place: HTMLElement, around: Surroundings) {
    this.#place = place
    this.#around = around
  }

  /** For another session; `render` fills it. */
  open(): void {
    this.#shown = undefined
    this.#open = []
    this.#place.replaceChildren()
  }

  render(approvals: readonly Approval[]): void {
    const open = approvals.filter((approval): approval is PolicyApproval => approval.reason === 'policy')
    const ids = open.map(({ id }) => id)
    this.#answered = ids.length === 0 ? 0 : this.#answered + this.#open.filter((id) => !ids.includes(id)).length
    this.#open = ids
    const next = open.find(({ id }) => id === this.#shown?.id) ?? open[0]
    if (next?.id !== this.#shown?.id) this.#show(next)
    this.#shown?.dialog.place(this.#answered + 1, this.#answered + open.length)
  }

  #show(approval: PolicyApproval | undefined): void {
    const hadFocus = this.#place.contains(document.activeElement)
    if (!approval) {
      this.#shown = undefined
      this.#place.replaceChildren()
      if (hadFocus) this.#around.focus()
      return
    }
    const dialog = new ApprovalDialog(approval, (answer) => this.#around.answer(approval, answer))
    const takesFocus = hadFocus || this.#around.mayTakeFocus()
    this.#shown = { id: approval.id, dialog }
    this.#place.replaceChildren(dialog.element)
    if (takesFocus) dialog.element.focus({ preventScroll: true })
  }
}
