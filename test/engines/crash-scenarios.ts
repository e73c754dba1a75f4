import type { Death } from '../crash/browser.ts'
import type { Moment } from '../crash/moments.ts'
import type { PlanName } from '../crash/plans.ts'
import { randomFrom } from '../crash/random.ts'
import type { PlannedDeath, Scenario } from '../crash/scenarios.ts'

/** A scenario of the crash suite, and what it is in words. */
export interface CrashScenario {
  readonly title: string
  readonly scenario: Scenario
}

const words: Record<Exclude<Death, 'reload'>, string> = {
  worker: 'worker terminated',
  tab: 'tab closed',
  page: 'page’s process killed',
  browser: 'browser killed',
}

const at = (point: string, nth = 1): Moment => ({ point, nth })

const moments: readonly { readonly when: string; readonly plan: PlanName; readonly at: readonly Moment[] }[] = [
  { when: 'while the answer streams', plan: 'text', at: [at('model:chunk', 8)] },
  { when: 'in a tool', plan: 'pay', at: [at('pay:before-effect')] },
  { when: 'between a tool’s effect and its result', plan: 'pair', at: [at('pay:after-effect')] },
  { when: 'while a form waits for its answer', plan: 'form', at: [{ heard: 'run-waiting', nth: 1 }] },
  {
    when: 'in a tool, and again while the question about it is open',
    plan: 'pay',
    at: [at('pay:after-effect'), { heard: 'approval-requested', nth: 1 }],
  },
]

const decisions = ['abandon', 'supply-result', 'retry'] as const

/** Each moment with each kind of death, then whole browsers killed at random moments. */
export function* crashScenarios(engine: string, seed: number): Generator<CrashScenario> {
  let number = 0
  const scenario = (plan: PlanName, deaths: readonly PlannedDeath[]): Scenario => ({
    family: 'point',
    number,
    seed,
    name: engine,
    session: `${engine}-${number}`,
    plan,
    agent: 'auto',
    deaths,
    inDoubt: decisions[number++ % decisions.length] as (typeof decisions)[number],
  })
  for (const by of ['worker', 'tab', 'page', 'browser'] as const) {
    for (const { when, plan, at } of moments) {
      const deaths = at.map((moment) => ({ at: moment, by }))
      yield { title: `${words[by]} ${when}`, scenario: scenario(plan, deaths) }
    }
  }
  const random = randomFrom(seed)
  for (const plan of ['mixed', 'long', 'pair'] as const) {
    const delay = random.between(0, 600)
    const deaths: PlannedDeath[] = [{ at: { delay }, by: 'browser' }]
    yield { title: `${words.browser} ${delay} ms after the message`, scenario: scenario(plan, deaths) }
  }
}
