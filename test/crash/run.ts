import { parseArgs } from 'node:util'
import { launchChromium } from './chromium.ts'
import { Lane } from './lane.ts'
import { type Outcome, play } from './play.ts'
import { controlRounds, type Scenario, scenariosFrom } from './scenarios.ts'
import { playTabs } from './tabs.ts'
import { Tally } from './tally.ts'
import { World } from './world/world.ts'

/**
 * npm run test:crash [-- --runs DEATHS] [--seed SEED] [--only NAME] [--parallel BROWSERS]
 *
 * The proof by killing that nothing is lost: a real Chromium with its profile on disk, a page whose worker carries out runs
 * against a scripted model and tools in a local server, and deaths of all kinds (worker terminated, page crashed or
 * reloaded, tab closed, browser killed) at named points and at random moments. After each death the page is opened again, the run goes
 * on, and at its end the log, the messages, the starts of tools and all prompts are checked against what pages had been
 * told. world.ts is what survives, points.ts names where lives end, checks.ts says what must hold.
 *
 * Without options each point is met once, in up to five tries, and an eighth of those of a run's control (by the seed), in two browsers; with `--runs` it goes on until so many deaths have been died.
 * `--only` takes scenarios whose name contains it, those of an agent (`careful`), or the one of a session (`s17`): together with the printed seed that
 * repeats a failure. Exits 1 where anything was lost or repeated, got stuck or was otherwise wrong.
 */

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
    parallel: { type: 'string', default: '2' },
  },
})
const wanted = values.runs === undefined ? Number.POSITIVE_INFINITY : Number(values.runs)
const seed = Number(values.seed)
/** One is each point once. `--only` looks through sixteen. */
const rounds = values.only === undefined ? (values.runs === undefined ? 1 : Number.POSITIVE_INFINITY) : 16

const planned = chosen()
const world = await World.start()
const tally = new Tally()
const failures: Outcome[] = []
const played = new Set<string>()
const began = Date.now()
console.log(
  `seed ${seed}, ${values.runs === undefined ? 'each point once, those of control in turn' : `until ${wanted} deaths`}`,
)

await Promise.all(Array.from({ length: Number(values.parallel) }, () => runLane(planned)))
if (unreached().length > 0) await runLane(furtherTries())
await world.close()

for (const fault of world.faults) {
  console.log(`✗ ${fault}`)
  tally.fail()
}
for (const point of unreached()) {
  console.log(`✗ no run came to the point "${point}"`)
  tally.fail()
}
console.log(`${Math.round((Date.now() - began) / 1000)} s`)
for (const line of tally.lines()) console.log(line)
// Once more, where a log that is cut at its beginning still has them.
for (const outcome of failures) tellFailure(outcome)
process.exitCode = tally.failed === 0 ? 0 : 1

function* chosen(): Generator<Scenario> {
  const { only } = values
  for (const scenario of scenariosFrom(seed, rounds)) {
    if (only === undefined || isOf(scenario, only)) yield scenario
  }
}

function isOf({ session, agent, name }: Scenario, only: string): boolean {
  return session === only || agent === only || name.includes(only)
}

function unreached(): string[] {
  return values.only === undefined ? tally.unreached : []
}

/** What a run may or may not come to is tried again: a stop, for example, that finds its run still here is not always written. */
function* furtherTries(): Generator<Scenario> {
  for (const scenario of scenariosFrom(seed, 4 * controlRounds)) {
    const isNew = !played.has(scenario.session)
    if (isNew && unreached().some((point) => scenario.name.startsWith(`${point} by `))) yield scenario
  }
}

async function runLane(scenarios: Iterable<Scenario>): Promise<void> {
  const browser = await launchChromium(world)
  console.log(browser.name)
  const lane = new Lane(browser)
  try {
    for (const scenario of scenarios) {
      played.add(scenario.session)
      const outcome = await (scenario.family === 'tabs' ? playTabs : play)(world, lane, scenario)
      tell(outcome)
      tally.add(outcome)
      if (outcome.findings.length > 0) failures.push(outcome)
      world.forget(scenario.session)
      if (tally.deaths >= wanted) return
    }
  } finally {
    await browser.close()
  }
}

function tell(outcome: Outcome): void {
  if (outcome.findings.length === 0) return console.log(`✓ ${headOf(outcome)}`)
  tellFailure(outcome)
  console.log(outcome.log)
}

function tellFailure(outcome: Outcome): void {
  const { session, plan, agent, inDoubt } = outcome.scenario
  console.log(`✗ ${headOf(outcome)}`)
  for (const { fault, message } of outcome.findings) console.log(`  ${fault}: ${message}`)
  console.log(`  plan ${plan}, agent ${agent}, in doubt ${inDoubt}; repeat with --seed ${seed} --only ${session}`)
}

function headOf({ scenario: { session, name }, deaths, missed }: Outcome): string {
  const died = deaths.map(({ by, at }) => `${by} ${at}`).join(', then ') || 'nobody died'
  return `${session} ${name}: ${died}${missed.length > 0 ? `; not reached: ${missed.join(', ')}` : ''}`
}
