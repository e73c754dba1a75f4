import fc from 'fast-check'
import type { AgentDefinition } from '../../../src/agent/define-agent.ts'

// Random scripts: what a model answers, what people do, and the agent's rules.

/** One thing that a model says or does; an answer is one to three of them. */
export const pieces = [
  'text',
  'quick',
  'slow',
  'alone',
  'count',
  'form',
  'careful',
  'silence',
  'length',
  'server error',
  'too many requests',
  'refused',
  'too long',
  'drop',
  'hang',
] as const
export type PieceName = (typeof pieces)[number]

const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constant('text' as const) },
  { weight: 9, arbitrary: fc.constantFrom('quick', 'slow', 'alone', 'count' as const) },
  { weight: 1, arbitrary: fc.constant('form' as const) },
  { weight: 2, arbitrary: fc.constant('careful' as const) },
  { weight: 3, arbitrary: fc.constantFrom('server error', 'too many requests', 'drop' as const) },
  { weight: 2, arbitrary: fc.constantFrom('silence', 'length', 'refused', 'too long', 'hang' as const) },
)
const answers = fc.array(fc.array(piece, { minLength: 1, maxLength: 3 }), { minLength: 3, maxLength: 12 })

const limits = fc.record(
  {
    maxTurns: fc.integer({ min: 1, max: 5 }),
    maxToolCalls: fc.integer({ min: 1, max: 6 }),
    maxTokens: fc.integer({ min: 100, max: 2000 }),
    maxCost: fc.integer({ min: 1, max: 20 }),
    maxDuration: fc.integer({ min: 1000, max: 100_000 }),
  },
  { requiredKeys: [] },
)

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      elsewhere: fc.constantFrom(false, false, false, true),
      whenBusy: fc.constantFrom('queue', 'queue', 'steer', 'reject' as const),
      limits: fc.option(limits, { nil: undefined }),
      clientRequestId: fc.constantFrom(undefined, undefined, 'same'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('wait' as const), tasks: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('wait' as const), tasks: fc.integer({ min: 20, max: 80 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('time passes' as const),
      by: fc.constantFrom(50, 1000, 1000, 30_000, 90_000, 3_600_000, 43_200_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('steer' as const), run: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('take back' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('open' as const),
      idleTimeout: fc.constantFrom(undefined, 1000, 60_000),
      close: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('step' as const), begins: fc.boolean(), external: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('stop' as const), turn: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abort' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('resume' as const), run: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('edit' as const), message: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('regenerate' as const), message: fc.option(fc.nat(9)) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('decide' as const), yes: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fill in' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('choose a model' as const), second: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('the runtime dies' as const) }) },
)

type Rules = Pick<AgentDefinition, 'limits' | 'onLimit' | 'onDoomLoop' | 'resume' | 'budget' | 'approvalTimeout'> & {
  readonly fallback: boolean
  readonly window: number | undefined
  readonly ownSummary: boolean
}

const rules: fc.Arbitrary<Rules> = fc.record({
  limits,
  onLimit: fc.constantFrom('stop', 'ask' as const),
  onDoomLoop: fc.constantFrom('ask', 'stop', 'warn' as const),
  resume: fc.constantFrom('auto', 'auto', 'ask', 'never' as const),
  budget: fc.record(
    {
      perSession: fc.record({ tokens: fc.integer({ min: 500, max: 5000 }) }),
      perDay: fc.record({ cost: fc.integer({ min: 5, max: 50 }) }),
    },
    { requiredKeys: [] },
  ),
  approvalTimeout: fc.constantFrom(Number.POSITIVE_INFINITY, 1000, 60_000),
  fallback: fc.boolean(),
  window: fc.constantFrom(undefined, 400, 1200),
  ownSummary: fc.boolean(),
})

export const script = fc.record({
  rules,
  first: answers,
  second: answers,
  actions: fc.array(action, { minLength: 12, maxLength: 40 }),
})
export type Script = typeof script extends fc.Arbitrary<infer S> ? S : never
export type Action = Script['actions'][number]
