import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import { visibleText } from './demo-page.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const soon = { timeout: 15_000 }

let demo: Demo
beforeAll(async () => {
  demo = await startDemo()
})
afterAll(() => demo?.close())

describe('a call that needs a yes', () => {
  test('waits for it over a reload, and starts once it is there', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Send a mail to ann@example.com: Lunch at noon')
    await page.approval.waitFor()
    await page.page.reload()
    await page.approval.waitFor()
    const text = await visibleText(page.approval)
    expect(text).toMatch(/Allow “send_mail”\?/)
    expect(text).toMatch(/Sensitive[\s\S]*asked by assistant[\s\S]*Denied without an answer at/)
    expect(text).toContain('"to": "ann@example.com"')
    expect(await visibleText(page.tools.first())).toContain('Waits for your answer')
    await page.session('Send a mail').getByText('Has a question').waitFor()
    await page.answer('Allow once')
    await page.shows(/^Sent to ann@example\.com: “Lunch at noon”/)
    await page.approval.waitFor({ state: 'detached' })
  })

  test('is asked about again after a yes for once, and no more after one for always, until it is revoked', async ({
    browser,
  }) => {
    const page = await browser.open(demo)
    const sent = page.log.getByText(/^Sent to/)
    const send = (text: string) => page.say(`Send a mail to ann@example.com: ${text}`)
    await send('One')
    await page.answer('Allow once')
    await expect.poll(() => sent.count(), soon).toBe(1)
    await send('Two')
    await page.answer('Always allow')
    await expect.poll(() => sent.count(), soon).toBe(2)
    await send('Three')
    await expect.poll(() => sent.count(), soon).toBe(3)

    await page.openTab('Permissions')
    const grant = page.permissionsTab.getByRole('listitem')
    expect(await visibleText(grant)).toMatch(/send_mail ann@example\.com\s+since .*for this session/)
    await grant.getByRole('button', { name: 'Revoke' }).click()
    await grant.waitFor({ state: 'detached' })
    await page.permissionsTab.getByText('Nothing in this session.').waitFor()
    await page.idle()
    await send('Four')
    await page.approval.waitFor()
    expect(await sent.count()).toBe(3)
  })

  test('is denied with words for the model, and the run goes on', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Send a mail to ann@example.com, and what is 6 * 7?')
    await page.approval.getByText('Say why not').click()
    await page.approval.getByRole('textbox', { name: 'What the model is told with a no' }).fill('She is on holiday')
    await page.answer('Deny')
    await page.shows(/^No mail has left for ann@example\.com\. The user refused this call: She is on holiday/)
    await page.shows('6 × 7 = 42')
    expect(await visibleText(page.tools.filter({ hasText: 'send_mail' }))).toContain('Denied')
  })

  test('starts with the arguments that a person gave it, once they fit', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Send a mail to ann@example.com: Lunch at noon')
    await page.answer('Edit')
    const field = page.approval.getByRole('textbox', { name: 'Arguments of send_mail' })
    const allow = page.approval.getByRole('button', { name: 'Allow edited' })
    const problem = page.approval.getByRole('alert')
    await field.fill('{ "to": ')
    await allow.click()
    await problem.getByText('This is no JSON').waitFor()
    await field.fill('{ "to": "nobody", "text": "Tea?" }')
    await allow.click()
    await problem.getByText('does not fit the inputSchema').waitFor()
    await field.fill('{ "to": "bob@example.com", "text": "Tea?" }')
    await allow.click()
    await page.shows(/^Sent to bob@example\.com: “Tea\?”/)
  })

  test('is one of several, asked about one after the other', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Send a mail to ann@example.com and bob@example.com: Hi')
    await page.approval.getByText('1 of 2').waitFor()
    await page.answer('Allow once')
    await page.approval.getByText('2 of 2').waitFor()
    expect(await visibleText(page.approval)).toContain('bob@example.com')
    await page.answer('Deny')
    await page.shows(/^Sent to ann@example\.com/)
    await page.shows(/^No mail has left for bob@example\.com/)
  })

  test('is answered in another tab, and asked about nowhere else then', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Clear my to-do list')
    await page.approval.getByText('Destructive: it can’t be undone').waitFor()
    const second = await browser.opened(() => page.button('Open second tab').click())
    await second.answer('Allow once')
    for (const tab of [page, second]) {
      await tab.shows('Your to-do list is empty.')
      await tab.approval.waitFor({ state: 'detached' })
    }
  })
})

describe('the approval dialog', () => {
  test('takes the focus from nobody who writes, and is not answered by Escape', async ({ browser }) => {
    const page = await browser.open(demo)
    const { keyboard } = page.page
    const isFocused = () => page.approval.evaluate((dialog) => dialog === document.activeElement)
    await page.say('Send a mail to ann@example.com')
    await page.approval.waitFor()
    expect(await isFocused()).toBe(true)
    await keyboard.press('Escape')
    expect(await page.approval.isVisible()).toBe(true)
    await page.answer('Edit')
    await keyboard.press('Escape')
    await page.approval.getByRole('button', { name: 'Allow once' }).waitFor()
    await page.answer('Deny')
    await page.shows(/^No mail has left for ann@example\.com/)
    await page.idle()
    expect(await page.message.evaluate((box) => box === document.activeElement)).toBe(true)

    await page.say('Send a mail to bob@example.com')
    await keyboard.type('And then')
    await page.approval.waitFor()
    expect(await page.message.inputValue()).toBe('And then')
    expect(await isFocused()).toBe(false)
  })

  test('hides no part of the arguments', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say(`Send a mail to ann@example.com: safe\u202etxt ${'x'.repeat(600)} <b>end`)
    await page.approval.waitFor()
    const text = await visibleText(page.approval.getByLabel('Arguments of send_mail'))
    expect(text).toContain('safe\\u202etxt')
    expect(text).toContain('x'.repeat(600))
    expect(text).toContain('<b>end')
  })

  test('fits a narrow screen, with room for the conversation', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.page.setViewportSize({ width: 360, height: 740 })
    await page.say('Read the page offers.example')
    await page.approval.waitFor()
    expect(await page.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
    const [log, dialog, composer] = await Promise.all(
      [page.log, page.approval, page.page.locator('#composer')].map((part) => part.boundingBox()),
    )
    expect(log?.height).toBeGreaterThan(60)
    expect((log?.y ?? 0) + (log?.height ?? 0)).toBeLessThanOrEqual(dialog?.y ?? 0)
    expect((dialog?.y ?? 0) + (dialog?.height ?? 0)).toBeLessThanOrEqual(composer?.y ?? 0)
    expect((composer?.y ?? 0) + (composer?.height ?? 0)).toBeLessThanOrEqual(740)
  })
})

describe('a session that has read a web page', () => {
  test('is asked each time something is to leave, whatever was allowed before', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.say('Send a mail to collector@evil.example')
    await page.answer('Always allow')
    await page.shows(/^Sent to collector@evil\.example/)
    await page.idle()
    await page.say('Read the page offers.example')
    await page.approval.getByText('Content from outside is in this session').waitFor()
    expect(await page.approval.getByRole('button', { name: 'Always allow' }).count()).toBe(0)
    await page.answer('Deny')
    await page.shows(/^No mail has left for collector@evil\.example/)
  })
})

describe('the audit trail', () => {
  test('shows what became of each call of a run, and who decided it', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 2 + 2?')
    await page.say('Send a mail to ann@example.com')
    await page.openTab('Permissions')
    const rows = page.permissionsTab.getByRole('row').filter({ has: page.page.getByRole('rowheader') })
    const told = async () =>
      (await rows.allInnerTexts()).map((text) =>
        text
          .split(/\s*\t\s*/)
          .slice(1)
          .join(' · '),
      )
    await expect
      .poll(told, soon)
      .toEqual([
        'send_mail · Asked · the model',
        'send_mail · Valid · the model',
        'send_mail · Put to a person · the tool',
      ])
    await page.answer('Allow once')
    await expect
      .poll(async () => (await told()).slice(3), soon)
      .toEqual([
        'send_mail · Allowed · a person',
        'send_mail · Started · the runtime',
        'send_mail · Finished · the tool',
      ])
    const run = page.permissionsTab.getByRole('combobox', { name: 'Run' })
    await run.selectOption('What is 2 + 2?')
    await expect.poll(async () => (await told()).at(-1), soon).toBe('calculate · Finished · the tool')
    await page.idle()
    await page.ask('What is 3 + 3?')
    expect(await run.locator('option:checked').textContent()).toBe('What is 2 + 2?')
  })
})
