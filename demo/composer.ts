import { Attachments } from './attachments.ts'
import { byId } from './dom.ts'

/** What becomes of a message that is sent while an answer is under way. */
export type WhenBusy = 'queue' | 'steer'

/** What the user writes, and the files with it. */
export interface Draft {
  readonly text: string
  readonly files: readonly File[]
}

/** Where the user writes. Drafts stay with their session until they are sent. */
export class Composer {
  readonly #form = byId<HTMLFormElement>('composer')
  readonly #box = byId<HTMLTextAreaElement>('message')
  readonly #send = byId<HTMLButtonElement>('send')
  readonly #stop = byId<HTMLButtonElement>('stop')
  readonly #whenBusy = byId<HTMLFieldSetElement>('when-busy')
  readonly #attachments = new Attachments(this.#box, () => this.#changed())
  readonly #drafts = new Map<string, Draft>()
  #session = ''

  constructor(onSend: (draft: Draft, whenBusy: WhenBusy) => void, onStop: () => void) {
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      if (this.isEmpty) return
      const draft = this.#draft
      this.#write(nothing)
      this.#box.focus()
      onSend(draft, this.#chosen)
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
    this.#drafts.set(this.#session, this.#draft)
    this.#session = sessionId
    this.#write(this.#drafts.get(sessionId) ?? nothing)
  }

  /** Gives a refused input back, unless the user wrote on. */
  restore(sessionId: string, draft: Draft): void {
    if (sessionId === this.#session) return this.isEmpty ? this.#write(draft) : undefined
    const { text, files } = this.#drafts.get(sessionId) ?? nothing
    if (isNothing(text, files)) this.#drafts.set(sessionId, draft)
  }

  get isEmpty(): boolean {
    return isNothing(this.#box.value, this.#attachments.files)
  }

  get #draft(): Draft {
    return { text: this.#box.value, files: this.#attachments.files }
  }

  /** While a run is under way it can be stopped, and a message that is sent now waits: for its end, or for its next turn. */
  render(working: boolean): void {
    this.#stop.hidden = this.#whenBusy.hidden = !working
  }

  get #chosen(): WhenBusy {
    return new FormData(this.#form).get('when-busy') === 'steer' ? 'steer' : 'queue'
  }

  focus(): void {
    this.#box.focus({ preventScroll: true })
  }

  #write({ text, files }: Draft): void {
    this.#box.value = text
    this.#attachments.set(files)
  }

  #changed(): void {
    this.#send.disabled = this.isEmpty
    if (CSS.supports('field-sizing', 'content')) return
    this.#box.style.setProperty('height', 'auto')
    this.#box.style.setProperty('height', `${this.#box.scrollHeight}px`)
  }
}

const nothing: Draft = { text: '', files: [] }

const isNothing = (text: string, files: readonly File[]) => !text.trim() && files.length === 0
