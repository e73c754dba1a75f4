import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { test as base, expect } from 'vitest'
import { chromiumArgs, findChromium } from '../../scripts/chromium.ts'
import type { Demo } from './demo.ts'
import { DemoPage } from './demo-page.ts'

export interface Browser {
  readonly context: BrowserContext
  open(demo: Demo, hash?: string): Promise<DemoPage>
  /** The page that the page opens by itself, in another tab. */
  opened(act: () => Promise<void>): Promise<DemoPage>
  /** Errors on the console that this test provokes. */
  expectFault(pattern: RegExp): void
  /** Lines on the demo's error output that this test provokes. */
  expectComplaint(pattern: RegExp): void
  /** The URLs of all requests so far. */
  readonly requests: readonly string[]
}

/**
 * A browser with a profile on disk, as other contexts keep IndexedDB in memory only. Page errors, console errors and CSP
 * violations, of pages and workers, fail the test.
 */
export const test = base.extend<{ profile: string; browser: Browser }>({
  // biome-ignore lint/correctness/noEmptyPattern: Vitest wants it destructured
  profile: async ({}, use) => {
    const profile = await mkdtemp(join(tmpdir(), 'turnloop-e2e-'))
    await use(profile)
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  },
  browser: async ({ profile }, use) => {
    const executablePath = findChromium()
    const context = await chromium.launchPersistentContext(profile, {
      ...(executablePath && { executablePath }),
      args: [...chromiumArgs],
      headless: true,
      viewport: { width: 1280, height: 800 },
    })
    context.setDefaultTimeout(20_000)
    const faults: string[] = []
    const expected: RegExp[] = []
    const expectedComplaints: RegExp[] = []
    const requests: string[] = []
    const demos = new Map<Demo, number>()
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`CSP violation: ${violatedDirective} ${blockedURI}`)
      })
    })
    const watch = (page: Page) => {
      page.on('pageerror', (error) => faults.push(`page error: ${error.stack ?? error.message}`))
      page.on('crash', () => faults.push('the page crashed'))
    }
    context.on('page', watch)
    context.pages().forEach(watch)
    context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`)
    })
    context.on('request', (request) => requests.push(request.url()))

    await use({
      context,
      requests,
      async open(demo, hash = '') {
        if (!demos.has(demo)) demos.set(demo, demo.complaints.length)
        const page = await context.newPage()
        await page.goto(`${demo.url}${hash}`)
        return new DemoPage(page)
      },
      async opened(act) {
        const [page] = await Promise.all([context.waitForEvent('page'), act()])
        return new DemoPage(page)
      },
      expectFault: (pattern) => expected.push(pattern),
      expectComplaint: (pattern) => expectedComplaints.push(pattern),
    })

    await context.close()
    expect(without(expected, faults)).toEqual([])
    for (const [demo, before] of demos) expect(without(expectedComplaints, demo.complaints.slice(before))).toEqual([])
  },
})

const without = (expected: readonly RegExp[], found: readonly string[]) =>
  found.filter((fault) => !expected.some((pattern) => pattern.test(fault)))
