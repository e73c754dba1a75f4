import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { build, type InlineConfig, loadConfigFromFile, mergeConfig, type Plugin, preview } from 'vite'
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest'
import { chromiumArgs, findChromium } from '../../scripts/chromium.ts'
import { sourceAliases } from '../../scripts/entries.ts'
import { type ScriptHandle, serverAt } from '../server/client.ts'
import { answer, call, say, type Turn } from '../server/turns.ts'
import { waitFor } from '../wait-for.ts'

// The applications of the documents, as they stand in docs/examples/weather/ and docs/examples/strict-policy/: built with
// their own configuration, and used in a browser. Only the endpoint behind their proxy is another one.

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const key = 'sk-of-the-server'
let context: BrowserContext

beforeAll(async () => {
  vi.stubEnv('OPENAI_API_KEY', key)
  const executablePath = findChromium()
  const profile = await mkdtemp(join(tmpdir(), 'turnloop-docs-'))
  context = await chromium.launchPersistentContext(profile, {
    ...(executablePath && { executablePath }),
    args: [...chromiumArgs],
    headless: true,
  })
  return () => rm(profile, { recursive: true, force: true, maxRetries: 5 })
})
afterAll(() => context?.close())

interface Served {
  readonly page: Page
  readonly script: ScriptHandle
  /** Errors and warnings on the console, CSP violations, and errors that nobody caught. */
  readonly faults: readonly string[]
  readonly files: readonly string[]
}

async function serve(app: 'weather' | 'strict-policy', turns: Turn[], more: InlineConfig = {}): Promise<Served> {
  const root = fileURLToPath(new URL(`../../docs/examples/${app}/`, import.meta.url))
  const script = await serverAt(inject('modelServer')).script(turns)
  const outDir = await mkdtemp(join(tmpdir(), 'turnloop-docs-app-'))
  const config = mergeConfig(
    {
      root,
      configFile: join(root, 'vite.config.ts'),
      logLevel: 'warn',
      resolve: { alias: sourceAliases },
      build: { outDir, emptyOutDir: true },
      preview: { host: '127.0.0.1', port: 0 },
      server: {
        proxy: {
          '/api/openai': {
            target: script.baseURL.replace(/\/v1$/, ''),
            // the app that shows the proxy has its own
            ...(app === 'strict-policy' && { rewrite: (path: string) => path.replace('/api/openai', '/v1') }),
          },
        },
      },
    },
    more,
  )
  await build(config)
  const server = await preview(config)
  const page = await context.newPage()
  const faults: string[] = []
  const hear = (message: { type(): string; text(): string }) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  }
  context.on('console', hear)
  page.on('pageerror', (error) => faults.push(error.message))
  await page.addInitScript(() =>
    addEventListener('securitypolicyviolation', (event) =>
      console.error(`${event.violatedDirective} ${event.blockedURI}`),
    ),
  )
  await page.goto(server.resolvedUrls?.local[0] ?? '')
  onTestFinished(async () => {
    context.off('console', hear)
    await page.close()
    await server.close()
    await rm(outDir, { recursive: true, force: true })
  })
  return { page, script, faults, files: await readdir(join(outDir, 'assets')) }
}

const forecast: Plugin = {
  name: 'forecast',
  configurePreviewServer({ middlewares }) {
    middlewares.use('/api/forecast', (request, response) => {
      const city = new URL(request.url ?? '', 'http://here').searchParams.get('city')
      response.end(JSON.stringify({ celsius: city === 'Porto' ? 21 : 0 }))
    })
  },
}

describe('the first twenty lines', () => {
  it('are a chat that calls a tool, streams, and is still there after a reload', async () => {
    const { page, script, faults } = await serve(
      'weather',
      [answer([call('forecast', { city: 'Porto' })]), say('It is 21 degrees in Porto.')],
      { plugins: [forecast] },
    )
    await page.getByLabel('Message').fill('How warm is it?')
    await page.getByRole('button', { name: 'Send' }).click()
    const lines = page.locator('li')
    const expected = ['user: How warm is it?', 'assistant: ', 'assistant: It is 21 degrees in Porto.']
    await waitFor(async () => expect(await lines.allTextContents()).toEqual(expected), { timeout: 15_000 })

    const requests = await script.requests()
    expect(requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${key}`, `Bearer ${key}`])
    expect(JSON.stringify(requests[1]?.body)).toContain('celsius')

    await page.reload()
    await waitFor(async () => expect(await lines.allTextContents()).toEqual(expected), { timeout: 15_000 })
    expect(faults).toEqual([])
  })
})

describe('the set-up for a strict policy', () => {
  it('runs under it without a violation, the provider in a chunk of its own', async () => {
    // A worker's violations are told to a report address only, so that one is added to the policy.
    const configFile = fileURLToPath(new URL('../../docs/examples/strict-policy/vite.config.ts', import.meta.url))
    const loaded = await loadConfigFromFile({ command: 'serve', mode: 'production' }, configFile)
    const policy = String(loaded?.config.preview?.headers?.['content-security-policy'])
    expect(policy).toMatch(/default-src 'none'.*require-trusted-types-for 'script'/)
    const reports: string[] = []
    const collect: Plugin = {
      name: 'reports',
      configurePreviewServer({ middlewares }) {
        middlewares.use('/reports', (request, response) => {
          request.on('data', (data) => reports.push(String(data)))
          request.on('end', () => response.end())
        })
      },
    }
    const { page, faults, files } = await serve(
      'strict-policy',
      [answer([call('add', { a: 2, b: 3 })]), say('It is 5.')],
      { plugins: [collect], preview: { headers: { 'content-security-policy': `${policy}; report-uri /reports` } } },
    )
    await waitFor(async () => expect(await page.locator('output').textContent()).toBe('It is 5.'), { timeout: 15_000 })

    // Proof that violations are told, of the worker too: this one comes after all others.
    const [worker] = page.workers()
    await worker?.evaluate(() => fetch('https://elsewhere.example/').catch(() => {}))
    await waitFor(() => expect(reports.join()).toContain('elsewhere.example'), { timeout: 15_000 })
    expect(reports).toEqual([expect.stringContaining('connect-src')])
    expect(files.filter((file) => file.endsWith('.js')).length).toBeGreaterThanOrEqual(3)
    expect(faults).toEqual([])
  })
})
