import type { SessionSnapshot } from 'turnloop'
import { byId } from './dom.ts'
import { asCost, asShare, inFull } from './format.ts'

/** Below the composer: what the session has used, and how full the model's context is. A click tells more. */
export class UsageLine {
  readonly #button = byId<HTMLButtonElement>('usage')

  constructor(more: () => void) {
    this.#button.addEventListener('click', more)
  }

  render({ usage, cost, context: { tokens, window } }: SessionSnapshot): void {
    const used = usage.inputTokens + usage.outputTokens
    this.#button.hidden = used === 0
    const parts = [`${inFull(used)} tokens`, `cost ${asCost(cost)}`]
    if (window && tokens > 0) parts.push(`context ${asShare(tokens, window)} full`)
    const text = parts.join(' · ')
    if (this.#button.textContent !== text) this.#button.textContent = text
  }
}
