import type { Actor, CallRecord, PartRecord, ToolResultRecord, Transition } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import type { NoteDetail, NotedCall } from './tool-run.ts'

type Note = NonNullable<Step['audit']>[number]

export const noteOf = (
  { toolCallId, toolName }: NotedCall,
  transition: Transition,
  by: Actor,
  more: NoteDetail = {},
): Note => ({ toolCallId, toolName, transition, by, ...more })

/** What an answer does with calls: those that it asks for, and the results of the provider's own. */
export const answerNotes = (parts: readonly PartRecord[]): Note[] =>
  parts.flatMap((part) => {
    if (part.type === 'tool-result') return [noteOf(part, part.isError ? 'failed' : 'finished', 'tool')]
    if (part.type !== 'tool-call') return []
    const { invalid: detail } = part
    const checked = detail === undefined ? noteOf(part, 'valid', 'model') : noteOf(part, 'invalid', 'model', { detail })
    return [noteOf(part, 'asked', 'model'), checked]
  })

/** How a call came out. */
export const resultNote = (call: NotedCall, { outcome, errorText }: ToolResultRecord, by: Actor): Note =>
  noteOf(call, outcome === 'success' ? 'finished' : 'failed', by, errorText === undefined ? {} : { detail: errorText })

/** Calls whose results the ledger has: a new leg takes them from there. */
export const cachedNotes = (calls: readonly NotedCall[], rows: ReadonlyMap<string, CallRecord>): Note[] =>
  calls.flatMap((call) => (rows.get(call.toolCallId)?.result ? [noteOf(call, 'cached', 'runtime')] : []))
