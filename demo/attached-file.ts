import type { MessagePart } from 'turnloop'
import { element, icon } from './dom.ts'
import { download } from './download.ts'

type FilePart = Extract<MessagePart, { type: 'file' | 'reasoning-file' }>

/** Gives the bytes of a file by its URL; rejects where they are gone. */
export type OpenFile = (url: string) => Promise<Blob>

/** Those that a browser draws and that can't carry a script. */
const drawn = /^image\/(?:png|jpeg|gif|webp|avif|bmp)$/

/**
 * A file of a message: an image is shown, any other can be saved. Only what the session itself keeps is opened; an address that a
 * model gave is shown as text.
 */
export class AttachedFile {
  readonly element = element('div', { className: 'attached' })
  readonly #open: OpenFile
  #url = ''

  constructor(open: OpenFile) {
    this.#open = open
  }

  update(part: FilePart): void {
    if (part.url === this.#url) return
    this.#url = part.url
    const { mediaType, url } = part
    const name = 'filename' in part ? part.filename : undefined
    if (!url.startsWith('turnloop:blob/')) {
      const where = url.startsWith('data:') ? '' : `, ${url}`
      this.element.replaceChildren(element('span', { className: 'source' }, `File: ${name ?? mediaType}${where}`))
    } else if (drawn.test(mediaType)) void this.#draw(url, name ?? 'Attached image')
    else this.element.replaceChildren(this.#saveButton(url, name ?? mediaType))
  }

  async #draw(url: string, name: string): Promise<void> {
    const image = element('img', { alt: name, title: name })
    const gone = () => this.element.replaceChildren(this.#saveButton(url, name))
    this.element.replaceChildren(image)
    const blob = await this.#open(url).catch(() => undefined)
    if (!blob) return gone()
    const address = URL.createObjectURL(blob)
    const revoke = () => URL.revokeObjectURL(address)
    image.addEventListener('load', revoke)
    image.addEventListener('error', () => {
      revoke()
      gone()
    })
    image.src = address
  }

  #saveButton(url: string, name: string): HTMLButtonElement {
    const button = element('button', { className: 'chip', type: 'button', title: 'Save' }, icon('file'), name)
    button.addEventListener('click', async () => {
      const blob = await this.#open(url).catch(() => undefined)
      if (blob) download(blob, name)
      else button.replaceChildren(icon('file'), `${name} is gone`)
    })
    return button
  }
}
