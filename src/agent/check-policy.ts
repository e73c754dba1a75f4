import type { ToolSet } from '@ai-sdk/provider-utils'
import { AgentError } from '../errors.ts'
import type { AgentDefinition } from './define-agent.ts'

const risks = ['safe', 'sensitive', 'destructive']

/** Refuses what a definition says of policy where it can't be meant: what nobody understands would let calls start. */
export function checkPolicy(
  { name, policy, approvalTimeout, toolPolicy = {} }: Omit<AgentDefinition, 'tools'>,
  tools: ToolSet,
): void {
  const refuse = (why: string) => new AgentError('invalid-argument', `Agent "${name}": ${why}`)
  if (policy !== undefined && typeof policy !== 'function')
    throw refuse('policy must be a function of a call and its context.')
  if (approvalTimeout !== undefined && !(typeof approvalTimeout === 'number' && approvalTimeout > 0))
    throw refuse('approvalTimeout must be a number of milliseconds above 0.')
  for (const [toolName, tool] of [...Object.entries(tools), ...Object.entries(toolPolicy)]) {
    const problem = problemOf(tool)
    if (problem) throw refuse(`tool "${toolName}": ${problem}`)
  }
  for (const [toolName, tool] of Object.entries(tools)) {
    const own = Object.hasOwn(toolPolicy, toolName) ? toolPolicy[toolName] : undefined
    const { approval, needsApproval, egress } = { ...tool, ...own } as Readonly<Record<string, unknown>>
    const asks =
      egress || (approval !== undefined && approval !== 'never') || (own?.approval === undefined && needsApproval)
    if (asks && tool.type === 'provider' && tool.isProviderExecuted)
      throw new AgentError(
        'unsupported-tool',
        `Agent "${name}", tool "${toolName}": the provider carries it out by itself, so that nobody can be asked before. Leave \`approval\`, \`needsApproval\` and \`egress\` out, or don't offer it.`,
      )
  }
}

function problemOf(tool: object): string | undefined {
  const { approval, actionKey, needsApproval, risk } = tool as Readonly<Record<string, unknown>>
  if (approval !== undefined && approval !== 'always' && approval !== 'never' && typeof approval !== 'function')
    return "approval must be 'always', 'never' or a function of the input."
  if (needsApproval !== undefined && typeof needsApproval !== 'boolean' && typeof needsApproval !== 'function')
    return 'needsApproval must be a boolean or a function of the input.'
  if (actionKey !== undefined && typeof actionKey !== 'function')
    return 'actionKey must be a function of the input that gives a string.'
  if (risk !== undefined && !risks.includes(risk as string)) return `risk must be one of ${risks.join(', ')}.`
  return undefined
}
