import { element } from './dom.ts'
import { asShare } from './format.ts'

const nearlyFull = 0.8

/** How much of something is used: words, and a bar where there is an end to it. */
export class Gauge {
  readonly element: HTMLElement
  readonly #words = element('span', { className: 'amount' })
  readonly #bar = element('meter', { min: 0, optimum: 0 })

  constructor(label: string) {
    this.#bar.ariaLabel = `${label}, used`
    this.element = element('div', { className: 'gauge' }, this.#words, this.#bar)
  }

  /** Without a `cap`, or where it isn't known how much is used, there is no bar. */
  render(used: number | undefined, cap: number | undefined, show: (amount: number) => string): void {
    const words = [used === undefined ? undefined : show(used), cap === undefined ? undefined : show(cap)]
    const text = words.filter((word) => word !== undefined).join(' of ') || 'nothing yet'
    const full = used !== undefined && cap !== undefined && cap > 0
    this.#words.textContent = full ? `${text}, ${asShare(used, cap)}` : text
    this.#bar.hidden = !full
    if (!full) return
    this.#bar.max = cap
    this.#bar.high = cap * nearlyFull
    this.#bar.value = used
    this.#bar.style.setProperty('--share', String(Math.min(used / cap, 1)))
    this.#bar.toggleAttribute('data-full', used > cap * nearlyFull)
  }
}
