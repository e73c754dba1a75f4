import type { Envelope } from '../events/kinds.ts'
import type { Interest } from './messages.ts'

/** Whose events a listener hears. */
export type Scope = Pick<Interest, 'sessionId' | 'runId' | 'descendants'>

/** What says whose an event is. */
export type Origin = Pick<Envelope, 'sessionId' | 'runId' | 'ancestors'>

/** Whether an event is of the session or run that is meant, or, with `descendants`, of a run below. */
export const isInScope = (scope: Scope, { sessionId, runId, ancestors }: Origin): boolean =>
  ((scope.sessionId === undefined || scope.sessionId === sessionId) &&
    (scope.runId === undefined || scope.runId === runId)) ||
  (scope.descendants === true && ancestors !== undefined && isBelow(scope, ancestors))

const isBelow = ({ sessionId, runId }: Scope, ancestors: NonNullable<Origin['ancestors']>) =>
  ancestors.some((above) => (runId === undefined ? above.sessionId === sessionId : above.runId === runId))
