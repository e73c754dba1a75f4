import type { OwnKey } from './agent.ts'
import { element } from './dom.ts'
import { askForKey } from './own-key.ts'

type ModelName = 'offline' | 'proxied' | 'own'

/** The real model that the server of this page offers behind its proxy, by name; none without a key. */
export async function proxiedModel(): Promise<string | undefined> {
  try {
    const response = await fetch('/api/models')
    const { proxied } = (await response.json()) as { proxied?: { model: string } }
    return proxied?.model
  } catch {
    // a static host has no such address
    return undefined
  }
}

const remembered = 'turnloop-demo-model'

/** The choice of the model for the next message. */
export class ModelPicker {
  readonly #select: HTMLSelectElement
  readonly #useKey: (key: OwnKey) => void
  readonly #own = element('option', { value: 'own' }, 'My own key…')
  #hasKey = false
  #chosen: ModelName = 'offline'

  constructor(select: HTMLSelectElement, useKey: (key: OwnKey) => void) {
    this.#select = select
    this.#useKey = useKey
    select.append(element('option', { value: 'offline' }, 'Offline demo model: scripted, no intelligence'), this.#own)
    select.addEventListener('change', () => void this.choose(select.value as ModelName))
  }

  get chosen(): ModelName {
    return this.#chosen
  }

  /** Adds the server's model, and goes back to it where it was chosen before. */
  offer(model: string): void {
    this.#own.before(element('option', { value: 'proxied' }, `${model} (key stays on the server)`))
    if (localStorage.getItem(remembered) === 'proxied') void this.choose('proxied')
  }

  async choose(name: ModelName): Promise<void> {
    if (name === 'own' && !(await this.#ask())) {
      this.#select.value = this.#chosen
      return
    }
    this.#chosen = name
    this.#select.value = name
    // a key is gone after a reload, so its model is no choice to come back to
    if (name !== 'own') localStorage.setItem(remembered, name)
  }

  async #ask(): Promise<boolean> {
    const key = await askForKey()
    if (key) {
      this.#useKey(key)
      this.#own.textContent = `${key.modelId} (my own key)`
      this.#hasKey = true
    }
    return this.#hasKey
  }
}
