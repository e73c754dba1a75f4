import { type Death, deaths } from './browser.ts'
import type { Moment } from './moments.ts'
import type { PlanName } from './plans.ts'
import { points } from './points.ts'
import { type Random, randomFrom } from './random.ts'
import type { Failing, PlannedWord, Verdict, Way, Word } from './words.ts'
import type { AgentName, Answer } from './world/commands.ts'

export interface PlannedDeath {
  readonly at: Moment
  readonly by: Death
}

/** One run on a session of its own, with its deaths. The same number gives the same scenario for the same seed. */
export interface Scenario {
  readonly family: 'point' | 'random' | 'tabs'
  readonly number: number
  /** What `--only` looks at. */
  readonly name: string
  readonly session: string
  readonly plan: PlanName
  readonly agent: AgentName
  readonly deaths: readonly PlannedDeath[]
  /** What the person says about a call in doubt. */
  readonly inDoubt: Extract<Answer['decision'], 'retry' | 'abandon' | 'supply-result'>
  /** What was asked before, and is through. */
  readonly before?: PlanName
  readonly fails?: Failing
  /** How its input is said. */
  readonly way?: Way
  /** What the person says to the run. */
  readonly say?: PlannedWord
  /** What the person says about a call that needs a yes: `once` without it. */
  readonly says?: Verdict
  /** Another input that is sent after the last death. */
  readonly supersede?: boolean
  /** Of a `tabs` scenario, with the seed of all that happens in it. */
  readonly tabs?: number
  readonly seed: number
}

/** Rounds in which each point of a run's control comes once. */
export const controlRounds = 8

const decisions = ['retry', 'abandon', 'supply-result'] as const
const verdicts = ['once', 'always', 'edited', 'denied', 'revoked'] as const

/**
 * In each round each point once, those of a run's control in some of them, and over time each with each kind of death, with random moments, open questions,
 * crash loops and several tabs between them.
 */
export function* scenariosFrom(seed: number, rounds: number): Generator<Scenario> {
  const order = randomFrom(seed)
  const all = Object.keys(points)
  const first = order.between(0, deaths.length - 1)
  let number = 0
  for (let round = 0; round < rounds; round++) {
    // Those of a run's control take turns: they need longer, and the proof has to be quick.
    const names = all.filter((name, index) => !isOfControl(name) || (index + seed + round) % controlRounds === 0)
    for (const [index, name] of order.shuffle(names).entries()) {
      const by = deaths[
        (first + all.indexOf(name) + round + Math.floor(round / controlRounds)) % deaths.length
      ] as Death
      yield pointScenario(seed, number++, name, by)
      if (index % 6 === 2) yield randomScenario(seed, number++)
      if (index % 12 === 5) yield questionScenario(seed, number++)
      if (index % 12 === 8) yield tabsScenario(seed, number++, index % 24 === 8 ? 2 : 5)
      if (index % 24 === 3) yield wordScenario(seed, number++)
      if (index % 24 === 11) yield loopScenario(seed, number++)
      if (index % 24 === 23) yield agentScenario(seed, number++)
      if (index === 15) yield openApprovalScenario(seed, number++)
      if (index % 12 === 7) yield delegationScenario(seed, number++)
      if (index % 24 === 19) yield approvalScenario(seed, number++)
    }
  }
}

function isOfControl(name: string): boolean {
  const { say, way, before, fails, agent } = points[name] as (typeof points)[string]
  // Those of delegation are as few as they are: each comes each time.
  if (agent === 'leading') return false
  return [say, way, before, fails, agent].some((field) => field !== undefined)
}

const randomOf = (seed: number, number: number) =>
  randomFrom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca77))

const base = (random: Random, number: number) => ({
  number,
  session: `s${number}`,
  agent: 'auto' as AgentName,
  inDoubt: random.pick(decisions),
  seed: random.between(0, 2 ** 31),
})

/** A death at a point; now and then one more somewhere in the leg that resumes. */
function pointScenario(seed: number, number: number, name: string, by: Death): Scenario {
  const random = randomOf(seed, number)
  const {
    plan,
    passes = 1,
    after,
    agent = 'auto',
    say,
    says,
    before,
    way,
    fails,
  } = points[name] as (typeof points)[string]
  const planned: PlannedDeath[] = [{ at: { point: name, nth: random.between(1, passes) }, by }]
  if (after !== undefined) planned.unshift({ at: { point: after, nth: 1 }, by: random.pick(deaths) })
  if (random.next() < 0.2) planned.push(repeated(random))
  return {
    ...base(random, number),
    family: 'point',
    name: `${name} by ${by}`,
    plan,
    agent,
    deaths: planned,
    ...(say && { say }),
    ...(says && { says: random.pick(says) }),
    ...(before && { before }),
    ...(way && { way }),
    ...(fails && { fails }),
  }
}

/** A death during the resume. */
function repeated(random: Random): PlannedDeath {
  const point = random.pick(['before:resumed', 'after:resumed', 'model:before-call', 'model:chunk', 'before:end'])
  return { at: { point, nth: 1 }, by: random.pick(['worker', 'worker', 'page', 'tab'] as const) }
}

/** One to three deaths at any moments. */
function randomScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  const moment = (): Moment =>
    random.next() < 0.5 ? { delay: random.between(0, 700) } : { facts: random.between(1, 14) }
  const count = random.pick([1, 1, 2, 3])
  return {
    ...base(random, number),
    family: 'random',
    name: 'random moments',
    plan: random.pick(['text', 'pair', 'mixed', 'long', 'form', 'slow'] as const),
    supersede: random.next() < 0.15,
    ...(random.next() < 0.3 && { way: 'named' as const }),
    ...(random.next() < 0.3 && { fails: 'once' as const }),
    deaths: Array.from({ length: count }, () => ({ at: moment(), by: random.pick(deaths) })),
  }
}

/** Something is said at any moment of a run in which somebody dies at any moment. */
function wordScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  const word = random.pick(['stop', 'stop-after-turn', 'abort', 'steer', 'queue'] satisfies Word[])
  const heard = random.pick([
    'run-started',
    'assistant-message-committed',
    'tool-execution-started',
    'tool-execution-finished',
    'approval-requested',
  ])
  const moment = (): Moment =>
    random.next() < 0.5 ? { delay: random.between(0, 500) } : { facts: random.between(2, 10) }
  return {
    ...base(random, number),
    family: 'random',
    name: `${word} at ${heard}`,
    plan: random.pick(['mixed', 'long', 'slow', 'pair'] as const),
    say: { word, at: { heard, nth: random.between(1, 2) } },
    deaths: Array.from({ length: random.pick([1, 1, 2]) }, () => ({ at: moment(), by: random.pick(deaths) })),
  }
}

/** A call is in doubt, the question is open, and again somebody dies. */
function questionScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  return {
    ...base(random, number),
    family: 'point',
    name: 'an open question',
    plan: random.pick(['pay', 'pair', 'mark', 'slow'] as const),
    deaths: [
      { at: { heard: 'tool-execution-started', nth: 1 }, by: random.pick(deaths) },
      { at: { heard: 'approval-requested', nth: 1 }, by: random.pick(deaths) },
    ],
  }
}

/** Somebody is asked whether a call may start, and does not answer before everything has died in each way. */
function openApprovalScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  return {
    ...base(random, number),
    family: 'point',
    name: 'an open approval',
    plan: random.pick(['buy', 'twice', 'both'] as const),
    agent: 'careful',
    says: random.pick(verdicts),
    deaths: random.shuffle(deaths).map((by) => ({ at: { heard: 'approval-requested', nth: 1 }, by })),
  }
}

/** Calls need a yes, and somebody dies at any moment; now and then something is said while the question is open. */
function approvalScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  const moment = (): Moment =>
    random.next() < 0.5 ? { delay: random.between(0, 500) } : { facts: random.between(2, 12) }
  const word = random.pick(['stop', 'stop-after-turn', 'abort', 'steer'] satisfies Word[])
  return {
    ...base(random, number),
    family: 'random',
    name: 'an approval at random moments',
    plan: random.pick(['twice', 'both'] as const),
    agent: 'careful',
    says: random.pick(verdicts),
    ...(random.next() < 0.4 && { say: { word, at: { heard: 'approval-requested', nth: 1 } } }),
    deaths: Array.from({ length: random.pick([1, 2, 2]) }, () => ({ at: moment(), by: random.pick(deaths) })),
  }
}

/** Agents that give tasks to others, two deep at most, and somebody dies at any moment; now and then the tree is stopped. */
function delegationScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  const moment = (): Moment => {
    const chance = random.next()
    if (chance < 0.4) return { delay: random.between(0, 700) }
    if (chance < 0.7) return { facts: random.between(4, 16) }
    return { point: random.pick(['pay:before-effect', 'pay:after-effect', 'pay:before-start']), nth: 1 }
  }
  const word = random.pick(['stop', 'stop', 'abort'] satisfies Word[])
  return {
    ...base(random, number),
    family: 'random',
    name: 'delegated runs at random moments',
    plan: random.pick(['helped', 'aside', 'deep'] as const),
    agent: 'leading',
    ...(random.next() < 0.25 && { say: { word, at: { heard: 'delegation-started', nth: 1 } } }),
    deaths: Array.from({ length: random.pick([1, 1, 2]) }, () => ({ at: moment(), by: random.pick(deaths) })),
  }
}

/** Dies in each leg without getting anywhere, until the runtime gives up and a person goes on. */
function loopScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  const death = () => ({ at: { point: 'model:before-call', nth: 1 }, by: random.pick(['worker', 'page'] as const) })
  return {
    ...base(random, number),
    family: 'point',
    name: 'a crash loop',
    plan: 'lookup',
    deaths: [death(), death(), death(), death()],
  }
}

/** Agents that ask before they resume, or never do. */
function agentScenario(seed: number, number: number): Scenario {
  const random = randomOf(seed, number)
  const agent = random.pick(['ask', 'never'] as const)
  return {
    ...base(random, number),
    family: 'point',
    name: `resume: ${agent}`,
    plan: 'pair',
    agent,
    supersede: random.next() < 0.3,
    deaths: [{ at: { point: random.pick(['model:chunk', 'pay:after-effect']), nth: 1 }, by: random.pick(deaths) }],
  }
}

function tabsScenario(seed: number, number: number, tabs: number): Scenario {
  const random = randomOf(seed, number)
  return { ...base(random, number), family: 'tabs', name: `${tabs} tabs`, plan: 'text', deaths: [], tabs }
}
