import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

let demo: Demo
beforeAll(async () => {
  demo = await startDemo()
})
afterAll(() => demo?.close())

describe('a model that fails', () => {
  test('is asked again, with a word on when', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Answer after two failures')
    await page.shows(/^Attempt 1 failed, and the model is asked again\. In \d s\./)
    await page.shows(/^Attempt 2 failed/)
    await page.shows(/^There you are: this is attempt 3/)
    await page.idle()
    expect(await page.text()).not.toContain('failed, and the model')
  })

  test('gives the turn to the next one, which the conversation tells', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Fail for good')
    await page.shows(/failed: .* goes on with the answer\./)
    await page.shows(/^I can only/)
    await page.idle()
    await page.page.reload()
    await page.shows(/failed: .* goes on with the answer\./)
  })
})

describe('the model', () => {
  test('is another one from the next turn on, in mid-answer, and stays with the session', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.events.getByRole('button', { name: 'Events' }).click()
    const started = page.events.getByRole('listitem').filter({ hasText: 'model-started' })
    await page.say('Count to 12')
    await page.tools.nth(1).waitFor()
    await page.model.selectOption('brief')
    await started.filter({ hasText: 'brief' }).first().waitFor()
    await page.shows(/^That makes 12, in 12 turns/)
    await page.idle()
    await page.page.reload()
    const isBrief = () => expect.poll(() => page.model.inputValue(), { timeout: 15_000 }).toBe('brief')
    await isBrief()
    await page.newSession.click()
    await page.session('Count to 12').click()
    await isBrief()
  })
})

describe('without a network', () => {
  test('an answer waits for it, with a banner over the page, and goes on by itself', async ({ browser }) => {
    browser.expectFault(/ERR_INTERNET_DISCONNECTED/)
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    const banner = page.page.getByRole('status').filter({ hasText: 'You are offline.' })
    expect(await banner.count()).toBe(0)
    await browser.context.setOffline(true)
    await banner.waitFor()
    // what needs no network is answered all the same
    await page.ask('What is 2 + 2?')
    await page.shows('2 + 2 = 4')
    await page.say('Ping the server')
    await page.shows(/^The model can’t be reached while you are offline/)
    await browser.context.setOffline(false)
    await page.shows(/^The server answered with 200/)
    await page.idle()
    expect(await banner.count()).toBe(0)
    expect(await page.text()).not.toContain('can’t be reached')
  })
})

describe('a loop of calls', () => {
  const asked = 'It has not been carried out this time.'

  test('is asked about, over a reload, and denied with words for the model', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Find my keys')
    const question = page.log.getByRole('region').filter({ hasText: asked })
    await question.waitFor()
    await page.page.reload()
    await question.getByText('Deny, and say why').click()
    await question.getByRole('textbox', { name: 'What the model is told' }).fill('They are in your pocket.')
    await question.getByRole('button', { name: 'Deny' }).click()
    await page.shows(/^All right, I look no further\..*They are in your pocket\./)
    await page.idle()
  })

  test('goes on where it is allowed once, and ends with the run where that is chosen', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Find my keys')
    const question = page.log.getByRole('region').filter({ hasText: asked })
    await question.waitFor()
    const before = await page.tools.count()
    await question.getByRole('button', { name: 'Allow once' }).click()
    await expect.poll(() => page.tools.count(), { timeout: 15_000 }).toBeGreaterThan(before)
    await question.getByRole('button', { name: 'End the run' }).click()
    await question.waitFor({ state: 'detached' })
    await page.idle()
    await page.ask('What is 2 + 2?')
    await page.shows('2 + 2 = 4')
  })
})
