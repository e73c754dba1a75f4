import type { Limits } from 'turnloop'

// What the demo's agent may use, and what its models cost: the worker gives it to the agent, the page shows it.

/** In dollars that nobody pays, per million tokens: the scripted models' only. */
export const prices = {
  offline: { input: 2, cachedInput: 0.2, output: 8 },
  brief: { input: 0.5, cachedInput: 0.05, output: 2 },
} as const

/** Of one answer. The form in the tab “Run” can only narrow them. */
export const limits = {
  maxTurns: 40,
  maxToolCalls: 40,
  maxTokens: 100_000,
  maxDuration: 600_000,
} as const satisfies Limits

/** In tokens, as a real model has no price here. */
export const budget = { perSession: { tokens: 200_000 }, perDay: { tokens: 1_000_000 } } as const

/** Tokens that the scripted models take: few, so that their context fills up while somebody watches. */
export const windows = { offline: 6000, brief: 6000 } as const
