import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { chromiumArgs, findChromium } from '../../scripts/chromium.ts'
import type { Browser, Tab } from './browser.ts'
import type { World } from './world/world.ts'

const run = promisify(execFile)
const database = 'crash'

/** A Chromium with a profile on disk, which outlives its deaths. */
export async function launchChromium(world: World): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'turnloop-crash-'))
  const executablePath = findChromium()
  const launch = () =>
    chromium.launchPersistentContext(profile, {
      ...(executablePath && { executablePath }),
      args: [...chromiumArgs],
      headless: true,
      viewport: { width: 800, height: 600 },
    })
  let context = await launch()

  const load = async (page: Page): Promise<Tab> => {
    const { id, url } = world.address(database)
    await page.goto(url)
    const link = await world.until(() => world.page(id), 15_000)
    if (!link) throw new Error(`The page ${id} did not connect within 15 s`)
    return {
      link,
      crash: async () => {
        const session = await context.newCDPSession(page)
        const crashed = page.waitForEvent('crash')
        // It is never answered: who would answer is dead.
        session.send('Page.crash').catch(() => {})
        await crashed
        await page.close()
      },
      reload: () => load(page),
      close: () => page.close(),
    }
  }

  return {
    name: `Chromium ${context.browser()?.version() ?? ''}`.trim(),
    open: async () => load(await context.newPage()),
    kill: async () => {
      await killBrowser(profile)
      await context.close().catch(() => {})
      context = await launchAnew(launch)
    },
    close: async () => {
      await context.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** The profile's lock of the killed browser may be seen for a moment. */
async function launchAnew(launch: () => Promise<BrowserContext>): Promise<BrowserContext> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await launch()
    } catch (error) {
      if (attempt === 3) throw error
      await delay(500)
    }
  }
}

/** The browser's main process is the one with this profile in its command line and without a type; its children follow. */
async function killBrowser(profile: string): Promise<void> {
  const pids = (await processesWith(profile)).filter(({ command }) => !command.includes(' --type='))
  if (pids.length === 0) throw new Error('No browser process has this profile')
  for (const { pid } of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it ended by itself, with its parent
    }
  }
  for (let waited = 0; waited < 200 && (await processesWith(profile)).length > 0; waited++) await delay(10)
}

async function processesWith(profile: string): Promise<{ pid: number; command: string }[]> {
  const { stdout } = await run('ps', ['-A', '-ww', '-o', 'pid=,stat=,args='], { maxBuffer: 1 << 24 })
  return stdout.split('\n').flatMap((line) => {
    const [, pid, state = '', command = ''] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (!command.includes(`--user-data-dir=${profile}`) || state.startsWith('Z')) return []
    return [{ pid: Number(pid), command }]
  })
}
