import { byId, element, icon } from './dom.ts'
import { asSize } from './format.ts'

/** The files that go with the next message: chosen, dropped on the page or pasted. */
export class Attachments {
  readonly #list = byId('attachments')
  readonly #button = byId<HTMLButtonElement>('attach')
  readonly #changed: () => void
  #files: readonly File[] = []

  constructor(box: HTMLTextAreaElement, changed: () => void) {
    this.#changed = changed
    const chooser = byId<HTMLInputElement>('attach-files')
    this.#button.addEventListener('click', () => chooser.click())
    chooser.addEventListener('change', () => {
      this.#add(chooser.files)
      chooser.value = ''
      box.focus()
    })
    box.addEventListener('paste', (event) => {
      if (!event.clipboardData?.files.length) return
      event.preventDefault()
      this.#add(event.clipboardData.files)
    })
    this.#takeDrops(box)
  }

  get files(): readonly File[] {
    return this.#files
  }

  set(files: readonly File[]): void {
    this.#files = files
    this.#list.hidden = files.length === 0
    this.#list.replaceChildren(...files.map((file) => this.#chip(file)))
    this.#changed()
  }

  #add(files: FileList | null): void {
    this.set([...this.#files, ...(files ?? [])])
  }

  /** Wherever a file is dropped: anything else would lead away from the page. */
  #takeDrops(box: HTMLTextAreaElement): void {
    const over = (event: DragEvent, dropping: boolean) => {
      if (!event.dataTransfer?.types.includes('Files')) return false
      event.preventDefault()
      document.body.classList.toggle('dropping', dropping)
      return true
    }
    document.addEventListener('dragover', (event) => over(event, true))
    document.addEventListener('dragleave', (event) => event.relatedTarget || over(event, false))
    document.addEventListener('drop', (event) => {
      if (!over(event, false)) return
      this.#add(event.dataTransfer?.files ?? null)
      box.focus()
    })
  }

  #chip(file: File): HTMLElement {
    const remove = element('button', { className: 'quiet', type: 'button', title: 'Remove' }, icon('cross'))
    remove.ariaLabel = `Remove ${file.name}`
    remove.addEventListener('click', () => {
      this.set(this.#files.filter((other) => other !== file))
      ;(this.#list.querySelector('button') ?? this.#button).focus()
    })
    const name = element('span', { className: 'name', title: file.name }, file.name)
    return element('li', { className: 'chip' }, icon('file'), name, element('small', {}, asSize(file.size)), remove)
  }
}
