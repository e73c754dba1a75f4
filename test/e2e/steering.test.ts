import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

describe('a message while an answer is under way', () => {
  let demo: Demo
  beforeAll(async () => {
    demo = await startDemo()
  })
  afterAll(() => demo?.close())

  test('steers it where that is chosen: it is heard at the next turn, by the same run', async ({ browser }) => {
    const page = await browser.open(demo)
    const steer = page.page.getByRole('radio', { name: 'Steer' })
    expect(await steer.isVisible()).toBe(false)
    await page.say('Count to 50')
    await steer.check()
    await page.say('What is 6 * 7?')
    await page.shows(/^I heard you at \d+, and count no further\./)
    await page.shows('6 × 7 = 42')
    await page.idle()
    expect(await steer.isVisible()).toBe(false)
    await page.openRunTab()
    await expect.poll(() => page.runTab.locator('#runs tr').count(), { timeout: 15_000 }).toBe(1)
  })

  test('is queued where nothing is chosen, and answered by a run of its own', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Count to 6')
    await page.page.getByRole('radio', { name: 'Queue' }).waitFor()
    await page.say('What is 6 * 7?')
    await page.shows(/^Queued/)
    await page.shows(/^That makes 6/)
    await page.shows('6 × 7 = 42')
    await page.idle()
    await page.openRunTab()
    await expect.poll(() => page.runTab.locator('#runs tr').count(), { timeout: 15_000 }).toBe(2)
  })

  test('can be taken back while it waits, in another tab too, and is the user’s to write on', async ({ browser }) => {
    const page = await browser.open(demo)
    // it waits for an answer, and so goes on for as long as it takes
    await page.say('Find my keys')
    await page.shows('It has not been carried out this time.')
    await page.say('What is 6 * 7?')
    await page.say('What is 7 * 8?')
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.log
      .getByRole('article')
      .filter({ hasText: '7 * 8' })
      .getByRole('button', { name: 'Take back' })
      .click()
    await page.log.getByText('What is 7 * 8?').waitFor({ state: 'detached' })
    expect(await second.message.inputValue()).toBe('What is 7 * 8?')
    await page.button('Take back').click()
    await page.log.getByText('What is 6 * 7?').waitFor({ state: 'detached' })
    expect(await page.message.inputValue()).toBe('What is 6 * 7?')
    await page.stop.click()
    await page.idle()
    expect(await page.text()).not.toMatch(/6 × 7|7 × 8/)
  })
})
