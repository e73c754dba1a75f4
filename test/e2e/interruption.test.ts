import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import type { DemoPage } from './demo-page.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let demo: Demo
beforeAll(async () => {
  demo = await startDemo()
})
afterAll(() => demo?.close())

/** How often the text stands in the conversation. */
const count = async (page: DemoPage, text: string) => (await page.text()).split(text).length - 1

/** The answer has come past the point at which it was cut, and stands there once. */
async function isWrittenOnce(page: DemoPage) {
  await page.shows('It builds a prompt')
  expect(await count(page, 'Your message went to')).toBe(1)
  expect(await page.text()).not.toContain('interrupted.')
}

describe('an answer that does not come to its end', () => {
  test('stops at once, its text stays, and it is continued from there', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.stop.click()
    await page.idle()
    await page.stop.waitFor({ state: 'hidden' })
    await page.shows('Stopped before the end.')
    await page.button('Continue').waitFor()
    const text = await page.text()
    expect(text).toContain('Your message went to')
    expect(text).not.toContain('no server behind all this')
    await page.page.reload()
    await page.button('Continue').waitFor()
    expect(await page.text()).toBe(text)

    await page.button('Continue').click()
    await isWrittenOnce(page)
    expect(await page.button('Continue').count()).toBe(0)
    expect(await count(page, 'How does this page work?')).toBe(1)
  })

  test('goes on with the next message after a stop, and is not continued then', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.stop.click()
    await page.button('Continue').waitFor()
    await page.ask('What is 2 * 3?')
    await page.shows('2 × 3 = 6')
    expect(await page.button('Continue').count()).toBe(0)
  })

  test('goes on by itself when its worker was killed', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 * 3?')
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.button('Kill worker').click()
    await isWrittenOnce(page)
    await page.shows('2 × 3 = 6')
    await page.stop.click()
    await page.ask('What is 123 * 456?')
    await page.shows('123 × 456 = 56088')
  })

  test('goes on by itself after a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    await page.shows('Your message went to')
    await page.page.reload()
    await page.shows('How does this page work?')
    await isWrittenOnce(page)
  })

  test('starts a worker again after one was killed while nothing was under way', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 * 3?')
    await page.button('Kill worker').click()
    await page.ask('What is 3 * 3?')
    await page.shows('3 × 3 = 9')
  })

  test('is asked about when it was interrupted long ago', async ({ browser }) => {
    browser.expectFault(/status of 404/)
    const page = await browser.open(demo)
    const interrupt = async (text: string) => {
      await page.say(text)
      await page.shows('Your message went to')
      const address = page.page.url()
      // Another page of the origin, without a runtime: there an hour goes by.
      await page.page.goto(`${demo.url}icon.svg`)
      await page.page.evaluate(letAnHourGoBy)
      await page.page.goto(address)
    }
    const question = page.question('Go on with the interrupted answer?')

    await interrupt('How does this page work?')
    await question.waitFor()
    await page.session('How does this page work?').getByText('Has a question').waitFor()
    expect(await page.log.getAttribute('aria-busy')).toBe('false')
    await question.getByRole('button', { name: 'Go on' }).click()
    await isWrittenOnce(page)
    expect(await question.count()).toBe(0)
    await page.stop.click()

    await page.newSession.click()
    await interrupt('How do you work?')
    await question.getByRole('button', { name: 'Give up' }).click()
    await question.waitFor({ state: 'detached' })
    expect(await page.text()).toContain('Your message went to')
    await page.ask('What is 2 * 3?')
    await page.shows('2 × 3 = 6')
  })
})

describe('a tool call that is cut off', () => {
  const title = '“order_pizza” had started and was cut off. Did it take effect?'
  const order = async (page: DemoPage) => {
    await page.say('Order a pizza margherita')
    await page.shows('The dough is rolled')
  }
  const starts = async (page: DemoPage) => {
    await page.events.getByRole('button', { name: 'Events' }).click()
    const rows = page.events.getByRole('listitem')
    await rows.filter({ hasText: 'approval-requested' }).waitFor()
    return rows.filter({ hasText: 'tool-execution-started' }).count()
  }

  test('is not started again before somebody said so, over reloads too', async ({ browser }) => {
    const page = await browser.open(demo)
    await order(page)
    await page.button('Kill worker').click()
    await page.question(title).waitFor()
    await page.page.reload()
    await page.question(title).waitFor()
    expect(await starts(page)).toBe(1)
    expect(await page.tools.count()).toBe(1)
    await page.session('Order a pizza').getByText('Has a question').waitFor()

    await page.question(title).getByRole('button', { name: 'Run again' }).click()
    await page.shows(/^Done: One margherita, order no\. \d+\./)
    await page.idle()
    expect(await page.question(title).count()).toBe(0)
    await page.session('Order a pizza').getByText('Has a question').waitFor({ state: 'hidden' })
    expect(await page.events.getByRole('listitem').filter({ hasText: 'tool-execution-started' }).count()).toBe(2)
  })

  test('takes the result from who knows it', async ({ browser }) => {
    const page = await browser.open(demo)
    await order(page)
    await page.page.reload()
    const question = page.question(title)
    await question.getByText('It worked: enter the result').click()
    await question.getByRole('textbox', { name: 'Result' }).fill('One margherita, order no. 7')
    await question.getByRole('button', { name: 'Use this result' }).click()
    await page.shows('Done: One margherita, order no. 7.')
    expect(await question.count()).toBe(0)
  })

  test('is given up in another tab, and the model is told that nobody knows', async ({ browser }) => {
    const page = await browser.open(demo)
    await order(page)
    await page.button('Kill worker').click()
    await page.question(title).waitFor()
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.question(title).getByRole('button', { name: 'Give up' }).click()
    for (const tab of [page, second]) {
      await tab.shows(/^I do not know whether the margherita was ordered/)
      await tab.question(title).waitFor({ state: 'detached' })
      await tab.idle()
    }
  })
})

describe('a second tab', () => {
  test('shows the same session, and both follow what either does', async ({ browser }) => {
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

  test('shows an answer as it is written, and goes on with it when the first one is closed', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.shows('Another tab runs this answer.')
    await second.shows('Your message went to')
    await page.page.close()
    await second.log.getByText('Another tab runs this answer.').waitFor({ state: 'detached' })
    // What the first one had written may be seen before it is written anew.
    await expect.poll(() => count(second, 'Your message went to'), { timeout: 15_000 }).toBe(1)
    await second.shows('It builds a prompt')
  })

  test('takes an answer over from a tab that does not respond', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.shows('Another tab runs this answer.')
    const [worker] = page.page.workers()
    const busy = worker?.evaluate(() => {
      for (const end = Date.now() + 20_000; Date.now() < end; );
    })
    await second.button('Take over here').waitFor()
    expect(await second.log.getAttribute('aria-busy')).toBe('false')
    await second.button('Take over here').click()
    // What the first one had written may be seen before it is written anew; where it hangs in the middle of a write, that
    // is over first.
    await expect.poll(() => count(second, 'Your message went to'), { timeout: 30_000 }).toBe(1)
    await second.shows('It builds a prompt')
    // The first one has not gone on by itself, and follows.
    await busy
    await page.shows('Another tab runs this answer.')
    await page.shows('It builds a prompt')
    expect(await count(page, 'Your message went to')).toBe(1)
  })

  test('is offered the answer of a tab that hangs in the middle of a write, and has it once that is over', async ({
    browser,
  }) => {
    const page = await browser.open(demo)
    await page.say('How does this page work?')
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.shows('Another tab runs this answer.')
    const [worker] = page.page.workers()
    // An open transaction keeps everybody else's waiting.
    const busy = worker?.evaluate(async () => {
      const [{ name = '' } = {}] = await indexedDB.databases()
      const open = indexedDB.open(name)
      await new Promise((resolve) => (open.onsuccess = resolve))
      const transaction = open.result.transaction([...open.result.objectStoreNames], 'readwrite')
      const read = transaction.objectStore(open.result.objectStoreNames[0] ?? '').count()
      await new Promise((resolve) => (read.onsuccess = resolve))
      for (const end = Date.now() + 12_000; Date.now() < end; );
      open.result.close()
    })
    await second.button('Take over here').waitFor()
    await second.button('Take over here').click()
    await busy
    await expect.poll(() => count(second, 'Your message went to'), { timeout: 15_000 }).toBe(1)
    await second.shows('It builds a prompt')
    await page.shows('It builds a prompt')
    expect(await count(page, 'Your message went to')).toBe(1)
  })
})

describe('the storage', () => {
  test('is kept for good where the browser agrees', async ({ browser }) => {
    const page = await browser.open(demo)
    const keep = page.button('Keep my data')
    const state = page.sessions.locator('#storage-state')
    await keep.click()
    await expect.poll(() => state.textContent(), { timeout: 15_000 }).toMatch(/does not promise it yet/)
    const session = await browser.context.newCDPSession(page.page)
    const origin = new URL(demo.url).origin
    await session.send('Browser.grantPermissions', { permissions: ['durableStorage'], origin })
    await page.page.reload()
    await expect.poll(() => state.textContent(), { timeout: 15_000 }).toMatch(/until you delete it/)
    expect(await keep.isVisible()).toBe(false)
  })
})

/** Takes the last sign of life of every run in the store back by an hour. */
async function letAnHourGoBy() {
  const settled = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const database = await settled(indexedDB.open('turnloop'))
  const store = database.transaction('turnloop', 'readwrite').objectStore('turnloop')
  for (const key of await settled(store.getAllKeys())) {
    const [kind] = key as [string]
    if (kind !== 'run' && kind !== 'draft') continue
    const record = await settled(store.get(key))
    const holder = kind === 'run' ? record.checkpoint : record
    holder.at -= 3_600_000
    await settled(store.put(record, key))
  }
  database.close()
}
