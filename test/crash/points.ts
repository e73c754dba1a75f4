import type { PlanName } from './plans.ts'
import type { Failing, PlannedWord, Verdict, Way } from './words.ts'
import type { AgentName } from './world/commands.ts'

/** Where a life can be made to end, and what a run must do to come there. */
export interface Point {
  readonly plan: PlanName
  /** At which pass, at most; 1 without it. */
  readonly passes?: number
  /** The point of a death before it, where only a later leg comes there. */
  readonly after?: string
  readonly agent?: AgentName
  /** What was asked before, and is through. */
  readonly before?: PlanName
  readonly fails?: Failing
  /** How its input is said: `send` without it. */
  readonly way?: Way
  /** What is said to the run. */
  readonly say?: PlannedWord
  /** What the person may say about a call that needs a yes. */
  readonly says?: readonly Verdict[]
}

const around = (label: string, point: Point): Record<string, Point> => ({
  [`before:${label}`]: point,
  [`after:${label}`]: point,
})

const steerIdle = { word: 'steer', at: { heard: 'run-waiting', nth: 1 } } as const

const asking = (says: readonly Verdict[], plan: PlanName = 'buy'): Point => ({ plan, agent: 'careful', says })
const yes = ['once', 'always', 'edited'] as const

/** In the order of a run. */
export const points: Readonly<Record<string, Point>> = {
  ...around('say-input', { plan: 'pay' }),
  ...around('claim', { plan: 'pay' }),
  ...around('run-started', { plan: 'pay' }),
  ...around('user-input', { plan: 'lookup' }),

  'model:before-call': { plan: 'pair', passes: 2 },
  'model:head': { plan: 'pair', passes: 2 },
  'model:chunk': { plan: 'pair', passes: 20 },
  'model:end': { plan: 'pair', passes: 2 },
  ...around('draft', { plan: 'text' }),

  ...around('answer', { plan: 'pair', passes: 2 }),
  ...around('before-tool-calls', { plan: 'mixed', passes: 3 }),
  ...around('intent:pay', { plan: 'pair' }),
  ...around('intent:lookup', { plan: 'lookup' }),
  'pay:before-start': { plan: 'pair' },
  'pay:before-effect': { plan: 'pay' },
  'pay:after-effect': { plan: 'pair' },
  ...around('result:pay', { plan: 'pair' }),
  'lookup:before-start': { plan: 'lookup' },
  'lookup:before-effect': { plan: 'pair' },
  'lookup:after-effect': { plan: 'lookup' },
  ...around('result:lookup', { plan: 'pair' }),
  'slow:before-effect': { plan: 'slow' },
  ...around('after-tool-calls', { plan: 'long', passes: 4 }),
  ...around('before-model', { plan: 'pair', after: 'model:chunk' }),

  ...around('intent:mark', { plan: 'mark' }),
  'mark:asked': { plan: 'mark' },
  'mark:running': { plan: 'mark' },
  'mark:done': { plan: 'mark' },
  ...around('result:mark', { plan: 'mark' }),
  ...around('waiting', { plan: 'form' }),
  ...around('say-tool-output', { plan: 'form' }),

  ...around('resumed', { plan: 'pair', after: 'model:chunk' }),
  ...around('question', { plan: 'pay', after: 'pay:after-effect' }),
  ...around('say-answer', { plan: 'pay', after: 'pay:before-effect' }),
  ...around('decision', { plan: 'pair', after: 'pay:after-effect' }),

  ...around('say-stop', { plan: 'form', say: { word: 'stop', at: { heard: 'run-waiting', nth: 1 } } }),
  ...around('say-stop-after-turn', { plan: 'long', say: { word: 'stop-after-turn', at: { turn: 1 } } }),
  ...around('stopped', { plan: 'long', say: { word: 'stop', at: { turn: 2 } } }),
  ...around('say-abort', { plan: 'form', say: { word: 'abort', at: { heard: 'run-waiting', nth: 1 } } }),
  ...around('cancelled', { plan: 'long', say: { word: 'abort', at: { turn: 2 } } }),
  ...around('say-steer', { plan: 'pair', say: { word: 'steer', at: { turn: 0 } } }),
  ...around('steered', { plan: 'pair', say: { word: 'steer', at: { turn: 1 } } }),

  'model:failed': { plan: 'pair', passes: 2, fails: 'once' },
  ...around('switched', { plan: 'pair', agent: 'twofold', fails: 'first-model' }),
  ...around('offline', { plan: 'pair', fails: 'network' }),
  ...around('doom-loop', { plan: 'loop', agent: 'auto' }),
  ...around('allowed', { plan: 'loop', agent: 'auto' }),
  'count:set': { plan: 'count', agent: 'stateful', passes: 3 },
  ...around('result:count', { plan: 'count', agent: 'stateful', passes: 3 }),
  ...around('rewound', { plan: 'pair', before: 'pair', way: 'edit' }),
  ...around('regenerated', { plan: 'text', before: 'text', way: 'regenerate' }),
  ...around('compacted', { plan: 'text', before: 'long', agent: 'small' }),
  ...around('over-limit', { plan: 'long', agent: 'capped' }),
  ...around('extended', { plan: 'long', agent: 'capped' }),
  ...around('idle', { plan: 'lookup', way: 'open', say: steerIdle }),
  ...around('say-close', { plan: 'lookup', way: 'open', say: steerIdle }),
  ...around('say-step', { plan: 'long', way: 'step', passes: 3 }),
  ...around('between-steps', { plan: 'pair', way: 'step' }),

  ...around('asked', asking(['once', 'denied'])),
  ...around('parked', asking(['edited', 'denied', 'revoked'], 'both')),
  ...around('say-yes', asking([...yes, 'revoked'])),
  ...around('permitted', asking(['once', 'revoked'])),
  ...around('amended', asking(['edited'])),
  ...around('granted', asking(['always'], 'twice')),
  ...around('intent:buy', asking([...yes, 'revoked'])),
  'buy:before-start': asking(yes),
  'buy:before-effect': asking(yes),
  'buy:after-effect': asking(yes, 'both'),
  ...around('result:buy', asking(yes, 'twice')),
  ...around('say-no', asking(['denied'])),
  ...around('refused', asking(['denied'], 'both')),

  ...around('delegated', { plan: 'helped', agent: 'leading' }),
  ...around('child-ended', { plan: 'helped', agent: 'leading' }),
  ...around('result:agent_run', { plan: 'helped', agent: 'leading' }),

  ...around('end', { plan: 'lookup' }),
}
