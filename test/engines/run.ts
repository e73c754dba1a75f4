import { parseArgs } from 'node:util'
import { World } from '../crash/world/world.ts'
import { type Demo, startDemo } from '../e2e/demo.ts'
import { crashSuite } from './crash.ts'
import type { Engine } from './engine.ts'
import { firefox } from './firefox.ts'
import { mainJob } from './main-job.ts'
import { Report } from './report.ts'
import { webKitGtk } from './webkitgtk.ts'

/**
 * npm run test:engines [-- --engine NAME] [--only TEXT] [--seed SEED]
 *
 * What Chromium proves at length, in Firefox and in WebKitGTK: the main job from end to end, on the built demo, steered by
 * a driver; then deaths of workers, tabs, pages and whole browsers, with the page and the checks of the crash suite. No
 * driver takes part in those: WebKitGTK's keeps nothing on disk, so a page opens and closes the tabs as the server says.
 *
 * `--engine` takes one engine, `--only` the scenarios whose name contains the text; the seed gives the random moments.
 */

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const engines = { Firefox: firefox, WebKitGTK: webKitGtk }
const limit = 10 * 60_000

const report = new Report(values.only)
setTimeout(() => end(`everything within ${limit / 60_000} minutes`), limit)

const [demo, world] = await Promise.all([startDemo(), World.start()])
process.once('exit', () => void demo.close())
for (const [name, make] of Object.entries(engines)) {
  if (!name.toLowerCase().includes(values.engine.toLowerCase())) continue
  await make()
    .then((engine) => runIn(engine, demo, world))
    .catch((error) => report.fail(`${name} can be used`, error))
}
await Promise.all([demo.close(), world.close()])
end()

async function runIn(engine: Engine, demo: Demo, world: World): Promise<void> {
  try {
    const browser = await engine.drive()
    try {
      console.log(`${engine.name} ${browser.version}`)
      await mainJob(browser, demo, report)
    } finally {
      await browser.close()
    }
    await crashSuite(engine, world, Number(values.seed), report)
  } finally {
    await engine.close()
  }
}

function end(missed?: string): never {
  if (missed !== undefined) report.fail(missed, 'not done')
  report.print()
  process.exit(report.failed === 0 ? 0 : 1)
}
