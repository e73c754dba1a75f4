import type { AgentDefinition } from '../agent/define-agent.ts'
import type { ToolResultHook } from '../agent/middleware.ts'
import type { PolicyCall } from '../agent/policy.ts'
import type { ToolCallPart, ToolResultRecord } from '../sessions/records.ts'
import { inputOf } from '../tools/parse-call.ts'
import { failureOf, successOf, toJson } from '../tools/tool-output.ts'
import { toolOf } from '../tools/tool-run.ts'
import { type Fold, foldHooks, foldInRun, placeOf, textIn } from './hooks.ts'
import type { Run } from './run.ts'
import { resultTexts } from './texts.ts'
import { untilAborted } from './until-aborted.ts'

/** What the agent's middleware makes of a call before it is decided. */
export interface ToolVerdict {
  /** Takes the place of the model's input, not validated yet; and the middleware that gave it last. */
  readonly changed?: { readonly input: unknown; readonly by: string }
  /** The first no, with its words; wins over `ask`. */
  readonly deny?: { readonly reason: string; readonly by: string }
  readonly ask?: { readonly reason: string; readonly by: string }
}

/** All middleware's word on a call: each sees the input that those before it gave. Rejects where one fails, which ends the run. */
export const beforeTool = (run: Run, call: PolicyCall): Promise<ToolVerdict> => foldInRun(run, wordsOn(call))

/** The word of another agent's middleware on a call of this run. Rejects where one fails. */
export const beforeToolOf = (run: Run, { middleware = [] }: AgentDefinition, call: PolicyCall): Promise<ToolVerdict> =>
  foldHooks({ ...placeOf(run), middleware }, wordsOn(call))

const wordsOn = (call: PolicyCall): Fold<ToolVerdict> => ({
  hook: 'beforeTool',
  value: {},
  given: ({ changed }) => [changed ? { ...call, input: changed.input } : call],
  fields: ['input', 'deny', 'ask'],
  take: (verdict, fields, { name: by }) => {
    const deny = textIn(fields, 'deny')
    const ask = textIn(fields, 'ask')
    return {
      ...verdict,
      ...(fields.input === undefined ? undefined : { changed: { input: toJson(fields.input), by } }),
      ...(deny === undefined || verdict.deny ? undefined : { deny: { reason: deny, by } }),
      ...(ask === undefined || verdict.ask ? undefined : { ask: { reason: ask, by } }),
    }
  },
})

/** A call's result as all middleware leaves it. Rejects where one fails, which ends the run. */
export async function afterTool(run: Run, call: ToolCallPart, result: ToolResultRecord): Promise<ToolResultRecord> {
  const { toolCallId, toolName } = call
  const left = await foldInRun(run, {
    hook: 'afterTool',
    value: result,
    given: (now) => [{ toolCallId, toolName, input: inputOf(call) }, told(now)],
    fields: ['output', 'errorText'],
    take: (now, fields) => {
      const errorText = textIn(fields, 'errorText')
      const { output } = fields
      if (output !== undefined && errorText !== undefined) throw new TypeError('give either output or errorText')
      if (errorText !== undefined) return failureOf(call, errorText)
      return output === undefined ? now : untilAborted(() => successOf(call, toolOf(run, call), output), run.signal)
    },
  })
  return run.onText ? resultTexts(left, run.onText) : left
}

/** A copy: what is stored changes only by what a hook gives. */
function told({ outcome, output, errorText }: ToolResultRecord): ToolResultHook {
  if (outcome === 'success') return { outcome, output: structuredClone(output) }
  return errorText === undefined ? { outcome } : { outcome, errorText }
}
