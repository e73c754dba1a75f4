// Agents that start agents, as users write them: their tools and their delegates' are typed.
import type { LanguageModelV4 } from '@ai-sdk/provider'
import type {
  AgentName,
  AgentRunInput,
  AppOf,
  DelegationResult,
  PageToolName,
  RunTree,
  SessionInfo,
  ToolName,
  Usage,
  View,
} from 'turnloop'
import { connect } from 'turnloop'
import { createRuntime, defineAgent, tool } from 'turnloop/runtime'
import { z } from 'zod'
import { same } from './same.ts'

declare const model: LanguageModelV4
const inputSchema = z.object({ about: z.string() })

const reader = defineAgent({
  name: 'reader',
  model,
  tools: {
    read: tool({ inputSchema, execute: ({ about }) => ({ about, lines: 3 }) }),
    show: tool({ inputSchema, outputSchema: z.object({ shown: z.boolean() }) }),
  },
})
const researcher = defineAgent({ name: 'researcher', description: 'Looks things up', model, delegates: [reader] })
const writer = defineAgent({ name: 'writer', model, tools: { write: tool({ inputSchema, execute: () => 'done' }) } })
const lead = defineAgent({
  name: 'lead',
  model: 'fast',
  delegates: [researcher, 'writer'],
  delegation: { maxDepth: 2, onEnd: 'stop' },
})
// The researcher and its reader are the app's, too; one that is named alone is passed.
const made = createRuntime([lead, writer], { models: { fast: model } })
type Runtime = typeof made
type A = AppOf<Runtime>

same<AgentName<A>, 'lead' | 'writer' | 'researcher' | 'reader'>()
same<ToolName<A>, 'agent_run' | 'agent_stop' | 'agent_output' | 'read' | 'show' | 'write'>()
same<PageToolName<A>, 'show'>()
same<AgentName<AppOf<ReturnType<typeof alone>>>, 'reader'>()
function alone() {
  return createRuntime(reader)
}

const runtime = connect<Runtime>(() => new Worker('agent.worker.js'), {
  pageTools: { show: () => ({ shown: true }) },
})
// @ts-expect-error the runtime carries it out
connect<Runtime>(() => new Worker('agent.worker.js'), { pageTools: { agent_run: () => ({}) } })

runtime.on(['tool-execution-started', 'tool-execution-finished'], (event) => {
  if (event.dynamic || event.toolName !== 'agent_run') return
  same<typeof event.input, AgentRunInput>()
  if (event.kind === 'tool-execution-finished' && event.outcome === 'success')
    same<typeof event.output, DelegationResult>()
})
for (const message of runtime.session('s').view.getSnapshot().messages)
  for (const part of message.parts)
    if (part.type === 'tool-agent_output' && part.state === 'output-available')
      same<typeof part.output, DelegationResult>()
for (const approval of runtime.approvals.getSnapshot())
  if (approval.reason === 'policy' && !approval.dynamic && approval.toolName === 'agent_stop')
    same<typeof approval.input.run_id, string>()

const run = runtime.session('s').send('Compare Porto and Lisbon')
const tree = runtime.runs.tree(run.runId)
same<typeof tree, View<RunTree<A> | undefined>>()
export function draw({ agent, status, phase, usage, cost, children }: RunTree<A>): string {
  same<typeof agent, AgentName<A>>()
  same<typeof usage, Usage>()
  return `${agent} ${phase ?? status} ${cost ?? usage.outputTokens} ${children.map(draw).join()}`
}
run.on('delegation-started', ({ childAgent }) => same<typeof childAgent, AgentName<A>>(), {
  descendants: true,
})
runtime.session('s').on('any', () => {}, { descendants: true })
// @ts-expect-error it hears all sessions anyway
runtime.on('any', () => {}, { descendants: true })

runtime.run({ agent: 'writer', input: 'Write', parent: run.runId }).detach()
// @ts-expect-error a session has no parent to name
runtime.session('s').send('Write', { parent: run.runId })
// @ts-expect-error no agent of this name
runtime.run({ agent: 'nobody', input: 'Write', parent: run.runId })

export async function under(parent: string) {
  same<ReturnType<typeof runtime.sessions.view>, View<readonly SessionInfo[]>>()
  runtime.sessions.view({ parent })
  return (await runtime.sessions.list({ parent, limit: 10 })).map((info) => info.parent?.runId)
}

// @ts-expect-error no such end
defineAgent({ name: 'a', model, delegates: [reader], delegation: { onEnd: 'leave' } })
// @ts-expect-error an agent, or its name
defineAgent({ name: 'a', model, delegates: [{ name: 'b' }] })
