import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const interrupted = 'This answer was interrupted. Send a message to go on.'

describe('an answer that does not come to its end', () => {
  let demo: Demo
  beforeAll(async () => {
    demo = await startDemo()
  })
  afterAll(() => demo?.close())

  test('stops at once, and its text stays', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.stop.click()
    await page.idle()
    await page.stop.waitFor({ state: 'hidden' })
    const text = await page.text()
    expect(text).toContain('Your message went to')
    expect(text).not.toContain('no server behind all this')
    await page.shows('Stopped before the end.')
    await page.page.reload()
    await page.shows('Stopped before the end.')
    expect(await page.text()).toBe(text)
  })

  test('is shown as interrupted when its worker was killed, and the next message goes on', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 * 3?')
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.button('Kill worker').click()
    await page.shows(interrupted)
    await page.idle()
    await page.shows('2 × 3 = 6')

    await page.ask('What is 123 * 456?')
    await page.shows('123 × 456 = 56088')
    expect(await page.text()).not.toContain(interrupted)
  })

  test('is shown as interrupted after a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.page.reload()
    await page.shows(interrupted)
    await page.shows('How does this page work?')
    await page.ask('What is 2 * 3?')
    await page.shows('2 × 3 = 6')
  })

  test('starts a worker again after one was killed while nothing was under way', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 * 3?')
    await page.button('Kill worker').click()
    await page.ask('What is 3 * 3?')
    await page.shows('3 × 3 = 9')
    expect(await page.text()).not.toContain(interrupted)
  })

  test('a second tab shows the same session', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 123 * 456?')
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.shows('56088')
    expect(second.page.url()).toBe(page.page.url())
    expect(await second.text()).toBe(await page.text())
    await second.ask('What is 7 * 7?')
    await second.shows('7 × 7 = 49')
    await page.shows('7 × 7 = 49')
    await page.idle()
    expect(await page.text()).toBe(await second.text())
  })
})
