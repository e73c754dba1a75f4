import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import { visibleText } from './demo-page.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

describe('what was said', () => {
  let demo: Demo
  beforeAll(async () => {
    demo = await startDemo()
  })
  afterAll(() => demo?.close())

  test('is edited, and the answers to it go, in every tab and over a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    await page.ask('What is 2 + 2?')
    await page.ask('What is 3 + 3?')
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.shows('3 + 3 = 6')
    await page.button('Edit message').nth(1).click()
    const box = page.log.getByRole('textbox', { name: 'Edited message' })
    expect(await box.inputValue()).toBe('What is 2 + 2?')
    await box.fill('What is 20 + 20?')
    await page.log.getByRole('button', { name: 'Send edited' }).click()
    for (const tab of [page, second]) {
      await tab.shows('20 + 20 = 40')
      await tab.idle()
      const text = await tab.text()
      expect(text).toContain('1 + 1 = 2')
      expect(text).not.toMatch(/2 \+ 2|3 \+ 3/)
    }
    await page.page.reload()
    await page.shows('20 + 20 = 40')
    expect(await page.text()).not.toMatch(/2 \+ 2|3 \+ 3/)
  })

  test('is kept, and shown to who asks', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 + 2?')
    await page.button('Edit message').click()
    await page.log.getByRole('textbox', { name: 'Edited message' }).fill('What is 5 * 5?')
    await page.page.keyboard.press('Enter')
    await page.shows('5 × 5 = 25')
    await page.idle()
    await page.log.getByText('An earlier version was here').click()
    await page.shows('2 + 2 = 4')
    const hidden = page.log.locator('.hidden-messages')
    expect(await visibleText(hidden)).toMatch(/What is 2 \+ 2\?[\s\S]*calculate[\s\S]*2 \+ 2 = 4/)
    expect(await visibleText(hidden)).not.toContain('5 × 5')
  })

  test('stays as it is when the edit is given up', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 + 2?')
    await page.button('Edit message').click()
    await page.log.getByRole('textbox', { name: 'Edited message' }).fill('something else')
    await page.page.keyboard.press('Escape')
    expect(await page.log.getByRole('textbox', { name: 'Edited message' }).count()).toBe(0)
    expect(await page.button('Edit message').evaluate((button) => button === document.activeElement)).toBe(true)
    await page.shows('What is 2 + 2?')
  })

  test('is answered anew, tool calls included', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What time is it in Tokyo?')
    await page.ask('What is 6 * 7?')
    await page.shows('6 × 7 = 42')
    await page.events.getByRole('button', { name: 'Events' }).click()
    const rows = page.events.getByRole('listitem')
    const calls = rows.filter({ hasText: 'tool-execution-started' })
    await expect.poll(() => calls.count(), { timeout: 15_000 }).toBe(2)
    await page.button('Write this answer again').last().click()
    await rows.filter({ hasText: 'history-rewound' }).waitFor()
    await expect.poll(() => calls.count(), { timeout: 15_000 }).toBe(3)
    await page.shows('6 × 7 = 42')
    await page.idle()
    expect((await page.text()).split('What is 6 * 7?')).toHaveLength(2)

    // the first answer of all: what came after it goes
    await page.button('Write this answer again').first().click()
    await expect.poll(() => calls.count(), { timeout: 15_000 }).toBe(4)
    await page.idle()
    expect(await page.text()).not.toContain('6 × 7 = 42')
    await page.shows(/Asia\/Tokyo/)
  })

  test('is not taken back while an answer is under way', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 + 2?')
    await page.button('Edit message').waitFor()
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    expect(await page.button('Edit message').count()).toBe(0)
    expect(await page.button('Write this answer again').count()).toBe(0)
    await page.stop.click()
    await page.idle()
    expect(await page.button('Edit message').count()).toBe(2)
  })
})
