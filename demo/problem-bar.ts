import { byId } from './dom.ts'

/** Says what a click could not do, until somebody has read it. */
export class ProblemBar {
  readonly #bar = byId('problem')
  readonly #text = byId('problem-text')

  constructor() {
    byId('problem-dismiss').addEventListener('click', () => {
      this.clear()
      byId('message').focus()
    })
  }

  clear(): void {
    this.#bar.hidden = true
  }

  /** Tells of what goes wrong with the task; nothing more comes of it then. */
  async watch<T>(what: string, task: Promise<T>): Promise<T | undefined> {
    this.clear()
    try {
      return await task
    } catch (error) {
      this.#text.textContent = `${what} ${(error as Error).message}`
      this.#bar.hidden = false
      return undefined
    }
  }
}
