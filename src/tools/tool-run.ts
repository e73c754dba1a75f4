import type { ToolSet } from '@ai-sdk/provider-utils'
import type { ToolPolicy } from '../agent/tool.ts'
import type { Emit } from '../events/bus.ts'
import type { CallRecord, MessageRecord, RunRecord, ToolCallPart, ToolResultRecord } from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import type { Pages } from './pages.ts'

/** What carrying out tools needs of a run. */
export interface ToolRun {
  readonly runId: string
  readonly agent: { readonly tools?: ToolSet; readonly toolPolicy?: Readonly<Record<string, ToolPolicy>> }
  readonly env: { readonly now: () => number; readonly pages: Pages }
  readonly live: { readonly id: string }
  readonly record: RunRecord
  readonly history: readonly MessageRecord[]
  readonly openCalls: readonly ToolCallPart[]
  readonly calls: ReadonlyMap<string, CallRecord>
  readonly refused: Map<string, ToolResultRecord>
  readonly signal: AbortSignal
  phase: 'model' | 'tools'
  readonly emit: Emit
  commit(step: Step): Promise<void>
}
