import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe('the demo page', () => {
  let demo: Demo
  beforeAll(async () => {
    demo = await startDemo()
  })
  afterAll(() => demo?.close())

  test('has the names that it promises', async ({ browser }) => {
    const page = await browser.open(demo)
    for (const part of [
      page.sessions,
      page.newSession,
      page.log,
      page.message,
      page.send,
      page.model,
      page.events,
      page.button('Kill worker'),
      page.button('Open second tab'),
      page.button('Keep my data'),
      page.button('Attach a file'),
      page.button('Import session'),
      page.button('Session menu'),
    ]) {
      await part.waitFor()
      expect(await part.count()).toBe(1)
    }
    await page.say('How does this page work?')
    await page.stop.waitFor()
    await page.deleteSession('How does this page work?').waitFor()
  })

  test('gives every control a name and every id once', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 + 2?')
    await page.openRunTab()
    await page.events.getByRole('tab', { name: 'Permissions' }).click()
    await page.attach({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })
    await page.say('Send a mail to ann@example.com')
    await page.approval.waitFor()
    const unnamed = await page.page.evaluate(() => {
      const named = (element: Element) =>
        element.getAttribute('aria-label') ||
        element.getAttribute('aria-labelledby') ||
        element.textContent?.trim() ||
        (element as HTMLInputElement).labels?.length
      const controls = [
        ...document.querySelectorAll('button, a, input, select, textarea, summary, [tabindex="0"]:not(pre)'),
      ]
      const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
      return [
        ...controls.filter((control) => !named(control)).map((control) => control.outerHTML.slice(0, 100)),
        ...ids.filter((id, index) => ids.indexOf(id) !== index),
        ...[...document.querySelectorAll('[aria-controls]')]
          .filter((element) => !document.getElementById(element.getAttribute('aria-controls') ?? ''))
          .map((element) => element.id),
      ]
    })
    expect(unnamed).toEqual([])
    expect(await page.page.locator('html').getAttribute('lang')).toBe('en')
    expect(await page.page.getByRole('heading', { level: 1 }).count()).toBe(1)
  })

  test('names its questions and the ways to answer them, on a narrow screen too', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.page.setViewportSize({ width: 360, height: 740 })
    await page.say('Order a pizza margherita')
    await page.shows('The dough is rolled')
    await page.button('Kill worker').click()
    const question = page.question('“order_pizza” had started and was cut off. Did it take effect?')
    await question.getByRole('button', { name: 'Run again' }).waitFor()
    expect(await page.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)

    // With the keyboard alone: the focus is not lost with the card.
    const summary = question.getByText('It worked: enter the result')
    await summary.focus()
    await page.page.keyboard.press('Enter')
    await page.page.keyboard.press('Tab')
    const field = question.getByRole('textbox', { name: 'Result' })
    expect(await field.evaluate((input) => input === document.activeElement)).toBe(true)
    await page.page.keyboard.type('One margherita')
    await page.page.keyboard.press('Enter')
    await page.shows('Done: One margherita.')
    expect(await page.log.evaluate((log) => log === document.activeElement)).toBe(true)
  })

  test('tells that it is busy while an answer streams', async ({ browser }) => {
    const page = await browser.open(demo)
    expect(await page.log.getAttribute('aria-busy')).toBe('false')
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    expect(await page.log.getAttribute('aria-busy')).toBe('true')
    await page.stop.click()
    await page.idle()
  })

  test('can be used with the keyboard alone', async ({ browser }) => {
    const page = await browser.open(demo)
    const { keyboard } = page.page
    const focused = () =>
      page.page.evaluate(
        () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim(),
      )
    expect(await focused()).toBe('Message')
    await keyboard.type('What is')
    await keyboard.press('Shift+Enter')
    await keyboard.type('4 * 4?')
    expect(await page.message.inputValue()).toBe('What is\n4 * 4?')
    await keyboard.press('Enter')
    await page.shows('4 × 4 = 16')
    await page.idle()
    expect(await focused()).toBe('Message')

    // back from the composer: through the conversation to its card
    for (let steps = 0; steps < 10 && (await focused())?.startsWith('calculate') !== true; steps++)
      await keyboard.press('Shift+Tab')
    expect(await focused()).toMatch(/^calculate/)
    await keyboard.press('Enter')
    expect(await page.tools.first().getAttribute('open')).not.toBeNull()

    await page.newSession.focus()
    await keyboard.press('Enter')
    expect(await focused()).toBe('Message')
    await keyboard.type('What is 5 * 5?')
    await keyboard.press('Enter')
    await page.shows('5 × 5 = 25')

    await page.deleteSession('What is 5 * 5?').focus()
    await keyboard.press('Enter')
    await page.session('What is 5 * 5?').waitFor({ state: 'detached' })
    expect(await focused()).toMatch(/^Delete session What is/)
  })

  test('shows where the focus is', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 4 * 4?')
    await page.page.keyboard.press('Tab')
    for (let steps = 0; steps < 15; steps++) {
      await page.page.keyboard.press('Tab')
      const visible = await page.page.evaluate(() => {
        const element = document.activeElement
        if (!element || element === document.body || element.id === 'message') return true
        const { outlineStyle, outlineWidth } = getComputedStyle(element)
        return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1
      })
      expect(visible).toBe(true)
    }
  })

  test('does not send while an input method composes', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.message.fill('What is 2 * 2?')
    const press = (init: { isComposing?: boolean; keyCode?: number }) =>
      page.message.evaluate(
        (box, init) =>
          box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init })),
        init,
      )
    expect(await press({ isComposing: true })).toBe(true)
    expect(await press({ keyCode: 229 })).toBe(true)
    expect(await page.message.inputValue()).toBe('What is 2 * 2?')
    expect(await press({})).toBe(false)
    expect(await page.message.inputValue()).toBe('')
    await page.shows('2 × 2 = 4')
  })

  test('follows the answer only while its reader is at the end', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.page.setViewportSize({ width: 600, height: 420 })
    const fromEnd = () => page.log.evaluate((log) => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight))
    await page.ask('Write a poem about rain')
    await expect.poll(fromEnd).toBeLessThan(3)
    await page.say('How does this page work?')
    await page.shows('It builds a prompt')
    await page.log.evaluate((log) => log.scrollTo(0, 0))
    await page.button('Scroll to the latest').waitFor()
    await page.shows('the page renders a live view')
    expect(await page.log.evaluate((log) => log.scrollTop)).toBe(0)
    await page.button('Scroll to the latest').click()
    await expect.poll(fromEnd).toBeLessThan(3)
    await page.stop.click()
    await page.idle()
  })

  test('has no horizontal scroll from 360 pixels to a wide screen', async ({ browser }) => {
    const page = await browser.open(demo)
    const overflow = () =>
      page.page.evaluate(() => {
        const boxes = ['log', 'run-tab', 'permissions-tab', 'approvals'].map(
          (id) => document.getElementById(id) as HTMLElement,
        )
        return Math.max(
          document.documentElement.scrollWidth - innerWidth,
          document.body.scrollWidth - innerWidth,
          ...boxes.map((box) => box.scrollWidth - box.clientWidth),
        )
      })
    const events = page.events.getByRole('button', { name: 'Events' })
    const widths = [360, 768, 1024, 1920]
    for (const width of widths) {
      await page.page.setViewportSize({ width, height: 740 })
      expect(await overflow(), `empty, ${width} pixels`).toBeLessThanOrEqual(0)
    }
    await page.say(`How does ${'verylongword'.repeat(30)} work?`)
    await page.shows('session.view.subscribe')
    await page.stop.click()
    await page.idle()
    for (const width of widths) {
      await page.page.setViewportSize({ width, height: 740 })
      expect(await overflow(), `${width} pixels`).toBeLessThanOrEqual(0)
      await events.click()
      for (const tab of ['Run', 'Permissions', 'Events']) {
        await page.events.getByRole('tab', { name: tab }).click()
        expect(await overflow(), `with ${tab}, ${width} pixels`).toBeLessThanOrEqual(0)
      }
      await events.click()
    }
  })

  test('has its sessions in a drawer on a narrow screen', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.page.setViewportSize({ width: 360, height: 740 })
    await page.ask('What is 3 * 4?')
    expect(await page.sessions.isVisible()).toBe(false)
    const menu = page.button('Sessions')
    await menu.click()
    await page.sessions.waitFor()
    expect(await menu.getAttribute('aria-expanded')).toBe('true')
    await expect.poll(() => page.newSession.evaluate((button) => button === document.activeElement)).toBe(true)
    await page.page.keyboard.press('Escape')
    await page.sessions.waitFor({ state: 'hidden' })
    expect(await menu.evaluate((button) => button === document.activeElement)).toBe(true)
    await menu.click()
    await page.session('What is 3 * 4?').click()
    await page.sessions.waitFor({ state: 'hidden' })
    await page.shows('3 × 4 = 12')
  })
})
