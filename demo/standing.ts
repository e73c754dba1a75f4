import type { RunState, SessionSnapshot } from 'turnloop'

/** What a session is at, in a few words. */
export function standing({ run, status }: SessionSnapshot): string {
  if (!run) return status === 'error' ? 'The last run failed.' : 'Nothing is under way.'
  return `Turn ${run.turn}: ${phases[run.phase](run)}.`
}

const phases: { readonly [P in RunState['phase']]: (run: RunState) => string } = {
  queued: () => 'waits for its turn',
  model: () => 'the model answers',
  tools: () => 'tools run',
  retrying: ({ attempt = 1 }) => `attempt ${attempt} failed, the model is asked again`,
  waiting: ({ waitingFor }) => `waits for ${waits[waitingFor ?? 'approval']}`,
  stopping: () => 'comes to its end',
  interrupted: () => 'interrupted',
}

const waits: Record<NonNullable<RunState['waitingFor']>, string> = {
  'tool-results': 'the result of a tool',
  page: 'a page',
  approval: 'your answer',
  offline: 'the network',
  input: 'your next message',
  step: 'its next step',
  child: 'its helpers',
}
