import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CDPSession, chromium, type Page } from 'playwright-core'
import { chromiumArgs, findChromium } from '../../../scripts/chromium.ts'
import type { StoragePage } from './page.ts'

/** The page's own interface, asked from the test. */
export interface Remote {
  readonly page: Page
  readonly devTools: CDPSession
  readonly origin: string
  /** Loads the page, or loads it again. */
  open(): Promise<void>
  ask<T, A = undefined>(question: (storage: StoragePage, argument: A) => T, argument?: A): Promise<Awaited<T>>
}

type Global = typeof globalThis & { readonly storage: StoragePage }

/** A Chromium with its profile on disk: only there the browser counts what an origin stores. */
export async function withPage(url: string, use: (remote: Remote) => Promise<void>): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'turnloop-storage-'))
  const executablePath = findChromium()
  const context = await chromium.launchPersistentContext(profile, {
    ...(executablePath && { executablePath }),
    args: [...chromiumArgs],
    headless: true,
  })
  context.setDefaultTimeout(20_000)
  try {
    const page = await context.newPage()
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(error.stack ?? error.message))
    await use({
      page,
      devTools: await context.newCDPSession(page),
      origin: new URL(url).origin,
      open: async () => {
        await page.goto(url)
      },
      ask: async (question, argument) => {
        const storage = await page.evaluateHandle(() => (globalThis as Global).storage)
        return storage.evaluate(question as never, argument) as never
      },
    })
    if (faults.length > 0) throw new Error(`The page reported errors:\n${faults.join('\n')}`)
  } finally {
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
