import type { ToolSet } from '@ai-sdk/provider-utils'
import type { AgentDefinition } from '../agent/define-agent.ts'
import { jsonSchema, type ToolPolicy } from '../agent/tool.ts'
import { defaultNames, delegationOf } from './options.ts'

export type DelegateKind = 'run' | 'stop' | 'output'

const kinds = new WeakMap<object, DelegateKind>()

/** Which of the three tools it is, if any: the runtime carries them out itself. */
export const delegateKind = (tool: object | undefined): DelegateKind | undefined => tool && kinds.get(tool)

/** The tools by which an agent starts others, stops them, and reads what they say. */
export function delegateTools(agent: Pick<AgentDefinition, 'delegation'>): ToolSet {
  const { toolNames } = delegationOf(agent)
  return {
    [toolNames.run]: made(
      'run',
      toolNames.run,
      'Starts an agent on a task of its own and gives its answer, or, with run_id, has one that stopped go on. It knows nothing of this conversation but the prompt, unless fork_context is true. With background it works beside you: read its answer later.',
      runSchema,
    ),
    [toolNames.stop]: made(
      'stop',
      toolNames.stop,
      'Stops an agent that you have started, with all that it has started. It can go on later.',
      stopSchema,
    ),
    [toolNames.output]: made(
      'output',
      toolNames.output,
      'Tells how an agent that you have started stands, and its answer; with wait, once it has ended.',
      outputSchema,
    ),
  }
}

function made(
  kind: DelegateKind,
  name: string,
  description: string,
  inputSchema: ReturnType<typeof jsonSchema>,
): ToolSet[string] {
  const policy: ToolPolicy = { risk: 'safe', idempotent: true, repeatable: kind === 'output' }
  // The app's types know it by its own name alone.
  const dynamic = name === defaultNames[kind] ? undefined : { type: 'dynamic' }
  const tool = { ...dynamic, description, inputSchema, ...policy } as unknown as ToolSet[string]
  kinds.set(tool, kind)
  return tool
}

type Properties = Readonly<Record<string, { readonly type: 'string' | 'boolean'; readonly description: string }>>

function schemaOf(
  properties: Properties,
  required: readonly string[],
  problem?: (input: Record<string, unknown>) => string | undefined,
) {
  const schema = {
    type: 'object' as const,
    properties: { ...properties },
    required: [...required],
    additionalProperties: false,
  }
  return jsonSchema(schema, {
    validate: (value) => {
      const why = problemOf(value, properties, required, problem)
      return why === undefined ? { success: true, value } : { success: false, error: new Error(why) }
    },
  })
}

function problemOf(
  value: unknown,
  properties: Properties,
  required: readonly string[],
  problem?: (input: Record<string, unknown>) => string | undefined,
) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'The input must be an object.'
  const input = value as Record<string, unknown>
  for (const [name, given] of Object.entries(input)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (!property) return `There is no "${name}".`
    if (typeof given !== property.type) return `"${name}" must be a ${property.type}.`
  }
  const missing = required.find((name) => !Object.hasOwn(input, name))
  return missing === undefined ? problem?.(input) : `"${missing}" is missing.`
}

const runId = { type: 'string', description: 'The run_id of an agent that you have started.' } as const

const runSchema = schemaOf(
  {
    agent: { type: 'string', description: 'The name of the agent.' },
    prompt: { type: 'string', description: 'What it is asked, with all that it must know.' },
    run_id: { ...runId, description: 'Instead of an agent: one that stopped goes on. The prompt is optional then.' },
    fork_context: { type: 'boolean', description: 'It gets what was said in this conversation, too.' },
    background: { type: 'boolean', description: 'Do not wait for its answer.' },
  },
  [],
  ({ agent, prompt, run_id }) => {
    if (run_id !== undefined) return undefined
    if (agent === undefined) return 'Give an "agent" and a "prompt", or a "run_id".'
    return typeof prompt === 'string' && prompt.trim() !== '' ? undefined : 'Give a "prompt": what the agent is asked.'
  },
)
const stopSchema = schemaOf({ run_id: runId }, ['run_id'])
const outputSchema = schemaOf({ run_id: runId, wait: { type: 'boolean', description: 'Wait until it has ended.' } }, [
  'run_id',
])
