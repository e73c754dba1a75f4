import type { UserMessageRecord } from '../sessions/records.ts'

/** What the runtime tells a model in the user's place; it stands in no history. */
export const told = (text: string): UserMessageRecord => ({
  v: 1,
  id: '',
  index: -1,
  runId: '',
  turn: 0,
  agent: '',
  at: 0,
  role: 'user',
  parts: [{ type: 'text', text }],
})
