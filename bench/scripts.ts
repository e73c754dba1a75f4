import type { Script } from './script-model.ts'

/** What models stream in the comparisons; both sides take these. */
export const scripts = {
  text: { deltas: 20_000 },
  'text and 20 tool calls': { deltas: 20_000, toolCalls: 20 },
} as const satisfies Readonly<Record<string, Script>>

export type ScriptName = keyof typeof scripts
