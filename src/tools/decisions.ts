import type { Decision } from './tool-run.ts'

/** The calls that may start, by id. A person may allow further ones while others are carried out. */
export class Decisions extends Map<string, Decision> {
  #told: () => void = () => {}
  #next: Promise<void> | undefined

  override set(toolCallId: string, decision: Decision): this {
    super.set(toolCallId, decision)
    this.#next = undefined
    this.#told()
    return this
  }

  /** Resolves once a further call may start. */
  next(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      this.#told = resolve
    })
    return this.#next
  }
}
