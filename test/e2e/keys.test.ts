import { expect, vi } from 'vitest'
import { serverAt } from '../server/client.ts'
import { httpError, unauthorized } from '../server/http-errors.ts'
import { startServer } from '../server/server.ts'
import { answer, call, say } from '../server/turns.ts'
import { test } from './browser.ts'
import { startDemo } from './demo.ts'
import { visibleText } from './demo-page.ts'
import { filesWith } from './files-with.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** Looks like nothing that is known as a key: only who was handed it can tell. */
const canary = 'Q7canary4Tz0815Kx'

test('a key that the endpoint repeats with every error is neither shown, nor in any file of the profile', async ({
  browser,
  profile,
}) => {
  browser.expectFault(/status of (400|401)/)
  const endpoint = await startServer()
  const demo = await startDemo({})
  try {
    const script = await serverAt(endpoint.origin).script([
      httpError(400, { message: 'What is {key}? No {key} here.', code: '{key}' }),
      unauthorized(),
      answer([call('calculate', { expression: '6 * 7' })]),
      say('At last, an answer.'),
    ])
    const page = await browser.open(demo)
    const logged: string[] = []
    browser.context.on('console', (message) => logged.push(message.text()))
    await page.model.selectOption('My own key…')
    const dialog = page.page.getByRole('dialog')
    await dialog.getByLabel("Use my own key: kept in this tab's memory only, sent directly to the endpoint").check()
    await dialog.getByLabel('Key', { exact: true }).fill(canary)
    await dialog.getByLabel('Endpoint', { exact: true }).fill(script.baseURL)
    await dialog.getByRole('button', { name: 'Use this key' }).click()

    // Another model answers in its place, and the event of that has the words of the error.
    await page.ask('First?')
    const alert = page.log.getByRole('alert')
    await page.ask('Second?')
    await alert.getByText('Check it, then continue.').waitFor()
    expect(await visibleText(alert)).not.toContain(canary)
    await alert.getByRole('button', { name: 'Continue' }).click()
    await page.shows('At last, an answer.')
    expect((await script.requests()).map(({ headers }) => headers.authorization)).toEqual(
      Array.from({ length: 4 }, () => `Bearer ${canary}`),
    )
    expect(await page.page.locator('body').textContent()).not.toContain(canary)
    expect(logged.join('\n')).not.toContain(canary)

    await browser.context.close()
    expect(await filesWith(profile, 'At last, an answer.')).not.toEqual([])
    expect(await filesWith(profile, canary)).toEqual([])
  } finally {
    await demo.close()
    await endpoint.close()
  }
})
