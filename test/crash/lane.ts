import type { Browser, Death, Tab } from './browser.ts'
import { PageGone } from './world/pages.ts'

/**
 * Workers of one tab that may die: the runtime gives up one whose workers die over and over, five times in ten seconds, and
 * waits for the next use of it.
 */
export const mostWorkerDeaths = 4

/** One browser with one tab in front, in which scenarios run one after the other. */
export class Lane {
  readonly browser: Browser
  #tab: Tab | undefined
  #opening: Promise<Tab> | undefined
  #killing: Promise<unknown> | undefined
  #workerDeaths = 0

  constructor(browser: Browser) {
    this.browser = browser
  }

  /** The tab in front; opened where there is none. Who asks while something dies gets the one that comes after it. */
  async tab(): Promise<Tab> {
    await this.#killing
    return this.#open()
  }

  #open(): Promise<Tab> {
    if (this.#tab && !this.#tab.link.gone) return Promise.resolve(this.#tab)
    this.#opening ??= this.#openNew().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #openNew(): Promise<Tab> {
    this.#tab = await this.browser.open()
    this.#workerDeaths = 0
    return this.#tab
  }

  /** Before a scenario in which so many workers may die. */
  async prepare(workerDeaths: number): Promise<void> {
    if (this.#workerDeaths + workerDeaths > mostWorkerDeaths) await this.closeTab()
    await this.tab()
  }

  /** The page's link as it is now; undefined between two lives. */
  get link() {
    return this.#tab?.link.gone ? undefined : this.#tab?.link
  }

  /** Kills, and gives what there is afterwards. */
  async kill(by: Death): Promise<Tab> {
    const tab = await this.tab()
    const next = this.#kill(tab, by)
    this.#killing = next.catch(() => {})
    return next
  }

  async #kill(tab: Tab, by: Death): Promise<Tab> {
    if (by === 'worker') {
      this.#workerDeaths++
      await tab.link.ask('kill-worker')
      return tab
    }
    this.#tab = undefined
    if (by === 'reload') {
      this.#workerDeaths = 0
      this.#tab = await tab.reload()
      return this.#tab
    }
    if (by === 'page') await tab.crash()
    else if (by === 'tab') await tab.close()
    else await this.browser.kill()
    return this.#open()
  }

  async closeTab(): Promise<void> {
    const tab = this.#tab
    this.#tab = undefined
    await tab?.close()
  }
}

/** Does what a dying page may keep from being done. */
export async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof PageGone) return undefined
    throw error
  }
}
