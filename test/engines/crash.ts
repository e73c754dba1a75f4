import { Lane } from '../crash/lane.ts'
import { play } from '../crash/play.ts'
import type { World } from '../crash/world/world.ts'
import { startBrowser } from './crash-browser.ts'
import { crashScenarios } from './crash-scenarios.ts'
import type { Engine } from './engine.ts'
import type { Report } from './report.ts'

/** Deaths show in requests: WebKit fails those of a page that closes and still tells the page, and a kill cuts them off. */
const isOfDying = /^page-\d+: unhandled: TypeError: Load failed$|^the world could not answer \S+: Error: aborted\b/

/** Kills what carries out a run, opens the page again, and checks that nothing was lost, repeated or got stuck. */
export async function crashSuite(engine: Engine, world: World, seed: number, report: Report): Promise<void> {
  const wanted = [...crashScenarios(engine.name, seed)].filter(({ title }) => report.wants(title))
  if (wanted.length === 0) return
  const browser = await startBrowser(engine, world)
  let lane = new Lane(browser)
  try {
    for (const { title, scenario } of wanted) {
      await report.scenario(title, async () => {
        // A page replaces a worker that dies over and over only so often.
        if (scenario.deaths.some(({ by }) => by === 'worker')) await lane.closeTab()
        const { deaths, findings, missed, log } = await play(world, lane, scenario)
        report.count(deaths.length, findings)
        const found = [
          ...findings.map(({ fault, message }) => `${fault}: ${message}`),
          ...missed.map((point) => `the run did not come to ${point}`),
          ...world.faults.splice(0).filter((fault) => !isOfDying.test(fault)),
        ]
        if (found.length === 0) return
        // Whatever state it is in, the next scenario gets a new one.
        await browser.kill()
        lane = new Lane(browser)
        throw new Error(`seed ${seed}\n${found.join('\n')}\n${log}`)
      })
      world.forget(scenario.session)
    }
  } finally {
    await browser.close()
  }
}
