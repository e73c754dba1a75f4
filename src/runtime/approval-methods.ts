import type { AgentDefinition } from '../agent/define-agent.ts'
import { approvalOf } from '../sessions/deliver.ts'
import { unknownApproval } from '../sessions/inbox.ts'
import type { ApprovalAnswer } from '../sessions/records.ts'
import { approvalExpired, checkAnswer, checkBinding } from '../tools/check-answer.ts'
import { inTexts } from './input-hooks.ts'
import type { Table } from './methods.ts'
import { toolsFor } from './tool-sources.ts'
import { isDue } from './waiting.ts'

/** An input that somebody edited is what the tool gets: it stays. */
function answerTexts(agent: AgentDefinition | undefined, answer: ApprovalAnswer): ApprovalAnswer {
  if (answer.decision === 'supply-result') return { ...answer, output: inTexts(agent, answer.output) }
  if (answer.decision !== 'deny' || answer.reason === undefined) return answer
  return { ...answer, reason: inTexts(agent, answer.reason) }
}

/** Questions to people, and their answers. */
export const approvalMethods = {
  approvals: async ({ env }) => (await env.store.readApprovals()).map(approvalOf),

  async answer(engine, { sessionId, approvalId, answer, bound }) {
    const { env } = engine
    const state = await env.store.readSession(sessionId, { messages: 0 })
    const approval = state?.approvals.find(({ id }) => id === approvalId)
    if (!approval) throw unknownApproval(approvalId)
    const now = env.now()
    if (isDue(approval.expiresAt, now)) throw approvalExpired()
    checkBinding(approval, bound ?? {})
    const tools =
      engine.known(sessionId)?.run?.tools ?? (await toolsFor(env, state?.run, 'toolName' in approval ? approval : {}))
    const agent = state?.run && env.agents.get(state.run.agent)
    const checked = await checkAnswer(approval, answer, { tools, now })
    const said = { type: 'answer', approvalId, answer: answerTexts(agent, checked) } as const
    await engine
      .inOrder(sessionId, () => env.store.say(sessionId, approval.runId, said))
      // Also for an answer that was given before, and could not be applied.
      .finally(() => engine.conductor.nudge(engine.live(sessionId)))
    return undefined
  },
} satisfies Pick<Table, 'approvals' | 'answer'>
