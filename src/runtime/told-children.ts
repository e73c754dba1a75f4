import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { brief } from '../delegation/brief.ts'
import { delegationOf } from '../delegation/options.ts'
import type { ChildRecord } from '../sessions/records.ts'
import { callableAgents, isUnderWay } from './children.ts'
import type { Run } from './run.ts'
import { withNote } from './turns-left.ts'

// What a model is told of the agents that it may start, and of those that it has started.

/** Agents in the list, and its bytes (UTF-8). */
const mostListed = 64
const longestList = 16 * 1024

type ToldRun = Pick<Run, 'agent' | 'children' | 'record' | 'env'>

/** Tools for agents, where the run may start none and has started none. */
export function idleDelegateTools(run: ToldRun): readonly string[] {
  const { delegates = [] } = run.agent
  if (delegates.length === 0 || run.children.size > 0 || callableAgents(run).length > 0) return []
  return Object.values(delegationOf(run.agent).toolNames)
}

/** The agents that the model may start, beside the agent's own words. */
export function withDelegates(run: ToldRun, instructions: string | undefined): string | undefined {
  const names = callableAgents(run)
  if (names.length === 0) return instructions
  const { toolNames } = delegationOf(run.agent)
  const heading = `There are agents to whom you can give a task of its own with ${toolNames.run}:`
  const agents = names.map((name) => ({ name, description: run.env.agents.get(name)?.description }))
  const list = brief(agents, { most: mostListed, longest: longestList - heading.length - 1 })
  return [...(instructions ? [instructions] : []), `${heading}\n${list}`].join('\n\n')
}

/** How the run's children stand, at the end of what the model is asked: those that go on, stopped, or have not been read. */
export function withChildren(run: Run, prompt: LanguageModelV4Prompt): LanguageModelV4Prompt {
  const lines = [...run.children.values()].filter(isToTell).map(lineOf)
  if (lines.length === 0) return prompt
  const { delegates = [] } = run.agent
  const heading = delegates.length > 0 ? howToRead(run) : 'agents that were started beside you.'
  return withNote(prompt, `[Note of the runtime, not of the user: ${heading}]\n${lines.join('\n')}`)
}

function howToRead({ agent }: ToldRun): string {
  const { toolNames } = delegationOf(agent)
  return `agents that you have started. Read what they say with ${toolNames.output}; one that stopped goes on with ${toolNames.run} and its run_id.`
}

const isToTell = (child: ChildRecord) => isUnderWay(child) || child.status === 'stopped' || !child.told

const lineOf = ({ runId, agent, status }: ChildRecord) => `- ${agent}, run_id ${JSON.stringify(runId)}: ${status}`
