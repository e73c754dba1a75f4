import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import type { DemoPage } from './demo-page.ts'
import { visibleText } from './demo-page.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let demo: Demo
beforeAll(async () => {
  demo = await startDemo()
})
afterAll(() => demo?.close())

const notes = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('Buy milk\nand bread') }
const pixel = {
  name: 'pixel.png',
  mimeType: 'image/png',
  buffer: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  ),
}

/** The image is there to see, not only its place. */
const isDrawn = (page: DemoPage) =>
  expect
    .poll(
      () =>
        page.log.getByRole('img', { name: 'pixel.png' }).evaluate((image) => (image as HTMLImageElement).naturalWidth),
      {
        timeout: 15_000,
      },
    )
    .toBe(1)

describe('a file', () => {
  test('is attached, taken off again, sent, told of by the model, and shown over a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.attach(notes, pixel, { ...notes, name: 'other.txt' })
    expect(await page.attachments.allInnerTexts()).toHaveLength(3)
    await page.button('Remove other.txt').click()
    await expect.poll(() => page.attachments.count()).toBe(2)
    await page.message.fill('What is this?')
    await page.send.click()
    await page.shows(/^I got 2 files/)
    await page.shows(/notes\.txt \(text\/plain, 18 bytes\)\. It begins with “Buy milk”/)
    await page.idle()
    expect(await page.attachments.count()).toBe(0)
    await isDrawn(page)
    await page.page.reload()
    await isDrawn(page)
    const [saved] = await Promise.all([
      page.page.waitForEvent('download'),
      page.log.getByRole('button', { name: 'notes.txt' }).click(),
    ])
    expect(saved.suggestedFilename()).toBe('notes.txt')
  })

  test('may be sent without a word, and stays with a message that is edited', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.attach(notes)
    await page.send.click()
    await page.shows(/^I got a file/)
    await page.idle()
    await page.button('Edit message').click()
    await page.log.getByRole('textbox', { name: 'Edited message' }).fill('What is in it?')
    await page.page.keyboard.press('Enter')
    await page.shows('What is in it?')
    await page.shows(/^I got a file/)
    await page.idle()
    expect(await page.log.getByRole('button', { name: 'notes.txt' }).count()).toBe(1)
  })

  test('is dropped on the page, and pasted', async ({ browser }) => {
    const page = await browser.open(demo)
    const give = (type: 'drop' | 'paste') =>
      page.page.evaluate((type) => {
        const data = new DataTransfer()
        data.items.add(new File(['a'], `${type}.txt`, { type: 'text/plain' }))
        const target = document.getElementById(type === 'drop' ? 'log' : 'message')
        const init = { bubbles: true, cancelable: true }
        target?.dispatchEvent(
          type === 'drop'
            ? new DragEvent('drop', { ...init, dataTransfer: data })
            : new ClipboardEvent('paste', { ...init, clipboardData: data }),
        )
      }, type)
    await give('drop')
    await give('paste')
    expect((await page.attachments.allInnerTexts()).join()).toMatch(/drop\.txt[\s\S]*paste\.txt/)
  })
})

describe('a session', () => {
  test('is forked at a message, and both go on by themselves', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    await page.ask('What is 2 + 2?')
    const address = page.page.url()
    await page.button('Fork from here').nth(1).click()
    await page.page.waitForURL((url) => url.href !== address)
    await page.shows('1 + 1 = 2')
    expect(await page.text()).not.toContain('2 + 2')
    await page.ask('What is 5 * 5?')
    await page.shows('5 × 5 = 25')
    await page.page.goBack()
    await page.shows('2 + 2 = 4')
    expect(await page.text()).not.toContain('5 × 5')
    expect(await page.sessions.getByRole('link').count()).toBe(2)
  })

  test('is exported as a file, and imported as another session, files included', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.attach(pixel)
    await page.say('What is this?')
    await page.shows(/^I got a file/)
    await page.idle()
    const document = await page.export()
    expect(JSON.parse(document)).toMatchObject({ format: 'turnloop-session' })
    await page.deleteSession('What is this?').click()
    await page.session('What is this?').waitFor({ state: 'detached' })

    await page.import(document)
    await page.shows(/^I got a file/)
    await isDrawn(page)
    await page.ask('What is 3 * 3?')
    await page.shows('3 × 3 = 9')
    // what came from outside is not trusted with what leaves
    await page.say('Send a mail to ann@example.com')
    await page.approval.getByText('Content from outside is in this session').waitFor()
  })

  test('that is none is refused, and says why', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    const problem = page.page.getByRole('alert').filter({ hasText: 'Nothing was imported.' })
    for (const document of ['{ "format": ', '{}']) {
      await page.import(document)
      await problem.waitFor()
      await page.button('Dismiss').click()
      await problem.waitFor({ state: 'hidden' })
    }
    await page.shows('1 + 1 = 2')
    expect(await page.sessions.getByRole('link').count()).toBe(1)
    expect(await visibleText(page.sessions)).toContain('What is 1 + 1?')
  })
})
