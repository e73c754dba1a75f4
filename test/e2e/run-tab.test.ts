import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import { visibleText } from './demo-page.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

const soon = { timeout: 20_000 }

let demo: Demo
beforeAll(async () => {
  demo = await startDemo()
})
afterAll(() => demo?.close())

describe('the tab Run', () => {
  test('shows tokens and cost of the run and of the session, and how full the context is', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    await page.ask('What is 2 + 2?')
    // the line below the composer leads to it
    await page.usage.click()
    const tab = page.runTab
    const row = (name: string) => tab.getByRole('row', { name: new RegExp(`^${name}`) }).getByRole('cell')
    await expect.poll(() => row('Input').allInnerTexts(), soon).toHaveLength(2)
    const [run = 0, session = 0] = (await row('Input').allInnerTexts()).map(Number)
    expect(run).toBeGreaterThan(0)
    expect(session).toBeGreaterThan(run)
    const costs = (await row('Cost').allInnerTexts()).map((text) => Number(text.replace('$', '')))
    expect(costs[0]).toBeGreaterThan(0)
    expect(costs[1]).toBeGreaterThan(costs[0] ?? 0)
    expect(await visibleText(tab.locator('#context-gauge'))).toMatch(/^[\d,]+ of 6,000, \d+ %/)
    expect(await visibleText(page.usage)).toMatch(/^[\d,]+ tokens · cost \$0\.\d+ · context \d+ % full$/)
    const runs = tab.locator('#runs tr')
    expect(await runs.count()).toBe(2)
    expect(await visibleText(runs.first())).toMatch(/What is 2 \+ 2\?\s*completed, \d+ s\s+2\s+\d+\s+\$0\.\d+/)

    await page.page.reload()
    await page.openRunTab()
    await expect.poll(() => row('Input').allInnerTexts(), soon).toEqual([`${run}`, `${session}`])
  })

  test('is reached and left with the keyboard', async ({ browser }) => {
    const page = await browser.open(demo)
    const focused = () => page.page.evaluate(() => document.activeElement?.id)
    await page.events.getByRole('button', { name: 'Events' }).press('Enter')
    await page.page.keyboard.press('Tab')
    expect(await focused()).toBe('tab-events')
    await page.page.keyboard.press('ArrowRight')
    expect(await focused()).toBe('tab-run')
    expect(await page.events.getByRole('tab', { name: 'Run' }).getAttribute('aria-selected')).toBe('true')
    expect(await page.runTab.isVisible()).toBe(true)
    await page.page.keyboard.press('Tab')
    expect(await focused()).toBe('run-tab')
    await page.page.keyboard.press('Escape')
    expect(await page.runTab.isVisible()).toBe(false)
    expect(await focused()).toBe('events-toggle')
  })
})

describe('a limit of the next messages', () => {
  test('is asked about when a run comes to it, and extended', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.openRunTab()
    await page.limit('Turns').fill('3')
    await page.say('Count to 5')
    const question = page.log.getByRole('region').filter({ hasText: 'Turns of this run: 3 of 3 are used' })
    await question.waitFor()
    expect(await visibleText(page.runTab)).toMatch(/3 of 3, 100 %/)
    expect(await visibleText(page.runTab)).toContain('waits for your answer')
    await page.page.reload()
    await question.waitFor()
    expect(await question.getByRole('spinbutton', { name: 'Extend by' }).inputValue()).toBe('3')
    await question.getByRole('button', { name: 'Extend' }).click()
    await page.shows(/^That makes 5/)
    await page.idle()
    expect(await question.count()).toBe(0)
  })

  test('stops the run where nobody wants more, and the run can be continued', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.openRunTab()
    await page.limit('Tool calls').fill('2')
    await page.say('Count to 4')
    const question = page.log.getByRole('region').filter({ hasText: 'Tool calls of this run' })
    await question.getByRole('button', { name: 'Stop here' }).click()
    await page.shows('This answer made as many tool calls as it may.')
    await page.button('Continue').waitFor()
    // those of the next message only
    await page.runTab.getByRole('button', { name: 'Clear the limits' }).click()
    expect(await page.limit('Tool calls').inputValue()).toBe('')
    await page.ask('Count to 3')
    await page.shows(/^That makes 3/)
  })

  test('is one of cost too, and refuses a number that is none', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.openRunTab()
    await page.limit('Cost in $').fill('0.000001')
    await page.limit('Turns').fill('0')
    await page.say('What is 2 + 2?')
    const question = page.log.getByRole('region').filter({ hasText: 'Cost of this run' })
    await question.waitFor()
    await question.getByRole('spinbutton', { name: 'Extend by' }).fill('1')
    await question.getByRole('button', { name: 'Extend' }).click()
    await page.shows('2 + 2 = 4')
  })
})

describe('a context that fills up', () => {
  test('is summarised for the model, and told of in the conversation', async ({ browser }) => {
    const page = await browser.open(demo)
    const marker = page.log.getByText('Older messages were summarised for the model')
    for (let chapter = 1; chapter < 8 && (await marker.count()) === 0; chapter++)
      await page.ask(`Read chapter ${chapter}`)
    expect(await marker.count()).toBe(1)
    await page.shows('Read chapter 1')
    await page.page.reload()
    await marker.waitFor()
    await page.shows('Read chapter 1')
  })
})
