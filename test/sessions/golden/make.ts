import { writeFile } from 'node:fs/promises'
import { chromium } from 'playwright-core'
import { chromiumArgs, findChromium } from '../../../scripts/chromium.ts'
import { servePage } from '../../serve-page.ts'
import type { GoldenPage } from './page.ts'

// node test/sessions/golden/make.ts: plays sessions of every kind with the code as it is, and writes what the database
// holds then into fixtures/version-N.json, where N is the database's version. Run it before the version is raised, and commit the
// file with the version that it is of: the migrations are tested on it for ever.

type Global = typeof globalThis & { readonly golden: GoldenPage }

const site = await servePage(new URL('page.html', import.meta.url))
const executablePath = findChromium()
const browser = await chromium.launch({ ...(executablePath && { executablePath }), args: [...chromiumArgs] })
try {
  const page = await browser.newPage()
  page.on('pageerror', (error) => console.error(error))
  await page.goto(site.url)
  const { version, entries } = await page.evaluate(() => (globalThis as Global).golden.make())
  const lines = entries.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n')
  const file = new URL(`fixtures/version-${version}.json`, import.meta.url)
  await writeFile(file, `{\n  "version": ${version},\n  "entries": [\n${lines}\n  ]\n}\n`)
  console.log(`${entries.length} entries in ${file.pathname}`)
} finally {
  await browser.close()
  await site.close()
}
