import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { type ScriptHandle, serverAt } from '../server/client.ts'
import { unauthorized } from '../server/http-errors.ts'
import { startServer, type TestServer } from '../server/server.ts'
import { answer, call, say } from '../server/turns.ts'
import { waitFor } from '../wait-for.ts'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'
import { visibleText } from './demo-page.ts'
import { filesWith } from './files-with.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const serverKey = 'sk-server-canary-4711'
const ownKey = 'sk-own-canary-0815'

describe('a real endpoint', () => {
  let endpoint: TestServer
  let script: ScriptHandle
  let demo: Demo
  beforeAll(async () => {
    endpoint = await startServer()
    script = await serverAt(endpoint.origin).script([], {})
    demo = await startDemo({ OPENAI_API_KEY: serverKey, OPENAI_BASE_URL: script.baseURL, OPENAI_MODEL: 'test-model' })
  })
  afterAll(async () => {
    await demo?.close()
    await endpoint?.close()
  })

  const proxied = 'test-model (key stays on the server)'

  test('is offered and answers through the proxy, tools included', async ({ browser }) => {
    const before = (await script.requests()).length
    await script.add(answer([call('calculate', { expression: '6 * 7' })]), say('It is **42**.'))
    const page = await browser.open(demo)
    expect(await page.model.locator('option:checked').textContent()).toMatch(/^Offline/)
    await page.model.selectOption(proxied)
    await page.ask('How much is six times seven?')
    await page.shows('It is 42.')
    expect(await visibleText(page.tools)).toMatch(/calculate[\s\S]*Done/)

    const seen = (await script.requests()).slice(before)
    expect(seen).toHaveLength(2)
    for (const { headers, body } of seen) {
      expect(headers.authorization).toBe(`Bearer ${serverKey}`)
      expect(headers).not.toHaveProperty('cookie')
      expect(headers).not.toHaveProperty('origin')
      expect(body).toMatchObject({ model: 'test-model' })
    }
  })

  test('is asked through Chat Completions where the environment says so', { timeout: 180_000 }, async ({ browser }) => {
    const chat = await serverAt(endpoint.origin).script([say('Hello from Chat.')])
    const demo = await startDemo({
      OPENAI_API_KEY: serverKey,
      OPENAI_BASE_URL: chat.baseURL,
      OPENAI_MODEL: 'test-model',
      OPENAI_API: 'chat',
    })
    try {
      const page = await browser.open(demo)
      await page.model.selectOption(proxied)
      await page.ask('Hello?')
      await page.shows('Hello from Chat.')
      expect((await chat.requests()).map(({ protocol }) => protocol)).toEqual(['chat'])
    } finally {
      await demo.close()
    }
  })

  test('loads its provider on first use only', async ({ browser }) => {
    await script.add(say('Hello.'))
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    const scripts = () => browser.requests.filter((url) => url.endsWith('.js')).length
    expect(scripts()).toBe(2)
    await page.model.selectOption(proxied)
    await page.ask('Hello?')
    await page.shows('Hello.')
    expect(scripts()).toBe(3)
  })

  test('streams through the proxy without buffering, and a stop closes the connection', async ({ browser }) => {
    const before = (await script.requests()).length
    await script.add(say('one two three', { holdAt: { event: 6 } }))
    const page = await browser.open(demo)
    await page.model.selectOption(proxied)
    await page.say('Count')
    await page.shows(/^one/)
    await page.stop.click()
    await page.idle()
    await waitFor(async () => expect((await script.requests())[before]?.state).toBe('closed'), { timeout: 5000 })
    await page.shows('Stopped before the end.')
  })

  test('is chosen again after a reload', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.model.selectOption(proxied)
    await page.page.reload()
    await expect.poll(() => page.model.locator('option:checked').textContent(), { timeout: 15_000 }).toBe(proxied)
  })

  test('shows an error as an alert that says what to do', async ({ browser }) => {
    browser.expectFault(/status of 401/)
    await script.add(unauthorized())
    const page = await browser.open(demo)
    await page.model.selectOption(proxied)
    await page.ask('Hello?')
    const alert = page.log.getByRole('alert')
    await alert.waitFor()
    expect(await visibleText(alert)).toContain('Check it, then continue.')
    await page.model.selectOption({ index: 0 })
    await page.ask('What is 2 + 2?')
    expect(await alert.count()).toBe(0)
  })

  test('has no price: its cost is shown as unknown, and a limit of cost keeps it from being asked', async ({
    browser,
  }) => {
    await script.add(say('Hello.'))
    const page = await browser.open(demo)
    await page.model.selectOption(proxied)
    await page.ask('Hello?')
    await expect.poll(() => visibleText(page.usage), { timeout: 15_000 }).toMatch(/^[\d,]+ tokens · cost unknown/)
    const before = (await script.requests()).length
    await page.openRunTab()
    await page.limit('Cost in $').fill('1')
    await page.ask('Hello again?')
    await page.log.getByRole('alert').getByText('The model has no price here.').waitFor()
    expect(await script.requests()).toHaveLength(before)
  })

  test('that refuses the key is asked again by the same run, once somebody continues it', async ({ browser }) => {
    browser.expectFault(/status of 401/)
    await script.add(unauthorized(), say('There you are.'))
    const page = await browser.open(demo)
    await page.model.selectOption(proxied)
    await page.ask('Hello?')
    await page.log.getByRole('alert').getByRole('button', { name: 'Continue' }).click()
    await page.shows('There you are.')
    expect(await page.log.getByRole('alert').count()).toBe(0)
    expect((await page.text()).split('Hello?')).toHaveLength(2)
  })

  test('waits for the own key again after a reload in mid-answer', async ({ browser }) => {
    const own = await serverAt(endpoint.origin).script([
      say('one two three', { holdAt: { event: 6 } }),
      say('Here it is.'),
    ])
    const page = await browser.open(demo)
    const enterKey = async () => {
      await page.model.selectOption('My own key…')
      const dialog = page.page.getByRole('dialog')
      await dialog.getByLabel("Use my own key: kept in this tab's memory only, sent directly to the endpoint").check()
      await dialog.getByLabel('Key', { exact: true }).fill(ownKey)
      await dialog.getByLabel('Endpoint', { exact: true }).fill(own.baseURL)
      await dialog.getByRole('button', { name: 'Use this key' }).click()
    }
    await enterKey()
    await page.say('Count')
    await page.shows(/^one/)
    await page.page.reload()
    const alert = page.log.getByRole('alert')
    await alert.getByText('Your own key is not kept over a reload').waitFor()
    await enterKey()
    await alert.getByRole('button', { name: 'Continue' }).click()
    await page.shows('Here it is.')
    expect(await alert.count()).toBe(0)
  })

  test('stays closed to what is not its page', async () => {
    const post = (path: string, init: RequestInit = {}) =>
      fetch(`${demo.url}api/openai${path}`, {
        method: 'POST',
        body: '{}',
        ...init,
        headers: { 'content-type': 'application/json', ...init.headers },
      })
    const before = (await script.requests()).length
    expect((await post('/responses', { headers: { origin: 'https://elsewhere.example' } })).status).toBe(403)
    expect((await post('/responses', { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(403)
    expect((await post('/responses', { headers: { 'content-type': 'text/plain' } })).status).toBe(415)
    expect((await post('/files')).status).toBe(404)
    expect((await post('/chat/completions/more')).status).toBe(404)
    expect((await fetch(`${demo.url}api/openai/responses`)).status).toBe(405)
    expect(await script.requests()).toHaveLength(before)
  })

  test('takes a key from the page only after a clear choice, and stores it nowhere', async ({ browser, profile }) => {
    const own = await serverAt(endpoint.origin).script([say('With your own key.'), say('And again.')])
    const page = await browser.open(demo)
    await page.model.selectOption('My own key…')
    const dialog = page.page.getByRole('dialog')
    const key = dialog.getByLabel('Key', { exact: true })
    expect(await key.isDisabled()).toBe(true)
    expect(await dialog.getByRole('button', { name: 'Use this key' }).isDisabled()).toBe(true)
    await dialog.getByLabel("Use my own key: kept in this tab's memory only, sent directly to the endpoint").check()
    await key.fill(ownKey)
    await dialog.getByLabel('Endpoint', { exact: true }).fill('https://elsewhere.example/v1')
    await dialog.getByRole('button', { name: 'Use this key' }).click()
    await dialog.getByText('This page may connect to').waitFor()
    await dialog.getByLabel('Endpoint', { exact: true }).fill(own.baseURL)
    await dialog.getByLabel('Model name').fill('own-model')
    await dialog.getByRole('button', { name: 'Use this key' }).click()
    await page.ask('Hello?')
    await page.shows('With your own key.')
    // a new worker gets the key again
    await page.button('Kill worker').click()
    await page.ask('Still there?')
    await page.shows('And again.')
    const [seen] = await own.requests()
    expect(seen?.headers.authorization).toBe(`Bearer ${ownKey}`)
    expect(seen?.body).toMatchObject({ model: 'own-model' })

    await page.page.reload()
    await page.shows('And again.')
    expect(await page.model.locator('option:checked').textContent()).toMatch(/^Offline/)
    await browser.context.close()
    expect(await filesWith(profile, 'With your own key.')).not.toEqual([])
    expect(await filesWith(profile, ownKey)).toEqual([])
    expect(await filesWith(profile, serverKey)).toEqual([])
  })

  test('is not chosen when the dialog for the key is cancelled', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.model.selectOption('My own key…')
    await page.page.keyboard.press('Escape')
    await page.page.getByRole('dialog').waitFor({ state: 'hidden' })
    await expect.poll(() => page.model.locator('option:checked').textContent(), { timeout: 15_000 }).toMatch(/^Offline/)
  })
})
