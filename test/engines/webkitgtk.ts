import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findWebKitGtk } from '../../scripts/engines.ts'
import { bare } from './bare.ts'
import { type Display, openDisplay } from './display.ts'
import type { DrivenBrowser, Engine, Tab } from './engine.ts'
import { ProcessGroup } from './process-group.ts'
import { freePort, WebDriver } from './webdriver.ts'
import { within } from './within.ts'

/** WebKitGTK's MiniBrowser on a display of its own: steered by WebKitWebDriver. */
export async function webKitGtk(): Promise<Engine> {
  const { driver, browser } = findWebKitGtk() ?? { driver: 'WebKitWebDriver', browser: 'MiniBrowser' }
  const display = await openDisplay()
  return {
    name: 'WebKitGTK',
    async drive() {
      const port = await freePort()
      const service = new ProcessGroup(driver, ['--host=127.0.0.1', `--port=${port}`], { env: environment(display) })
      try {
        const capabilities = { 'webkitgtk:browserOptions': { binary: browser, args: ['--automation'] } }
        const session = WebDriver.connect(`http://127.0.0.1:${port}`, capabilities)
        return driven(await within(40_000, 'Starting MiniBrowser', session), service)
      } catch (error) {
        await service.kill()
        throw error
      }
    },
    async start(profile, url) {
      const args = [
        '--enable-write-console-messages-to-stdout=true',
        '--javascript-can-open-windows-automatically=true',
      ]
      const env = { ...environment(display), ...(await homes(profile)) }
      return bare(new ProcessGroup(browser, [...args, url], { env }), /WebKitWebProcess/)
    },
    close: () => display.close(),
  }
}

const environment = (display: Display): NodeJS.ProcessEnv => ({
  ...process.env,
  DISPLAY: display.name,
  GDK_BACKEND: 'x11',
  GSETTINGS_BACKEND: 'memory',
  LIBGL_ALWAYS_SOFTWARE: '1',
  NO_AT_BRIDGE: '1',
  // its sandbox refuses root
  ...(process.getuid?.() === 0 && { WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1' }),
})

/** All that a browser keeps lies in the profile. */
async function homes(profile: string): Promise<NodeJS.ProcessEnv> {
  const places = { HOME: 'home', XDG_DATA_HOME: 'data', XDG_CACHE_HOME: 'cache', XDG_CONFIG_HOME: 'config' }
  const entries = Object.entries(places).map(([name, folder]) => [name, join(profile, folder)] as const)
  for (const [, folder] of entries) await mkdir(folder, { recursive: true })
  return Object.fromEntries(entries)
}

function driven(driver: WebDriver, service: ProcessGroup): DrivenBrowser {
  const tabs: WebKitTab[] = []
  const handles = () => driver.get<string[]>('window/handles')
  const tab = (handle: string) => {
    const opened = new WebKitTab(driver, handle)
    tabs.push(opened)
    return opened
  }
  return {
    version: driver.version,
    async open(url) {
      // in a tab of a window that has several, a click on "Open second tab" opens nothing
      const { handle } = await driver.post<{ handle: string }>('window/new', { type: 'window' })
      const opened = tab(handle)
      await opened.goto(url)
      return opened
    },
    async opened(act) {
      const before = await handles()
      await act()
      const find = async () => {
        for (;;) {
          const handle = (await handles()).find((handle) => !before.includes(handle))
          if (handle !== undefined) return handle
          // the driver tells of no event, and is too busy to open a tab when it is asked without pause
          await pause(100)
        }
      }
      const opened = tab(await within(15_000, 'Opening a tab', find()))
      await opened.listen()
      return opened
    },
    async faults() {
      const found: string[] = []
      for (const opened of tabs) found.push(...(await opened.faults()))
      return found
    },
    async close() {
      try {
        await driver.close()
      } finally {
        await service.kill()
      }
    },
  }
}

class WebKitTab implements Tab {
  readonly #driver: WebDriver
  readonly #handle: string
  readonly #faults: string[] = []

  constructor(driver: WebDriver, handle: string) {
    this.#driver = driver
    this.#handle = handle
  }

  async goto(url: string): Promise<void> {
    await this.#select()
    await this.#driver.post('url', { url })
    await this.listen()
  }

  async reload(): Promise<void> {
    await this.faults()
    await this.#driver.post('refresh')
    await this.listen()
  }

  async click(xpath: string): Promise<void> {
    await this.#select()
    await this.#driver.post(`element/${await this.#driver.find(xpath)}/click`)
  }

  async type(xpath: string, text: string): Promise<void> {
    await this.#select()
    await this.#driver.post(`element/${await this.#driver.find(xpath)}/value`, { text })
  }

  async run<A extends readonly unknown[], R>(page: (...args: A) => R | Promise<R>, ...args: A): Promise<R> {
    await this.#select()
    const script = `const [values, done] = arguments
      Promise.resolve().then(() => (${page})(...values)).then((value) => done({ value }), (error) => done({ error: String(error) }))`
    const outcome = await this.#driver.post<{ value: R } | { error: string }>('execute/async', { script, args: [args] })
    if ('error' in outcome) throw new Error(outcome.error)
    return outcome.value
  }

  /** Automation keeps a page's console from us: the page itself collects its errors, from the end of its loading on. */
  async listen(): Promise<void> {
    await this.run(() => {
      const faults: string[] = []
      Object.assign(window, { faults })
      addEventListener('error', ({ message }) => faults.push(`page error: ${message}`))
      addEventListener('unhandledrejection', ({ reason }) => faults.push(`unhandled rejection: ${reason}`))
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
        faults.push(`CSP violation: ${violatedDirective} ${blockedURI}`),
      )
      for (const level of ['error', 'warn'] as const) {
        const original = console[level]
        console[level] = (...said: unknown[]) => {
          faults.push(`console: ${said.map(String).join(' ')}`)
          original.apply(console, said)
        }
      }
    })
  }

  async faults(): Promise<readonly string[]> {
    const read = () => (window as unknown as { faults?: string[] }).faults?.splice(0) ?? []
    this.#faults.push(...(await this.run(read)))
    return this.#faults
  }

  /** Commands go to the tab that was last selected. */
  async #select(): Promise<void> {
    await this.#driver.post('window', { handle: this.#handle })
  }
}
