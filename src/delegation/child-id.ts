import { wellFormed } from '../tools/well-formed.ts'

const prefix = 'child:'

/** The id of the run, and of its session, that a call starts: the same for every attempt at it. */
export const childIdOf = (parentRunId: string, name: string) =>
  `${prefix}${encodeURIComponent(wellFormed(name))}:${parentRunId}`

/** The run that it was derived from. */
export function parentIdOf(runId: string): string | undefined {
  if (!runId.startsWith(prefix)) return undefined
  const end = runId.indexOf(':', prefix.length)
  return end < 0 ? undefined : runId.slice(end + 1)
}
