import { delegateKind } from '../delegation/delegate-tools.ts'
import type { CallRecord, ToolCallPart, WaitingFor } from '../sessions/records.ts'
import { policyOf, type ToolRun, toolOf } from './tool-run.ts'

// How the open calls of the last answer stand: what they wait for, and what is still to be said of them.

/** What the open calls wait for, if anything. */
export function waitedFor(run: ToolRun): WaitingFor | undefined {
  if (callsInDoubt(run).length > 0) return 'approval'
  const all = run.openCalls.filter((call) => needsSomebody(run, call))
  if (all.length === 0) return undefined
  if (all.some((call) => isAsked(run, call))) return 'approval'
  const left = all.filter((call) => areHandedOut(run) || !delegateKind(toolOf(run, call)))
  if (left.length === 0) return 'child'
  return !areHandedOut(run) && left.some(({ toolName }) => run.env.pages.everOffered(toolName))
    ? 'page'
    : 'tool-results'
}

/** Whether a person is asked before the call starts. */
const isAsked = (run: ToolRun, { toolCallId }: ToolCallPart) =>
  [...run.approvals.values()].some((open) => open.reason === 'policy' && open.toolCallId === toolCallId)

/** The calls of which nobody has said yet whether they may start. */
export const undecidedCalls = (run: ToolRun): ToolCallPart[] =>
  areHandedOut(run)
    ? []
    : run.openCalls.filter((call) => {
        const { toolCallId, invalid } = call
        const isSettled = run.calls.has(toolCallId) || run.refused.has(toolCallId) || run.decisions.has(toolCallId)
        return !isSettled && invalid === undefined && toolOf(run, call) && !isAsked(run, call)
      })

/** Whether the calls are for whoever takes the step: nothing of them is carried out here. */
export const areHandedOut = ({ record }: ToolRun) => record.step?.tools === 'external'

/**
 * Whether a call waits for a page, an answer or another run: it is handed out, in doubt, asked about, of a tool without `execute`
 * that no page offers and that has not begun, or one whose result comes with the end of a run that this one started.
 */
export function needsSomebody(run: ToolRun, call: ToolCallPart): boolean {
  const row = run.calls.get(call.toolCallId)
  if (row?.result || run.refused.has(call.toolCallId) || call.invalid !== undefined) return false
  if ((row && isInDoubt(run, row)) || isAsked(run, call)) return true
  const tool = toolOf(run, call)
  if (tool === undefined || areHandedOut(run)) return tool !== undefined
  return delegateKind(tool) ? row !== undefined : !tool.execute && !pageFor(run, call)
}

/** The page that has begun with the call, else the one whose input started the run, else the last focused that offers it. */
export const pageFor = (run: ToolRun, { toolCallId, toolName }: ToolCallPart) =>
  run.env.pages.offering(toolName, run.calls.get(toolCallId)?.pageId ?? run.record.pageId)

/** Calls of which nobody knows whether they took effect: a person decides. */
export const callsInDoubt = (run: ToolRun): CallRecord[] =>
  run.openCalls.flatMap(({ toolCallId }) => {
    const row = run.calls.get(toolCallId)
    return row && isInDoubt(run, row) ? [row] : []
  })

/** It had started, and nobody who could say what became of it is left; running it again may repeat what it did. */
export const isInDoubt = (run: ToolRun, row: CallRecord) =>
  row.result === undefined &&
  row.retryIn !== run.record.leg &&
  !policyOf(run, row).idempotent &&
  // It runs an id once, and says again what came of it.
  !(row.pageId !== undefined && run.env.pages.has(row.pageId))
