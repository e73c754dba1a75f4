import type { Ancestor, RunRecord, Said } from './records.ts'
import type { Tell } from './store.ts'

/** What the run that started this one is told of its end. */
export const tellParent = ({ ancestors, runId: childRunId, leg }: RunRecord): readonly Tell[] =>
  tellAbove(ancestors, { type: 'child-ended', childRunId, leg })

/** What it is told where somebody else has this one go on. */
export const tellResumed = ({ ancestors, runId: childRunId }: RunRecord): readonly Tell[] =>
  tellAbove(ancestors, { type: 'child-resumed', childRunId })

/** What the run above is told of one that will not begin, or not go on, although that was said to it. */
export function tellRefused(item: Said & { readonly runId: string }): readonly Tell[] {
  const delegation =
    item.type === 'input' ? item.request.delegation : item.type === 'resume' ? item.delegation : undefined
  return tellAbove(delegation?.ancestors, { type: 'child-ended', childRunId: item.runId })
}

function tellAbove(ancestors: readonly Ancestor[] = [], said: Said): readonly Tell[] {
  const parent = ancestors.at(-1)
  return parent ? [{ sessionId: parent.sessionId, runId: parent.runId, said }] : []
}
