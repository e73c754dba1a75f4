import type { ToolSet } from '@ai-sdk/provider-utils'
import { AgentError } from '../errors.ts'
import type { ApprovalAnswer, ApprovalAnswers, ApprovalReason, ApprovalRecord } from '../sessions/records.ts'
import { canonicalJson } from './canonical-json.ts'
import { validate } from './schema.ts'
import { toJson } from './tool-output.ts'
import { toolOf } from './tool-run.ts'

const decisions: { readonly [R in ApprovalReason]: readonly ApprovalAnswers[R]['decision'][] } = {
  policy: ['allow-once', 'allow-always', 'deny', 'abort'],
  'in-doubt': ['retry', 'abandon', 'supply-result'],
  interrupted: ['resume', 'abandon'],
  budget: ['extend', 'stop'],
  'doom-loop': ['allow-once', 'deny', 'abort'],
}

interface Context {
  /** As far as they are known here. */
  readonly tools: ToolSet
  /** Unix time in milliseconds. */
  readonly now: number
}

/** The answer as it is stored. Refuses one that doesn't fit the question, or an input or a result that doesn't fit the tool. */
export async function checkAnswer(
  approval: ApprovalRecord,
  answer: unknown,
  { tools, now }: Context,
): Promise<ApprovalAnswer> {
  const { reason, choices = decisions[reason] } = approval
  const given = (answer ?? {}) as Partial<Record<string, unknown>>
  const decision = choices.find((known) => known === given.decision)
  switch (decision) {
    case undefined:
      throw new AgentError(
        'invalid-argument',
        `This approval of reason "${reason}" is answered with one of these decisions: ${choices.join(', ')}.`,
      )
    case 'extend':
      if (typeof given.by === 'number' && given.by > 0) return { decision, by: given.by }
      throw new AgentError('invalid-argument', 'An extension says `by` how much: a number above 0.')
    case 'deny':
      return { decision, ...reasonOf(given) }
    case 'abort':
      return reason === 'policy' ? { decision, ...reasonOf(given) } : { decision }
    case 'allow-once':
      return reason === 'policy' ? { decision, ...(await editOf(approval, given, tools)) } : { decision }
    case 'allow-always':
      return { decision, ...(await editOf(approval, given, tools)), ...expiryOf(given, now) }
    case 'supply-result':
      return { decision, output: await fitting(approval, given.output, tools, 'outputSchema') }
    default:
      return { decision } as ApprovalAnswer
  }
}

/** Characters of a reason that are kept. */
export const longestReason = 2000

const reasonOf = ({ reason }: { readonly reason?: unknown }) =>
  typeof reason === 'string' && reason.trim() !== '' ? { reason: reason.slice(0, longestReason) } : undefined

/** Another input than the one that was asked about. */
const editOf = async (approval: ApprovalRecord, { input }: { readonly input?: unknown }, tools: ToolSet) =>
  input === undefined ? undefined : { input: await fitting(approval, input, tools, 'inputSchema') }

function expiryOf({ expiresAt }: { readonly expiresAt?: unknown }, now: number) {
  if (expiresAt === undefined) return undefined
  if (typeof expiresAt === 'number' && expiresAt > now) return { expiresAt }
  throw new AgentError('invalid-argument', 'A grant ends (`expiresAt`) in the future, at a Unix time in milliseconds.')
}

/** What a person gives in a tool's or a model's place, as JSON. A tool that isn't known here is asked where it is carried out. */
async function fitting(
  approval: ApprovalRecord,
  given: unknown,
  tools: ToolSet,
  schema: 'inputSchema' | 'outputSchema',
): Promise<unknown> {
  const toolName = 'toolName' in approval ? approval.toolName : ''
  const value = toJson(given)
  const known = toolOf({ tools }, { toolName })?.[schema]
  const checked = known ? await validate(known, value) : undefined
  if (!checked || checked.ok) return value
  throw new AgentError('invalid-input', `What you give does not fit the ${schema} of "${toolName}": ${checked.problem}`)
}

/** What somebody answered, as he saw it. */
export interface Bound {
  readonly toolCallId?: unknown
  readonly input?: unknown
}

/** Refuses an answer to another call, or to other arguments, than those that were asked about. */
export function checkBinding(approval: ApprovalRecord, { toolCallId, input }: Bound): void {
  if (!('toolCallId' in approval)) return
  if (approval.reason !== 'policy' && toolCallId === undefined) return
  const asked = approval.reason === 'policy' ? approval.arguments : canonicalJson(approval.input)
  if (toolCallId === approval.toolCallId && canonicalJson(toJson(input)) === asked) return
  throw new AgentError(
    'approval-mismatch',
    'The answer is to another call, or to other arguments, than were asked about: pass the approval as runtime.approvals has it.',
  )
}

export const approvalExpired = () =>
  new AgentError('approval-expired', 'Nobody answered this approval in time: its call counts as denied.')
