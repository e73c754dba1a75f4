// Approvals and policies, as users write them: an answer fits the question's reason, a call is typed by its tool.
import { connect } from 'turnloop'
import type { Policy } from 'turnloop/runtime'
import { createRuntime, defineAgent, tool } from 'turnloop/runtime'
import { z } from 'zod'
import { same } from './same.ts'

const book = tool({
  description: 'Book a hotel',
  inputSchema: z.object({ city: z.string(), nights: z.number() }),
  approval: ({ nights }) => nights > 2,
  risk: 'destructive',
  actionKey: ({ city }) => city,
  egress: true,
  execute: async ({ nights }) => ({ price: nights * 80 }),
})
tool({
  inputSchema: z.object({ city: z.string() }),
  // @ts-expect-error not an input of the tool
  actionKey: ({ country }) => country,
  execute: async () => 1,
})

const policy: Policy = ({ toolName, risk, egress, actionKey, input }, { tainted, agent, signal }) => {
  same<typeof input, unknown>()
  if (signal.aborted || risk === 'safe') return 'allow'
  if (tainted && egress) return { ask: `${toolName} sends ${actionKey}` }
  return agent === 'guest' ? { deny: 'Guests book nothing.' } : undefined
}

// @ts-expect-error no decision
export const odd: Policy = () => 'maybe'

const agent = defineAgent({
  name: 'assistant',
  model: 'fast',
  tools: { book },
  policy,
  approvalTimeout: 3_600_000,
  toolPolicy: { book: { approval: 'always', risk: 'sensitive' } },
})
export const worker = createRuntime(agent)
const runtime = connect<typeof worker>(() => new Worker('agent.worker.js'))

export async function approve() {
  for (const approval of runtime.approvals.getSnapshot()) {
    if (approval.reason === 'policy') {
      same<typeof approval.risk, 'safe' | 'sensitive' | 'destructive'>()
      same<typeof approval.arguments, string>()
      if (!approval.dynamic && approval.toolName === 'book') {
        same<typeof approval.input, { city: string; nights: number }>()
        await runtime.approvals.answer(approval, {
          decision: 'allow-once',
          input: { ...approval.input, nights: Math.min(approval.input.nights, 7) },
        })
      }
      const expiresAt = Date.now() + 60_000
      if (approval.choices.includes('allow-always'))
        await runtime.approvals.answer(approval, { decision: 'allow-always', expiresAt })
      await runtime.approvals.answer(approval, { decision: 'deny', reason: 'Too expensive' })
      // @ts-expect-error an answer to a call in doubt
      await runtime.approvals.answer(approval, { decision: 'retry' })
      // @ts-expect-error the call that the answer binds is missing
      await runtime.approvals.answer({ ...approval, toolCallId: undefined }, { decision: 'allow-once' })
    }
    if (approval.reason === 'in-doubt') await runtime.approvals.answer(approval, { decision: 'retry' })
    // @ts-expect-error a budget has no call to allow
    if (approval.reason === 'budget') await runtime.approvals.answer(approval, { decision: 'allow-once' })
  }
}
