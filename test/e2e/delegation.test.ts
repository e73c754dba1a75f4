import type { Locator } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import type { DemoPage } from './demo-page.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const soon = { timeout: 20_000 }
const task = 'Compare two topics with two helpers'

let demo: Demo
beforeAll(async () => {
  demo = await startDemo()
})
afterAll(() => demo?.close())

const branchesOf = ({ page }: DemoPage) =>
  page.getByRole('list', { name: 'Helpers', exact: true }).getByRole('listitem')
const toggleOf = (branch: Locator) => branch.getByRole('button', { name: /^helper: What is there to say about/ })

describe('two helpers', () => {
  test('work at the same time, can be looked into while they write, and what they say is compared', async ({
    browser,
  }) => {
    const page = await browser.open(demo)
    await page.say(task)
    const branches = branchesOf(page)
    await expect.poll(() => branches.count(), soon).toBe(2)
    await page.page.getByText('2 helpers, 2 at work').waitFor()
    await toggleOf(branches.first()).click()
    expect(await toggleOf(branches.first()).getAttribute('aria-expanded')).toBe('true')
    await branches
      .first()
      .getByText(/^tea has 3 letters/)
      .waitFor()
    await expect.poll(() => branches.nth(1).textContent(), soon).toMatch(/about coffee\?.*(writes|uses a tool|at work)/)
    await page.shows(/^My helpers are through/)
    await page.log.getByText(/^coffee: coffee has 6 letters/).waitFor()
    await page.page.getByText('2 helpers', { exact: true }).waitFor()
    expect(await branches.first().textContent()).toMatch(/done/)
    // Theirs are no sessions of the user's.
    expect(await page.sessions.getByRole('listitem').count()).toBe(1)
  })

  test('can be stopped one by one, and go on', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say(task)
    const branches = branchesOf(page)
    await branches
      .first()
      .getByText(/writes/)
      .waitFor()
    await branches.first().getByRole('button', { name: 'Stop helper: What is there to say about tea?' }).click()
    await branches.first().getByText('stopped, requested').waitFor()
    await page.shows(/^My helpers are through/)
    await page.log.getByText(/^tea: my helper has no answer/).waitFor()
    await branches
      .first()
      .getByRole('button', { name: /^Go on with/ })
      .click()
    await branches.first().getByText('done').waitFor()
  })

  test('go on after a reload, and so does who waits for them', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say(task)
    await branchesOf(page)
      .first()
      .getByText(/writes/)
      .waitFor()
    await page.page.reload()
    await expect.poll(() => branchesOf(page).count(), soon).toBe(2)
    await page.shows(/^My helpers are through/)
    expect(await page.log.getByText(/^My helpers are through/).count()).toBe(1)
    expect(await branchesOf(page).count()).toBe(2)
  })

  test('stop with the answer that they are for', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say(task)
    await branchesOf(page)
      .first()
      .getByText(/writes/)
      .waitFor()
    await page.stop.click()
    for (const at of [0, 1]) await branchesOf(page).nth(at).getByText('stopped, requested').waitFor()
    await page.idle()
  })

  test('fit on a phone', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.page.setViewportSize({ width: 360, height: 740 })
    await page.say(task)
    const branches = branchesOf(page)
    await branches
      .nth(1)
      .getByText(/writes/)
      .waitFor()
    const { width = 0 } = (await page.page.locator('#helpers').boundingBox()) ?? {}
    expect(width).toBeLessThanOrEqual(360)
    expect(await page.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
    await page.shows(/^My helpers are through/)
  })
})
