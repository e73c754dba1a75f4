import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import { chromiumArgs, findChromium } from '../scripts/chromium.ts'
import { devToolsOf } from './devtools.ts'

export interface Browser {
  readonly version: string
  /** Opens a page of its own, with DevTools at `window.devtools`, and closes it after `use`. */
  withPage<T>(url: string, use: (page: Page) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** One Chromium for all measurements, with its profile on disk: other contexts keep IndexedDB in memory. */
export async function launch(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'turnloop-bench-'))
  const executablePath = findChromium()
  const context = await chromium.launchPersistentContext(profile, {
    ...(executablePath && { executablePath }),
    args: [...chromiumArgs],
    headless: true,
    viewport: { width: 1280, height: 800 },
  })
  return {
    version: context.browser()?.version() ?? 'unknown',
    async withPage(url, use) {
      const page = await context.newPage()
      const faults: string[] = []
      page.on('pageerror', (error) => faults.push(error.stack ?? error.message))
      page.on('console', (message) => {
        if (message.type() === 'error') faults.push(message.text())
        else console.error(message.text())
      })
      try {
        const devTools = devToolsOf(await context.newCDPSession(page))
        for (const [name, tool] of Object.entries(devTools)) await page.exposeFunction(name, tool)
        await page.goto(url)
        const result = await use(page)
        if (faults.length > 0) throw new Error(`The page reported errors:\n${faults.join('\n')}`)
        return result
      } catch (error) {
        if (faults.length > 0) console.error(faults.join('\n'))
        throw error
      } finally {
        await page.close()
      }
    },
    async close() {
      await context.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
