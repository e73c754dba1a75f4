import type { StorageInfo } from 'turnloop'
import { byId } from './dom.ts'

/** Where the sessions are kept, and the browser's word that it does not delete them by itself. */
export class StorageLine {
  readonly #state = byId('storage-state')
  readonly #keep = byId<HTMLButtonElement>('persist')
  #refused = false

  /** `persist` asks the browser; some browsers ask the user. */
  constructor(persist: () => Promise<boolean>) {
    this.#keep.addEventListener('click', async () => {
      this.#keep.disabled = true
      this.#refused = !(await persist().catch(() => false))
      this.#keep.disabled = false
      if (this.#refused) this.#say('This browser does not promise it yet. It may, once you have used the page more.')
    })
  }

  render({ persisted, usage, problem }: StorageInfo): void {
    this.#keep.hidden = persisted || problem !== undefined
    if (problem) return this.#say(problem.message, true)
    if (persisted) return this.#say(`Kept in this browser only, until you delete it${sizeOf(usage)}.`)
    if (!this.#refused)
      this.#say(`Kept in this browser only${sizeOf(usage)}. It may delete old data when space runs out.`)
  }

  #say(text: string, problem = false): void {
    this.#state.textContent = text
    this.#state.dataset.state = problem ? 'problem' : 'ok'
  }
}

const sizeOf = (bytes = 0) => (bytes < 1e5 ? '' : `: ${(bytes / 1e6).toFixed(1)} MB`)
