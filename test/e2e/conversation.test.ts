import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import { visibleText } from './demo-page.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe('the demo without a key', () => {
  let demo: Demo
  beforeAll(async () => {
    demo = await startDemo()
  })
  afterAll(() => demo?.close())

  test('answers a sum through a tool call', async ({ browser }) => {
    const page = await browser.open(demo)
    expect(await page.model.locator('option:checked').textContent()).toBe(
      'Offline demo model: scripted, no intelligence',
    )
    await page.ask('What is 123 * 456?')
    await page.shows('56088')
    const card = page.tools.first()
    expect(await visibleText(card)).toMatch(/calculate[\s\S]*Done/)
    expect(await card.getAttribute('open')).toBeNull()
    await card.locator('summary').click()
    expect(await visibleText(card)).toMatch(/Input[\s\S]*"123 \* 456"[\s\S]*Output[\s\S]*56088/)
  })

  test('runs the calls of one message side by side', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What time is it in Tokyo, and what is 15% of 80?')
    expect(await page.tools.count()).toBe(2)
    await page.shows(/= 12/)
    await page.shows(/Asia\/Tokyo/)
  })

  test('keeps a to-do list over a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('Add milk and bread to my to-do list')
    await page.ask('Mark milk as done')
    await page.page.reload()
    await page.ask('Show my to-do list')
    const list = page.log.getByRole('list').last()
    expect(await list.getByRole('listitem').allInnerTexts()).toEqual(['☑ milk', '☐ bread'])
  })

  test('says what it can do when it can do nothing', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('Write a poem about rain')
    await page.shows(/^I can only/)
    expect(await page.tools.count()).toBe(0)
  })

  test('changes the colours of the page through a page tool, and back', async ({ browser }) => {
    const page = await browser.open(demo)
    const background = () => page.page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const before = await background()
    await page.ask('Make the page teal')
    await expect.poll(background).not.toBe(before)
    expect(await visibleText(page.tools.first())).toMatch(/set_page_colors[\s\S]*Done/)
    await page.ask('Back to the default colours')
    await expect.poll(background).toBe(before)
  })

  test('tells the model when a colour is none, and stays as it is', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('Make the page rgb(url(javascript:1))')
    await page.shows(/is no CSS colour/)
    expect(await page.page.locator('html').getAttribute('style')).toBeNull()
  })

  test('shows the same conversation after a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 123 * 456?')
    const before = await page.text()
    const address = page.page.url()
    await page.page.reload()
    await page.shows('56088')
    expect(page.page.url()).toBe(address)
    expect(await page.text()).toBe(before)
    expect(await page.page.getByRole('heading', { level: 1 }).textContent()).toBe('What is 123 * 456?')
  })

  test('starts a second session and deletes the first', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    await page.newSession.click()
    expect(await page.text()).toBe('')
    await page.ask('What is 20 * 2?')
    await page.shows('40')
    await page.session('What is 1 + 1?').click()
    await page.shows('1 + 1 = 2')
    expect(await page.text()).not.toContain('40')

    await page.deleteSession('What is 1 + 1?').click()
    await page.session('What is 1 + 1?').waitFor({ state: 'detached' })
    expect(await page.text()).toBe('')
    await page.session('What is 20 * 2?').click()
    await page.shows('20 × 2 = 40')
    await page.page.reload()
    await page.session('What is 20 * 2?').waitFor()
    expect(await page.sessions.getByRole('link').count()).toBe(1)
  })

  test('leads back to the session before through the history', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 + 2?')
    await page.newSession.click()
    await page.page.goBack()
    await page.shows('2 + 2 = 4')
  })

  test('sends a starter prompt on a click', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.button('What is 123 * 456? A tool call in the worker').click()
    await page.shows('56088')
  })

  test('shows a message that waits as queued, and answers it in turn', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.say('What is 3 * 3?')
    await page.shows(/^Queued/)
    await page.stop.click()
    await page.shows('3 × 3 = 9')
    await page.idle()
    expect(await page.text()).not.toContain('Queued')
  })

  test('lists events as they come once the panel is open', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 5 * 5?')
    const rows = page.events.getByRole('listitem')
    expect(await rows.count()).toBe(0)
    await page.events.getByRole('button', { name: 'Events' }).click()
    await rows.filter({ hasText: 'run-completed' }).waitFor()
    await page.ask('Write a poem about rain')
    const deltas = rows.filter({ hasText: 'text-delta' })
    await deltas.getByText(/^×\d+$/).waitFor()
    expect(await deltas.count()).toBe(1)
    await deltas.locator('summary').click()
    await deltas.getByText('"kind": "text-delta"').waitFor()

    await page.events.getByRole('button', { name: 'Pause' }).click()
    const shown = await rows.count()
    await page.ask('What is 6 * 6?')
    expect(await rows.count()).toBe(shown)
    await page.events.getByRole('button', { name: 'Pause' }).click()
    await expect.poll(() => rows.count()).toBeGreaterThan(shown)
    await page.events.getByRole('button', { name: 'Clear' }).click()
    expect(await rows.count()).toBe(0)
  })
})
