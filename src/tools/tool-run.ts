import type { ToolSet } from '@ai-sdk/provider-utils'
import type { ToolPolicy } from '../agent/tool.ts'
import { type DelegateKind, delegateKind } from '../delegation/delegate-tools.ts'
import type { Emit } from '../events/bus.ts'
import type { Sleep } from '../events/sleep.ts'
import type {
  Actor,
  ApprovalRecord,
  AuditEntry,
  CallRecord,
  Editor,
  Limits,
  MessageRecord,
  RunRecord,
  SessionRecord,
  ToolCallPart,
  ToolResultRecord,
  Transition,
} from '../sessions/records.ts'
import type { Step } from '../sessions/step.ts'
import type { Decisions } from './decisions.ts'
import type { Pages } from './pages.ts'
import type { State } from './state.ts'
import { toolNamed } from './tool-named.ts'

/** What becomes of a call that failed: it is carried out again, or has a result; `stops`: the run is to stop with it. */
export type Failure = 'again' | { readonly result?: ToolResultRecord; readonly stops?: boolean }

/** In place of the number of calls that failed in a row: the run is to stop. */
export const toldToStop = -1

export type NotedCall = Pick<CallRecord, 'toolCallId' | 'toolName'>
export type NoteDetail = Pick<AuditEntry, 'detail' | 'approvalId'>

/** That a call may start. */
export interface Decision {
  /** With the input that it is carried out with. */
  readonly call: ToolCallPart
  /** Who gave it another input than the model did. */
  readonly edited?: Editor
}

/** What carrying out tools needs of a run. */
export interface ToolRun {
  readonly runId: string
  readonly agent: { readonly toolPolicy?: Readonly<Record<string, ToolPolicy>> }
  readonly tools: ToolSet
  readonly env: {
    readonly now: () => number
    readonly newId: () => string
    readonly sleep: Sleep
    readonly pages: Pages
  }
  readonly caps: Required<Limits>
  /** What no error text may repeat: credentials, headers. */
  readonly secrets: unknown
  /** How many calls may be started now; -1 where not even one that had started before may start again. */
  readonly callsLeft: number
  readonly live: { readonly id: string }
  readonly record: RunRecord
  readonly session: SessionRecord
  readonly history: readonly MessageRecord[]
  readonly openCalls: readonly ToolCallPart[]
  readonly calls: ReadonlyMap<string, CallRecord>
  /** Its questions that are open. */
  readonly approvals: ReadonlyMap<string, ApprovalRecord>
  readonly refused: Map<string, ToolResultRecord>
  /** The calls that may start, by id, as they are to be carried out. A yes to one that has not started is lost with its owner. */
  readonly decisions: Decisions
  readonly state: State
  readonly signal: AbortSignal
  phase: 'model' | 'tools'
  readonly emit: Emit
  commit(step: Step): Promise<unknown>
  /** Notes what became of a call, for the audit trail; the next commit writes it. */
  note(call: NotedCall, transition: Transition, by: Actor, more?: NoteDetail): void
  /** A call's result as it is to be stored, once the agent's middleware had its say. Rejects when the run is to end. */
  settle(call: ToolCallPart, result: ToolResultRecord): Promise<ToolResultRecord>
  /** What becomes of an attempt at a call, from 1, that failed or timed out. Rejects when the run is to end. */
  failed(call: ToolCallPart, error: unknown, attempt: number, onPage: boolean): Promise<Failure>
  /** Carries out a call of a tool that starts, stops or reads another run. `waits`: its result comes with that one's end. */
  delegate(kind: DelegateKind, call: ToolCallPart): Promise<ToolResultRecord | 'waits'>
  /** Its calls that were handed to another run by this owner. */
  readonly handedOn: ReadonlySet<string>
  /** Notes in the ledger what a call came to that nobody waits for any more. */
  keepLate(result: ToolResultRecord): void
}

/**
 * What the record of a run that waits says once it has what it waited for, in the very commit that took it in: should its
 * owner die next, it does not wait for what came. While somebody is asked whether it goes on at all, it still waits.
 */
export const goingOn = ({ env, record }: Pick<ToolRun, 'record'> & { readonly env: { readonly now: () => number } }) =>
  record.status === 'waiting' && record.interruptedAt === undefined
    ? ({
        run: { status: 'running', waitingFor: undefined, wakeAt: undefined, wentOnAt: env.now() } as Partial<RunRecord>,
      } as const)
    : undefined

type Tool = ToolSet[string]

export function toolOf(
  { tools }: Pick<ToolRun, 'tools'>,
  { toolName }: { readonly toolName: string },
): Tool | undefined {
  return toolNamed(tools, toolName)
}

/** How a tool is treated: the agent's word on it wins over the tool's own. */
export function policyOf(run: Pick<ToolRun, 'tools' | 'agent'>, call: { readonly toolName: string }): ToolPolicy {
  const { toolPolicy = {} } = run.agent
  const { toolName } = call
  const tool = toolOf(run, call)
  return {
    ...(tool as ToolPolicy),
    ...(Object.hasOwn(toolPolicy, toolName) ? toolPolicy[toolName] : undefined),
    // Whoever carries it out again finds what the attempt before has left.
    ...(delegateKind(tool) && { idempotent: true }),
  }
}
