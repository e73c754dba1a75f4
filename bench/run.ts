import { parseArgs } from 'node:util'
import { launch } from './browser.ts'
import type { BenchPage } from './page.ts'
import { printTable } from './print-table.ts'
import type { Row } from './row.ts'
import { serveSite } from './site.ts'

// npm run bench: builds the page for production, and measures in one Chromium. `-- --json` prints one JSON object per
// figure, `-- --only NAME` takes only the measurements whose name contains NAME.

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
})
type Global = typeof globalThis & { readonly bench: BenchPage }

const site = await serveSite()
const browser = await launch()
try {
  const known = await browser.withPage(site.url, (page) => page.evaluate(() => (globalThis as Global).bench.names))
  const names = known.filter((name) => name.includes(values.only))
  if (names.length === 0) {
    console.error(`There is no measurement "${values.only}". There are: ${known.join(', ')}.`)
    process.exitCode = 2
  }
  const rows: Row[] = []
  for (const name of names) {
    const begun = performance.now()
    const measured = await browser.withPage(site.url, (page) =>
      page.evaluate((name) => (globalThis as Global).bench.measure(name), name),
    )
    rows.push(...measured)
    if (values.json) for (const row of measured) console.log(JSON.stringify(row))
    // How far it is; the figures alone go to the output.
    console.error(`${name}: ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  }
  if (!values.json && rows.length > 0) printTable(rows, `Chromium ${browser.version}; medians after a warm-up`)
} finally {
  await browser.close()
  await site.close()
}
