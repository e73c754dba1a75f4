import { byId } from './dom.ts'

/** Where the user writes. Drafts stay with their session until they are sent. */
export class Composer {
  readonly #box = byId<HTMLTextAreaElement>('message')
  readonly #send = byId<HTMLButtonElement>('send')
  readonly #stop = byId<HTMLButtonElement>('stop')
  readonly #drafts = new Map<string, string>()
  #session = ''

  constructor(onSend: (text: string) => void, onStop: () => void) {
    byId<HTMLFormElement>('composer').addEventListener('submit', (event) => {
      event.preventDefault()
      const text = this.#box.value
      if (!text.trim()) return
      this.#write('')
      this.#box.focus()
      onSend(text)
    })
    this.#box.addEventListener('keydown', (event) => {
      // Enter ends an IME composition; Safari reports that key only as 229
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
      event.preventDefault()
      this.#box.form?.requestSubmit()
    })
    this.#box.addEventListener('input', () => this.#changed())
    this.#stop.addEventListener('click', () => {
      this.#box.focus()
      onStop()
    })
  }

  open(sessionId: string): void {
    this.#drafts.set(this.#session, this.#box.value)
    this.#session = sessionId
    this.#write(this.#drafts.get(sessionId) ?? '')
  }

  /** Gives a refused input back, unless the user wrote on. */
  restore(sessionId: string, text: string): void {
    if (sessionId !== this.#session) this.#drafts.set(sessionId, this.#drafts.get(sessionId) || text)
    else if (!this.#box.value) this.#write(text)
  }

  /** While a run is under way it can be stopped, and a message sent now is queued. */
  render(working: boolean): void {
    this.#stop.hidden = !working
  }

  focus(): void {
    this.#box.focus({ preventScroll: true })
  }

  #write(text: string): void {
    this.#box.value = text
    this.#changed()
  }

  #changed(): void {
    this.#send.disabled = !this.#box.value.trim()
    if (CSS.supports('field-sizing', 'content')) return
    this.#box.style.setProperty('height', 'auto')
    this.#box.style.setProperty('height', `${this.#box.scrollHeight}px`)
  }
}
