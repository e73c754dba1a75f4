import type { OwnKey } from './agent.ts'
import { element } from './dom.ts'
import { askForKey } from './own-key.ts'

export type ModelName = 'offline' | 'brief' | 'proxied' | 'own'

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

/** The choice of the model: of a new session's, or, in mid-session, of the one that takes the next turn. */
export class ModelPicker {
  readonly #select: HTMLSelectElement
  readonly #useKey: (key: OwnKey) => void
  readonly #chose: (name: ModelName) => void
  readonly #own = element('option', { value: 'own' }, 'My own key…')
  #hasKey = false
  /** What a session begins with. */
  #usual: ModelName = 'offline'
  #chosen: ModelName = 'offline'
  #told: string | undefined

  /** `chose` hears what a person has chosen. */
  constructor(select: HTMLSelectElement, useKey: (key: OwnKey) => void, chose: (name: ModelName) => void) {
    this.#select = select
    this.#useKey = useKey
    this.#chose = chose
    select.append(
      element('option', { value: 'offline' }, 'Offline demo model: scripted, no intelligence'),
      element('option', { value: 'brief' }, 'Offline demo model: scripted, brief and cheap'),
      this.#own,
    )
    select.addEventListener('change', () => void this.choose(select.value as ModelName))
  }

  get chosen(): ModelName {
    return this.#chosen
  }

  /** Another session begins: its own model is told by `render`. */
  open(): void {
    this.#told = undefined
    this.#show(this.#usual)
  }

  /** Shows what was chosen for the session, in whichever tab; a key that a reload has taken away is no choice. */
  render(model: string | undefined): void {
    if (model === this.#told) return
    this.#told = model
    const isOffered = [...this.#select.options].some(({ value }) => value === model)
    if (isOffered && (model !== 'own' || this.#hasKey)) this.#show(model as ModelName)
  }

  /** Adds the server's model, and goes back to it where it was chosen before. */
  offer(model: string): void {
    this.#own.before(element('option', { value: 'proxied' }, `${model} (key stays on the server)`))
    if (this.#told === 'proxied') this.#show('proxied')
    if (localStorage.getItem(remembered) !== 'proxied') return
    this.#usual = 'proxied'
    if (this.#told === undefined) this.#show('proxied')
  }

  async choose(name: ModelName): Promise<void> {
    if (name === 'own' && !(await this.#ask())) return this.#show(this.#chosen)
    this.#usual = name
    this.#show(name)
    // a key is gone after a reload, so its model is no choice to come back to
    if (name !== 'own') localStorage.setItem(remembered, name)
    this.#chose(name)
  }

  #show(name: ModelName): void {
    this.#chosen = name
    this.#select.value = name
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
