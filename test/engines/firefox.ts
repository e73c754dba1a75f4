import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, launch, type Page, type Target } from 'puppeteer-core'
import { findFirefox } from '../../scripts/engines.ts'
import { bare } from './bare.ts'
import type { DrivenBrowser, Engine, Tab } from './engine.ts'
import { ProcessGroup } from './process-group.ts'
import { within } from './within.ts'

const executable = () => findFirefox() ?? 'firefox'

/** Firefox, headless: steered over WebDriver BiDi by Puppeteer. */
export async function firefox(): Promise<Engine> {
  return {
    name: 'Firefox',
    async drive() {
      const options = { browser: 'firefox', executablePath: executable(), headless: true, timeout: 30_000 } as const
      const browser = await within(40_000, 'Starting Firefox', launch(options))
      return driven(browser, await browser.version())
    },
    async start(profile, url) {
      await writeFile(join(profile, 'user.js'), preferences)
      const group = new ProcessGroup(executable(), ['--headless', '--no-remote', '--profile', profile, url], {
        // its helper for reports of crashes would be no part of the group
        env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1' },
      })
      return bare(group, / -contentproc .* tab /)
    },
    close: async () => {},
  }
}

function driven(browser: Browser, version: string): DrivenBrowser {
  const faults: string[] = []
  const tabOf = (page: Page): Tab => {
    page.on('pageerror', (error) => faults.push(`page error: ${error instanceof Error ? error.message : error}`))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warn') faults.push(`console: ${message.text()}`)
    })
    return tab(page)
  }
  return {
    version: version.replace('firefox/', ''),
    async open(url) {
      const page = await within(15_000, 'Opening a tab', browser.newPage())
      const opened = tabOf(page)
      await page.goto(url, { timeout: 20_000 })
      return opened
    },
    async opened(act) {
      const target = new Promise<Target>((resolve) => browser.once('targetcreated', resolve))
      await act()
      const page = await within(
        15_000,
        'Opening a tab',
        target.then((opened) => opened.page()),
      )
      if (!page) throw new Error('What opened is no tab')
      const opened = tabOf(page)
      // it begins as an empty one
      const loaded = () => location.href !== 'about:blank' && document.readyState === 'complete'
      await page.waitForFunction(loaded, { timeout: 20_000 })
      return opened
    },
    faults: async () => faults,
    close: () => within(20_000, 'Closing Firefox', browser.close()),
  }
}

function tab(page: Page): Tab {
  const find = async (xpath: string) => {
    const element = await page.waitForSelector(`::-p-xpath(${xpath})`, { visible: true, timeout: 15_000 })
    if (!element) throw new Error(`Not in the page: ${xpath}`)
    return element
  }
  return {
    reload: async () => void (await page.reload({ timeout: 20_000 })),
    click: async (xpath) => (await find(xpath)).click(),
    type: async (xpath, text) => (await find(xpath)).type(text),
    run: (inPage, ...args) =>
      within(40_000, 'A script in the page', page.evaluate(inPage as never, ...args)) as Promise<never>,
  }
}

/** Nothing of its own on the network, no first-run pages, no offer to restore tabs after a kill; pages may open and close tabs. */
const preferences = Object.entries({
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  'devtools.console.stdout.content': true,
  'dom.allow_scripts_to_close_windows': true,
  'dom.disable_open_during_load': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.telemetry.server': 'data:,',
})
  .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
  .join('')
