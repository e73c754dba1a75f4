import type { ToolCallPart } from '../sessions/records.ts'
import { canonicalJson } from './canonical-json.ts'
import { inputOf } from './parse-call.ts'
import { policyOf, type ToolRun } from './tool-run.ts'

/** Characters of a key; what would be remembered for a longer one can't be shown to anybody. */
const longestKey = 2000

/**
 * What an "always allow" of the call is remembered for: the tool's name, and what its `actionKey` makes of the input, after a
 * line break. `undefined` where nothing can be remembered: its function throws, or gives no string.
 */
export function actionKeyOf(run: Pick<ToolRun, 'tools' | 'agent'>, call: ToolCallPart): string | undefined {
  const { actionKey, risk } = policyOf(run, call)
  if (!actionKey && risk !== 'destructive') return call.toolName
  try {
    const part: unknown = actionKey ? actionKey(inputOf(call)) : canonicalJson(call.input)
    const key = `${call.toolName}\n${part}`
    return typeof part === 'string' && key.length <= longestKey ? key : undefined
  } catch {
    return undefined
  }
}
