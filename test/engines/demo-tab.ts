import type { Tab } from './engine.ts'

const log = '//*[@role="log" and @aria-label="Conversation"]'
const button = (name: string) => `//button[normalize-space()="${name}" or @aria-label="${name}"]`

/** The demo page by its accessible names, in any browser. Waiting is done by the page, which knows when something changed. */
export class DemoTab {
  readonly #tab: Tab

  constructor(tab: Tab) {
    this.#tab = tab
  }

  /** Sends the text and goes on at once. */
  async say(text: string): Promise<void> {
    await this.#tab.type('//textarea[@aria-label="Message"]', text)
    await this.press('Send')
  }

  /** Sends the text and waits for the end of its answer. */
  async ask(text: string): Promise<void> {
    await this.say(text)
    await this.shows(text)
    await this.idle()
  }

  press(name: string): Promise<void> {
    return this.#tab.click(button(name))
  }

  reload(): Promise<void> {
    return this.#tab.reload()
  }

  /** Waits until the conversation holds this text. */
  shows(text: string): Promise<void> {
    return this.#until({ text })
  }

  /** Waits until nothing is under way. */
  idle(): Promise<void> {
    return this.#until({ busy: 'false' })
  }

  /** The lines of the conversation as they are seen. Not the empty ones: WebKit counts them otherwise while a text grows. */
  async text(): Promise<string> {
    const seen = await this.#tab.run((xpath) => {
      const { singleNodeValue } = document.evaluate(xpath, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE)
      // biome-ignore lint/performance/useDomNodeTextContent: what is visible counts
      return (singleNodeValue as HTMLElement).innerText
    }, log)
    return seen
      .split('\n')
      .map((line) => line.trimEnd())
      .filter(Boolean)
      .join('\n')
  }

  title(): Promise<string> {
    return this.#tab.run(() => document.querySelector('h1')?.textContent ?? '')
  }

  background(): Promise<string> {
    return this.#tab.run(() => getComputedStyle(document.body).backgroundColor)
  }

  /** Waits until the background is another one. */
  recoloured(before: string): Promise<void> {
    return this.#tab.run(
      (before, limit) =>
        new Promise<void>((resolve, reject) => {
          const begun = performance.now()
          const look = () => {
            if (getComputedStyle(document.body).backgroundColor !== before) resolve()
            else if (performance.now() - begun > limit) reject(new Error(`The background is still ${before}`))
            else requestAnimationFrame(look)
          }
          look()
        }),
      before,
      20_000,
    )
  }

  /** From now on, counts how often the page's last message is seen to have grown. `grown` waits for it. */
  watch(): Promise<void> {
    return this.#tab.run((xpath) => {
      const { singleNodeValue } = document.evaluate(xpath, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE)
      const log = singleNodeValue as HTMLElement
      let last = ''
      log.dataset.grown = '0'
      const options = { subtree: true, childList: true, characterData: true }
      new MutationObserver(() => {
        const text = log.querySelector('article:last-of-type')?.textContent ?? ''
        if (text.length > last.length && text.startsWith(last))
          log.dataset.grown = String(Number(log.dataset.grown) + 1)
        last = text
      }).observe(log, options)
    }, log)
  }

  grown(times: number): Promise<void> {
    return this.#until({ grown: times })
  }

  #until(wanted: { readonly text?: string; readonly busy?: string; readonly grown?: number }): Promise<void> {
    return this.#tab.run(
      (xpath, { text, busy, grown }, limit) => {
        const { singleNodeValue } = document.evaluate(xpath, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE)
        const log = singleNodeValue as HTMLElement
        const isSo = () =>
          (text === undefined || log.textContent.includes(text)) &&
          (busy === undefined || log.getAttribute('aria-busy') === busy) &&
          (grown === undefined || Number(log.dataset.grown) >= grown)
        return new Promise<void>((resolve, reject) => {
          const look = () => {
            if (!isSo()) return
            clearTimeout(timer)
            observer.disconnect()
            resolve()
          }
          const timer = setTimeout(() => {
            observer.disconnect()
            reject(
              new Error(
                `Not ${text ?? (grown ? `grown ${grown} times` : 'idle')} within ${limit} ms; shown: ${log.textContent}`,
              ),
            )
          }, limit)
          const observer = new MutationObserver(look)
          observer.observe(log, { subtree: true, childList: true, characterData: true, attributes: true })
          look()
        })
      },
      log,
      wanted,
      20_000,
    )
  }
}
